"""The panel: which accounts are active at which date, and what their contract and their company are then."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.aggregation.account_date_grid import Board, Ints
from features.aggregation.bucket_arithmetic import fixed, instant_seconds
from features.aggregation.distinct_keys import begins
from features.definitions.aggregations import FIXED_POINT, Columns, column_name
from features.families import orders
from features.signals.signals import Signals
from features.sources.engine import GRID, collect, contract_table
from features.utils.dates import DAY_SECONDS, epoch_seconds

Values = np.ndarray[Any, np.dtype[Any]]
_NUMBERS = ("arr", "renewal_s", "term_s", "change_s")


def accounts_of(signals: Signals) -> pa.Table:
    """Every account: account_id, industry, region (text), employees, created_s (int64), sorted by account_id."""
    return collect(signals.connection, _accounts).sort_by("account_id").combine_chunks()


def _accounts() -> ibis.Table:
    rows = contract_table("accounts")
    return rows.select("account_id", "industry", "region", "employees", created_s=instant_seconds(rows.created_at))


def by_contract(signals: Signals, everyone: Board) -> tuple[Board, dict[str, Values]]:
    """The accounts active at each date, and their contracts.

    Active: a subscription known by then runs (its end, if any, is not yet known).

    Returns
    -------
    Board and dict
        The board of active cells in order of date and account, and their columns plan, arr, renewal_s, term_s and
        change_s. Where the terms of a subscription that runs are unknown (see `features.signals.contract_terms`), so
        are arr, plan and
        change_s.
    """
    table, account = everyone.rows_of(collect(signals.connection, _contracts))
    opens, closes = (np.asarray(table[name].to_numpy(), dtype=np.int64) for name in ("opens", "closes"))
    dates = np.maximum(closes - opens, 0)
    row = np.repeat(np.arange(len(table)), dates)
    pos = np.arange(len(row)) - np.repeat(np.cumsum(dates) - dates, dates) + opens[row]
    place = pos * len(everyone.accounts) + account[row]
    order = np.argsort(place, kind="stable")
    place, row = place[order], row[order]
    starts = np.flatnonzero(begins(place))
    pos, account = np.divmod(place[starts], len(everyone.accounts))
    return Board(everyone.accounts, everyone.grid, account * everyone.grid.n + pos), _terms(table, row, starts)


def _terms(table: pa.Table, row: Ints, starts: Ints) -> dict[str, Values]:
    """What the subscriptions ``row``, those of a cell together from each of ``starts`` on, come to in each cell."""
    if not len(row):
        return dict.fromkeys(_NUMBERS, np.zeros(0)) | {"plan": np.zeros(0, dtype=object)}
    cell = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(row))))
    columns = (_numbers(table, name)[row] for name in ("fixed", "renewal_s", "started_s", "term_start_s"))
    amount, renewal, started, term_start = columns
    plans, plan = np.unique(_texts(table, "plan").astype(str), return_inverse=True)
    plan = np.where(table["plan"].is_valid().to_numpy(), plan, -1)[row]
    arr = np.add.reduceat(amount, starts)
    # The next renewal is the earliest among the subscriptions running; what changed last is that subscription.
    next_renewal = np.fmin.reduceat(renewal, starts)
    of_next = np.fmax.reduceat(np.where(renewal == next_renewal[cell], started, np.nan), starts)
    change = np.where(np.isnan(of_next), np.fmax.reduceat(started, starts), of_next)
    largest = amount == np.fmax.reduceat(amount, starts)[cell]
    best = np.maximum.reduceat(np.where(largest, plan, -1), starts)
    # The term is that of the main subscription: the largest one that has a term; of equals, the longest.
    size = np.where(np.isnan(renewal), -1.0, np.nan_to_num(amount))
    main = size == np.maximum.reduceat(size, starts)[cell]
    return {
        "arr": arr / FIXED_POINT,
        "renewal_s": next_renewal,
        "term_s": np.fmax.reduceat(np.where(main, renewal - term_start, np.nan), starts),
        "change_s": np.where(np.isnan(arr), np.nan, change),
        "plan": np.array([*plans, None], dtype=object)[np.where(np.isnan(arr), -1, best)],
    }


def by_orders(everyone: Board, rolled: Columns, horizon_days: int) -> tuple[Board, dict[str, Values]]:
    """The same without subscriptions: active is who ordered, for a positive amount, in the last ``horizon_days``.

    Parameters
    ----------
    rolled : the columns of `needed_of_orders` at all of the board's cells.
    """
    bought = rolled[column_name(orders.ORDERS, horizon_days)] > 0
    account, pos = np.divmod(everyone.cells[bought], everyone.grid.n)
    order = np.lexsort((account, pos))
    cells: Ints = (account * everyone.grid.n + pos)[order]
    unknown = np.full(len(cells), np.nan)
    columns: dict[str, Values] = {
        # As `orders.ARR` has it: returns of earlier purchases make no negative ARR.
        "arr": np.maximum(
            orders.AMOUNT.read(rolled[column_name(orders.AMOUNT, orders.CALENDAR_YEAR)])[bought][order], 0.0
        ),
        "renewal_s": unknown,
        "term_s": unknown,
        "change_s": unknown,
        "plan": np.full(len(cells), None, dtype=object),
    }
    return Board(everyone.accounts, everyone.grid, cells), columns


def needed_of_orders(horizon_days: int) -> frozenset[Any]:
    """What `by_orders` needs of the orders."""
    return orders.ARR.needs | {(orders.ORDERS, horizon_days)}


def panel_columns(accounts: pa.Table, board: Board, contract: Columns) -> dict[str, Values]:
    """What is known of each cell of ``board``, whatever the signals, shape (n,) each.

    Instants are float64 seconds, spans float64 days, ARR float64 currency a year, employees float64; plan, industry and
    region are text. NaN and None are unknown.
    """
    account, pos = board.place
    as_of = epoch_seconds(board.grid.first) + pos * (board.grid.every_days * DAY_SECONDS)
    own = accounts.take(pa.array(account))
    created = _numbers(own, "created_s")
    return {
        "as_of_s": as_of.astype(np.float64),
        "created_s": created,
        # An account whose record begins after its first subscription has a tenure of nothing, not less.
        "tenure_days": np.maximum((as_of - created) / DAY_SECONDS, 0.0),
        "arr": contract["arr"],
        "employees": _numbers(own, "employees"),
        "industry": _texts(own, "industry"),
        "region": _texts(own, "region"),
        "plan": contract["plan"],
        "days_to_renewal": (contract["renewal_s"] - as_of) / DAY_SECONDS,
        "term_days": contract["term_s"] / DAY_SECONDS,
        "days_since_change": (as_of - contract["change_s"]) / DAY_SECONDS,
    }


def _numbers(table: pa.Table, name: str) -> Values:
    return np.asarray(pc.fill_null(table[name].cast(pa.float64(), safe=False), np.nan).to_numpy())


def _texts(table: pa.Table, name: str) -> Values:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=object)


def _contracts() -> ibis.Table:
    rows = contract_table("subscriptions").cross_join(GRID)
    # A change of terms in mid-term keeps the renewal date: the term began with the first row of that date.
    rows = rows.mutate(began=ibis.coalesce(rows.term_started_at, rows.started_at))
    known = ibis.cumulative_window(group_by=["account_id", "renewal_at"], order_by=["started_at", "began"])
    return rows.select(
        "account_id",
        "plan",
        opens=_position(rows.started_at, rows),
        closes=ibis.coalesce(_position(rows.ended_at, rows), rows.dates),
        started_s=instant_seconds(rows.started_at),
        term_start_s=instant_seconds(rows.began.min().over(known)),
        renewal_s=instant_seconds(rows.renewal_at),
        fixed=fixed(rows.arr),
    )


def _position(instant: Any, rows: Any) -> Any:
    """`features.utils.dates.Grid.position` of an instant column, where ``rows`` hold the grid's columns; null stays
    null."""
    steps = ((instant_seconds(instant) - rows.first_s) / rows.step_s.cast("float64")).floor().cast("int64") + 1
    return ibis.ifelse(steps < 0, 0, ibis.ifelse(steps > rows.dates, rows.dates, steps))
