"""The panel: the accounts active at each date, with their contract and company data."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.aggregation.account_date_grid import Panel
from features.aggregation.bucket_arithmetic import fixed, instant_seconds
from features.aggregation.distinct_keys import run_starts
from features.definitions.aggregations import FIXED_POINT, Columns, column_name
from features.families import orders
from features.signals.exchange_rates import ExchangeRates
from features.signals.signals import OpenSignals
from features.sources.engine import GRID, collect, contract_table
from features.utils.arrays import Ints
from features.utils.dates import DAY_SECONDS, Grid, epoch_micros, epoch_seconds

Values = np.ndarray[Any, np.dtype[Any]]
_NUMBERS = ("arr", "renewal_s", "term_s", "change_s", "products_held")


def accounts_of(signals: OpenSignals) -> pa.Table:
    """Return every account: account_id, industry, region (text), employees, created_s (int64), sorted by account_id."""
    return collect(signals.connection, _accounts).sort_by("account_id").combine_chunks()


def _accounts() -> ibis.Table:
    rows = contract_table("accounts")
    return rows.select("account_id", "industry", "region", "employees", created_s=instant_seconds(rows.created_at))


def active_by_contract(signals: OpenSignals, all_cells: Panel) -> tuple[Panel, dict[str, Values]]:
    """Return the accounts active at each date, and their contracts.

    An account is active if a subscription known by the date is running: its end, if any, is not yet known.

    Returns
    -------
    Board and dict
        The panel of active cells in order of date and account, and their columns plan, arr, renewal_s, term_s and
        change_s. If the terms of a running subscription are unknown (see
        `features.signals.contract_terms`), arr, plan and change_s are unknown.
    """
    table, account = all_cells.rows_of(collect(signals.connection, _contracts))
    opens, closes = (np.asarray(table[name].to_numpy(), dtype=np.int64) for name in ("opens", "closes"))
    dates = np.maximum(closes - opens, 0)
    row = np.repeat(np.arange(len(table)), dates)
    pos = np.arange(len(row)) - np.repeat(np.cumsum(dates) - dates, dates) + opens[row]
    place = pos * len(all_cells.accounts) + account[row]
    order = np.argsort(place, kind="stable")
    place, row = place[order], row[order]
    starts = np.flatnonzero(run_starts(place))
    amount = _amounts(signals.rates, table, row, place // len(all_cells.accounts), all_cells.grid)
    pos, account = np.divmod(place[starts], len(all_cells.accounts))
    cells = account * all_cells.grid.n + pos
    return Panel(all_cells.accounts, all_cells.grid, cells), _terms(table, row, starts, amount)


def _amounts(rates: ExchangeRates, table: pa.Table, row: Ints, pos: Ints, grid: Grid) -> Values:
    """Return the ARR of each subscription of a cell in whole ten-thousandths, at the rates known at the cell's date."""
    fixed_arr, currency = _numbers(table, "fixed")[row], _texts(table, "currency")
    if table["currency"].null_count == len(table):
        return fixed_arr
    codes, code = np.unique(currency.astype(str), return_inverse=True)
    dates = np.array([epoch_micros(at) for at in grid.as_ofs], dtype=np.int64)
    rate = np.stack([rates.at("" if name == "None" else name, dates) for name in codes])[code[row], pos]
    whole = np.floor(_numbers(table, "counted_arr")[row] * rate * FIXED_POINT + 0.5)
    return np.where(rate == 1.0, fixed_arr, whole)


def _terms(table: pa.Table, row: Ints, starts: Ints, amount: Values) -> dict[str, Values]:
    """Combine the subscriptions of each cell; ``starts`` is the position of each cell's first one in ``row``."""
    if not len(row):
        return dict.fromkeys(_NUMBERS, np.zeros(0)) | {"plan": np.zeros(0, dtype=object)}
    cell = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(row))))
    columns = (_numbers(table, name)[row] for name in ("renewal_s", "started_s", "term_start_s"))
    renewal, started, term_start = columns
    plans, plan = np.unique(_texts(table, "plan").astype(str), return_inverse=True)
    plan = np.where(table["plan"].is_valid().to_numpy(), plan, -1)[row]
    arr = np.add.reduceat(amount, starts)
    # The next renewal is the earliest of the running subscriptions; the last change is that of this subscription.
    next_renewal = np.fmin.reduceat(renewal, starts)
    of_next = np.fmax.reduceat(np.where(renewal == next_renewal[cell], started, np.nan), starts)
    change = np.where(np.isnan(of_next), np.fmax.reduceat(started, starts), of_next)
    largest = amount == np.fmax.reduceat(amount, starts)[cell]
    best = np.maximum.reduceat(np.where(largest, plan, -1), starts)
    # The term is that of the main subscription: the largest one with a term, and the longest of equal ones.
    size = np.where(np.isnan(renewal), -1.0, np.nan_to_num(amount))
    main = size == np.maximum.reduceat(size, starts)[cell]
    products = _texts(table, "product")[row]
    return {
        "products_held": _distinct(products, cell, len(starts)),
        "arr": arr / FIXED_POINT,
        "renewal_s": next_renewal,
        "term_s": np.fmax.reduceat(np.where(main, renewal - term_start, np.nan), starts),
        "change_s": np.where(np.isnan(arr), np.nan, change),
        "plan": np.array([*plans, None], dtype=object)[np.where(np.isnan(arr), -1, best)],
    }


