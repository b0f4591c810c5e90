"""Rolling events up to (account, as_of) in one pass over each table.

Every measure is a set of intervals on the grid of dates: a row is seen from the first ``as_of`` after it became known
until its window closes. An interval adds its value where it begins and takes it away where it ends, so a window's sum
at every date is a running sum over dates, and an exact distinct count is the running sum of each key's merged
intervals. The cost follows the events, not events x windows x dates, and every sum is over whole numbers: the same for
any order of rows.
"""

from __future__ import annotations

from collections import defaultdict
from functools import reduce
from typing import Any

import ibis

from features.clock import DAY_SECONDS
from features.contract import TABLES
from features.engine import DATES, EVERYONE, GRID, contract_table
from features.measures import (
    EVER,
    FIXED_POINT,
    Count,
    Distinct,
    Holding,
    Latest,
    Measure,
    Newest,
    Oldest,
    Rows,
    Standing,
    Sum,
    column_name,
    start_column,
)

Need = tuple[Measure, int]


def rolled_up(name: str, needs: frozenset[Need]) -> Rows:
    """Everything needed of one table, at every account and position of `EVERYONE`.

    Parameters
    ----------
    name : the contract table.
    needs : (measure, window in days) pairs, all of this table; window 0 looks back over everything.

    Returns
    -------
    ibis.Table
        account_id, pos, and a column per need (int64, null where there is nothing to know), in no order.
    """
    wanted = sorted(needs, key=lambda need: column_name(*need))
    table = _dated(name)
    pieces = [_interval_sums(table, part) for part in _by_clock([n for n in wanted if isinstance(n[0], Count | Sum)])]
    windows: dict[Distinct, list[int]] = defaultdict(list)
    for measure, days in wanted:
        if isinstance(measure, Distinct):
            windows[measure].append(days)
        elif isinstance(measure, Holding):
            pieces.append(_holding(table, measure))
        elif isinstance(measure, Standing):
            pieces.append(_standing(table, measure))
    pieces += [_distinct(table, measure, days) for measure, days in windows.items()]
    running = [_running_sum(piece) for piece in pieces]
    running += [_running_latest(_latest(table, m)) for m, _ in wanted if isinstance(m, Latest)]
    extremes = [need for need in wanted if isinstance(need[0], Newest)]
    running += [_running_extremes(table, part) for part in _by_clock(extremes)]
    return reduce(lambda left, right: left.join(right, ["account_id", "pos"]), running)


def feed_starts(name: str, columns: tuple[str, ...]) -> Rows:
    """Per ``pos``, from which instant (seconds) the feed, and each of ``columns`` in it, is known to reach.

    That is the first row known by then, or `GRID`'s history where the caller knows it. See
    `features.measures.start_column`.
    """
    table = _dated(name)
    at = TABLES[name].at
    known = "known_at" if TABLES[name].event else at
    rows = table.select(
        pos=position(table[known], table), at_s=instant_seconds(table[at]), **{c: table[c] for c in columns}
    )
    firsts = {start_column(name): rows.at_s.min()}
    firsts |= {start_column(name, c): rows.at_s.min(where=rows[c].notnull()) for c in columns}
    first = rows.group_by("pos").aggregate(**firsts)
    joined = (
        DATES.left_join(first, "pos")
        .select(DATES.pos, *[first[c] for c in firsts])
        .cross_join(GRID.select("history_s"))
    )
    window = ibis.window(order_by="pos", preceding=None, following=0)
    running = {c: joined[c].min().over(window) for c in firsts}
    whole = start_column(name)
    known_from = {
        # A history that the caller vouches for covers an empty table, but not a column that has never been filled.
        c: ibis.ifelse(start.isnull() & (c != whole), start, ibis.coalesce(joined.history_s, start))
        for c, start in running.items()
    }
    return joined.select("pos", **known_from)


def _dated(name: str) -> Rows:
    """The contract table beside the grid's one row, with what is derived from its instants."""
    table = contract_table(name)
    if name == "support":
        # A resolution is known once it has happened and the ticket has arrived.
        table = table.mutate(resolved_known_at=ibis.greatest(table.resolved_at, table.known_at))
    return table.cross_join(GRID)


def instant_seconds(instant: Any) -> Any:
    """Whole seconds since 1970 of an instant column, rounded down."""
    return instant.epoch_seconds().cast("float64").floor().cast("int64")


def position(instant: Any, rows: Rows, later_days: int = 0) -> Any:
    """`Grid.position` of an instant column ``later_days`` later, where ``rows`` hold the grid's columns; null stays
    null."""
    since = instant_seconds(instant) + later_days * DAY_SECONDS - rows.first_s
    steps = (since / rows.step_s.cast("float64")).floor().cast("int64") + 1
    return ibis.ifelse(steps < 0, 0, ibis.ifelse(steps > rows.dates, rows.dates, steps))


def _window_ends(rows: Rows, measure: Measure, windows: list[int]) -> dict[str, Any]:
    """``end_{w}``: the position at which a row leaves the window of ``w`` days; the number of dates for never."""
    return {f"end_{w}": rows.dates if w == EVER else position(rows[measure.at], rows, measure.ago + w) for w in windows}


