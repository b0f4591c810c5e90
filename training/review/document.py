"""The review as one typed document: the content of the page and of ``review.json``, section by section."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import AwareDatetime, JsonValue

from models.health.rubric_schema import WeightProfile
from models.health.rubric_versions import ReviewedHashes
from models.health.score_calibration import ScoreCalibration
from training.review.figure import ReviewModel
from training.review.hindsight import Hindsight
from training.review.sections.band_migration import BandMigration
from training.review.sections.by_band import OutcomeByBand
from training.review.sections.by_segment import SegmentRow
from training.review.sections.challenger import ChallengerComparison
from training.review.sections.data_quality import DataQuality
from training.review.sections.decision import DecisionBox
from training.review.sections.definitions import ReviewDefinitions
from training.review.sections.disagreements import Disagreement
from training.review.sections.drift import DriftSection
from training.review.sections.impact import Impact
from training.review.sections.interventions import InterventionOutcomes
from training.review.sections.judgments import JudgmentReview
from training.review.sections.lead_time import LeadTime
from training.review.sections.reliability import ModelReliability, ScoreReliability

SCHEMA_VERSION: Final = 1
"""Version of ``review.json``. It changes when a key is renamed or removed, not when one is added."""


class SignOffSection(ReviewModel):
    """What was reviewed and what an approval would sign: versions and hashes, current and proposed values.

    Proposed values are None if nothing changes. ``meaning`` is the churn rate by score with the proposed values.
    """

    rubric: str
    version: str
    model: str | None
    signals: str
    data_through: str
    hashes: ReviewedHashes
    weights: dict[str, float]
    bands: dict[str, float]
    profiles: tuple[WeightProfile, ...] = ()
    proposed_weights: dict[str, float] | None
    proposed_bands: dict[str, float] | None
    proposed_profiles: tuple[WeightProfile, ...] = ()
    meaning: ScoreCalibration | None
    earliest_effective: str


class QuarterlyReview(ReviewModel):
    """All fifteen sections, in their order.

    ``profile_proposals`` has one entry per profile of the rubric, in the format of ``weight_proposal``. With profiles,
    ``weight_proposal`` applies to accounts without a profile. ``groups`` are accounts by notice, status, company and
    product; they may overlap.
    """

    schema_version: Literal[1] = 1
    id: str
    quarter: str
    created_at: AwareDatetime
    decision: DecisionBox
    definitions: ReviewDefinitions
    data_quality: DataQuality
    churn_by_band: OutcomeByBand
    expansion_by_band: OutcomeByBand
    lead_time: LeadTime
    hindsight: Hindsight
    migration: BandMigration
    score_reliability: ScoreReliability
    model_reliability: ModelReliability
    judgments: JudgmentReview | None = None
    weight_proposal: dict[str, JsonValue]
    profile_proposals: tuple[dict[str, JsonValue], ...] = ()
    band_proposal: dict[str, JsonValue]
    impact: Impact
    challenge: ChallengerComparison
    segments: tuple[SegmentRow, ...]
    groups: tuple[SegmentRow, ...] = ()
    drift: DriftSection
    disagreements: tuple[Disagreement, ...]
    interventions: InterventionOutcomes
    sign_off: SignOffSection

    def plain(self) -> dict[str, Any]:
        """Return the review as plain data for JSON."""
        return self.model_dump(mode="json")
