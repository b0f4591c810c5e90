"""From buckets to the values at every date: running sums and running extremes along the grid.

A bucket is seen from the first date at or after it became known until the first date from which its window no longer
reaches it. So a window's sum at every date is a running sum of what begins to be seen less what ceases to be, and an
exact distinct count is that of each key's intervals, merged. Whole numbers throughout.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.aggregation.account_date_grid import Board, Clock, Ints, Values, intervals
from features.aggregation.bucket_arithmetic import unpacked
from features.aggregation.distinct_bitsets import Bits
from features.aggregation.distinct_keys import codes, distinct, distinct_at_once, merged, new_days
from features.aggregation.latest_values import extremes, held, latest
from features.aggregation.passes import Gathering, Need, Pass, Presence, Starts, States
from features.aggregation.window_sums import Totals
from features.definitions.aggregations import (
    ActiveDays,
    Distinct,
    Holding,
    Measure,
    Newest,
    Standing,
    column_name,
    start_column,
)
from features.utils.dates import Grid


def columns_of(what: Pass, rolled: pa.Table, needs: Iterable[Need], board: Board) -> dict[str, Values]:
    """The columns that one pass yields, at the board's cells.

    Parameters
    ----------
    what : the pass, and
    rolled : the buckets that it rolled up to, in any order; buckets may come in pieces.
    needs : everything needed of the table; what the pass does not yield is passed over.
    board : the accounts, the dates and the cells asked for.

    Returns
    -------
    dict of str to array, shape (n,)
        Counts int64, sums int64 in ten-thousandths, instants float64 in seconds with NaN for none, values that stand
        float64 in ten-thousandths with NaN for none. See `features.definitions.aggregations.column_name`.
    """
    if isinstance(what, Starts):
        return {}
    table, account = board.rows_of(rolled)
    clock = Clock(board.grid, what.width)
    if isinstance(what, Gathering):
        return _gathered(what, table, account, clock, needs, board)
    if isinstance(what, Presence):
        return _present(what, table, account, clock, needs, board)
    return _stood(what, table, account, clock, needs, board)


def feed_starts(what: Starts, rolled: pa.Table, grid: Grid, history_s: float) -> dict[str, npt.NDArray[np.float64]]:
    """From which instant (seconds) the feed, and each column of it, is known to reach at each date, shape (p,).

    That is its first row known by then, or ``history_s`` where the caller knows it (NaN: no); NaN where there is none.
    A history that the caller vouches for covers an empty table, but not a column that has never been filled.
    """
    place = Clock(grid, what.width).date(_ints(rolled, "kb"))
    found = {}
    feed = np.zeros(0)
    for column in ("", *what.columns):
        first = np.full(grid.n + 1, np.inf)
        np.minimum.at(first, place, _floats(rolled, f"at_s_{column}" if column else "at_s", np.inf))
        running = np.minimum.accumulate(first)[:-1]
        if not column:
            feed = running
        if not np.isnan(history_s):
            # Rows came without a value before the column began; where the first row has one, it may always have been.
            whole = np.isfinite(running) & (running <= feed)
            running = np.where(whole, history_s, running) if column else np.full(grid.n, history_s)
        found[start_column(what.table, column)] = np.where(np.isinf(running), np.nan, running)
    return found


def _gathered(
    what: Gathering, table: pa.Table, account: Ints, clock: Clock, needs: Iterable[Need], board: Board
) -> dict[str, Values]:
    known, happened = unpacked(_ints(table, "span"))
    found: dict[str, Values] = {}
    totals: dict[str, Totals] = {}
    bits: dict[str, Bits] = {}
    for measure, window in needs:
        name = measure.name
        if measure.back(0) not in what.measures:
            continue
        if isinstance(measure, Distinct):
            if name not in bits:
                bits[name] = Bits.of(account, known, happened, _ints(table, name), clock, board)
            dense = bits[name].over(window, measure.ago)
        elif isinstance(measure, Newest):
            dense = extremes(measure, account, clock.date(known, measure.ago), _floats(table, name, np.nan), board)
        else:
            if name not in totals:
                amounts = account, known, happened, _ints(table, name)
                if isinstance(measure, ActiveDays):
                    amounts = new_days(account, np.zeros_like(account), known, happened, amounts[-1])
                totals[name] = Totals.of(*amounts, board)
            dense = totals[name].over(clock, window, measure.ago)
        found[column_name(measure, window)] = dense
    return found


def _present(
    what: Presence, table: pa.Table, account: Ints, clock: Clock, needs: Iterable[Need], board: Board
) -> dict[str, Values]:
    wanted = [n for n in needs if (getattr(n[0], "of", None) or n[0].back(0)) == what.measure]
    known, happened = unpacked(_ints(table, "span"))
    found: dict[str, Values] = {}
    if counted := [(m, window) for m, window in wanted if isinstance(m, Distinct)]:
        seen = _reached(known, happened, counted, clock)
        rows = account[seen], codes(table["key"])[seen], known[seen], happened[seen]
        if board.grid.n == 1:
            found |= distinct_at_once(*rows, counted, clock, board)
        else:
            spells = merged(*rows)
            for m, window in counted:
                found[column_name(m, window)] = distinct(spells, clock, window, m.ago, board)
    if days := [(m, window) for m, window in wanted if isinstance(m, ActiveDays)]:
        seen = _reached(known, happened, days, clock)
        rows = account[seen], codes(table["key"].filter(pa.array(seen))), known[seen], happened[seen]
        who, since, at, many = new_days(*rows, _ints(table, "days")[seen])
        for measure, window in days:
            opens, closes = clock.date(since, measure.ago), clock.gone(at, window, measure.ago)
            found[column_name(measure, window)] = intervals(board, who, opens, closes, many)
    return found


def _reached(known: Ints, happened: Ints, needs: Iterable[tuple[Measure, int]], clock: Clock) -> npt.NDArray[np.bool_]:
    """Which rows are known by the last date and in one of the windows of the first: the others change nothing."""
    reach = max((days + m.ago if days else 2**40) for m, days in needs)
    reached: npt.NDArray[np.bool_] = (known <= clock.ends(0)[-1]) & (happened + reach // clock.width > clock.first)
    return reached


def _stood(
    what: States, table: pa.Table, account: Ints, clock: Clock, needs: Iterable[Need], board: Board
) -> dict[str, Values]:
    found: dict[str, Values] = {}
    known, amount = _ints(table, "kb"), _ints(table, "amount")
    for measure, window in needs:
        if measure.back(0) != what.measure:
            continue
        opens = clock.date(known, measure.ago)
        if isinstance(measure, Standing):
            ended = table["eb"].is_valid().to_numpy()
            ends = pc.fill_null(table["eb"], 0).to_numpy().astype(np.int64)
            closes = np.where(ended, clock.date(ends, measure.ago), board.grid.n)
            value: Values = intervals(board, account, opens, closes, amount)
        elif isinstance(measure, Holding):
            part = codes(table["part"]) if measure.by else np.zeros_like(account)
            value = held(account, codes(table["key"]), part, opens, _ints(table, "at_us"), amount, board)
        else:
            value = latest(account, opens, _ints(table, "at_us"), amount, board)
        found[column_name(measure, window)] = value
    return found


def _ints(table: pa.Table, name: str) -> Ints:
    found: Ints = table[name].to_numpy().astype(np.int64)
    return found


def _floats(table: pa.Table, name: str, unknown: float) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = pc.fill_null(table[name].cast(pa.float64(), safe=False), unknown).to_numpy()
    return found
