"""The proposals of a review: weights and band limits, from the estimators, on the rows of the review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.health.rubric import Rubric, rubric_from_text
from models.health.rubric_editor import revise_rubric_text
from models.health.rubric_schema import WeightProfile
from training.review.dataset import ReviewData
from training.review.labelled_rows import ReviewRows, later_rows_mask
from training.review.recalibration.band_decision import propose_bands
from training.review.recalibration.profile_weights import WeightSetProposal, propose_for_rubric
from training.review.recalibration.schemas import BandProposal, Verdict

CAP = 5.0
"""Points by which a dimension's weight may change in a quarter."""
RESAMPLES = 200


@dataclass(frozen=True)
class Proposals:
    """What is proposed, and the rubric that it would make.

    Parameters
    ----------
    sets : of weights: those of the dimensions first, then those of each profile.
    candidate : the rubric with the weights and limits that were judged, changed or not.
    proposed : the rubric with those that are proposed; None where nothing changes.
    """

    sets: tuple[WeightSetProposal, ...]
    bands: BandProposal
    candidate: Rubric
    proposed: Rubric | None

    @property
    def changes(self) -> bool:
        """Whether anything is to be changed."""
        return self.proposed is not None

    @property
    def weights(self) -> Verdict:
        """The decision about all sets of weights: to change if one is to be changed; too little evidence only where
        there is too little for each."""
        return _overall_verdict(self.sets)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons for it, each with the set that it is of where there are several; of sets that change first."""
        if len(self.sets) == 1:
            return self.sets[0].proposal.reasons
        ordered = sorted(self.sets, key=lambda each: each.proposal.decision != self.weights)
        return tuple(f"{each.name}: {reason}" for each in ordered for reason in each.proposal.reasons)


def review_rows(seen: ReviewData) -> ReviewRows:
    """All snapshots as the estimators take them; the model where it had not seen what it says."""
    bundle, model = seen.champion.bundles.get("churn"), np.full(len(seen.frame), np.nan)
    if bundle is not None:
        honest = seen.unseen(bundle)
        model[honest] = seen.probability[honest]
    days = seen.window.horizon_days + seen.window.grace_days
    return ReviewRows(
        points=seen.health.dimensions.reset_index(drop=True),
        score=seen.score,
        band=seen.band,
        churned=seen.churn,
        accounts=seen.accounts,
        as_of=seen.as_of.reset_index(drop=True),
        later=later_rows_mask(seen.as_of.reset_index(drop=True), seen.churn, seen.accounts, days),
        horizon_days=seen.window.horizon_days,
        grace_days=seen.window.grace_days,
        segment=seen.segment,
        model=model,
    )


def propose_changes(seen: ReviewData, capacity: int, seed: int = 0) -> Proposals:
    """Fit, judge and propose.

    Parameters
    ----------
    capacity : red accounts that the team can look after at a date.
    """
    rubric, rows = seen.champion.rubric, review_rows(seen)
    limits = rubric.rules.bands
    bands = {"green": limits.green, "yellow": limits.yellow, "red": limits.red}
    sets = propose_for_rubric(rows, rubric, cap=CAP, seed=seed, resamples=RESAMPLES)
    weights_change = _overall_verdict(sets) == "change"
    # Limits are proposed for the scores as they will be read: if the weights change, on those of the new ones.
    if weights_change:
        other = changed_rubric(rubric, [each.proposal.new for each in sets], bands)
        scores = other.score(seen.frame)
        rows = replace(rows, score=np.asarray(scores.score, dtype=np.float64), band=scores.band.to_numpy(dtype=object))
    limits_proposed = propose_bands(rows, limits, capacity=capacity)
    changed = weights_change or limits_proposed.decision == "change"
    return Proposals(
        sets,
        limits_proposed,
        changed_rubric(rubric, [each.proposal.candidate for each in sets], limits_proposed.candidate),
        changed_rubric(rubric, [each.proposal.new for each in sets], limits_proposed.new) if changed else None,
    )


def _overall_verdict(sets: Sequence[WeightSetProposal]) -> Verdict:
    found = {each.proposal.decision for each in sets}
    order: tuple[Verdict, ...] = ("change", "keep", "not_enough_evidence")
    return next(each for each in order if each in found)


def changed_rubric(rubric: Rubric, weights: Sequence[Mapping[str, float]], bands: Mapping[str, float]) -> Rubric:
    """A rubric with other weights (of its dimensions, then of each profile) and limits, in all else the same."""
    profiles = [
        WeightProfile(segments=profile.segments, weights=dict(own))
        for profile, own in zip(rubric.rules.profiles, weights[1:], strict=True)
    ]
    text = revise_rubric_text(rubric.text, rubric.version, weights[0], bands, "as reviewed", profiles)
    return rubric_from_text(text, "the rubric as reviewed")