def _by_clock(needs: list[Need]) -> list[list[Need]]:
    """Group needs whose measures share the columns that place and reveal a row, so that they share a scan."""
    groups: dict[tuple[str, str, int], list[Need]] = defaultdict(list)
    for measure, days in needs:
        groups[measure.at, measure.known, measure.ago].append((measure, days))
    return list(groups.values())


def _interval_sums(table: Rows, needs: list[Need]) -> Rows:
    """Counts and sums: rows gathered by where their windows open and close, then +value at the opening, -value at the
    close."""
    first = needs[0][0]
    measures = list({m.name: m for m, _ in needs}.values())
    windows = sorted({w for _, w in needs})
    rows = table.filter(table[first.at].notnull() & table[first.known].notnull())
    rows = rows.select(
        "account_id",
        "dates",
        start=position(rows[first.known], rows, first.ago),
        **_window_ends(rows, first, windows),
        **{m.name: _amount(m, rows) for m in measures},
    )
    ends = [f"end_{w}" for w in windows]
    gathered = (
        rows.filter(rows.start < rows.dates)
        .group_by(["account_id", "start", *ends])
        .aggregate(**{m.name: lambda t, n=m.name: t[n].sum().cast("int64") for m in measures})
    )
    columns = [column_name(m, w) for m, w in needs]
    zero = ibis.literal(0, "int64")

    def change(at_column: str, amounts: dict[str, Any]) -> Rows:
        return gathered.select("account_id", pos=gathered[at_column], **{c: amounts.get(c, zero) for c in columns})

    opens = {
        column_name(m, w): ibis.ifelse(gathered.start < gathered[f"end_{w}"], gathered[m.name], zero) for m, w in needs
    }
    pieces = [change("start", opens)]
    for w in windows:
        if w != EVER:
            closing = {column_name(m, v): -opens[column_name(m, v)] for m, v in needs if v == w}
            pieces.append(change(f"end_{w}", closing))
    return _summed(pieces, columns)


def _amount(measure: Measure, rows: Rows) -> Any:
    """What a row adds, as a whole number."""
    counts = measure.where(rows)
    if isinstance(measure, Sum):
        value = _fixed(measure.value(rows))
        return ibis.ifelse(counts, ibis.coalesce(value, 0), 0).cast("int64")
    return ibis.ifelse(counts, 1, 0).cast("int64")


def _fixed(value: Any) -> Any:
    return (value.cast("float64") * FIXED_POINT).round().cast("int64")


def _summed(pieces: list[Rows], columns: list[str]) -> Rows:
    union = ibis.union(*pieces, distinct=False) if len(pieces) > 1 else pieces[0]
    return union.group_by(["account_id", "pos"]).aggregate(**{c: union[c].sum().cast("int64") for c in columns})


def _running_sum(changes: Rows) -> Rows:
    """Running sums of the changes along ``pos``, zero where nothing has changed."""
    columns = [c for c in changes.columns if c not in ("account_id", "pos")]
    joined = EVERYONE.left_join(changes, ["account_id", "pos"]).select(
        EVERYONE.account_id, EVERYONE.pos, *[changes[c] for c in columns]
    )
    window = ibis.window(group_by="account_id", order_by="pos", preceding=None, following=0)
    return joined.select(
        "account_id", "pos", **{c: ibis.coalesce(joined[c].sum().over(window), 0).cast("int64") for c in columns}
    )


def _distinct(table: Rows, measure: Distinct, windows: list[int]) -> Rows:
    """Exact distinct counts: each key's intervals merged, +1 where a merged interval opens, -1 where it closes."""
    rows = table.filter(measure.where(table) & table[measure.at].notnull())
    rows = rows.select(
        "account_id",
        key=measure.key(rows),
        dates=rows.dates,
        start=position(rows[measure.known], rows, measure.ago),
        **_window_ends(rows, measure, windows),
    )
    rows = rows.filter(rows.key.notnull() & (rows.start < rows.dates))
    rows = rows.group_by(["account_id", "key", "start"]).aggregate(
        **{f"end_{w}": rows[f"end_{w}"].max() for w in windows}
    )
    before = ibis.window(group_by=["account_id", "key"], order_by="start", preceding=(None, 1))
    rows = rows.mutate(**{f"seen_{w}": ibis.coalesce(rows[f"end_{w}"].max().over(before), 0) for w in windows})
    columns = [column_name(measure, w) for w in windows]
    pieces = []
    for w in windows:
        opens = ibis.greatest(rows.start, rows[f"seen_{w}"])
        merged = rows.select("account_id", opens=opens, closes=rows[f"end_{w}"])
        merged = merged.filter(merged.opens < merged.closes)
        pieces += [_step(merged, "opens", 1, column_name(measure, w), columns)]
        pieces += [_step(merged, "closes", -1, column_name(measure, w), columns)]
    return _summed(pieces, columns)


def _step(merged: Rows, at: str, sign: int, column: str, columns: list[str]) -> Rows:
    values = {c: ibis.literal(sign if c == column else 0, "int64") for c in columns}
    return merged.select("account_id", pos=merged[at], **values)


