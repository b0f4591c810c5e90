"""Computation of the ledger's movements: stretches of subscriptions, and their changes per account over a period.

A stretch is a sequence of an account's subscriptions without a gap longer than the grace. Its end is certain once the
grace after its last end is over. Instants are microseconds since 1970 in UTC; amounts are integers in ten-thousandths.
"""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd

from features.aggregation.bucket_arithmetic import fixed
from features.aggregation.passes import known_before_us
from features.definitions.aggregations import FIXED_POINT
from features.families.orders import CALENDAR_YEAR
from features.signals.counted_arr import amount_at_rates
from features.signals.exchange_rates import RATES
from features.sources.engine import contract_table
from features.sources.sql_functions import epoch_us
from features.utils.dates import DAY_SECONDS

DAY = DAY_SECONDS * 1_000_000
NEVER = 2**62
"""The end of subscriptions that have not ended."""
UNKNOWN_PRODUCT = ""
"""The product of subscriptions and orders that name none."""

_AMOUNTS = (("arr_start", "unknown_start"), ("arr_end", "unknown_end"), ("held", "unknown_held"))

LEDGER_RATES = ibis.table(dict(RATES.schema()), name="ledger_rates")
"""The rates at which all amounts of the ledger are converted: those known before the end of the period."""

SPAN = ibis.table(
    {"start": "int64", "end": "int64", "known": "int64", "grace": "int64", "of_product": "string"}, name="ledger_span"
)
"""One row: the period [start, end), the instant before which rows must be known, and the grace (microseconds). Without
contracts, ``grace`` is the time for which an order makes an account active. Only rows of the product ``of_product`` are
read; null for all, `UNKNOWN_PRODUCT` for
those without a product."""


def contract_moves() -> ibis.Table:
    """Return one row per account with a subscription in the period: the totals at both ends, and its stretches."""
    rows = stretches()
    at_start = (rows.started < rows.start) & (rows.ended >= rows.start)
    at_end = (rows.started < rows.end) & (rows.ended >= rows.end)
    past = ibis.ifelse((rows.started < rows.end) & (rows.ended < rows.end), rows.ended, ibis.null("int64"))
    rows = rows.mutate(at_start=at_start, at_end=at_end, past=past)
    account = ibis.window(group_by="account_id")
    rows = rows.mutate(
        last_past=rows.past.max().over(account),
        balance=(rows.at_end.cast("int64") - rows.at_start.cast("int64"))
        .sum()
        .over(ibis.window(group_by=["account_id", "plan"])),
    )
    begun = rows.started < rows.end
    ran = begun & (rows.ended >= rows.start)
    unknown = rows.fixed.isnull()
    moves = rows.group_by("account_id").aggregate(
        ran=ran.any(),
        first=rows.started.min(),
        on_start=rows.at_start.cast("int64").sum().cast("int64"),
        on_end=rows.at_end.cast("int64").sum().cast("int64"),
        arr_start=_only(rows.at_start, rows.fixed, 0).sum().cast("int64"),
        arr_end=_only(rows.at_end, rows.fixed, 0).sum().cast("int64"),
        held=_only(rows.past == rows.last_past, rows.fixed, 0).sum().cast("int64"),
        unknown_start=(rows.at_start & unknown).any(),
        unknown_end=(rows.at_end & unknown).any(),
        unknown_held=((rows.past == rows.last_past).fill_null(False) & unknown).any(),
        seats_start=_seats(rows, rows.at_start),
        seats_end=_seats(rows, rows.at_end),
        other_plan=(rows.balance != 0).any(),
        stretch_end=_only(rows.at_start, rows.stretch_end).max(),
        unpaid=_only(rows.at_start, rows.unpaid, 0).max(),
        reason=_only(rows.at_start, rows.stretch_reason).max(),
        stretch=_only(begun, rows.stretch).max(),
    )
    return moves.filter(moves.ran).drop("ran")


