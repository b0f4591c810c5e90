"""The sets of weights that a rubric holds: those of its dimensions, and those of each profile for some segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from features.utils.arrays import Bools
from models.health.rubric import Rubric
from training.review.labelled_rows import ReviewRows
from training.review.recalibration.schemas import WeightProposal
from training.review.recalibration.weight_decision import CAP, propose_weights


@dataclass(frozen=True)
class WeightSetProposal:
    """What to do about one set.

    Parameters
    ----------
    segments : whose accounts it scores; empty for the weights of the dimensions, which score all those without a
        profile.
    rows : how many rows it was reviewed on.
    note : what is special about it, empty where nothing is.
    proposal : on the rows that it scores.
    """

    segments: tuple[str, ...]
    rows: int
    note: str
    proposal: WeightProposal

    @property
    def name(self) -> str:
        """Whose weights they are."""
        return ", ".join(self.segments) or "accounts without a profile"

    def as_dict(self) -> dict[str, Any]:
        """The proposal as plain data for JSON, and which set it is of."""
        return {"segments": list(self.segments), "rows": self.rows, "note": self.note, **self.proposal.as_dict()}


def propose_for_rubric(
    rows: ReviewRows, rubric: Rubric, *, cap: float = CAP, seed: int = 0, resamples: int = 200
) -> tuple[WeightSetProposal, ...]:
    """Propose weights for each set of a rubric, on the rows that it scores, the dimensions' own first.

    Each profile is reviewed on the accounts of its segments alone, and the dimensions' weights on the others; the sets
    share the chance of a false alarm, so that more profiles do not mean more changes. Where the weights are learned,
    those that hold now are reviewed like any others; they are learned anew at each training, by another measure (how
    strongly each dimension goes with staying by itself), and to approve a proposal would fix them.

    Parameters
    ----------
    rows : of all segments, with ``segment``. rubric : as it scored them, its learned weights with it.
    cap, seed, resamples : as in `propose_weights`.
    """
    assert rows.segment is not None
    profiles = rubric.rules.profiles
    taken = {segment for profile in profiles for segment in profile.segments}
    note = "learned weights: a change would fix them" if rubric.rules.weights == "learned" else ""
    parts: list[tuple[tuple[str, ...], Bools, str]] = [((), ~np.isin(rows.segment.astype(str), sorted(taken)), note)]
    parts += [(p.segments, np.isin(rows.segment.astype(str), p.segments), "") for p in profiles]
    out = []
    for segments, mask, words in parts:
        weights = rubric.weights(segments[0] if segments else None)
        incumbent = dict.fromkeys(rows.dimensions, 0.0)
        for (dimension, _), weight in zip(rubric.signals, weights, strict=True):
            incumbent[dimension] += float(weight)
        # Shares of signals do not add up to the last digit.
        incumbent = {name: round(weight, 9) for name, weight in incumbent.items()}
        some = rows.only(mask)
        found = propose_weights(some, incumbent, cap=cap, seed=seed, resamples=resamples, sets=len(parts))
        out.append(WeightSetProposal(segments, len(some), words, found))
    return tuple(out)
