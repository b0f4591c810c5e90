"""Schemas of business reviews and account plans, and how to build them from published snapshots."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from features.errors import UnknownSnapshot
from features.utils.periods import Quarter, period_ending
from models.predictions.payload import format_instant
from models.predictions.schema import ResponseModel
from serving.account_reports.account_facts import published_account_facts
from serving.account_reports.business_review import build_review
from serving.account_reports.editions import Edition
from serving.account_reports.success_plan import build_plan
from serving.snapshots.live_state import LiveState
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.stored_tables import SCORE_AGAIN

EDITION_FIELD: Any = Field(description="customer: without anything internal, to send; internal: for the account team.")


class ReportFigure(ResponseModel):
    """A figure with its formatted text. ``then`` is its value at the start of the quarter, if known."""

    label: str
    value: float | int | str | None
    unit: str
    words: str
    then: float | int | None
    then_words: str | None
    feature: str | None
    internal: bool = Field(description="True: for the account team, not for the customer.")
    note: str | None = None


class ReportMetric(ResponseModel):
    """A metric whose value is known, with its target, its value at the start of the quarter, and comparable accounts.
    Each value is followed by its text. What is unknown is null, never 0."""

    label: str
    feature: str | None
    unit: str
    value: float | int
    words: str
    target: float | None
    target_words: str | None
    met: bool | None = Field(description="Whether the target is met; null without a target.")
    then: float | None = Field(description="The value at the start of the quarter.")
    then_words: str | None
    change_words: str | None
    trend: Literal["better", "worse", "same"] | None
    benchmark: float | None = Field(description="The median of comparable accounts, if enough of them have a value.")
    benchmark_words: str | None


class ReportItem(ResponseModel):
    """An item of a list."""

    text: str
    date: str | None
    state: Literal["good", "fair", "bad", ""]
    who: str | None = Field(description="Who acts on our side.")
    tag: str
    customer: str | None = Field(description="Who acts on the customer's side.")
    internal: bool = Field(description="True: for the account team, not for the customer.")


class ChartPoint(ResponseModel):
    """One week of a chart."""

    date: str
    users: float | None = None
    events: float | None = None
    score: float | None = None


class SectionChart(ResponseModel):
    """The data of a chart."""

    kind: Literal["use", "health"]
    label: str
    points: list[ChartPoint]


class ReportSection(ResponseModel):
    """A section of a report."""

    section: str
    title: str
    internal: bool = Field(description="True: for the account team, not for the customer.")
    lines: list[str] = Field(description="Sentences from the data.")
    metrics: list[ReportMetric]
    figures: list[ReportFigure]
    items: list[ReportItem]
    more_items: int
    picture: SectionChart | None
    missing: list[str] = Field(description="Missing information.")


class ReportPeriod(ResponseModel):
    """A period ``[start, end)``."""

    start: str
    end: str


class BusinessReview(ResponseModel):
    """A business review. `gaps` lists what is missing. A section without content is absent."""

    document: Literal["qbr"]
    edition: Edition = EDITION_FIELD
    account_id: str
    name: str | None
    quarter: str
    period: ReportPeriod
    meeting_date: str | None = Field(description="The date of the meeting, which agenda, actions and preparation use.")
    as_of: str
    data_through: str
    complete: bool
    source: Literal["signals", "published"]
    sections: list[ReportSection]
    questions: list[str]
    gaps: list[str]


class AccountPlan(ResponseModel):
    """A plan for one account. `gaps` lists what is missing. A section without content is absent."""

    document: Literal["plan"]
    edition: Edition = EDITION_FIELD
    kind: Literal["save", "success"] = Field(
        description="save: the account is at risk; `because` says why. The customer's edition is always success."
    )
    because: list[str]
    account_id: str
    name: str | None
    as_of: str
    data_through: str
    owner: str | None = Field(description="The CSM; null: unknown.")
    sections: list[ReportSection]
    questions: list[str] = Field(description="Information to add by hand.")
    gaps: list[str]


def published_plan(scored: ScoredSnapshot, account_id: str) -> dict[str, Any]:
    """Build the plan from a published snapshot.

    Parameters
    ----------
    scored : the snapshot.
    account_id : the account.

    Returns
    -------
    dict for JSON
        An `AccountPlan`.

    Raises
    ------
    UnknownAccount : the snapshot does not contain the account.
    HomeError : a file of the snapshot is broken.
    """
    return build_plan(published_account_facts(scored, account_id, period_ending(scored.as_of, "year")))


def scored_quarters(state: LiveState) -> list[str]:
    """Return the quarters with a scored snapshot, the latest first.

    Raises
    ------
    NotReady, HomeError : as `LiveState.dates`.
    """
    return list(dict.fromkeys(quarter_name(date) for date in reversed(state.dates())))


def quarter_name(as_of: datetime) -> str:
    """Return the quarter of a snapshot. A snapshot at the end of a quarter belongs to that quarter."""
    return Quarter.of(as_of - timedelta(microseconds=1)).name


def published_review(state: LiveState, account_id: str, quarter: str, meeting: date | None = None) -> dict[str, Any]:
    """Build the review from the last snapshot that was scored in the quarter or at its end.

    Parameters
    ----------
    state : the state of the service.
    account_id : the account.
    quarter : a calendar quarter, such as 2026Q3.
    meeting : the date of the meeting; None if there is none yet.

    Returns
    -------
    dict for JSON
        A `BusinessReview`.

    Raises
    ------
    BadRequest : the quarter is not valid, or the meeting is before the date of the figures.
    NotReady : as `LiveState.scored`.
    UnknownSnapshot : no snapshot was scored in it.
    UnknownAccount : the snapshot does not contain the account.
    """
    found = Quarter.parse(quarter)
    period = found.period
    dates = [date for date in state.dates() if period.start < date <= period.end]
    if not dates:
        raise UnknownSnapshot(
            f"no snapshot was scored between {format_instant(period.start)} and {format_instant(period.end)}",
            "a quarter in which one was scored",
            SCORE_AGAIN,
        )
    facts = published_account_facts(state.scored(dates[-1]), account_id, period)
    return build_review(facts, period, found.name, meeting)
