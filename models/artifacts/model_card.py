"""The model card: what a model is, what it was made of and how it was judged, as plain data in its bundle.

What belongs into a card is after Mitchell et al., "Model cards for model reporting" (2019). It is written when the
model is trained, from the same facts as the run's report, so that whoever serves the model can show it without the run.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.targets import Target

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Figure(_Part):
    """A value and its interval of 95% by accounts; None where it is not defined. ``good``: in words, what a good value
    is."""

    value: float | None
    low: float | None = None
    high: float | None = None
    good: str = ""


class Slice(_Part):
    """The snapshots of a part of the data: first and last date (ISO), how many dates, rows, accounts, and accounts with
    the outcome."""

    first: str
    last: str
    dates: Count
    rows: Count
    accounts: Count
    accounts_with_outcome: Count


class Rival(_Part):
    """One candidate on the test dates, by the names of the metrics."""

    candidate: str
    metrics: dict[str, Figure]


class Apart(_Part):
    """The model's mean loss less that of another candidate; below 0 the model is better."""

    against: str
    loss: Literal["brier", "log_loss"]
    value: float
    low: float
    high: float


class Bin(_Part):
    """Test rows of like probability: their mean, how often it happened (with its interval), rows and outcomes."""

    said: Share
    happened: Figure
    rows: Count
    outcomes: Count


class Piece(_Part):
    """The model on a part of the test rows; ``ratio`` is how many times as often it happened as was said, ``beside``
    the ROC AUC of what it had to beat, by candidate (of the segments; cards of before that tell none). ``note``: why it
    was not ``judged`` there, or on which dates, where not on those of the test."""

    name: str
    rows: Count
    accounts: Count
    happened: Count
    rate: float | None
    expected: float | None
    ratio: Figure
    roc_auc: Figure
    beside: dict[str, Figure] = {}
    judged: bool = True
    note: str = ""


class Weight(_Part):
    """What a feature adds to the predictions: its share of the sum of absolute contributions."""

    feature: str
    words: str
    dimension: str
    share: Share


class Sight(_Part):
    """The share of the outcomes, and of their ARR, that a team sees which looks after the ``capacity`` accounts ranked
    highest; ``lift``: how many times as many outcomes as at random (None in cards of before that was told)."""

    candidate: str
    capacity: Count
    caught: Figure
    caught_arr: Figure
    lift: Figure | None = None


class Kinds(_Part):
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
    known_share: Share
    trained_on: dict[str, Count]
    tested_on: dict[str, Count]
    rate: Share | None
    expected: Share | None
    ratio: Figure
    rivals: list[Rival]


class Card(_Part):
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
    slices: dict[str, Slice]
    history_days: float
    missing_share: dict[str, float]
    known_rate: Share
    window_rate: Share
    rivals: list[Rival]
    apart: list[Apart]
    calibrator: str
    reliability: list[Bin]
    by_segment: list[Piece]
    by_horizon: list[Piece]
    features_read: Count
    weights: list[Weight]
    dimensions: dict[str, Share]
    same_first: float | None
    sight: list[Sight]
    trees: Count
    leaves: Count
    trees_share: Share
    notes: list[str]
    involuntary: Kinds | None = None
    feeds: list[str] = Field(default_factory=list)

    @classmethod
    def from_json(cls, content: bytes) -> Card:
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

    def figure(self, candidate: str, metric: str) -> Figure:
        """One candidate's figure; undefined where it was not judged."""
        for rival in self.rivals:
            if rival.candidate == candidate:
                return rival.metrics.get(metric, Figure(value=None))
        return Figure(value=None)