def _distinct(texts: Values, cell: Ints, cells: int) -> Values:
    """Return the number of different texts of each cell; unknown if one of its texts is."""
    known = np.array([text is not None for text in texts], dtype=np.bool_)
    if not known.any():
        return np.full(cells, np.nan)
    names, codes = np.unique(np.where(known, texts, "").astype(str), return_inverse=True)
    pairs = np.unique(cell * len(names) + codes)
    count = np.bincount(pairs // len(names), minlength=cells).astype(np.float64)
    count[cell[~known]] = np.nan
    return count


def active_by_orders(all_cells: Panel, rolled: Columns, horizon_days: int) -> tuple[Panel, dict[str, Values]]:
    """Return the same without subscriptions: an account is active if it ordered in the last ``horizon_days``.

    Only orders with a positive amount count.

    Parameters
    ----------
    rolled : the columns of `order_needs` at all of the panel's cells.
    """
    ordered = rolled[column_name(orders.ORDERS, horizon_days)] > 0
    account, pos = np.divmod(all_cells.cells[ordered], all_cells.grid.n)
    order = np.lexsort((account, pos))
    cells: Ints = (account * all_cells.grid.n + pos)[order]
    unknown = np.full(len(cells), np.nan)
    columns: dict[str, Values] = {
        # Same as `orders.ARR`: returns of earlier purchases do not make ARR negative.
        "arr": np.maximum(
            orders.AMOUNT.read(rolled[column_name(orders.AMOUNT, orders.CALENDAR_YEAR)])[ordered][order], 0.0
        ),
        "products_held": unknown,
        "renewal_s": unknown,
        "term_s": unknown,
        "change_s": unknown,
        "plan": np.full(len(cells), None, dtype=object),
    }
    return Panel(all_cells.accounts, all_cells.grid, cells), columns


def order_needs(horizon_days: int) -> frozenset[Any]:
    """Return the measures of orders that `active_by_orders` needs."""
    return orders.ARR.needs | {(orders.ORDERS, horizon_days)}


def panel_columns(accounts: pa.Table, panel: Panel, contract: Columns) -> dict[str, Values]:
    """Return the columns of each cell of ``panel`` that every source has, shape (n,) each.

    Instants are float64 seconds, spans float64 days, ARR float64 currency a year, employees float64; plan, industry and
    region are text. NaN and None mean unknown.
    """
    account, pos = panel.place
    as_of = epoch_seconds(panel.grid.first) + pos * (panel.grid.every_days * DAY_SECONDS)
    rows = accounts.take(pa.array(account))
    created = _numbers(rows, "created_s")
    return {
        "as_of_s": as_of.astype(np.float64),
        "created_s": created,
        # The tenure of an account created after its first subscription is zero, not negative.
        "tenure_days": np.maximum((as_of - created) / DAY_SECONDS, 0.0),
        "arr": contract["arr"],
        "employees": _numbers(rows, "employees"),
        "industry": _texts(rows, "industry"),
        "region": _texts(rows, "region"),
        "plan": contract["plan"],
        "products_held": contract["products_held"],
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
    # A change in mid-term keeps the renewal date: the term started with the first row of that renewal date.
    rows = rows.mutate(began=ibis.coalesce(rows.term_started_at, rows.started_at))
    known = ibis.cumulative_window(group_by=["account_id", "renewal_at"], order_by=["started_at", "began"])
    return rows.select(
        "account_id",
        "plan",
        "product",
        "currency",
        opens=_position(rows.started_at, rows),
        closes=ibis.coalesce(_position(rows.ended_at, rows), rows.dates),
        started_s=instant_seconds(rows.started_at),
        term_start_s=instant_seconds(rows.began.min().over(known)),
        renewal_s=instant_seconds(rows.renewal_at),
        fixed=fixed(rows.given_arr * rows.counted),
        counted_arr=rows.given_arr * rows.counted,
    )


def _position(instant: Any, rows: Any) -> Any:
    """Return `features.utils.dates.Grid.position` of an instant column; ``rows`` have the grid's columns.

    Null stays null.
    """
    steps = ((instant_seconds(instant) - rows.first_s) / rows.step_s.cast("float64")).floor().cast("int64") + 1
    return ibis.ifelse(steps < 0, 0, ibis.ifelse(steps > rows.dates, rows.dates, steps))
