"""The shapes in which business reviews and plans are answered, and where a request for one finds it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from features.errors import UnknownSnapshot
from features.utils.periods import Quarter
from models.predictions.payload import instant_words
from models.predictions.schema import Answer
from serving.account_reports.account_facts import known_from_published
from serving.account_reports.business_review import review_told
from serving.account_reports.success_plan import plan_told
from serving.snapshots.live_state import LiveState
from serving.snapshots.lookback_rows import SCORE_AGAIN
from serving.snapshots.scored_snapshot import ScoredSnapshot


class Figure(Answer):
    """A figure, in words too; ``then`` is its value when the quarter began, where that is known."""

    label: str
    value: float | int | str | None
    unit: str
    words: str
    then: float | int | None
    then_words: str | None
    feature: str | None
    note: str | None = None


class Item(Answer):
    """An entry of a list."""

    text: str
    date: str | None
    state: Literal["good", "fair", "bad", ""]
    who: str | None
    tag: str


class Point(Answer):
    """A week of a picture."""

    date: str
    users: float | None = None
    events: float | None = None
    score: float | None = None


class Picture(Answer):
    """What a picture shows."""

    kind: Literal["use", "health"]
    label: str
    points: list[Point]


class Section(Answer):
    """A section of a document."""

    section: str
    title: str
    internal: bool = Field(description="True: for those who look after the account, not for the customer.")
    figures: list[Figure]
    items: list[Item]
    more_items: int
    picture: Picture | None
    missing: list[str] = Field(description="What is not known.")


class Bounds(Answer):
    """A span ``[start, end)``."""

    start: str
    end: str


class Review(Answer):
    """A business review. From what was published there are no single events, and no movement of the contract: `gaps`
    says what is missing."""

    document: Literal["qbr"]
    account_id: str
    name: str | None
    quarter: str
    period: Bounds
    as_of: str
    data_through: str
    complete: bool
    source: Literal["signals", "published"]
    sections: list[Section]
    questions: list[str]
    gaps: list[str]


class Plan(Answer):
    """A plan for one account. From what was published there are no single events: `gaps` says what is missing."""

    document: Literal["plan"]
    kind: Literal["save", "success"] = Field(description="save: the account is at risk; `because` says why.")
    because: list[str]
    account_id: str
    name: str | None
    as_of: str
    data_through: str
    owner: str | None = Field(description="The CSM; null: not known.")
    sections: list[Section]
    questions: list[str] = Field(description="What has to be filled in by hand.")
    gaps: list[str]


def published_plan(scored: ScoredSnapshot, account_id: str) -> dict[str, Any]:
    """The plan from a published snapshot.

    Raises
    ------
    UnknownAccount : the snapshot does not hold the account.
    """
    return plan_told(known_from_published(scored, account_id))


def quarters_of(state: LiveState) -> list[str]:
    """The quarters in which a snapshot was scored, the latest first.

    Raises
    ------
    NotReady, HomeError : as `Standing.dates`.
    """
    return list(dict.fromkeys(quarter_of(date) for date in reversed(state.dates())))


def quarter_of(as_of: datetime) -> str:
    """The quarter that a snapshot tells of: one taken at its very end is of it."""
    return Quarter.of(as_of - timedelta(microseconds=1)).name


def published_review(state: LiveState, account_id: str, quarter: str) -> dict[str, Any]:
    """The review from the last snapshot that was scored in the quarter, or at its end.

    Raises
    ------
    BadRequest : the quarter is none.
    NotReady : as `Standing.scored`.
    UnknownSnapshot : none was scored in it.
    UnknownAccount : the snapshot does not hold the account.
    """
    found = Quarter.parse(quarter)
    period = found.period
    dates = [date for date in state.dates() if period.start < date <= period.end]
    if not dates:
        raise UnknownSnapshot(
            f"no snapshot was scored between {instant_words(period.start)} and {instant_words(period.end)}",
            "a quarter in which one was scored",
            SCORE_AGAIN,
        )
    return review_told(known_from_published(state.scored(dates[-1]), account_id), period, found.name)