def contract_movements(moves: pd.DataFrame, start: int, end: int, known: int, grace: int) -> pd.DataFrame:
    """Return the movements of `contract_moves` in the ledger's columns, with amounts in units of currency.

    Parameters
    ----------
    moves : the rows of `contract_moves`.
    start, end : the period, in microseconds.
    known : the instant before which rows must be known, in microseconds.
    grace : the time within which a new subscription cancels a churn, in microseconds.

    Returns
    -------
    pandas.DataFrame
    """
    on_start, on_end = moves["on_start"].to_numpy() > 0, moves["on_end"].to_numpy() > 0
    # Values that depend on unknown terms are NaN.
    before, after, held = (_amount(moves, *n) for n in _AMOUNTS)
    stretch_end = moves["stretch_end"].fillna(NEVER).to_numpy(dtype=np.int64)
    left = on_start & (stretch_end < end)
    # As for labels: a start at exactly the end of the grace would still cancel the churn, and is known only later.
    pending = left & (stretch_end + grace >= known)
    lost = left & ~pending
    gap = pending | (on_start & ~left & ~on_end)
    level = np.where(gap, held, after)
    stays = on_start & ~lost
    came = on_end & (~on_start | lost)
    new = came & (moves["first"].to_numpy(dtype=np.int64) >= start)
    late = came & ~new & ~on_start & (moves["stretch"].to_numpy(dtype=np.int64) < start)
    amounts = {
        "arr_start": before,
        "arr_end": after,
        "churned": np.where(lost, before, 0),
        "contracted": np.where(stays, np.maximum(before - level, 0), 0),
        "expanded": np.where(stays, np.maximum(level - before, 0), 0),
        "in_grace": np.where(gap, level, 0),
        "new": np.where(new, after, 0),
        "returned": np.where(came & ~new & ~late, after, 0),
        "renewed_late": np.where(late, after, 0),
        "net_start": before,
    }
    unpaid = moves["unpaid"].fillna(0).to_numpy(dtype=np.int64) > 0
    texts = {
        "kind": _where(lost, np.where(unpaid, "involuntary", "voluntary")),
        "reason": _where(left, np.where(unpaid, "nonpayment", moves["reason"].astype(object))),
        "growth": _where((amounts["expanded"] > 0) & ~gap, _growth(moves)),
        "arrival": _where(came, np.select([new, late], ["new", "renewed_late"], "returned")),
    }
    return _columns(moves, on_start, on_end, amounts, texts, pd.array(stretch_end, "Int64"), left, pending)


def order_moves() -> ibis.Table:
    """Return the same from orders, for accounts that were active at one of the ends or ordered between them."""
    rows = rows_in_span("orders")
    rows = rows.mutate(at=epoch_us(rows.occurred_at), fixed=fixed(rows.amount), bought=rows.amount > 0)
    rows = rows.filter((rows.at < rows.end) & known_before_us(rows, rows.known))

    def year(at: Any) -> Any:
        return _only((rows.at < at) & (rows.at >= at - CALENDAR_YEAR * DAY), rows.fixed, 0).sum().cast("int64")

    def lately(at: Any) -> Any:
        return (rows.bought & (rows.at < at) & (rows.at >= at - rows.grace)).any()

    moves = rows.group_by("account_id").aggregate(
        first=_only(rows.bought, rows.at).min(),
        last=_only(rows.bought, rows.at).max(),
        on_start=lately(rows.start),
        on_end=lately(rows.end),
        arr_start=year(rows.start),
        arr_end=year(rows.end),
        ran=(rows.bought & (rows.at >= rows.start - rows.grace)).any(),
    )
    return moves.filter(moves.ran).drop("ran")


def order_movements(moves: pd.DataFrame, start: int, active: int) -> pd.DataFrame:
    """Return the movements of `order_moves` in the ledger's columns, with amounts in units of currency."""
    on_start, on_end = (moves[n].to_numpy(dtype=bool) for n in ("on_start", "on_end"))
    net = np.where(on_start, moves["arr_start"].to_numpy(dtype=np.int64), 0)
    before = np.maximum(net, 0)
    after = np.where(on_end, np.maximum(moves["arr_end"].to_numpy(dtype=np.int64), 0), 0)
    lost, stays, came = on_start & ~on_end, on_start & on_end, on_end & ~on_start
    new = came & (moves["first"].to_numpy(dtype=np.int64) >= start)
    nothing = np.zeros(len(moves), dtype=np.int64)
    amounts = {
        "arr_start": before,
        "arr_end": after,
        "churned": np.where(lost, before, 0),
        "contracted": np.where(stays, np.maximum(before - after, 0), 0),
        "expanded": np.where(stays, np.maximum(after - before, 0), 0),
        "in_grace": nothing,
        "new": np.where(new, after, 0),
        "returned": np.where(came & ~new, after, 0),
        "renewed_late": nothing,
        "net_start": net,
    }
    none = np.full(len(moves), None, dtype=object)
    arrival = _where(came, np.where(new, "new", "returned"))
    texts = {"kind": _where(lost, "voluntary"), "reason": none, "growth": none, "arrival": arrival}
    # An order makes an account active for this time, starting after its own instant.
    left_at = pd.array(moves["last"].to_numpy(dtype=np.int64) + active, "Int64")
    return _columns(moves, on_start, on_end, amounts, texts, left_at, lost, np.zeros(len(moves), dtype=bool))


