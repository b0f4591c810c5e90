"""The decision about the weights, in a word and in words. To keep them is the default."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.review.judging import PROPOSED
from training.review.proposal import Behind, Decision, Judged
from training.review.weight_fits import Fits
from training.steps import Floats

MINIMUM_LATER = 20
"""Accounts with a churn among the later rows, fewer than which judge nothing."""
WIDE = 2.0
"""In caps: where every interval reaches further than this to either side, nothing could have been seen."""


def decide(
    names: Sequence[str],
    old: Floats,
    found: Fits,
    judged: Sequence[Judged],
    earlier: Behind,
    later: Behind,
    prior: float,
    cap: float,
) -> tuple[Decision, tuple[str, ...]]:
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
        if reach.min() > WIDE * cap:
            least = f"even the best-known weight is known to within {reach.min():.0f} points only"
            return "not_enough_evidence", (f"no interval clears its weight in force, and {least}",)
        return "keep", ("no interval clears its weight in force, all dimensions minded together",)
    clear = [
        f"{names[int(j)]}: the weight in force, {old[j]:g}, is clearly too {'low' if found.clear[j] > 0 else 'high'}"
        f" (90% interval {found.low[j]:.0f} to {found.high[j]:.0f})"
        for j in np.flatnonzero(found.clear)
    ]
    proposed = next((each for each in judged if each.name == PROPOSED), None)
    if proposed is None:
        return "keep", ("the change that the cap and whole points leave is none", *clear)
    worse = [
        f"the {name} of the later rows would get worse, by {change.value:.2g} ({change.low:.2g} to {change.high:.2g})"
        for name, change in (("Brier score", proposed.brier_change), ("log loss", proposed.log_loss_change))
        if not change.value <= 0
    ]
    if worse:
        return "keep", (*worse, *clear)
    better = proposed.log_loss_change
    return "change", (
        *clear,
        f"the later rows agree: their log loss changes by {better.value:.2g} ({better.low:.2g} to {better.high:.2g})",
    )
