"""The data contract: which tables and columns a signals source may hold, and what values are right.

The columns are frozen facts; reading, checking and the documentation all take them from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ID_LIMIT = 512
"""An account's id has at most so many characters: it stands in addresses, which servers and proxies bound."""
ID_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
"""No control character or line break stands in an account's id: no address, log line or CSV could hold it."""
Kind = Literal["string", "instant", "float", "int", "bool"]


@dataclass(frozen=True)
class Column:
    """One column of the contract.

    Parameters
    ----------
    name : the column's name.
    kind : ``string``, ``instant`` (UTC), ``float``, ``int`` or ``bool``.
    required : whether it must be there and never null.
    values : the values it may take; empty for any.
    minimum, maximum : inclusive bounds of a number.
    known_from : the instant column at which this column's value becomes known; before that it reads as null.
    """

    name: str
    kind: Kind
    required: bool = False
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    known_from: str | None = None


@dataclass(frozen=True)
class Table:
    """One table of the contract.

    ``at`` is the instant that places a row in time; ``event`` marks tables of things that happened, where exact
    duplicates (a re-sent batch) count once and ``loaded_at`` tells when a row arrived. ``intervals`` are (start, end)
    pairs of which the end may not come before the start; ``ranges`` are (kind, column, minimum, maximum): bounds that
    hold for the rows of that kind; ``unique`` names a column without repeats. ``identity`` names the column that
    identifies what a row is about: rows of one event are its versions (`features.signals.event_versions`), and periods
    of one
    subscription follow one another.
    """

    name: str
    columns: tuple[Column, ...]
    at: str = "occurred_at"
    event: bool = True
    intervals: tuple[tuple[str, str], ...] = ()
    unique: str | None = None
    ranges: tuple[tuple[str, str, float, float], ...] = ()
    identity: str = ""

    def __getitem__(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(c.name for c in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the columns that must be there."""
        return tuple(c.name for c in self.columns if c.required)


def _event(
    name: str,
    *columns: Column,
    intervals: tuple[tuple[str, str], ...] = (),
    ranges: tuple[tuple[str, str, float, float], ...] = (),
    identity: str = "event_id",
) -> Table:
    """A table of events: the account, when it happened, what is particular to it, its id, and when it arrived."""
    key = (Column("account_id", "string", True), Column("occurred_at", "instant", True))
    arrival = (Column("event_id", "string"), Column("loaded_at", "instant"))
    return Table(name, (*key, *columns, *arrival), intervals=intervals, ranges=ranges, identity=identity)


_TABLES = (
    Table(
        "accounts",
        (
            Column("account_id", "string", True),
            Column("created_at", "instant", True),
            Column("name", "string"),
            Column("industry", "string"),
            Column("region", "string"),
            Column("employees", "int", minimum=0),
            Column("csm", "string"),
        ),
        at="created_at",
        event=False,
        unique="account_id",
    ),
    Table(
        "subscriptions",
        (
            Column("account_id", "string", True),
            Column("started_at", "instant", True),
            Column("ended_at", "instant", known_from="ended_at"),
            Column("arr", "float", True, minimum=0),
            Column("seats", "int", minimum=0),
            Column("plan", "string"),
            Column("usage_limit", "float", minimum=0),
            Column("renewal_at", "instant"),
            Column("term_started_at", "instant"),
            Column("notice_at", "instant", known_from="notice_at"),
            Column(
                "end_reason",
                "string",
                values=("renewed", "upgraded", "downgraded", "cancelled", "nonpayment"),
                known_from="ended_at",
            ),
            Column("subscription_id", "string"),
        ),
        at="started_at",
        event=False,
        intervals=(("started_at", "ended_at"), ("started_at", "renewal_at"), ("term_started_at", "renewal_at")),
        identity="subscription_id",
    ),
    _event(
        "orders",
        Column("amount", "float", True),
        Column("order_id", "string"),
        Column("product", "string"),
        Column("quantity", "float"),
    ),
    _event(
        "usage",
        Column("user_id", "string"),
        Column("feature", "string"),
        Column("quantity", "float"),
        Column("minutes", "float", minimum=0),
    ),
    _event(
        "engagement",
        Column("kind", "string", True, ("meeting", "qbr", "email", "training", "webinar", "community", "survey")),
        Column(
            "outcome",
            "string",
            values=("attended", "no_show", "cancelled", "replied", "ignored", "posted", "completed"),
        ),
        Column("contact_id", "string"),
        Column("response_hours", "float", minimum=0),
    ),
    _event(
        "support",
        Column("ticket_id", "string", True),
        Column("resolved_at", "instant", known_from="resolved_at"),
        Column("severity", "string", True, ("low", "normal", "high", "urgent")),
        Column("escalated", "bool"),
        Column("csat", "float", minimum=1, maximum=5, known_from="resolved_at"),
        Column("sentiment", "float", minimum=-1, maximum=1),
        Column("topic", "string"),
        intervals=(("occurred_at", "resolved_at"),),
        # Rows of one ticket are its versions; an event_id would name the version, and decides nothing.
        identity="ticket_id",
    ),
    _event(
        "outcomes",
        Column(
            "kind",
            "string",
            True,
            ("goal_set", "goal_met", "goal_missed", "roi_reported", "first_value", "milestone", "nps", "csat"),
        ),
        Column("value", "float"),
        ranges=(("nps", "value", 0, 10), ("csat", "value", 1, 5)),
    ),
    _event(
        "relationship",
        Column("contact_id", "string", True),
        Column("role", "string", True, ("champion", "executive_sponsor", "decision_maker", "admin", "user")),
        Column("event", "string", True, ("joined", "left", "promoted")),
    ),
    _event(
        "billing",
        Column("kind", "string", True, ("invoice_paid", "invoice_overdue", "payment_failed", "budget_review")),
        Column("amount", "float"),
    ),
    _event(
        "company",
        Column("kind", "string", True, ("funding", "hiring", "layoffs", "acquisition", "new_department")),
    ),
    Table(
        "interventions",
        (
            Column("account_id", "string", True),
            Column("occurred_at", "instant", True),
            Column("play", "string", True),
            Column("severity", "string", values=("low", "medium", "high")),
            Column("held_out", "bool"),
            Column("closed_at", "instant", known_from="closed_at"),
            Column("result", "string", values=("saved", "lost"), known_from="closed_at"),
            Column("event_id", "string"),
        ),
        intervals=(("occurred_at", "closed_at"),),
        identity="event_id",
    ),
)


def known_column(column: Column) -> str:
    """Where an event table as read tells when a column that is filled in later was learnt."""
    return f"{column.name.removesuffix('_at')}_known_at"


IDENTITIES = ("event_id", "subscription_id")
"""Columns that only tell rows apart and say nothing of the account."""

TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
"""Every table of the contract by name."""

EVENT_TABLES: tuple[str, ...] = tuple(name for name, table in TABLES.items() if table.event)
"""The tables of things that happened, by which the newest event is found."""
