"""Evaluation of the model at the horizons other than the main one.

At the test dates, the outcome of a longer horizon is usually not known yet: its windows reach beyond the end of the
data. The whole split into training, calibration and test is then moved back by the difference between the two horizons,
and the model is refitted on the data of that time with the settings of the evaluated model. No evaluation row lies in a
label window that the model, its calibrator or the choice of its settings has used. A horizon that cannot be evaluated
this way is reported as not evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from features.utils.arrays import Floats
from features.utils.dates import to_iso
from training.dataset.sufficiency import count_outcomes
from training.dataset.target_rows import LabelledSlice, TargetRows
from training.dataset.time_split import MINIMUM_TEST_DAYS, TimeSplit
from training.estimators.blend import Blend, refit_blend
from training.estimators.calibration import apply_calibrator, calibrate
from training.evaluation.baselines import expected_rate
from training.evaluation.test_predictions import MINIMUM_ACCOUNTS, UNDEFINED, PartMetrics, part_metrics


@dataclass(frozen=True)
class HorizonMetrics(PartMetrics):
    """Metrics of the model at one horizon.

    Parameters
    ----------
    note : why there are no metrics, if there are not ``enough`` rows; or the dates of the evaluation, if they are not
        the test dates.
    """

    note: str = ""

    @property
    def words(self) -> str:
        """Remark that belongs to the metrics or replaces them; empty if there is none."""
        if not self.enough:
            return f"{self.name}: not evaluated ({self.note})"
        return f"{self.name}: {self.note}" if self.note else ""


def evaluate_by_horizon(
    rows: TargetRows, parts: TimeSplit, model: Blend, expected: float, seed: int
) -> tuple[HorizonMetrics, ...]:
    """Evaluate ``model`` at every further horizon, shortest first.

    Parameters
    ----------
    rows : labelled snapshots of one target.
    parts : the split on which the model was fitted and evaluated.
    model : the model.
    expected : the rate that training would expect of the calibration slice
        (`training.evaluation.baselines.expected_rate`).
    seed : seed of the intervals.

    Returns
    -------
    tuple of HorizonMetrics
    """
    metrics = []
    for days in sorted(rows.prepared.further_labels):
        test = rows.slice(parts, "test", days)
        if days not in model.encoding.horizons:
            metrics.append(not_evaluated(days, "the evaluated model had no outcomes to learn from"))
        elif days > rows.main_horizon and _span_days(test) < MINIMUM_TEST_DAYS:
            metrics.append(_evaluated_earlier(rows, parts, model, days, seed))
        else:
            metrics.append(_evaluated(days, test, _probabilities(rows, parts, model, expected, test, days), seed))
    return tuple(metrics)


def _evaluated_earlier(rows: TargetRows, parts: TimeSplit, model: Blend, days: int, seed: int) -> HorizonMetrics:
    """Evaluate on the same split, ``days - main_horizon`` days earlier, if the history allows it."""
    prepared, main = rows.prepared, rows.main_horizon
    then = prepared.signals.data_through - timedelta(days=days - main)
    counts = count_outcomes(prepared.labels, prepared.grid.as_ofs, rows.target, main, prepared.grace_days, then)
    unknown = "its outcome is not known yet at the test dates"
    if counts.missing or counts.split is None:
        return not_evaluated(days, f"{unknown}, and data known by {then:%Y-%m-%d} are not enough: {counts.missing[0]}")
    before = counts.split
    if before.test[0] < parts.calibration[0]:
        return not_evaluated(days, f"{unknown}, and earlier dates were used to choose the settings")
    design = rows.training_design(before.calibration[0])
    refit = refit_blend(model, design, prepared.catalogue, rows.target)
    if days not in refit.encoding.horizons:
        first = to_iso(before.calibration[0])
        return not_evaluated(days, f"{unknown}, and by {first} there were no outcomes to learn from")
    test = rows.slice(before, "test", days)
    note = (
        f"evaluated on {to_iso(before.test[0])} to {to_iso(before.test[-1])} with the same settings, fitted on data "
        f"known then; {unknown}"
    )
    expected = expected_rate(refit, design, rows.slice(before, "calibration"))
    return _evaluated(days, test, _probabilities(rows, before, refit, expected, test, days), seed, note)


def _probabilities(
    rows: TargetRows, parts: TimeSplit, model: Blend, expected: float, test: LabelledSlice, days: int
) -> Floats:
    calibration = rows.slice(parts, "calibration")
    fitted = calibrate(model.raw(calibration.frame), calibration.y, *calibration.keys, expected, resamples=0)
    return apply_calibrator(fitted, model.raw(test.frame, days))


def _evaluated(days: int, test: LabelledSlice, p: Floats, seed: int, note: str = "") -> HorizonMetrics:
    metrics = part_metrics(_name(days), test.y, p, test.accounts, seed)
    if not metrics.enough:
        without = len(set(test.accounts[test.y == 0]))
        too_few = (
            f"{metrics.happened} accounts with the outcome and {without} without; at least {MINIMUM_ACCOUNTS} of each"
        )
        return HorizonMetrics(**vars(metrics), note=too_few)
    return HorizonMetrics(**vars(metrics), note=note)


def not_evaluated(days: int, reason: str) -> HorizonMetrics:
    """Return undefined metrics for a horizon that could not be evaluated.

    Parameters
    ----------
    days : the horizon.
    reason : why it could not be evaluated.

    Returns
    -------
    HorizonMetrics
    """
    nan = float("nan")
    return HorizonMetrics(_name(days), 0, 0, 0, nan, nan, False, UNDEFINED, UNDEFINED, UNDEFINED, note=reason)


def _span_days(test: LabelledSlice) -> float:
    """Return the days from the first to the last date of the rows."""
    dates = test.frame["as_of"]
    return (dates.max() - dates.min()) / timedelta(days=1) if len(dates) else 0.0


def _name(days: int) -> str:
    return f"{days} days"
