"""Proposals for each set of weights of a rubric: the weights of its dimensions, and those of each profile."""

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
    """The proposal for one set of weights.

    Parameters
    ----------
    segments : the segments that it scores; empty for the weights of the dimensions, which score all other accounts.
    rows : number of rows that it was reviewed on.
    note : a remark on the set; empty if there is none.
    proposal : the proposal from the rows that it scores.
    """

    segments: tuple[str, ...]
    rows: int
    note: str
    proposal: WeightProposal

    @property
    def name(self) -> str:
        """The accounts that the weights apply to."""
        return ", ".join(self.segments) or "accounts without a profile"

    def as_dict(self) -> dict[str, Any]:
        """Return the proposal and its set as plain data for JSON."""
        return {"segments": list(self.segments), "rows": self.rows, "note": self.note, **self.proposal.as_dict()}


def propose_for_rubric(
    rows: ReviewRows, rubric: Rubric, *, cap: float = CAP, seed: int = 0, resamples: int = 200
) -> tuple[WeightSetProposal, ...]:
    """Propose weights for each set of a rubric, the weights of the dimensions first.

    Each profile is reviewed on the accounts of its segments, and the weights of the dimensions on the other accounts.
    The sets share the probability of a false alarm, so that more profiles do not lead to more changes. Learned weights
    are reviewed like any others. They are learned again at each training, from the association of each dimension alone
    with staying; an approved proposal makes them fixed.

    Parameters
    ----------
    rows : rows of all segments, with ``segment``.
    rubric : the rubric that scored them, including learned weights.
    cap, seed, resamples : as in `propose_weights`.

    Returns
    -------
    One proposal per set.
    """
    assert rows.segment is not None
    profiles = rubric.rules.profiles
    profile_segments = {segment for profile in profiles for segment in profile.segments}
    note = "learned weights; an approved change would make them fixed" if rubric.rules.weights == "learned" else ""
    parts: list[tuple[tuple[str, ...], Bools, str]] = [
        ((), ~np.isin(rows.segment.astype(str), sorted(profile_segments)), note)
    ]
    parts += [(p.segments, np.isin(rows.segment.astype(str), p.segments), "") for p in profiles]
    out = []
    for segments, mask, note_text in parts:
        weights = rubric.weights(segments[0] if segments else None)
        incumbent = dict.fromkeys(rows.dimensions, 0.0)
        for (dimension, _), weight in zip(rubric.signals, weights, strict=True):
            incumbent[dimension] += float(weight)
        # Sums of signal shares have rounding errors.
        incumbent = {name: round(weight, 9) for name, weight in incumbent.items()}
        some = rows.only(mask)
        proposal = propose_weights(some, incumbent, cap=cap, seed=seed, resamples=resamples, sets=len(parts))
        out.append(WeightSetProposal(segments, len(some), note_text, proposal))
    return tuple(out)
