"""The ledger: the contracts of every account at an instant, and their changes over a period.

Both use what was known before an instant: a subscription counts from its start, and its end and end reason from that
end on. An end at exactly the instant is not yet known. An account is therefore active here if it is active in its
snapshot. Churn, its kind and the grace are those of the predicted outcomes: an account churns at the end of its last
active subscription if none starts within the grace.

Without ``subscriptions``, the same is computed from ``orders``: an account is active if it ordered for a positive
amount
within ``active_days``; ARR is the amount of the last 365 days, and zero if returns exceed it; seats, renewals and
reasons are unknown.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from features.aggregation.bucket_arithmetic import fixed
from features.aggregation.passes import known_before_us
from features.definitions.aggregations import FIXED_POINT
from features.errors import BadRequest
from features.families.orders import CALENDAR_YEAR
from features.revenue.arr_movements import (
    DAY,
    LEDGER_RATES,
    SPAN,
    UNKNOWN_PRODUCT,
    contract_movements,
    contract_moves,
    converted_subscriptions,
    order_movements,
    order_moves,
    rows_in_span,
)
from features.signals.signals import OpenSignals
from features.sources.engine import collect, contract_table, create_table
from features.sources.sql_functions import epoch_us
from features.utils.dates import epoch_micros, to_iso

GRACE_DAYS = 30
"""Days within which a new subscription cancels a churn."""
ACTIVE_DAYS = 90
"""Without contracts: days for which an order makes an account active."""
DUE_DAYS = 90
"""A renewal is due, or due next quarter, if it is less than so many days away: the default horizon."""

PEOPLE = ("name", "csm", "industry", "region", "employees", "parent_id", "acquisition_cost")
INSTANTS = ("created_at", "since", "renewal_at", "notice_at")
FACTS = (
    "account_id",
    *PEOPLE,
    "created_at",
    "since",
    "arr",
    "seats",
    "plan",
    "renewal_at",
    "notice_at",
    "subscriptions",
)
MOVEMENTS = (
    "account_id", "active_start", "active_end", "arr_start", "arr_end", "churned", "contracted", "expanded",
    "in_grace", "new", "returned", "renewed_late", "net_start", "left_at", "kind", "reason", "pending", "growth",
    "arrival",
)  # fmt: skip


def facts(
    signals: OpenSignals, as_of: datetime, active_days: int = ACTIVE_DAYS, product: str | None = None
) -> pd.DataFrame:
    """Return what was known before ``as_of`` about every account active at that instant.

    Parameters
    ----------
    signals : checked signals.
    as_of : the instant, UTC.
    active_days : without contracts, the days for which an order makes an account active.
    product : read only the subscriptions (or orders) of this product; None for all, `UNKNOWN_PRODUCT` for those that
        name none.

    Returns
    -------
    One row per active account, sorted by account_id, with a new index:

    - ``account_id``; ``name``, ``csm``, ``industry``, ``region``, ``parent_id`` (text), ``employees`` and
      ``acquisition_cost`` (float64): from the source, without a date; None or NaN if missing;
    - ``created_at``: customer since, from the source; ``since``: the start of the first known contract, or the first
      order of positive amount (both datetime64[us, UTC]);
    - ``arr`` float64, currency a year: the sum over the active subscriptions; NaN if the terms of one of them are
      unknown (see `features.signals.contract_terms`), as are ``seats`` and ``plan`` then;
    - ``seats`` float64: their sum, NaN if unknown for all; ``plan``: that of the largest subscription;
    - ``renewal_at``: the earliest end of a term among them, which may have passed without a renewal; NaT if there is
      none;
    - ``notice_at``: when notice was given, the latest of several; NaT if there is none;
    - ``subscriptions`` float64: the number of active subscriptions.

    Without contracts ``seats``, ``renewal_at``, ``notice_at`` and ``subscriptions`` are NaN (NaT) and ``plan`` is None
    throughout.
    """
    at = epoch_micros(as_of)
    set_span(signals, at, at, at, 0 if signals.contractual else active_days * DAY, product)
    rows = collect(signals.connection, _contract_facts if signals.contractual else _order_facts)
    frame = rows.to_pandas().sort_values("account_id", kind="stable", ignore_index=True)
    for name in INSTANTS:
        frame[name] = pd.to_datetime(frame[name].astype("Int64"), unit="us", utc=True).dt.as_unit("us")
    for name in ("employees", "acquisition_cost", "arr", "seats", "subscriptions"):
        frame[name] = frame[name].astype(np.float64)
    for name in ("name", "csm", "industry", "region", "plan", "parent_id"):
        texts = frame[name].astype(object)
        frame[name] = texts.where(texts.notna(), None)
    result: pd.DataFrame = frame.assign(arr=frame["arr"] / FIXED_POINT)[list(FACTS)]
    return result


def movements(
    signals: OpenSignals,
    start: datetime,
    end: datetime,
    *,
    known_at: datetime | None = None,
    grace_days: int = GRACE_DAYS,
    active_days: int = ACTIVE_DAYS,
    product: str | None = None,
) -> pd.DataFrame:
    """Return each account's ARR changes over ``[start, end)``, as known before ``known_at``.

    Parameters
    ----------
    signals : checked signals.
    start, end : the period, UTC. Both are read like ``as_of`` in `facts`: just before the instant.
    known_at : ``end`` by default, and never earlier. A churn is certain once its grace is over. At ``end``, it is not
        yet known whether ends of the last 30 days will be renewed late; these are ``pending``.
    grace_days : days within which a new subscription cancels a churn; without contracts there is no grace.
    active_days, product : as in `facts`. Of one product, an account is lost if it gave up the product.

    Returns
    -------
    One row per account that was active at some time in the period, sorted by account_id. The last results of a source
    are computed once. ``active_start`` and
    ``active_end``
    are whether it was active at the start and at the end; the following are float64, currency a year, and for each
    account

    ``arr_start + expanded - contracted - churned - in_grace + new + returned + renewed_late = arr_end``

    (amounts that depend on unknown terms, see `features.signals.contract_terms`, are NaN):

    - ``arr_start``, ``arr_end``: as in `facts`, 0 if not active;
    - ``churned``: the ARR at the start, if the account left and did not return within the grace;
    - ``expanded``, ``contracted``: the increase or decrease of the other accounts at the end. Growth and decline within
      the period offset each other;
    - ``in_grace``: the last ARR of accounts without a subscription at the end that are not lost: they are ``pending``,
      or (known later) were renewed within the grace;
    - ``new``: of accounts without a contract before ``start``; ``returned``: of accounts that had left before (also
      within the period); ``renewed_late``: of accounts whose gap includes ``start``.

    Then ``net_start`` (float64): ``arr_start``, but without contracts below zero if returns exceed the orders of the
    year before the start; ``left_at`` (datetime64[us, UTC]): the end of the last subscription, if the account
    left or is pending;
    ``kind``: voluntary or involuntary (nonpayment) if it is lost; ``reason``: the recorded ``end_reason``,
    nonpayment first if several subscriptions ended together, None if there is none; ``pending`` bool;
    ``growth``: for an account that expanded, cross_sell (more subscriptions), else tier (other plans), else seats, else
    price;
    ``arrival``: for an account that counts in ``new``, ``returned`` or ``renewed_late``, which of them, also if its
    ARR is zero.

    Without contracts, an account is lost if it is active at the start and not at the end. This is always certain and
    voluntary, ``left_at`` is the instant from which it counts as lost, and there is no reason or growth.

    Raises
    ------
    BadRequest : the period is empty, or ``known_at`` is before its end.
    """
    known = end if known_at is None else known_at
    if not start < end or known < end:
        raise BadRequest(
            f"a period from {to_iso(start)} to {to_iso(end)}, known at {to_iso(known)}",
            "a start before the end, known at the end or later",
        )
    key = ("movements", start, end, known, grace_days, active_days, product)
    frame: pd.DataFrame | None = signals.computed.get(key)
    if frame is None:
        frame = _movements(signals, start, end, known, grace_days, active_days, product)
        signals.computed[key] = frame
    # A copy, since callers add columns.
    return frame.copy()


def _movements(
    signals: OpenSignals,
    start: datetime,
    end: datetime,
    known: datetime,
    grace_days: int,
    active_days: int,
    product: str | None,
) -> pd.DataFrame:
    first, last, until = epoch_micros(start), epoch_micros(end), epoch_micros(known)
    if signals.contractual:
        set_span(signals, first, last, until, grace_days * DAY, product)
        moves = collect(signals.connection, contract_moves).to_pandas()
        frame = contract_movements(moves, first, last, until, grace_days * DAY)
    else:
        set_span(signals, first, last, until, active_days * DAY, product)
        moves = collect(signals.connection, order_moves).to_pandas()
        frame = order_movements(moves, first, active_days * DAY)
    frame = frame.sort_values("account_id", kind="stable", ignore_index=True)
    left = pd.to_datetime(frame["left_at"], unit="us", utc=True).dt.as_unit("us")
    return frame.assign(left_at=left)[list(MOVEMENTS)]


def people(signals: OpenSignals) -> pd.DataFrame:
    """Return the attributes of every account, active or not, sorted by account_id.

    The columns are ``account_id``, ``name``, ``csm``, ``industry``, ``region``, ``parent_id`` and the number
    ``acquisition_cost`` (None if missing). They have no date.
    """
    rows = collect(signals.connection, _people).to_pandas().sort_values("account_id", ignore_index=True)
    texts = rows.astype(object)
    result: pd.DataFrame = texts.where(texts.notna(), None)
    return result


def account_names(signals: OpenSignals) -> dict[str, str | None]:
    """Return the name of every account by its id, active or not; None if it has none."""
    rows = people(signals)
    return {account: name or None for account, name in zip(rows["account_id"], rows["name"], strict=True)}


def _people() -> ibis.Table:
    return contract_table("accounts").select("account_id", *(n for n in PEOPLE if n != "employees"))


def products(signals: OpenSignals) -> list[str]:
    """Return the products of the subscriptions (or orders), sorted; `UNKNOWN_PRODUCT` first if some name none.

    The list is empty if none of them names a product.
    """
    name = "subscriptions" if signals.contractual else "orders"
    found = {
        product or UNKNOWN_PRODUCT for product in collect(signals.connection, _products, name)["product"].to_pylist()
    }
    return [] if found == {UNKNOWN_PRODUCT} else sorted(found)


def _products(name: str) -> ibis.Table:
    return contract_table(name).select("product").distinct()


def set_span(signals: OpenSignals, start: int, end: int, known: int, grace: int, product: str | None = None) -> None:
    """Set the period of the ledger's expressions (`features.revenue.arr_movements.SPAN`), and the rates at its end."""
    row = {"start": [start], "end": [end], "known": [known], "grace": [grace]}
    span = pa.table(row).append_column("of_product", pa.array([product], pa.string()))
    create_table(signals.connection, SPAN.get_name(), span)
    create_table(signals.connection, LEDGER_RATES.get_name(), signals.rates.table_at(end))


