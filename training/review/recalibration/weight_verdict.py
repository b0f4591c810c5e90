"""The decision about the weights, in a word and in words. To keep them is the default."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.utils.arrays import Floats
from training.review.recalibration.schemas import Estimate, EvidenceCount, ScoringEvaluation, Verdict
from training.review.recalibration.score_comparison import INTERVAL_LEVEL, PROPOSED, TARGET
from training.review.recalibration.weight_estimates import WeightEstimates

MINIMUM_LATER = 20
"""Accounts with a churn among the later rows, fewer than which judge nothing."""
WIDE_INTERVAL_CAPS = 2.0
"""In caps: where every interval reaches further than this to either side, nothing could have been seen."""


def decide_weights(
    names: Sequence[str],
    old: Floats,
    found: WeightEstimates,
    judged: Sequence[ScoringEvaluation],
    earlier: EvidenceCount,
    later: EvidenceCount,
    prior: float,
    cap: float,
) -> tuple[Verdict, tuple[str, ...]]:
    """Keep, change, or too little evidence to say; with the reasons, the weightiest first.

    Parameters
    ----------
    names, old : dimensions and their weights in force.
    found, judged : the fits of the earlier rows, and what the later ones say.
    earlier, later : the rows behind them. Fewer churns than the weights in force are worth, ``prior``, are too few.
    prior : in churns. cap : in points.
    """
    lacking = []
    if earlier.churned < prior:
        lacking.append(
            f"{earlier.churned} accounts churned in the earlier period; the weights in force count for {prior:g}"
        )
    if later.churned < MINIMUM_LATER:
        lacking.append(f"{later.churned} accounts churned in the later period; {MINIMUM_LATER} are needed to judge")
    if found.judged.sum() < 2:
        lacking.append("fewer than two dimensions can be judged")
    if lacking:
        return "not_enough_evidence", tuple(lacking)
    reach = ((found.high - found.low) / 2)[found.judged]
    if not found.clear.any():
        if reach.min() > WIDE_INTERVAL_CAPS * cap:
            least = f"even the best-known weight is known to within {reach.min():.0f} points only"
            return "not_enough_evidence", (f"no interval clears its weight in force, and {least}",)
        return "keep", ("no interval clears its weight in force, all dimensions taken together",)
    clear = [
        f"{names[int(j)]}: the weight in force, {old[j]:g}, is clearly too {'low' if found.clear[j] > 0 else 'high'}"
        f" (90% interval {found.low[j]:.0f} to {found.high[j]:.0f})"
        for j in np.flatnonzero(found.clear)
    ]
    target, step = (next((each for each in judged if each.name == name), None) for name in (TARGET, PROPOSED))
    if target is None or step is None:
        return "keep", ("the change that the cap and whole points leave is none", *clear)
    points_to = f"the evidence points to {changes_text(names, old, found.shrunk)}"
    if failed := rejection_reason(target, step):
        return "keep", (f"{points_to}, but {failed}", *clear)
    return "change", (*clear, f"{points_to}; {confirmation_text(target)}")


def rejection_reason(target: ScoringEvaluation, step: ScoringEvaluation) -> str:
    """Why the later rows do not confirm a change, in words; empty where they do.

    Parameters
    ----------
    target : what the evidence points to, not capped: the whole interval of its change of log loss has to lie below 0.
    step : what would be proposed: neither loss may rise.
    """
    change = target.log_loss_change
    if not change.high < 0:
        clear = "the later rows say the opposite" if change.low > 0 else "the later rows do not confirm it"
        return f"{clear}: {log_loss_text(change)}"
    for name, each in (("Brier score", step.brier_change), ("log loss", step.log_loss_change)):
        if not each.value <= 0:
            return f"with the step that the cap allows, the {name} of the later rows would rise by {each.value:.2g}"
    return ""


def confirmation_text(target: ScoringEvaluation) -> str:
    """The sentence of a change that the later rows confirm."""
    return f"the later rows confirm it: {log_loss_text(target.log_loss_change)}"


def log_loss_text(change: Estimate) -> str:
    """A change of log loss with its interval, and whether that includes zero."""
    if not np.isfinite([change.value, change.low, change.high]).all():
        return "the change of their log loss is not known"
    interval = f"{INTERVAL_LEVEL:.0%} interval {change.low:.2g} to {change.high:.2g}"
    words = f"their log loss changes by {change.value:.2g} ({interval})"
    return f"{words}, which includes no change" if change.low <= 0 <= change.high else words


def changes_text(names: Sequence[str], old: Sequence[float] | Floats, new: Sequence[float] | Floats) -> str:
    """What changes, from what to what, the largest change first: "relationship 10 → 15, support 15 → 10".

    Numbers are shown in whole points unless they are given in finer ones; what stays is left out.
    """
    pairs = [(name, _number(one), _number(two), abs(two - one)) for name, one, two in zip(names, old, new, strict=True)]
    changed = sorted((each for each in pairs if each[1] != each[2]), key=lambda each: -each[3])
    return ", ".join(f"{name} {one} → {two}" for name, one, two, _ in changed) or "no change"


def _number(weight: float) -> str:
    return f"{weight:.0f}" if abs(weight - round(weight, 1)) > 1e-9 else f"{weight:g}"
