"""The proposals of a review: weights and band limits, from the estimators, on the rows of the review."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.rubric import Rubric, rubric_from_text
from models.rubric_text import revised
from training.review.band_limits import propose_bands
from training.review.gather import Gathered
from training.review.proposal import BandProposal, WeightProposal
from training.review.quality import weights_in_force
from training.review.rows import ReviewRows, later_rows
from training.review.weight_proposal import propose_weights

CAP = 5.0
"""Points by which a dimension's weight may change in a quarter."""
RESAMPLES = 200


@dataclass(frozen=True)
class Proposals:
    """What is proposed, and the rubric that it would make.

    Parameters
    ----------
    candidate : the rubric with the weights and limits that were judged, changed or not.
    proposed : the rubric with those that are proposed; None where nothing changes.
    """

    weights: WeightProposal
    bands: BandProposal
    candidate: Rubric
    proposed: Rubric | None

    @property
    def changes(self) -> bool:
        """Whether anything is to be changed."""
        return self.proposed is not None


def review_rows(seen: Gathered) -> ReviewRows:
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
        later=later_rows(seen.as_of.reset_index(drop=True), seen.churn, seen.accounts, days),
        horizon_days=seen.window.horizon_days,
        grace_days=seen.window.grace_days,
        segment=seen.segment,
        model=model,
    )


def proposals(seen: Gathered, capacity: int, seed: int = 0) -> Proposals:
    """Fit, judge and propose.

    Parameters
    ----------
    capacity : red accounts that the team can look after at a date.
    """
    rubric, rows = seen.champion.rubric, review_rows(seen)
    limits = rubric.rules.bands
    bands = {"green": limits.green, "yellow": limits.yellow, "red": limits.red}
    weights = propose_weights(rows, weights_in_force(seen), cap=CAP, seed=seed, resamples=RESAMPLES)
    # Limits are proposed for the scores as they will be read: if the weights change, on those of the new ones.
    if weights.decision == "change":
        other = with_changes(rubric, weights.new, bands)
        scores = other.score(seen.frame)
        rows = replace(rows, score=np.asarray(scores.score, dtype=np.float64), band=scores.band.to_numpy(dtype=object))
    limits_proposed = propose_bands(rows, limits, capacity=capacity)
    changed = weights.decision == "change" or limits_proposed.decision == "change"
    return Proposals(
        weights,
        limits_proposed,
        with_changes(rubric, weights.candidate, limits_proposed.candidate),
        with_changes(rubric, weights.new, limits_proposed.new) if changed else None,
    )


def with_changes(rubric: Rubric, weights: dict[str, float], bands: dict[str, float]) -> Rubric:
    """A rubric with other weights and limits, in all else the same."""
    text = revised(rubric.text, rubric.version, weights, bands, "as reviewed")
    return rubric_from_text(text, "the rubric as reviewed")
