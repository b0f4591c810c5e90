"""Statistics for feed health, from two scans of a table: totals, and sums per day.

Raw rows are not sorted and need no window functions, so tens of millions of rows take seconds. All further computations
use the daily sums.
"""

from __future__ import annotations

import ibis

from features.contract.current_contract import current_tables
from features.contract.schema import ID_COLUMNS, TABLES, Column, TableSchema
from features.signals.casting import SourceSchema, conformed_columns, source_table
from features.signals.counted_arr import PAUSED, TRIAL
from features.signals.data_through import newest_row_instant
from features.sources.engine import CUTOFF
from features.utils.dates import DAY_SECONDS, WEEK_DAYS

# Larger numbers violate the contract, and infinity would make sums useless.
MAX_VALUE = 1e12


def optional(table: TableSchema) -> tuple[Column, ...]:
    """Return the columns that may be missing.

    Excluded are ``loaded_at``, which is missing if a row arrived when it happened, ends, which are missing until they
    occur, and ids that only distinguish rows.
    """
    excluded = ("loaded_at", *ID_COLUMNS) if table.name in TABLES else ("loaded_at", table.identity)
    return tuple(c for c in table.columns if not c.required and c.name not in excluded and c.known_from != c.name)


def measured(table: TableSchema) -> tuple[Column, ...]:
    """Return the numeric columns."""
    return tuple(c for c in table.columns if c.kind in ("float", "int"))


def by_kind(table: TableSchema) -> bool:
    """Return whether the numbers of ``table`` have a different meaning for each kind of row."""
    return "kind" in table.names and bool(measured(table))


def totals(name: str, schema: SourceSchema, text: bool) -> ibis.Table:
    """Return one row with the totals of a table.

    The columns are the ``first`` and ``last`` instant, ``newest``
    (`features.signals.data_through.newest_row_instant`), and ``accounts``, the accounts with any row (null if rows
    belong to no account). For rows with ``loaded_at``: ``known_lag``, their number; ``day_late`` and ``week_late``, the
    number that arrived later than a day or a week; ``worst_s``, the longest delay in seconds.
    """
    table = current_tables()[name]
    rows = _rows(table, schema, text)
    at = rows[table.at]
    facts = {
        "first": at.min(),
        "last": at.max(),
        "newest": newest_row_instant(table, rows, "loaded_at" in dict(schema)),
        "accounts": rows.account_id.nunique() if table.of_accounts else ibis.null("int64"),
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


def per_day(name: str, schema: SourceSchema, text: bool) -> ibis.Table:
    """Return one row per ``day`` (days since 1970) and ``of_kind`` (null if kinds do not matter).

    The columns are ``rows`` and ``to_come`` (rows loaded at or after the arrival cut-off); ``trials`` and ``paused``,
    the number of subscriptions with this status; for each optional column ``filled_*``, the number of rows with a
    value; for each numeric column ``values_*``, the number above zero, and ``logs_*``, the sum of their natural
    logarithms.
    """
    table, given = current_tables()[name], dict(schema)
    rows = _rows(table, schema, text)
    rows = rows.filter(rows[table.at].notnull())
    kinds = table["kind"].values if by_kind(table) else ()
    rows = rows.mutate(
        _day=rows[table.at].epoch_seconds().cast("float64") // DAY_SECONDS,
        # A kind outside the contract is a customer's value, so it is neither separated nor shown.
        _of_kind=ibis.ifelse(rows.kind.isin(kinds), rows.kind, None) if kinds else ibis.null("string"),
    )
    late = (rows.loaded_at >= rows.arrival_cutoff).sum() if "loaded_at" in table.names else ibis.literal(0)
    sums: dict[str, ibis.Value] = {"rows": rows.count(), "to_come": late}
    for of_status, status in (("trials", TRIAL), ("paused", PAUSED)) if name == "subscriptions" else ():
        sums[of_status] = (rows.status == status).sum().fill_null(0)
    for column in optional(table):
        if column.name in given:
            sums[f"filled_{column.name}"] = rows[column.name].count()
    for column in measured(table):
        if column.name in given:
            value = rows[column.name].cast("float64")
            valid = (value > 0) & (value <= MAX_VALUE)
            sums[f"values_{column.name}"] = valid.sum()
            sums[f"logs_{column.name}"] = ibis.ifelse(valid, value, 1.0).ln().sum()
    sums_by_day = rows.group_by(["_day", "_of_kind"]).aggregate(**sums)
    days = {"day": sums_by_day._day.cast("int64"), "of_kind": sums_by_day._of_kind}
    return sums_by_day.select(**days, **{name: sums_by_day[name] for name in sums}).order_by(["day", "of_kind"])


def _rows(table: TableSchema, schema: SourceSchema, text: bool) -> ibis.Table:
    """Return the conformed rows before the cut-off, if any, with the cut-off."""
    given = source_table(table.name, schema)
    rows = given.select(**conformed_columns(given, table, text)).cross_join(CUTOFF)
    return rows.filter(rows.cutoff.isnull() | (rows[table.at] < rows.cutoff))
