"""The products of each account at an instant: ARR, seats and active users.

A product is the text that subscriptions (or orders) and usage give. ARR without a product belongs to the *unknown
product*, so that the products of an account always add up to its ARR.
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
from features.definitions.windows import MONTH
from features.families.orders import CALENDAR_YEAR
from features.revenue.arr import ACTIVE_DAYS, set_span
from features.revenue.arr_movements import DAY, converted_subscriptions, rows_in_span
from features.signals.signals import OpenSignals
from features.sources.engine import collect, contract_table, create_table
from features.sources.sql_functions import epoch_us
from features.utils.dates import epoch_micros

USAGE_DAYS = MONTH
"""Active users are those of the last so many days, and are compared with those of as many days before."""
COLUMNS = ("account_id", "product", "held", "arr", "seats", "active_users", "active_users_before")

_USAGE_SPAN = ibis.table({"middle": "int64", "start": "int64", "end": "int64"}, name="product_usage_span")
"""One row: the two windows ``[start, middle)`` and ``[middle, end)`` (microseconds)."""


def product_holdings(signals: OpenSignals, as_of: datetime, active_days: int = ACTIVE_DAYS) -> pd.DataFrame:
    """Return the products of every account active at ``as_of``, as known before that instant.

    Parameters
    ----------
    signals : checked signals.
    as_of : the instant, UTC.
    active_days : without contracts, the days for which an order makes an account active.

    Returns
    -------
    pandas.DataFrame
        One row per account and product, sorted by both, the unknown product last; empty if the source names no product:

        - ``account_id``; ``product`` (None: unknown);
        - ``held`` bool: under contract, or ordered in the last 365 days; else the account only uses it;
        - ``arr`` float64, currency a year. The products of an account add up to its ARR in
          `features.revenue.arr.facts`; NaN for all of them if the terms of one are unknown. Without contracts it is the
          amount ordered less returns, so that it can be below zero for a product;
        - ``seats`` float64, NaN if unknown for all of its subscriptions;
        - ``active_users``, ``active_users_before`` float64: users in the last 28 days and in the 28 days before. NaN if
          no usage of the product is known at all, or if the feed or its users do not reach back to the start of the
          window.
    """
    at = epoch_micros(as_of)
    set_span(signals, at, at, at, 0 if signals.contractual else active_days * DAY)
    rows = collect(signals.connection, _subscribed if signals.contractual else _ordered).to_pandas()
    rows["product"] = _texts(rows["product"])
    rows["arr"] = rows["arr"].astype(np.float64) / FIXED_POINT
    rows["seats"] = rows["seats"].astype(np.float64)
    used = _usage(signals, at)
    active = set(rows["account_id"])
    frame = rows.assign(held=True).merge(
        used[used["account_id"].isin(active)], on=["account_id", "product"], how="outer"
    )
    if frame["product"].isna().all():
        return pd.DataFrame(frame.iloc[:0].reindex(columns=list(COLUMNS)))
    held = frame["held"].notna()
    # A product that the account only uses has no ARR.
    frame = frame.assign(held=held, arr=frame["arr"].where(held, 0.0))
    frame = _with_counts(frame, signals, at, used)
    frame = frame.sort_values(["account_id", "product"], na_position="last", ignore_index=True)
    return frame.assign(product=_texts(frame["product"]))[list(COLUMNS)]


def _with_counts(frame: pd.DataFrame, signals: OpenSignals, at: int, used: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with zero active users where a product is not used, and NaN where its usage is unknown."""
    recorded = signals.records.get("usage", {}).get("product")
    starts = _usage_starts(signals, at)
    known = set(starts["product"]) if recorded is None else set(starts["product"]) & recorded
    complete_from = [*starts["first"], *([] if signals.history_from is None else [epoch_micros(signals.history_from)])]
    for name, days in (("active_users", USAGE_DAYS), ("active_users_before", 2 * USAGE_DAYS)):
        complete = min(complete_from, default=at) <= at - days * DAY
        counts = frame[name].astype(np.float64).fillna(0.0)
        frame[name] = counts.where(frame["product"].isin(known) & complete)
    return frame