def _contract_facts() -> ibis.Table:
    rows = converted_subscriptions()
    rows = rows.mutate(started=epoch_us(rows.started_at), ended=epoch_us(rows.ended_at))
    rows = rows.filter(rows.started < rows.end)
    runs = rows.ended.isnull() | (rows.ended >= rows.end)
    account = ibis.window(group_by="account_id")
    noticed = epoch_us(rows.notice_at)
    noticed = ibis.ifelse(noticed < rows.end, noticed, ibis.null("int64"))
    rows = rows.mutate(runs=runs, noticed=noticed, since=rows.started.min().over(account)).filter(lambda t: t.runs)
    largest = rows.fixed == rows.fixed.max().over(account)
    rows = rows.mutate(named=ibis.ifelse(largest, rows.plan, ibis.null("string")))
    accounts = rows.group_by("account_id").aggregate(
        since=rows.since.min(),
        arr=_if_known(rows, rows.fixed.sum().cast("int64")),
        seats=_if_known(rows, rows.seats.cast("float64").sum().nullif(0.0)),
        plan=_if_known(rows, rows.named.max()),
        notice_at=rows.noticed.max(),
        renewal_at=epoch_us(rows.renewal_at).min(),
        subscriptions=rows.count(),
    )
    return _with_people(accounts)


