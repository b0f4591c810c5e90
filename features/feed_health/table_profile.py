"""What feed health is judged by, in two scans of a table: its totals, and its sums per day.

Nothing is sorted and no window is laid over raw rows, so tens of millions of rows take seconds; all judgement is made
on the days.
"""

from __future__ import annotations

import ibis

from features.contract.schema import ID_COLUMNS, TABLES, Column, TableSchema
from features.signals.casting import Schema, conformed, given_table
from features.signals.data_through import newest_instant
from features.sources.engine import CUTOFF
from features.utils.dates import DAY_SECONDS, WEEK_DAYS

# A number beyond is a break of the contract, and infinity would drown a sum.
LARGEST = 1e12


def optional(table: TableSchema) -> tuple[Column, ...]:
    """The columns that may be missing. Not ``loaded_at``, which is missing where a row arrived as it happened, nor an
    end, which is missing until it comes, nor an id that only tells rows apart."""
    told_apart = ("loaded_at", *ID_COLUMNS)
    return tuple(c for c in table.columns if not c.required and c.name not in told_apart and c.known_from != c.name)


def measured(table: TableSchema) -> tuple[Column, ...]:
    """The columns that hold numbers."""
    return tuple(c for c in table.columns if c.kind in ("float", "int"))


def by_kind(table: TableSchema) -> bool:
    """Whether the numbers of ``table`` mean something else for each kind of row."""
    return "kind" in table.names and bool(measured(table))


def totals(name: str, schema: Schema, text: bool) -> ibis.Table:
    """One row: the ``first`` and ``last`` instant, ``newest`` (`features.signals.data_through.newest_instant`),
    ``accounts``
    with any row; of the rows with ``loaded_at``: ``known_lag`` how many, ``day_late`` and ``week_late`` how many
    arrived later than that, ``worst_s`` the longest delay in seconds."""
    table = TABLES[name]
    rows = _rows(table, schema, text)
    at = rows[table.at]
    facts = {
        "first": at.min(),
        "last": at.max(),
        "newest": newest_instant(table, rows, "loaded_at" in dict(schema)),
        "accounts": rows.account_id.nunique(),
    }
    if "loaded_at" in table.names and "loaded_at" in dict(schema):
        late = rows.loaded_at.epoch_seconds() - at.epoch_seconds()
        facts |= {
            "known_lag": late.count(),
            "day_late": (late > DAY_SECONDS).sum(),
            "week_late": (late > WEEK_DAYS * DAY_SECONDS).sum(),
            "worst_s": late.max(),
        }
    return rows.aggregate(**facts)


def per_day(name: str, schema: Schema, text: bool) -> ibis.Table:
    """One row per ``day`` (days since 1970) and ``kind`` (of the contract; null where kinds are alike): ``rows``, and
    of them ``to_come`` (loaded at the arrivals' cut-off or later); for each optional column ``filled_*``, how many rows
    have it; for each number ``values_*``, how many are above zero, and ``logs_*``, the sum of their natural
    logarithms."""
    table, given = TABLES[name], dict(schema)
    rows = _rows(table, schema, text)
    rows = rows.filter(rows[table.at].notnull())
    kinds = table["kind"].values if by_kind(table) else ()
    rows = rows.mutate(
        day=rows[table.at].epoch_seconds().cast("float64") // DAY_SECONDS,
        # A kind that the contract does not have is a customer's value: it is not kept apart, let alone named.
        of_kind=ibis.ifelse(rows.kind.isin(kinds), rows.kind, None) if kinds else ibis.null("string"),
    )
    late = (rows.loaded_at >= rows.arrival_cutoff).sum() if "loaded_at" in table.names else ibis.literal(0)
    sums: dict[str, ibis.Value] = {"rows": rows.count(), "to_come": late}
    for column in optional(table):
        if column.name in given:
            sums[f"filled_{column.name}"] = rows[column.name].count()
    for column in measured(table):
        if column.name in given:
            value = rows[column.name].cast("float64")
            sound = (value > 0) & (value <= LARGEST)
            sums[f"values_{column.name}"] = sound.sum()
            sums[f"logs_{column.name}"] = ibis.ifelse(sound, value, 1.0).ln().sum()
    found = rows.group_by(["day", "of_kind"]).aggregate(**sums)
    return found.mutate(day=found.day.cast("int64")).order_by(["day", "of_kind"])


def _rows(table: TableSchema, schema: Schema, text: bool) -> ibis.Table:
    """The conformed rows before the cut-off, if there is one, with it."""
    given = given_table(table.name, schema)
    rows = given.select(**conformed(given, table, text)).cross_join(CUTOFF)
    return rows.filter(rows.cutoff.isnull() | (rows[table.at] < rows.cutoff))