def _usage(signals: OpenSignals, at: int) -> pd.DataFrame:
    """Return the active users of each account and product in the two windows, as far as the source names products."""
    if not signals.has("usage"):
        return pd.DataFrame({name: pd.Series(dtype=object) for name in ("account_id", "product", *COLUMNS[-2:])})
    span = {"middle": [at - USAGE_DAYS * DAY], "start": [at - 2 * USAGE_DAYS * DAY], "end": [at]}
    create_table(signals.connection, _USAGE_SPAN.get_name(), pa.table(span))
    rows: pd.DataFrame = collect(signals.connection, _used).to_pandas()
    return rows.assign(product=_texts(rows["product"]))


def _usage_starts(signals: OpenSignals, at: int) -> pd.DataFrame:
    """Return the first use of each product by a named user."""
    if not signals.has("usage"):
        return pd.DataFrame({"product": pd.Series(dtype=object), "first": pd.Series(dtype=np.int64)})
    starts: pd.DataFrame = collect(signals.connection, _first_uses).to_pandas()
    return starts


def _texts(values: Any) -> Any:
    texts = values.astype(object)
    return texts.where(texts.notna() & (texts != ""), None)


def _subscribed() -> ibis.Table:
    rows = converted_subscriptions()
    rows = rows.mutate(started=epoch_us(rows.started_at), ended=epoch_us(rows.ended_at))
    rows = rows.filter((rows.started < rows.end) & (rows.ended.isnull() | (rows.ended >= rows.end)))
    unknown = rows.fixed.isnull().any().over(ibis.window(group_by="account_id"))
    rows = rows.mutate(unknown=unknown, product=rows["product"].nullif(""))
    products = rows.group_by("account_id", "product").aggregate(
        arr=rows.fixed.sum().cast("int64"),
        seats=rows.seats.cast("float64").sum().nullif(0.0),
        unknown=rows.unknown.any(),
    )
    return _of_accounts(
        products.select(
            "account_id",
            "product",
            arr=ibis.ifelse(products.unknown, ibis.null("int64"), products.arr),
            seats=ibis.ifelse(products.unknown, ibis.null("float64"), products.seats),
        )
    )


def _ordered() -> ibis.Table:
    rows = rows_in_span("orders")
    rows = rows.mutate(at=epoch_us(rows.occurred_at), fixed=fixed(rows.amount), product=rows["product"].nullif(""))
    rows = rows.filter((rows.at < rows.end) & known_before_us(rows, rows.known))
    lately = (rows.amount > 0) & (rows.at >= rows.end - rows.grace)
    rows = rows.mutate(lately=lately.any().over(ibis.window(group_by="account_id")))
    rows = rows.filter(rows.lately & (rows.at >= rows.end - CALENDAR_YEAR * DAY))
    net = rows.fixed.sum().over(ibis.window(group_by="account_id"))
    # An account's ARR is never below zero, and so is then the sum of its products.
    rows = rows.mutate(counted=ibis.ifelse(net > 0, rows.fixed, 0))
    products = rows.group_by("account_id", "product").aggregate(arr=rows.counted.sum().cast("int64"))
    return _of_accounts(products.mutate(seats=ibis.null("float64")))


def _of_accounts(products: ibis.Table) -> ibis.Table:
    return products.semi_join(contract_table("accounts"), "account_id")


def _used() -> ibis.Table:
    rows = contract_table("usage").cross_join(_USAGE_SPAN)
    at = epoch_us(rows.occurred_at)
    rows = rows.filter((at >= rows.start) & (at < rows.end) & known_before_us(rows, rows.end))
    rows = rows.filter(rows["product"].notnull() & rows.user_id.notnull())
    recent = epoch_us(rows.occurred_at) >= rows.middle
    return rows.group_by("account_id", "product").aggregate(
        active_users=ibis.ifelse(recent, rows.user_id, ibis.null("string")).nunique(),
        active_users_before=ibis.ifelse(recent, ibis.null("string"), rows.user_id).nunique(),
    )


def _first_uses() -> ibis.Table:
    rows = contract_table("usage").cross_join(_USAGE_SPAN)
    at = epoch_us(rows.occurred_at)
    rows = rows.filter((at < rows.end) & known_before_us(rows, rows.end))
    rows = rows.filter(rows["product"].notnull() & rows.user_id.notnull())
    return rows.group_by("product").aggregate(first=epoch_us(rows.occurred_at).min())
