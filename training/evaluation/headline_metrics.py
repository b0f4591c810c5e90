"""The metrics that matter first, in the order of their importance."""

from __future__ import annotations

from collections.abc import Mapping

HEADLINE: Mapping[str, str] = {
    "roc_auc": "ROC AUC",
    "brier": "Brier",
    "brier_skill": "skill",
    "log_loss": "log loss",
    "calibration_slope": "slope",
    "lift_10": "lift 10%",
}
"""The metrics of `training.evaluation.comparison` that reports and runs show first, and their headings."""


def with_bounds(name: str, value: float, low: float, high: float) -> dict[str, float]:
    """Return a metric and its 95% interval as three metrics of a run: ``NAME``, ``NAME_low`` and ``NAME_high``.

    Parameters
    ----------
    name : of the metric.
    value, low, high : the value and its interval; NaN if undefined.
    """
    return {name: value, f"{name}_low": low, f"{name}_high": high}
