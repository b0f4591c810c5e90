"""Schemas of business reviews and account plans, and how to build them from published snapshots."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from features.errors import UnknownSnapshot
from features.utils.periods import Quarter
from models.predictions.payload import format_instant
from models.predictions.schema import ResponseModel
from serving.account_reports.account_facts import published_account_facts
from serving.account_reports.business_review import build_review
from serving.account_reports.success_plan import build_plan
from serving.snapshots.live_state import LiveState
from serving.snapshots.lookback_rows import SCORE_AGAIN
from serving.snapshots.scored_snapshot import ScoredSnapshot


class ReportFigure(ResponseModel):
    """A figure with its formatted text. ``then`` is its value at the start of the quarter, if known."""

    label: str
    value: float | int | str | None
    unit: str
    words: str
    then: float | int | None
    then_words: str | None
    feature: str | None
    note: str | None = None


class ReportItem(ResponseModel):
    """An item of a list."""

    text: str
    date: str | None
    state: Literal["good", "fair", "bad", ""]
    who: str | None
    tag: str


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
    """A business review. Reviews of published snapshots have no individual events and no contract movements; `gaps`
    lists what is missing."""

    document: Literal["qbr"]
    account_id: str
    name: str | None
    quarter: str
    period: ReportPeriod
    as_of: str
    data_through: str
    complete: bool
    source: Literal["signals", "published"]
    sections: list[ReportSection]
    questions: list[str]
    gaps: list[str]


class AccountPlan(ResponseModel):
    """A plan for one account. Plans of published snapshots have no individual events; `gaps` lists what is missing."""

    document: Literal["plan"]
    kind: Literal["save", "success"] = Field(description="save: the account is at risk; `because` says why.")
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
    """
    return build_plan(published_account_facts(scored, account_id))


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


def published_review(state: LiveState, account_id: str, quarter: str) -> dict[str, Any]:
    """Build the review from the last snapshot that was scored in the quarter or at its end.

    Parameters
    ----------
    state : the state of the service.
    account_id : the account.
    quarter : a calendar quarter, such as 2026Q3.

    Returns
    -------
    dict for JSON
        A `BusinessReview`.

    Raises
    ------
    BadRequest : the quarter is not valid.
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
    return build_review(published_account_facts(state.scored(dates[-1]), account_id), period, found.name)
