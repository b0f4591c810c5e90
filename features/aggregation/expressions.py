"""SQL expressions that roll rows up into buckets, or select the values that measures read from each row."""

from __future__ import annotations

from typing import Any

import ibis

from features.aggregation.bucket_arithmetic import (
    bucket,
    fixed,
    instant_seconds,
    micros_since_origin,
    rows_with_grid,
    span,
    us_column,
    whole_units,
)
from features.aggregation.passes import BucketPass, FeedStartPass, Grouping, KeyPass, Pass, joined_key
from features.contract.current_contract import current_tables
from features.contract.schema import known_at_column
from features.definitions.aggregations import Measure, Reduction, Rows, all_rows
from features.sources.engine import GRID, contract_table
from features.sources.sql_functions import DAY_MICROS, HASH, epoch_us, hash64


def bucket_rows(what: Pass, view: str = "") -> Rows:
    """Return the expression that computes one pass.

    Parameters
    ----------
    what : the pass.
    view : a view of some rows of the contract table; by default the whole table.

    Returns
    -------
    ibis.Table
        The rows of the result, with the columns that the class of the pass describes.
    """
    if isinstance(what, FeedStartPass):
        return _started(what, view)
    if isinstance(what, BucketPass):
        return _gathered(what, view)
    if isinstance(what, KeyPass):
        return _present(what, view)
    if what.measure.layout == "intervals":
        return _intervals(what.table, what.measure, what.width, view)
    return _states(what.table, what.measure, what.width, view)


def measure_rows(groupings: tuple[Grouping, ...], view: str) -> Rows:
    """Return the values that the groupings read from each row of ``view``, a view of a feed.

    `features.aggregation.numpy_groupby` groups these rows.

    Columns: account_id; `HASH`; `us_column` of each instant, microseconds since 1970; and for each measure that needs
    more, a column of its name: its number (float64) or its key (text), null if the row does not count, or else whether
    the row counts. The keys of a `KeyPass`, which may be millions, are 64-bit hashes: two keys of one account have the
    same hash with a probability of one in 10^19.

    Parameters
    ----------
    groupings : passes over the same feed.
    view : the view of the feed.

    Returns
    -------
    ibis.Table
        The values, one row per row of the view.
    """
    rows = ibis.table(dict(contract_table(groupings[0].table).schema()) | {HASH: "uint64"}, name=view)
    measures = {m: isinstance(what, KeyPass) for what in groupings for m in what.source_measures}
    instants = {current_tables()[groupings[0].table].at: None} | {
        column: None for m in measures for column in (m.at, m.known_at)
    }
    return rows.select(
        "account_id",
        HASH,
        **{us_column(column): epoch_us(rows[column]) for column in instants},
        **{m.name: _row_value(m, rows, many) for m, many in measures.items() if _has_row_value(m)},
    )


def _has_row_value(measure: Measure) -> bool:
    return measure.number is not None or measure.counted_key is not None or measure.where is not all_rows


def _row_value(measure: Measure, rows: Rows, many: bool) -> Any:
    counts = measure.where(rows)
    if measure.counted_key is not None:
        value = measure.counted_key.key(rows).cast("string")
    elif measure.number is not None:
        value = measure.number(rows).cast("float64")
    else:
        return counts.fill_null(False)
    value = value if measure.where is all_rows else ibis.ifelse(counts, value, None)
    return ibis.ifelse(value.notnull(), hash64(value), None) if many else value


def _started(what: FeedStartPass, view: str) -> Rows:
    contract = current_tables()[what.table]
    # Every version counts: each was a row of the feed when it arrived.
    rows = contract_table(what.table, view).cross_join(GRID)
    later = [c for c in what.columns if contract[c].known_from is not None]
    known, own = rows["known_at" if contract.event else contract.at], [c for c in what.columns if c not in later]
    started = rows.select(
        kb=bucket(known, rows, what.width),
        at_s=rows[contract.at],
        **{f"at_s_{c}": ibis.ifelse(rows[c].notnull(), rows[contract.at], None) for c in own},
        **{f"at_s_{c}": ibis.null("timestamp") for c in later},
    )
    for column in later:
        # A column filled in later starts when its first value became known, not with the row.
        known_from = known_at_column(contract[column])
        at = rows[known_from if known_from in rows.columns else contract[column].known_from]
        empty = {f"at_s_{c}": ibis.null("timestamp") for c in what.columns if c != column}
        filled = rows.filter(rows[column].notnull() & at.notnull())
        filled = filled.select(
            kb=bucket(at, rows, what.width), at_s=ibis.null("timestamp"), **{f"at_s_{column}": at}, **empty
        )
        started = started.union(filled.select(*started.columns))
    firsts = started.group_by("kb").aggregate(**{c: started[c].min() for c in started.columns if c != "kb"})
    return firsts.select("kb", **{c: instant_seconds(firsts[c]) for c in firsts.columns if c != "kb"})


