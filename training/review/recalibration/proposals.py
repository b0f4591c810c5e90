"""The proposals of a review for weights and band limits."""

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
from training.review.recalibration.schemas import BandProposal, ReviewVerdict

CAP = 5.0
"""Largest change of a weight per quarter, in points."""
RESAMPLES = 200


@dataclass(frozen=True)
class Proposals:
    """The proposals, and the rubric that they would create.

    Parameters
    ----------
    sets : proposals for the weights of the dimensions, then for those of each profile.
    bands : proposal for the band limits.
    candidate : the rubric with the tested weights and limits.
    proposed : the rubric with the proposed weights and limits; None if nothing changes.
    """

    sets: tuple[WeightSetProposal, ...]
    bands: BandProposal
    candidate: Rubric
    proposed: Rubric | None

    @property
    def changes(self) -> bool:
        """Whether any change is proposed."""
        return self.proposed is not None

    @property
    def weights(self) -> ReviewVerdict:
        """The verdict on all sets: change if any set changes, not enough evidence only if all sets lack it."""
        return _overall_verdict(self.sets)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons for the verdict, those of decisive sets first. With several sets, each names its set."""
        if len(self.sets) == 1:
            return self.sets[0].proposal.reasons
        ordered = sorted(self.sets, key=lambda each: each.proposal.decision != self.weights)
        return tuple(f"{each.name}: {reason}" for each in ordered for reason in each.proposal.reasons)


def review_rows(data: ReviewData) -> ReviewRows:
    """Convert the snapshots for the estimators; the model is NaN on rows that it was trained on.

    Parameters
    ----------
    data : the data of the review.
    """
    bundle, model = data.champion.bundles.get("churn"), np.full(len(data.frame), np.nan)
    if bundle is not None:
        unseen = data.unseen(bundle)
        model[unseen] = data.probability[unseen]
    days = data.window.horizon_days + data.window.grace_days
    return ReviewRows(
        points=data.health.dimensions.reset_index(drop=True),
        score=data.score,
        band=data.band,
        churned=data.churn,
        accounts=data.accounts,
        as_of=data.as_of.reset_index(drop=True),
        later=later_rows_mask(data.as_of.reset_index(drop=True), data.churn, data.accounts, days),
        horizon_days=data.window.horizon_days,
        grace_days=data.window.grace_days,
        segment=data.segment,
        model=model,
    )


def propose_changes(data: ReviewData, capacity: int, seed: int = 0) -> Proposals:
    """Fit and evaluate weights and band limits, and propose changes.

    Parameters
    ----------
    data : the data of the review.
    capacity : red accounts that the team can look after on a date.
    seed : of the account bootstrap.
    """
    rubric, rows = data.champion.rubric, review_rows(data)
    limits = rubric.rules.bands
    bands = {"green": limits.green, "yellow": limits.yellow, "red": limits.red}
    sets = propose_for_rubric(rows, rubric, cap=CAP, seed=seed, resamples=RESAMPLES)
    weights_change = _overall_verdict(sets) == "change"
    # If the weights change, the limits are fitted on the new scores.
    if weights_change:
        other = changed_rubric(rubric, [each.proposal.new for each in sets], bands)
        scores = other.score(data.frame)
        rows = replace(rows, score=np.asarray(scores.score, dtype=np.float64), band=scores.band.to_numpy(dtype=object))
    limits_proposed = propose_bands(rows, limits, capacity=capacity)
    changed = weights_change or limits_proposed.decision == "change"
    return Proposals(
        sets,
        limits_proposed,
        changed_rubric(rubric, [each.proposal.candidate for each in sets], limits_proposed.candidate),
        changed_rubric(rubric, [each.proposal.new for each in sets], limits_proposed.new) if changed else None,
    )


def _overall_verdict(sets: Sequence[WeightSetProposal]) -> ReviewVerdict:
    verdicts = {each.proposal.decision for each in sets}
    order: tuple[ReviewVerdict, ...] = ("change", "keep", "not_enough_evidence")
    return next(each for each in order if each in verdicts)


def changed_rubric(rubric: Rubric, weights: Sequence[Mapping[str, float]], bands: Mapping[str, float]) -> Rubric:
    """Return a copy of a rubric with other weights and limits.

    Parameters
    ----------
    rubric : the rubric.
    weights : weights of its dimensions, then of each profile.
    bands : the limits.
    """
    profiles = [
        WeightProfile(segments=profile.segments, weights=dict(own))
        for profile, own in zip(rubric.rules.profiles, weights[1:], strict=True)
    ]
    text = revise_rubric_text(rubric.text, rubric.version, weights[0], bands, "as reviewed", profiles)
    return rubric_from_text(text, "the rubric as reviewed")
