"""How far one account's true probability may lie from the model's: the width of an interval beside the calibrator's.

Two things add up, as variances in log-odds. What the draw of accounts leaves unknown is measured, by refits on
resampled accounts (`training.evaluation.reason_stability`): with few accounts it is most. What the signals leave
unknown of one account,
whatever the number of others, no outcome can tell, for each happens once: that part is a constant, held against the
true probabilities of simulated portfolios (bench/oracle.py, bench/RESULTS.md), and right for portfolios as noisy.
"""

from __future__ import annotations

from training.evaluation.reason_stability import ReasonStability

UNEXPLAINED_SPREAD = 0.85
"""Standard deviation, in log-odds, of the true probabilities of accounts that show the same signals."""


def true_probability_spread(alike: ReasonStability | None) -> float:
    """The standard deviation, in log-odds, of an account's true probability around the model's.

    Parameters
    ----------
    alike : how the refits differ; None where there were none, and the answer is `UNEXPLAINED_SPREAD` alone.
    """
    drawn = alike.spread if alike else 0.0
    return float((UNEXPLAINED_SPREAD**2 + drawn**2) ** 0.5)
