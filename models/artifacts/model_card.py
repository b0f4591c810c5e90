"""The model card: what a model is, what data it was trained on, and how it was evaluated.

The content follows Mitchell et al., "Model cards for model reporting" (2019). The card is plain data in the bundle. It
is written during training from the same results as the run's report, so that it can be shown without the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.utils.validation_errors import first_validation_error
from models.targets import Target

_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=0)]


class _CardPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class MetricEstimate(_CardPart):
    """A value with its 95% interval by accounts; None if it is undefined. ``good`` describes what a good value is."""

    value: float | None
    low: float | None = None
    high: float | None = None
    good: str = ""


class DataSlice(_CardPart):
    """The snapshots of one part of the data.

    It has the first and last date (ISO), and the numbers of dates, rows, accounts, and accounts with the outcome.
    """

    first: str
    last: str
    dates: _Count
    rows: _Count
    accounts: _Count
    accounts_with_outcome: _Count


class CandidateMetrics(_CardPart):
    """The metrics of one candidate on the predicted dates, by name."""

    candidate: str
    metrics: dict[str, MetricEstimate]


class LossDifference(_CardPart):
    """The model's mean loss minus that of another candidate; the model is better below 0."""

    against: str
    loss: Literal["brier", "log_loss"]
    value: float
    low: float
    high: float


class ReliabilityBin(_CardPart):
    """Test rows of similar probability: mean prediction, observed rate with its interval, rows and outcomes."""

    said: _Share
    happened: MetricEstimate
    rows: _Count
    outcomes: _Count


class SubsetMetrics(_CardPart):
    """The model's metrics on a subset of the test rows.

    ``ratio`` is the observed rate divided by the predicted one; ``beside`` is the ROC AUC of the candidates that the
    model had to beat (for segments; missing in old cards). ``note`` explains why the subset was not ``judged``, or on
    which dates, if not on those of the test.
    """

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


class FeatureImportance(_CardPart):
    """The importance of a feature: its share of the sum of absolute contributions."""

    feature: str
    words: str
    dimension: str
    share: _Share


CANDIDATE_NAMES: Mapping[str, str] = {
    "renewal_due": "rate by renewal due",
    "even_blend": "equal-weight blend",
}
"""Candidates of the backtest whose names are not their codes with spaces."""


def candidate_name(code: str) -> str:
    """Return the name of a candidate in words."""
    return CANDIDATE_NAMES.get(code, code.replace("_", " "))


class CapacityRecall(_CardPart):
    """The recall of a team that handles the ``capacity`` accounts ranked highest.

    ``caught`` is the share of the outcomes among these accounts, ``caught_arr`` that of their ARR; ``lift`` is the
    ratio to a random selection (None in old cards).
    """

    candidate: str
    capacity: _Count
    caught: MetricEstimate
    caught_arr: MetricEstimate
    lift: MetricEstimate | None = None


class InvoluntaryChurnCard(_CardPart):
    """How churn by nonpayment is distinguished from other churn, and how well on the predicted dates.

    Parameters
    ----------
    words : which method is used, and why.
    known_share : the share of the churned training accounts that ended by nonpayment.
    trained_on, tested_on : churned accounts, by kind.
    rate, expected : the observed and the predicted share of nonpayment on the predicted dates; None if not evaluated.
    ratio : ``rate`` divided by ``expected``.
    rivals : a share per account and a constant share, on the predicted dates; empty if not evaluated.
    """

    words: str
    known_share: _Share
    trained_on: dict[str, _Count]
    tested_on: dict[str, _Count]
    rate: _Share | None
    expected: _Share | None
    ratio: MetricEstimate
    rivals: list[CandidateMetrics]


class RenewalStageCard(_CardPart):
    """One stage of the renewal model, and how it was evaluated.

    Parameters
    ----------
    stage : lost, expanded or contracted, each given that none of the earlier ones occurs.
    renewals, outcomes : renewals with a known outcome, and those of them in which the stage occurred.
    used : whether the stage has a model; otherwise it is derived from the churn and expansion models.
    reason : why it has no model; empty if it has one.
    rivals : the model and its rivals in the backtest; empty if it was not evaluated.
    apart : the differences of their losses.
    """

    stage: str
    renewals: _Count
    outcomes: _Count
    used: bool
    reason: str
    rivals: list[CandidateMetrics]
    apart: list[LossDifference]


class RenewalModelCard(_CardPart):
    """The renewal model of a bundle of churn.

    Parameters
    ----------
    leads : days before a renewal for which it is trained.
    reason : why there is no renewal model; empty if there is one.
    stages : its stages; empty if none could be tried.
    """

    leads: list[_Count]
    reason: str
    stages: list[RenewalStageCard]


class ReasonCounts(_CardPart):
    """The reasons that answers give, on the newest training snapshot.

    Parameters
    ----------
    members : the members of the ensemble; most of them must agree on a reason.
    given : mean number of reasons per account.
    at_least_two : share of accounts with at least two reasons.
    """

    members: _Count
    given: Annotated[float, Field(ge=0)]
    at_least_two: _Share


class ModelCard(_CardPart):
    """One model's card.

    Parameters
    ----------
    run_id : the id of the MLflow run.
    slices : the data: "train" is known at the first origin of the backtest, "backtest" is predicted, and "all" trains
        the model in use. In old cards: train, calibration and test.
    newest_snapshots : the newest training snapshot (ISO date) by horizon in days; empty in old cards.
    missing_share : by table, the share of the history's rows without data.
    rivals : the model (named ``subject``) and the candidates that it had to beat, on the predicted dates.
    features_read : the number of features that the model reads; ``weights`` has the most important ones, and
        ``dimensions`` all of them by dimension.
    same_first : the share of accounts whose first reason is the same in two members of the ensemble (in old cards,
        after a refit); None if not evaluated.
    reasons : the reasons that answers give; None in old cards.
    fitted_share : the smallest share of its rows that a member of the ensemble was fitted on. It is less than 1 only
        for large portfolios, whose rows are thinned.
    recipe : the name and the class of a registered estimator; None for the product's own model. Then ``subject`` is
        "recipe", and the product's own model is the rival "own_blend".
    due : metrics among the accounts whose renewal is due; empty if there are too few, and in old cards.
    notes : findings of the leak check that are not leaks.
    involuntary : how churn by nonpayment is distinguished; None for expansion and in old cards.
    feeds : problems of the feeds of the training data.
    renewals : the renewal model, or why there is none; None for expansion and in old cards.
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
    newest_snapshots: dict[str, str] = Field(default_factory=dict)
    reasons: ReasonCounts | None = None
    due: list[CandidateMetrics] = Field(default_factory=list)
    recipe: str | None = None
    renewals: RenewalModelCard | None = None
    fitted_share: _Share = 1.0

    @classmethod
    def from_json(cls, content: bytes) -> ModelCard:
        """Read a card.

        Raises
        ------
        ValueError : the card is invalid; the message names the key, never a value.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise ValueError(first_validation_error(error)) from None

    def figure(self, candidate: str, metric: str) -> MetricEstimate:
        """Return a metric of one candidate; undefined if it was not evaluated."""
        for rival in self.rivals:
            if rival.candidate == candidate:
                return rival.metrics.get(metric, MetricEstimate(value=None))
        return MetricEstimate(value=None)
