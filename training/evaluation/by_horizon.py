"""The model at the horizons beside the main one: judged where that is honest, and otherwise said not to be.

At the test dates the outcome of a longer horizon is as a rule not known yet: their windows reach beyond the end of the
data. The whole arrangement of training, calibration and test then stands so many days earlier as the horizon is longer
than the main one, and the model is fitted anew on what was known by then, with the judged one's settings. Nothing that
it is judged on lies in a label window that it, its calibrator or the choice of its settings has seen.
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
    """The model at one horizon.

    Parameters
    ----------
    note : why there are no figures, where there are not ``enough`` rows; or on which dates they are from, where not on
        the test dates.
    """

    note: str = ""

    @property
    def words(self) -> str:
        """What has to be said beside the figures, or in their place; empty if nothing has."""
        if not self.enough:
            return f"{self.name}: not judged ({self.note})"
        return f"{self.name}: {self.note}" if self.note else ""


def evaluate_by_horizon(
    rows: TargetRows, parts: TimeSplit, model: Blend, expected: float, seed: int
) -> tuple[HorizonMetrics, ...]:
    """Judge ``model`` at every horizon that is answered for beside the main one, shortest first.

    Parameters
    ----------
    rows : labelled snapshots of one target.
    parts : the split by which the model was fitted and judged.
    expected : the rate that training would expect of the calibration slice
    (`training.evaluation.baselines.expected_rate`).
    seed : of the intervals.
    """
    found = []
    for days in sorted(rows.prepared.beside):
        test = rows.of(parts, "test", days)
        if days not in model.encoding.horizons:
            found.append(_unjudged(days, "the judged model had no outcome of it to learn from"))
        elif days > rows.main and _span_days(test) < MINIMUM_TEST_DAYS:
            found.append(_earlier(rows, parts, model, days, seed))
        else:
            found.append(_measured(days, test, _probabilities(rows, parts, model, expected, test, days), seed))
    return tuple(found)


def _earlier(rows: TargetRows, parts: TimeSplit, model: Blend, days: int, seed: int) -> HorizonMetrics:
    """The same arrangement ``days - main`` days earlier, where history allows it."""
    prepared = rows.prepared
    then = prepared.signals.data_through - timedelta(days=days - rows.main)
    counted = count_outcomes(prepared.labels, prepared.grid.as_ofs, rows.target, rows.main, prepared.grace_days, then)
    unknown = "at the test dates its outcome is not known yet"
    if counted.missing or counted.split is None:
        return _unjudged(days, f"{unknown}, and on what was known by {then:%Y-%m-%d} too little: {counted.missing[0]}")
    before = counted.split
    if before.test[0] < parts.calibration[0]:
        return _unjudged(days, f"{unknown}, and earlier ones have had a say in the choice of the settings")
    design = rows.designed(before.calibration[0])
    again = refit_blend(model, design, prepared.catalogue, rows.target)
    if days not in again.encoding.horizons:
        return _unjudged(days, f"{unknown}, and by {to_iso(before.calibration[0])} there was none of it to learn from")
    test = rows.of(before, "test", days)
    on = (
        f"judged on {to_iso(before.test[0])} to {to_iso(before.test[-1])} by the same settings fitted on what was "
        f"known then; {unknown}"
    )
    expected = expected_rate(again, design, rows.of(before, "calibration"))
    return _measured(days, test, _probabilities(rows, before, again, expected, test, days), seed, on)


def _probabilities(
    rows: TargetRows, parts: TimeSplit, model: Blend, expected: float, test: LabelledSlice, days: int
) -> Floats:
    calibration = rows.of(parts, "calibration")
    fitted = calibrate(model.raw(calibration.frame), calibration.y, *calibration.keys, expected, resamples=0)
    return apply_calibrator(fitted, model.raw(test.frame, days))


def _measured(days: int, test: LabelledSlice, p: Floats, seed: int, note: str = "") -> HorizonMetrics:
    told = part_metrics(_name(days), test.y, p, test.accounts, seed)
    if not told.enough:
        without = len(set(test.accounts[test.y == 0]))
        too_few = (
            f"{told.happened} accounts with the outcome and {without} without; at least {MINIMUM_ACCOUNTS} of each"
        )
        return HorizonMetrics(**vars(told), note=too_few)
    return HorizonMetrics(**vars(told), note=note)


def _unjudged(days: int, why: str) -> HorizonMetrics:
    nan = float("nan")
    return HorizonMetrics(_name(days), 0, 0, 0, nan, nan, False, UNDEFINED, UNDEFINED, UNDEFINED, note=why)


def _span_days(test: LabelledSlice) -> float:
    """Days from the first to the last date of rows whose outcome is known."""
    dates = test.frame["as_of"]
    return (dates.max() - dates.min()) / timedelta(days=1) if len(dates) else 0.0


def _name(days: int) -> str:
    return f"{days} days"
