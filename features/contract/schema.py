"""The data contract: the tables, columns and valid values of a signals source.

Reading, validation and the documentation are all based on these definitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ID_LIMIT = 512
"""Maximum length of an account id. Ids are part of URLs, and servers and proxies limit the length of these."""
ID_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
"""Account ids have no control characters or line breaks, which are not safe in URLs, log lines and CSV files."""
ColumnKind = Literal["string", "instant", "float", "int", "bool"]
KIND_WORDS: dict[str, str] = {
    "string": "a text",
    "instant": "an instant",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
}
"""A value of each kind in words, for messages."""


@dataclass(frozen=True)
class Column:
    """One column of the contract.

    Parameters
    ----------
    name : the column's name.
    kind : ``string``, ``instant`` (UTC), ``float``, ``int`` or ``bool``.
    required : whether the column must be present and never null.
    values : the allowed values; empty for any.
    minimum, maximum : inclusive bounds of a number.
    known_from : the instant column at which this column's value becomes known; before that instant it is read as null.
    """

    name: str
    kind: ColumnKind
    required: bool = False
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    known_from: str | None = None


@dataclass(frozen=True)
class TableSchema:
    """One table of the contract.

    Parameters
    ----------
    name : the table's name.
    columns : the columns, in order.
    at : the instant column that places a row in time.
    event : whether the rows are events: exact duplicates (a re-sent batch) count once, and ``loaded_at`` is the instant
        at which a row arrived.
    intervals : (start, end) pairs of columns; the end must not be before the start.
    unique : the columns whose values together identify a row.
    ranges : (kind, column, minimum, maximum): bounds for the rows of that kind.
    identity : the column that identifies the subject of a row. Rows of one event are its versions
        (`features.signals.event_versions`), and rows of one subscription are its consecutive periods.
    derived : further columns of the read table and their kinds, which no source has.
    """

    name: str
    columns: tuple[Column, ...]
    at: str = "occurred_at"
    event: bool = True
    intervals: tuple[tuple[str, str], ...] = ()
    unique: tuple[str, ...] = ()
    ranges: tuple[tuple[str, str, float, float], ...] = ()
    identity: str = ""
    derived: tuple[tuple[str, ColumnKind], ...] = ()

    def __getitem__(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    @property
    def of_accounts(self) -> bool:
        """Whether each row belongs to one account; rates of currencies, for example, do not."""
        return "account_id" in self.names

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(c.name for c in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the required columns."""
        return tuple(c.name for c in self.columns if c.required)


def _event(
    name: str,
    *columns: Column,
    intervals: tuple[tuple[str, str], ...] = (),
    ranges: tuple[tuple[str, str, float, float], ...] = (),
    identity: str = "event_id",
) -> TableSchema:
    """Define an event table: the account, the instant, the table's own columns, the event id and the arrival."""
    key = (Column("account_id", "string", True), Column("occurred_at", "instant", True))
    arrival = (Column("event_id", "string"), Column("loaded_at", "instant"))
    return TableSchema(name, (*key, *columns, *arrival), intervals=intervals, ranges=ranges, identity=identity)


_TABLES = (
    TableSchema(
        "accounts",
        (
            Column("account_id", "string", True),
            Column("created_at", "instant", True),
            Column("name", "string"),
            Column("industry", "string"),
            Column("region", "string"),
            Column("employees", "int", minimum=0),
            Column("csm", "string"),
            Column("parent_id", "string"),
            Column("acquisition_cost", "float", minimum=0),
        ),
        at="created_at",
        event=False,
        unique=("account_id",),
    ),
    TableSchema(
        "subscriptions",
        (
            Column("account_id", "string", True),
            Column("started_at", "instant", True),
            Column("ended_at", "instant", known_from="ended_at"),
            Column("arr", "float", True, minimum=0),
            Column("currency", "string"),
            Column("seats", "int", minimum=0),
            Column("plan", "string"),
            Column("product", "string"),
            Column("status", "string", values=("active", "trial", "paused", "past_due")),
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
        derived=(("given_arr", "float"), ("counted", "float")),
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
        Column("product", "string"),
    ),
    _event(
        "engagement",
        Column(
            "kind",
            "string",
            True,
            (
                "meeting",
                "qbr",
                "email",
                "training",
                "webinar",
                "community",
                "survey",
                "call",
                "chat",
                "note",
                "task",
            ),
        ),
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
        # Rows of one ticket are its versions; an event_id would only identify a version and is ignored.
        identity="ticket_id",
    ),
    _event(
        "outcomes",
        Column(
            "kind",
            "string",
            True,
            ("goal_set", "goal_met", "goal_missed", "roi_reported", "first_value", "milestone", "nps", "csat", "ces"),
        ),
        Column("value", "float"),
        Column("text", "string"),
        ranges=(("nps", "value", 0, 10), ("csat", "value", 1, 5), ("ces", "value", 1, 7)),
    ),
    _event(
        "relationship",
        Column("contact_id", "string", True),
        Column("role", "string", True, ("champion", "executive_sponsor", "decision_maker", "admin", "user")),
        Column("event", "string", True, ("joined", "left", "promoted")),
        Column("contact_name", "string"),
    ),
    _event(
        "billing",
        Column(
            "kind",
            "string",
            True,
            ("invoice_paid", "invoice_overdue", "payment_failed", "budget_review", "refund", "credit", "dispute"),
        ),
        Column("amount", "float"),
    ),
    _event(
        "company",
        Column("kind", "string", True, ("funding", "hiring", "layoffs", "acquisition", "new_department")),
    ),
    TableSchema(
        "interventions",
        (
            Column("account_id", "string", True),
            Column("occurred_at", "instant", True),
            Column("play", "string", True),
            Column("severity", "string", values=("low", "medium", "high")),
            Column("held_out", "bool"),
            Column("trial", "string"),
            Column("held_out_share", "float", minimum=0, maximum=1),
            Column("churn_probability", "float", minimum=0, maximum=1),
            Column("closed_at", "instant", known_from="closed_at"),
            Column("result", "string", values=("saved", "lost", "no_effect"), known_from="closed_at"),
            Column("event_id", "string"),
        ),
        intervals=(("occurred_at", "closed_at"),),
        identity="event_id",
    ),
    _event(
        "pulse",
        Column("by", "string"),
        Column("sentiment", "int", True, minimum=-2, maximum=2),
        Column("renewal_call", "string", values=("renew", "at_risk", "churn")),
        Column("expires_at", "instant"),
        intervals=(("occurred_at", "expires_at"),),
    ),
    TableSchema(
        "fx_rates",
        (
            Column("currency", "string", True),
            Column("occurred_at", "instant", True),
            Column("rate", "float", True, minimum=1e-9),
        ),
        event=False,
        unique=("currency", "occurred_at"),
    ),
)


def known_at_column(column: Column) -> str:
    """Return the name of the column with the instant at which a value filled in later became known."""
    return f"{column.name.removesuffix('_at')}_known_at"


ID_COLUMNS = ("event_id", "subscription_id")
"""Columns that only identify rows and do not describe the account."""

TABLES: dict[str, TableSchema] = {table.name: table for table in _TABLES}
"""Every table of the contract by name."""

EVENT_TABLES: tuple[str, ...] = tuple(name for name, table in TABLES.items() if table.event)
"""Names of the event tables, which determine the newest event."""
