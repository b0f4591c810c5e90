"""The verdict on the weights, with its reasons. The default is no change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.utils.arrays import Floats
from features.utils.formatting import interval_text, number, significant
from training.review.recalibration.schemas import Estimate, EvidenceCount, ReviewVerdict, ScoringEvaluation
from training.review.recalibration.score_comparison import INTERVAL_LEVEL, PROPOSED, TARGET
from training.review.recalibration.weight_estimates import WeightEstimates

MINIMUM_LATER = 20
"""Minimum number of churned accounts among the later rows."""
WIDE_INTERVAL_CAPS = 2.0
"""If every interval reaches further than this many caps to either side, the evidence is insufficient."""


def decide_weights(
    names: Sequence[str],
    old: Floats,
    estimates: WeightEstimates,
    evaluations: Sequence[ScoringEvaluation],
    earlier: EvidenceCount,
    later: EvidenceCount,
    prior: float,
    cap: float,
) -> tuple[ReviewVerdict, tuple[str, ...]]:
    """Decide on the weights: keep, change, or not enough evidence.

    Parameters
    ----------
    names, old : dimensions and their current weights.
    estimates : fitted on the earlier rows.
    evaluations : on the later rows.
    earlier, later : counts of these rows.
    prior : number of churns that the current weights count for; the earlier rows need at least as many.
    cap : largest change of a weight, in points.

    Returns
    -------
    The verdict and its reasons, the most important first.
    """
    lacking = []
    if earlier.churned < prior:
        lacking.append(f"{earlier.churned} accounts churned in the earlier period; at least {prior:g} are needed")
    if later.churned < MINIMUM_LATER:
        lacking.append(f"{later.churned} accounts churned in the later period; at least {MINIMUM_LATER} are needed")
    if estimates.judged.sum() < 2:
        lacking.append("fewer than two dimensions have enough data to fit a weight")
    if lacking:
        return "not_enough_evidence", tuple(lacking)
    reach = ((estimates.high - estimates.low) / 2)[estimates.judged]
    if not estimates.clear.any():
        if reach.min() > WIDE_INTERVAL_CAPS * cap:
            margin = f"even the most precise estimate has a margin of ±{reach.min():.0f} points"
            return "not_enough_evidence", (f"the data do not clearly contradict any current weight, but {margin}",)
        return "keep", ("the data do not clearly contradict any current weight",)
    clear = [
        f"{names[int(j)]}: the current weight, {old[j]:g}, is clearly too {'low' if estimates.clear[j] > 0 else 'high'}"
        f" ({data_alone_text(estimates.low[j], estimates.high[j])})"
        for j in np.flatnonzero(estimates.clear)
    ]
    target, step = (next((each for each in evaluations if each.name == name), None) for name in (TARGET, PROPOSED))
    if target is None or step is None:
        return "keep", ("after shrinkage and cap, no change of a whole point remains", *clear)
    suggestion = f"the data suggest {changes_text(names, old, estimates.shrunk)}"
    if failed := rejection_reason(target, step):
        return "keep", (f"{suggestion}, but {failed}", *clear)
    return "change", (*clear, f"{suggestion}; {confirmation_text(target)}")


def data_alone_text(low: float, high: float) -> str:
    """Write the 90% interval of a weight or a limit from the data alone: 90% interval 54 to 69.

    Both ends are the same if the data give it the same whole number again and again, such as a weight of 0.
    """
    shown = number(low)
    if shown == number(high):
        return f"the data alone suggest {shown} in at least 90% of the resamples"
    return f"90% interval {interval_text(low, high, 0)}"


def rejection_reason(target: ScoringEvaluation, step: ScoringEvaluation) -> str:
    """Explain why the later rows do not confirm a change; empty if they do.

    Parameters
    ----------
    target : evaluation of the uncapped values; the whole interval of its change of log loss must be below 0.
    step : evaluation of the capped step; neither loss may rise.
    """
    change = target.log_loss_change
    if not change.high < 0:
        clear = "the later data contradict this" if change.low > 0 else "the later data do not confirm this"
        return f"{clear}: {log_loss_text(change)}"
    for name, each in (("Brier score", step.brier_change), ("log loss", step.log_loss_change)):
        if not each.value <= 0:
            return f"with the capped change, the {name} on the later data would rise by {each.value:.2g}"
    return ""


def confirmation_text(target: ScoringEvaluation) -> str:
    """Describe a change that the later rows confirm."""
    return f"the later data confirm this: {log_loss_text(target.log_loss_change)}"


def log_loss_text(change: Estimate) -> str:
    """Describe a change of log loss with its interval, and whether the interval includes zero."""
    if not np.isfinite([change.value, change.low, change.high]).all():
        return "the change of the prediction error (log loss) is unknown"
    interval = f"{INTERVAL_LEVEL:.0%} interval {significant(change.low)} to {significant(change.high)}"
    text = f"the prediction error (log loss) changes by {significant(change.value)} ({interval})"
    return f"{text}, which includes zero" if change.low <= 0 <= change.high else text


def changes_text(names: Sequence[str], old: Sequence[float] | Floats, new: Sequence[float] | Floats) -> str:
    """Describe changes, the largest first, such as "relationship 10 → 15, support 15 → 10".

    Unchanged values are left out.

    Parameters
    ----------
    names : of the values.
    old, new : the values; shown in whole points unless they have one decimal.
    """
    pairs = [
        (name, _number(before), _number(after), abs(after - before))
        for name, before, after in zip(names, old, new, strict=True)
    ]
    changed = sorted((each for each in pairs if each[1] != each[2]), key=lambda each: -each[3])
    return ", ".join(f"{name} {before} → {after}" for name, before, after, _ in changed) or "no change"


def _number(weight: float) -> str:
    return f"{weight:.0f}" if abs(weight - round(weight, 1)) > 1e-9 else f"{weight:g}"