def _gathered(what: BucketPass, view: str) -> Rows:
    rows = rows_with_grid(what.table, view)
    rows = rows.filter(rows[what.at].notnull() & rows[what.known_at].notnull())
    columns = {column: (m, reduction) for m in what.measures for column, reduction in m.bucket_columns().items()}
    selected = rows.select(
        "account_id",
        span=span(rows[what.known_at], rows[what.at], rows, what.width),
        **{column: _amount(m, reduction, rows, what) for column, (m, reduction) in columns.items()},
    )
    groups = selected.group_by(["account_id", "span"])
    gathered = groups.aggregate(**{c: _reduced(reduction, selected[c]) for c, (_, reduction) in columns.items()})
    return gathered.select("account_id", "span", **{c: _as_integer(*each, gathered[c]) for c, each in columns.items()})


def _amount(measure: Measure, reduction: Reduction, rows: Rows, what: BucketPass) -> Any:
    """The value that a row adds, as a whole number or an instant."""
    counts = measure.where(rows)
    number = None if measure.number is None else measure.number(rows)
    match reduction:
        case "days":
            return ibis.ifelse(counts, _day(rows, what.at, what.width), 0)
        case "count":
            return ibis.ifelse(counts if number is None else counts & number.notnull(), 1, None)
        case "sum":
            return ibis.ifelse(counts, ibis.coalesce(fixed(number), 0), 0).cast("int64")
        case "keys":
            raise TypeError("only features.aggregation.numpy_groupby stores keys as bits")
        case "least" | "greatest":
            return ibis.ifelse(counts, rows[what.at] if number is None else fixed(number), None)


def _reduced(reduction: Reduction, column: Any) -> Any:
    match reduction:
        case "least":
            return column.min()
        case "greatest":
            return column.max()
        case "days":
            return column.bit_or()
        case "count":
            return column.count()
        case _:
            return column.sum()


def _as_integer(measure: Measure, reduction: Reduction, column: Any) -> Any:
    is_instant = reduction in ("least", "greatest") and measure.number is None
    return instant_seconds(column) if is_instant else column.cast("int64")


def _day(rows: Rows, at: str, width: int) -> Any:
    """The row's day within its bucket, as a bit."""
    day = whole_units(micros_since_origin(rows[at], rows, width), DAY_MICROS)
    # The constant keeps the remainder from being negative before 1970.
    return ibis.literal(1, "int64") << ((day + width * 1_000_000) % width)


def _present(what: KeyPass, view: str) -> Rows:
    measure, rows = what.measure, rows_with_grid(what.table, view)
    rows = rows.filter(measure.where(rows) & rows[measure.at].notnull() & rows[measure.known_at].notnull())
    days = {"days": _day(rows, measure.at, what.width)} if what.days else {}
    key = measure.key(rows).cast("string")
    rows = rows.select(
        "account_id", key=key, span=span(rows[measure.known_at], rows[measure.at], rows, what.width), **days
    )
    rows = rows.filter(rows.key.notnull())
    aggregates = {"days": rows.days.bit_or().cast("int64")} if what.days else {}
    return rows.group_by(["account_id", "key", "span"]).aggregate(**aggregates)


def _states(name: str, measure: Measure, width: int, view: str) -> Rows:
    rows = rows_with_grid(name, view)
    rows = rows.filter(measure.where(rows) & rows[measure.known_at].notnull())
    key = {"key": joined_key(measure, rows)} if measure.state_key else {}
    key |= {"part": rows[measure.state_part].cast("string")} if measure.state_part else {}
    if measure.condition is not None:
        amount = ibis.ifelse(measure.condition(rows), 1, 0).cast("int64")
    else:
        amount = _fixed_number(measure, rows)
    rows = rows.select(
        "account_id",
        **key,
        kb=bucket(rows[measure.known_at], rows, width),
        at_us=epoch_us(rows[measure.at]),
        amount=amount,
    )
    rows = rows.filter(rows.amount.notnull())
    # Of several rows at one instant the lower value counts: a contact who left rather than one who is present.
    return rows.group_by(["account_id", *key, "kb", "at_us"]).aggregate(amount=rows.amount.min())


def _intervals(name: str, measure: Measure, width: int, view: str) -> Rows:
    rows = rows_with_grid(name, view)
    rows = rows.filter(measure.where(rows) & rows[measure.at].notnull())
    return rows.select(
        "account_id",
        kb=bucket(rows[measure.at], rows, width),
        eb=bucket(rows[measure.end_column], rows, width),
        amount=ibis.coalesce(_fixed_number(measure, rows), 0),
    )


def _fixed_number(measure: Measure, rows: Rows) -> Any:
    if measure.number is None:
        raise TypeError(f"{type(measure).__name__} has neither a number nor a condition")
    return fixed(measure.number(rows))