def _until_later_row(rows: Rows, partition: list[str]) -> Rows:
    """Add ``end``: the position at which a later row of the partition is known, which puts this one out of date."""
    later = ibis.window(group_by=partition, order_by=[ibis.desc("at_s"), ibis.desc("start")], preceding=(None, 1))
    return rows.mutate(end=lambda t: t.start.min().over(later))


def _holding(table: Rows, measure: Holding) -> Rows:
    rows = table.filter(measure.where(table))
    partition = ["account_id", *measure.key]
    rows = rows.select(
        *partition,
        "dates",
        start=position(rows[measure.known], rows, measure.ago),
        at_s=instant_seconds(rows[measure.at]),
        holds=ibis.ifelse(measure.holds(rows), 1, 0),
    )
    # Rows of one instant are read together, and the cautious reading wins: gone rather than there.
    rows = rows.group_by([*partition, "at_s", "start", "dates"]).aggregate(holds=lambda t: t.holds.min())
    rows = _until_later_row(rows, partition)
    rows = rows.filter(rows.holds == 1).select(
        "account_id", opens=rows.start, closes=ibis.coalesce(rows.end, rows.dates)
    )
    rows = rows.filter(rows.opens < rows.closes)
    column = column_name(measure, EVER)
    pieces = [_step(rows, "opens", 1, column, [column]), _step(rows, "closes", -1, column, [column])]
    return _summed(pieces, [column])


def _standing(table: Rows, measure: Standing) -> Rows:
    rows = table.filter(measure.where(table))
    rows = rows.select(
        "account_id",
        opens=position(rows[measure.at], rows, measure.ago),
        closes=ibis.coalesce(position(rows[measure.end], rows, measure.ago), rows.dates),
        amount=ibis.coalesce(_fixed(measure.value(rows)), 0),
    )
    rows = rows.filter(rows.opens < rows.closes)
    column = column_name(measure, EVER)
    opening = rows.select("account_id", pos=rows.opens, **{column: rows.amount})
    closing = rows.select("account_id", pos=rows.closes, **{column: -rows.amount})
    return _summed([opening, closing], [column])


def _latest(table: Rows, measure: Latest) -> Rows:
    """The value that each new latest row brings, at the position where it becomes the one in force."""
    rows = table.filter(measure.where(table))
    rows = rows.select(
        "account_id",
        dates=rows.dates,
        start=position(rows[measure.known], rows, measure.ago),
        at_s=instant_seconds(rows[measure.at]),
        amount=_fixed(measure.value(rows)),
    )
    rows = rows.filter(rows.amount.notnull() & (rows.start < rows.dates))
    rows = rows.group_by(["account_id", "at_s", "start"]).aggregate(amount=lambda t: t.amount.min())
    rows = _until_later_row(rows, ["account_id"])
    rows = rows.filter(rows.end.isnull() | (rows.start < rows.end))
    return rows.select("account_id", pos=rows.start, **{column_name(measure, EVER): rows.amount})


def _running_latest(changes: Rows) -> Rows:
    """The value in force at each position: a new one replaces the old."""
    (column,) = (c for c in changes.columns if c not in ("account_id", "pos"))
    joined = EVERYONE.left_join(changes, ["account_id", "pos"]).select(
        EVERYONE.account_id, EVERYONE.pos, changes[column]
    )
    window = ibis.window(group_by="account_id", order_by="pos", preceding=None, following=0)
    # A running count of replacements names the one in force, which engines without "last value, ignoring nulls" can do
    # too.
    joined = joined.mutate(turn=joined[column].count().over(window))
    turn = ibis.window(group_by=["account_id", "turn"])
    return joined.select("account_id", "pos", **{column: joined[column].max().over(turn)})


def _running_extremes(table: Rows, needs: list[Need]) -> Rows:
    at, known, ago = needs[0][0].at, needs[0][0].known, needs[0][0].ago
    measures = list({m.name: m for m, _ in needs}.values())
    rows = table.filter(table[at].notnull() & table[known].notnull())
    rows = rows.select(
        "account_id",
        pos=position(rows[known], rows, ago),
        **{m.name: ibis.ifelse(m.where(rows), instant_seconds(rows[at]), None) for m in measures},
    )
    best = rows.group_by(["account_id", "pos"]).aggregate(
        **{column_name(m, EVER): _extreme(m, lambda t, n=m.name: t[n]) for m in measures}
    )
    joined = EVERYONE.left_join(best, ["account_id", "pos"]).select(
        EVERYONE.account_id, EVERYONE.pos, *[best[column_name(m, EVER)] for m in measures]
    )
    window = ibis.window(group_by="account_id", order_by="pos", preceding=None, following=0)
    running = {}
    for m in measures:
        column = joined[column_name(m, EVER)]
        running[column_name(m, EVER)] = (column.min() if isinstance(m, Oldest) else column.max()).over(window)
    return joined.select("account_id", "pos", **running)


def _extreme(measure: Measure, pick: Any) -> Any:
    return (lambda t: pick(t).min()) if isinstance(measure, Oldest) else (lambda t: pick(t).max())