def rows_in_span(name: str) -> ibis.Table:
    """Return the rows of the product of `SPAN`, with its columns."""
    rows = contract_table(name).cross_join(SPAN)
    return rows.filter(rows.of_product.isnull() | (rows["product"].fill_null(UNKNOWN_PRODUCT) == rows.of_product))


def converted_subscriptions() -> ibis.Table:
    """Return the subscriptions with the span, and ``fixed``, their ARR in whole ten-thousandths at `LEDGER_RATES`."""
    rows = rows_in_span("subscriptions")
    rows = rows.left_join(LEDGER_RATES, rows.currency == LEDGER_RATES.code)
    return rows.mutate(fixed=fixed(amount_at_rates(rows)))


def stretches() -> ibis.Table:
    """Return every known subscription with its stretch.

    The columns include started, ended (`NEVER` if active), the start (``stretch``) and end of the stretch, whether it
    ended by nonpayment, and the alphabetically first reason.
    """
    rows = converted_subscriptions()
    ended = epoch_us(rows.ended_at)
    rows = rows.mutate(
        started=epoch_us(rows.started_at),
        ended=ibis.ifelse(ended < rows.known, ended, NEVER).fill_null(NEVER),
        why=ibis.ifelse(ended < rows.known, rows.end_reason, ibis.null("string")),
    )
    rows = rows.filter((rows.started < rows.known) & (rows.ended > rows.started))
    order = {"group_by": "account_id", "order_by": ["started", "ended"]}
    rows = rows.mutate(reach=rows.ended.max().over(ibis.cumulative_window(**order)))
    rows = rows.mutate(reach=rows.reach.lag().over(ibis.window(**order)))
    begins = rows.reach.isnull() | (rows.started > rows.reach + rows.grace)
    rows = rows.mutate(begins=_only(begins, rows.started))
    rows = rows.mutate(stretch=rows.begins.max().over(ibis.cumulative_window(**order)))
    own = ibis.window(group_by=["account_id", "stretch"])
    rows = rows.mutate(stretch_end=rows.ended.max().over(own))
    last = rows.ended == rows.stretch_end
    return rows.mutate(
        unpaid=(last & (rows.why == "nonpayment").fill_null(False)).cast("int64").max().over(own),
        stretch_reason=_only(last, rows.why).min().over(own),
    )


def _amount(moves: pd.DataFrame, name: str, unknown: str) -> Any:
    return moves[name].astype(np.float64).where(~moves[unknown].to_numpy(dtype=bool)).to_numpy()


def _seats(rows: ibis.Table, runs: Any) -> Any:
    """Return the seats of the active subscriptions; null if unknown for one of them."""
    unknown = (runs & rows.seats.isnull()).any()
    return ibis.ifelse(unknown, ibis.null("float64"), _only(runs, rows.seats.cast("float64"), 0.0).sum())


def _only(condition: Any, value: Any, otherwise: Any = None) -> Any:
    return ibis.ifelse(condition, value, otherwise)


def _where(condition: Any, values: Any) -> Any:
    """Return the texts where the condition is true, else None (also for null texts)."""
    texts = np.where(condition, np.asarray(values, dtype=object), np.full(len(condition), None, dtype=object))
    return np.where(pd.isna(texts), np.full(len(condition), None, dtype=object), texts)


def _growth(moves: pd.DataFrame) -> Any:
    seats = moves["seats_end"].astype(float).to_numpy() > moves["seats_start"].astype(float).to_numpy()
    more = moves["on_end"].to_numpy() > moves["on_start"].to_numpy()
    tier = moves["other_plan"].to_numpy(dtype=bool)
    return np.select([more, tier, seats], ["cross_sell", "tier", "seats"], "price")


def _columns(
    moves: pd.DataFrame, on_start: Any, on_end: Any, amounts: Any, texts: Any, left_at: Any, left: Any, pending: Any
) -> pd.DataFrame:
    columns: dict[str, Any] = {"account_id": moves["account_id"], "active_start": on_start, "active_end": on_end}
    columns |= {name: whole / FIXED_POINT for name, whole in amounts.items()}
    columns |= {name: pd.Series(text, index=moves.index, dtype=object) for name, text in texts.items()}
    return pd.DataFrame(columns).assign(left_at=pd.Series(left_at, index=moves.index).where(left), pending=pending)