def _if_known(rows: ibis.Table, value: Any) -> Any:
    """Return the value of a group of subscriptions; null if the terms of one of them are unknown."""
    return ibis.ifelse(rows.fixed.isnull().any(), ibis.null(value.type()), value)


def _order_facts() -> ibis.Table:
    rows = rows_in_span("orders")
    rows = rows.mutate(at=epoch_us(rows.occurred_at), fixed=fixed(rows.amount))
    rows = rows.filter((rows.at < rows.end) & known_before_us(rows, rows.known))
    bought = rows.amount > 0
    recent = rows.at >= rows.end - CALENDAR_YEAR * DAY
    accounts = rows.group_by("account_id").aggregate(
        since=ibis.ifelse(bought, rows.at, ibis.null("int64")).min(),
        arr=ibis.greatest(ibis.ifelse(recent, rows.fixed, 0).sum().cast("int64"), 0),
        lately=(bought & (rows.at >= rows.end - rows.grace)).any(),
    )
    accounts = accounts.filter(accounts.lately).mutate(
        seats=ibis.null("float64"), plan=ibis.null("string"), renewal_at=ibis.null("int64"),
        notice_at=ibis.null("int64"), subscriptions=ibis.null("float64"),
    )  # fmt: skip
    return _with_people(accounts.drop("lately"))


def _with_people(accounts: ibis.Table) -> ibis.Table:
    people = contract_table("accounts")
    people = people.select("account_id", *PEOPLE, created_at=epoch_us(people.created_at))
    return accounts.inner_join(people, "account_id").select(*FACTS)
