"""Spread of an account's true probability around the model's, which widens the calibrator's interval.

Two variances in log-odds add up. The sampling of accounts is measured with refits on resampled accounts
(`training.evaluation.reason_stability`); with few accounts it dominates. What the signals do not show about an account
cannot be measured, because each outcome happens once: this part is a constant, checked against the true probabilities
of simulated portfolios (bench/oracle.py, bench/RESULTS.md), and right for portfolios that are as noisy.
"""

from __future__ import annotations

from training.evaluation.reason_stability import ReasonStability

UNEXPLAINED_SPREAD = 0.85
"""Standard deviation, in log-odds, of the true probabilities of accounts with the same signals."""


def true_probability_spread(stability: ReasonStability | None) -> float:
    """Return the standard deviation, in log-odds, of an account's true probability around the model's.

    Parameters
    ----------
    stability : how much the refits differ; None without refits, for `UNEXPLAINED_SPREAD` alone.

    Returns
    -------
    float
    """
    sampling = stability.spread if stability else 0.0
    return float((UNEXPLAINED_SPREAD**2 + sampling**2) ** 0.5)
