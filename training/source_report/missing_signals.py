"""The signals that a source lacks and that matter most in models elsewhere, with what would add them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from features.contract.current_contract import current_tables, event_tables
from features.feed_health.feed_health import Feeds
from features.packs.pack import shipped_packs
from features.utils.formatting import and_list
from training.source_report.signal_values import ValueRange, as_plain, most_valuable, signal_values
from training.source_report.table_readings import TableReading

PROPOSED = 3
"""The number of signals that are proposed."""
SIGNAL_WORDS = {
    "usage": "product usage",
    "usage.user_id": "the users behind the usage",
    "usage.feature": "the features that are used",
    "usage.minutes": "the minutes of use",
    "engagement": "meetings, calls and emails",
    "engagement.outcome": "whether meetings took place and emails were answered",
    "support": "support tickets",
    "support.csat": "satisfaction with support",
    "support.resolved_at": "when tickets were solved",
    "outcomes": "goals and survey answers",
    "relationship": "contacts and their roles",
    "billing": "invoices and failed payments",
    "company": "news of the customer's company",
    "interventions": "plays of your team",
    "subscriptions.seats": "licensed seats",
    "subscriptions.plan": "plans",
    "subscriptions.renewal_at": "renewal dates",
    "subscriptions.usage_limit": "the usage that a plan includes",
    "accounts.industry": "industry, region and size",
}
"""Each measured signal in words."""
SIGNAL_COLUMNS = {
    "engagement.outcome": ("outcome", "response_hours"),
    "support.csat": ("csat", "sentiment"),
    "accounts.industry": ("industry", "region", "employees"),
}
"""The columns of signals that have several; the others have the one of their name."""
DECISIVE_VALUES = {"relationship": ("role", ("champion", "executive_sponsor", "decision_maker"))}
"""For a table, the values of a column that carry its signal. A source that can record none of them lacks the signal."""
Records = Mapping[str, Mapping[str, frozenset[str]]]


@dataclass(frozen=True)
class MissingSignal:
    """A signal that a source lacks.

    Parameters
    ----------
    signal : a table, or a column that stands for it.
    words : what it is.
    value : by target, what it is worth elsewhere.
    second_opinion : the same on the third-party CRM data; empty if it was not measured there.
    cure : what would add it.
    """

    signal: str
    words: str
    value: dict[str, ValueRange]
    second_opinion: dict[str, ValueRange]
    cure: str

    @property
    def worth(self) -> str:
        """Its value in words."""
        return f"elsewhere worth {worth_words(self.value)}"

    def as_dict(self) -> dict[str, Any]:
        """Return the signal as JSON values."""
        own = {"signal": self.signal, "words": self.words, "worth": self.worth, "cure": self.cure}
        return own | {"value": as_plain(self.value), "second_opinion": as_plain(self.second_opinion)}


def worth_words(by_target: Mapping[str, ValueRange]) -> str:
    """Return a value by target in words: "4 to 7% for churn and 1% for expansion"."""
    return and_list([f"{each.text} for {target}" for target, each in by_target.items()])


def missing_signals(
    feeds: Feeds,
    readings: Sequence[TableReading],
    records: Records | None = None,
    places: Mapping[str, str] | None = None,
) -> tuple[MissingSignal, ...]:
    """Return the lacking signals that matter most elsewhere, the most valuable first.

    Parameters
    ----------
    feeds : the feeds of the source.
    readings : what was read of each table.
    records : by table and column, the only values that the source can record.
    places : where each table is read from, in words.
    """
    columns = {reading.table: reading.used for reading in readings}
    present = {name for name, feed in feeds.tables.items() if feed.rows}
    contractual = "subscriptions" in feeds.tables
    base = "subscriptions" if contractual else "orders"
    unrecorded = {name for name in present if not _records_signal(name, records or {})}
    lacking = [name for name in SIGNAL_WORDS if name in unrecorded or _is_lacking(name, feeds, present, columns)]
    has_events = bool(present & set(event_tables()) - {base})
    return tuple(
        MissingSignal(
            value.signal,
            SIGNAL_WORDS[value.signal],
            by_target,
            signal_values().second_opinion.get(value.signal, {}),
            _cure(value.signal, value.signal in unrecorded, (places or {}).get(value.signal, "")),
        )
        for value, by_target in most_valuable(lacking, contractual, has_events, PROPOSED)
    )


def _columns(signal: str) -> tuple[str, ...]:
    return SIGNAL_COLUMNS.get(signal) or (signal.partition(".")[2],)


def _is_lacking(signal: str, feeds: Feeds, present: set[str], columns: Mapping[str, tuple[str, ...]]) -> bool:
    """Return whether the source lacks a signal: a table without rows, or columns that are all absent or empty."""
    table, _, column = signal.partition(".")
    if not column:
        return table not in present and table not in feeds.unread
    if table not in present:
        return False
    empty = {c.name for c in feeds.tables[table].columns if c.missing_share >= 1}
    return not (set(columns[table]) - empty) & set(_columns(signal))


def _records_signal(table: str, records: Records) -> bool:
    """Return whether the source can record what carries the signal of a table."""
    column, values = DECISIVE_VALUES.get(table, ("", ()))
    recorded = records.get(table, {}).get(column)
    return recorded is None or bool(recorded & set(values))


def _cure(signal: str, unrecorded: bool, place: str) -> str:
    table, _, column = signal.partition(".")
    if unrecorded:
        column, values = DECISIVE_VALUES[table]
        return f"record a {table}.{column} such as {and_list([value.replace('_', ' ') for value in values])}"
    if column:
        return f"fill {and_list([f'{table}.{name}' for name in _columns(signal)])}"
    if place:
        return f"{place} gives no rows of {table}: see above what was left out"
    required = [name for name in current_tables()[table].required if name != "account_id"]
    packs = sorted(pack.file.title for pack in shipped_packs().values() if table in pack.file.tables)
    ready = f"; there are packs for {and_list(packs)}" if packs else ""
    return f"add the table {table} ({and_list(['account_id', *required])}){ready}"
