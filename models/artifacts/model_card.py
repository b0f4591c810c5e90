"""The model card: what a model is, what it was made of and how it was judged, as plain data in its bundle.

What belongs into a card is after Mitchell et al., "Model cards for model reporting" (2019). It is written when the
model is trained, from the same facts as the run's report, so that whoever serves the model can show it without the run.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.targets import Target

_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class MetricEstimate(_Part):
    """A value and its interval of 95% by accounts; None where it is not defined. ``good``: in words, what a good value
    is."""

    value: float | None
    low: float | None = None
    high: float | None = None
    good: str = ""


class DataSlice(_Part):
    """The snapshots of a part of the data: first and last date (ISO), how many dates, rows, accounts, and accounts with
    the outcome."""

    first: str
    last: str
    dates: _Count
    rows: _Count
    accounts: _Count
    accounts_with_outcome: _Count


class CandidateMetrics(_Part):
    """One candidate on the test dates, by the names of the metrics."""

    candidate: str
    metrics: dict[str, MetricEstimate]


class LossDifference(_Part):
    """The model's mean loss less that of another candidate; below 0 the model is better."""

    against: str
    loss: Literal["brier", "log_loss"]
    value: float
    low: float
    high: float


class ReliabilityBin(_Part):
    """Test rows of like probability: their mean, how often it happened (with its interval), rows and outcomes."""

    said: _Share
    happened: MetricEstimate
    rows: _Count
    outcomes: _Count


class SubsetMetrics(_Part):
    """The model on a part of the test rows; ``ratio`` is how many times as often it happened as was said, ``beside``
    the ROC AUC of what it had to beat, by candidate (of the segments; cards of before that tell none). ``note``: why it
    was not ``judged`` there, or on which dates, where not on those of the test."""

    name: str
    rows: _Count
    accounts: _Count
    happened: _Count
    rate: float | None
    expected: float | None
    ratio: MetricEstimate
    roc_auc: MetricEstimate
    beside: dict[str, MetricEstimate] = {}
    judged: bool = True
    note: str = ""


class FeatureImportance(_Part):
    """What a feature adds to the predictions: its share of the sum of absolute contributions."""

    feature: str
    words: str
    dimension: str
    share: _Share


class CapacityRecall(_Part):
    """The share of the outcomes, and of their ARR, that a team sees which looks after the ``capacity`` accounts ranked
    highest; ``lift``: how many times as many outcomes as at random (None in cards of before that was told)."""

    candidate: str
    capacity: _Count
    caught: MetricEstimate
    caught_arr: MetricEstimate
    lift: MetricEstimate | None = None


class InvoluntaryChurnCard(_Part):
    """How churn by nonpayment is told apart from the rest, and how well on the churned of the test dates.

    Parameters
    ----------
    words : what answers and why.
    known_share : of the churned that were trained on, the part that ended by nonpayment.
    trained_on, tested_on : churned accounts, by kind.
    rate, expected : how often it was nonpayment on the test dates, and what was said; None where that was not judged.
    ratio : one over the other.
    rivals : a share for each account and a constant one, on the test dates; empty where that was not judged.
    """

    words: str
    known_share: _Share
    trained_on: dict[str, _Count]
    tested_on: dict[str, _Count]
    rate: _Share | None
    expected: _Share | None
    ratio: MetricEstimate
    rivals: list[CandidateMetrics]


class ModelCard(_Part):
    """One model's card.

    Parameters
    ----------
    run_id : of the MLflow run.
    slices : train, calibration and test.
    missing_share : by table, the share of the history's rows without it.
    rivals : the model (named ``subject``) and what it had to beat, on the test dates.
    features_read : how many features the model reads; ``weights`` the weightiest, ``dimensions`` all by dimension.
    same_first : the share of accounts whose weightiest reason another training gives too; None if not looked at.
    notes : what the leak check has found that is no leak.
    involuntary : how churn by nonpayment is told apart; None for expansion, and on cards of before that was judged.
    feeds : what was wrong with the feeds that it was trained on.
    """

    format: Literal[1] = 1
    target: Target
    horizon_days: int
    grace_days: int
    run_id: str
    catalogue_version: str
    subject: str
    grade: str
    words: str
    slices: dict[str, DataSlice]
    history_days: float
    missing_share: dict[str, float]
    known_rate: _Share
    window_rate: _Share
    rivals: list[CandidateMetrics]
    apart: list[LossDifference]
    calibrator: str
    reliability: list[ReliabilityBin]
    by_segment: list[SubsetMetrics]
    by_horizon: list[SubsetMetrics]
    features_read: _Count
    weights: list[FeatureImportance]
    dimensions: dict[str, _Share]
    same_first: float | None
    sight: list[CapacityRecall]
    trees: _Count
    leaves: _Count
    trees_share: _Share
    notes: list[str]
    involuntary: InvoluntaryChurnCard | None = None
    feeds: list[str] = Field(default_factory=list)

    @classmethod
    def from_json(cls, content: bytes) -> ModelCard:
        """Read a card.

        Raises
        ------
        ValueError : it is not as written; the message names the place, never a value.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"key {place}: {first['msg']}") from None

    def figure(self, candidate: str, metric: str) -> MetricEstimate:
        """One candidate's figure; undefined where it was not judged."""
        for rival in self.rivals:
            if rival.candidate == candidate:
                return rival.metrics.get(metric, MetricEstimate(value=None))
        return MetricEstimate(value=None)
