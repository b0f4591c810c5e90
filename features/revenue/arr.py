"""The ledger: what every account's contracts come to at an instant, and how that moved over a period.

Both say what was known before an instant: a subscription counts from its start, its end and the reason for it only from
that end on, and an end at exactly the instant is not known yet. So an account is active here when its snapshot has it
active. Churn, its kind and the grace are those of the outcomes that are predicted: an account churns at the end of its
last running subscription if none starts within the grace.

Without ``subscriptions`` the same is read from ``orders``: active is who ordered, for a positive amount, within
``active_days``; ARR is the amount of the last 365 days, and zero where returns outweigh it; seats, renewals and
reasons are not known.
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
from features.revenue.arr_movements import DAY, SPAN, contract_moves, order_moves, told, told_of_orders
from features.signals.signals import Signals
from features.sources.engine import collect, contract_table, create_table
from features.sources.sql_functions import epoch_us
from features.utils.dates import epoch_micros, to_iso

GRACE_DAYS = 30
"""How long a new subscription undoes a churn."""
ACTIVE_DAYS = 90
"""Without contracts: an order within so many days makes an account active."""

PEOPLE = ("name", "csm", "industry", "region", "employees")
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
)  # fmt: skip


def facts(signals: Signals, as_of: datetime, active_days: int = ACTIVE_DAYS) -> pd.DataFrame:
    """What was known before ``as_of`` of every account that was active then.

    Parameters
    ----------
    signals : checked signals.
    as_of : the instant, UTC.
    active_days : without contracts, an order within so many days makes an account active.

    Returns
    -------
    One row per active account, sorted by account_id, with a fresh index:

    - ``account_id``; ``name``, ``csm``, ``industry``, ``region`` (text), ``employees`` (float64): as the source has
      them, for they bear no date; None and NaN where it does not say;
    - ``created_at``: customer since, as the source says; ``since``: the start of the first contract known, or the first
      order of positive amount (both datetime64[us, UTC]);
    - ``arr`` float64, currency a year: the sum over the subscriptions that run; NaN where the terms of one of them are
      unknown (see `features.signals.contract_terms`), as are ``seats`` and ``plan`` then;
    - ``seats`` float64: their sum, NaN if none of them says how many; ``plan``: that of the largest subscription;
    - ``renewal_at``: the earliest end of a term among them, which may have passed unsigned; NaT if none has one;
    - ``notice_at``: when notice was given of one of them, the latest if of several; NaT if of none;
    - ``subscriptions`` float64: how many run.

    Without contracts ``seats``, ``renewal_at``, ``notice_at`` and ``subscriptions`` are NaN (NaT) and ``plan`` is None
    throughout.
    """
    at = epoch_micros(as_of)
    _lay(signals, at, at, at, 0 if signals.contractual else active_days * DAY)
    rows = collect(signals.connection, _contract_facts if signals.contractual else _order_facts)
    frame = rows.to_pandas().sort_values("account_id", kind="stable", ignore_index=True)
    for name in INSTANTS:
        frame[name] = pd.to_datetime(frame[name].astype("Int64"), unit="us", utc=True).dt.as_unit("us")
    for name in ("employees", "arr", "seats", "subscriptions"):
        frame[name] = frame[name].astype(np.float64)
    for name in ("name", "csm", "industry", "region", "plan"):
        texts = frame[name].astype(object)
        frame[name] = texts.where(texts.notna(), None)
    found: pd.DataFrame = frame.assign(arr=frame["arr"] / FIXED_POINT)[list(FACTS)]
    return found


def movements(
    signals: Signals,
    start: datetime,
    end: datetime,
    *,
    known_at: datetime | None = None,
    grace_days: int = GRACE_DAYS,
    active_days: int = ACTIVE_DAYS,
) -> pd.DataFrame:
    """How each account's ARR moved over ``[start, end)``, as it was known before ``known_at``.

    Parameters
    ----------
    signals : checked signals.
    start, end : the period, UTC. Both ends are read as `facts` reads its ``as_of``: just before the instant.
    known_at : not before ``end``, which it is by default. A churn is certain once its grace is over: asked at ``end``,
        the last 30 days hold ends of which nobody knows yet whether they will be renewed late; they are ``pending``.
    grace_days : how long a new subscription undoes a churn; without contracts there is no grace.
    active_days : as in `facts`.

    Returns
    -------
    One row per account that ran at some time of the period, sorted by account_id. ``active_start`` and ``active_end``
    say whether it was active at both ends; the following are float64, currency a year, and for each account

    ``arr_start + expanded - contracted - churned - in_grace + new + returned + renewed_late = arr_end``

    (an amount that hangs on terms which are unknown, see `features.signals.contract_terms`, is NaN):

    - ``arr_start``, ``arr_end``: as `facts` has it, 0 where not active;
    - ``churned``: the ARR of the start, where the account left and did not come back within the grace;
    - ``expanded``, ``contracted``: what the others have more or less at the end. Growth and shrinking within the period
      are set off against each other;
    - ``in_grace``: what last ran, where nothing runs at the end but the account is not lost: it is ``pending``, or
      (known later) was renewed within the grace;
    - ``new``: of accounts that had never had a contract before ``start``; ``returned``: of those that had left before
      (also within the period); ``renewed_late``: of those whose gap lies over ``start``.

    Then ``net_start`` (float64): ``arr_start``, but without contracts below zero where returns outweigh the orders of
    the year before the start; ``left_at`` (datetime64[us, UTC]): the end of the last subscription, where the account
    left or is pending;
    ``kind``: voluntary or involuntary (nonpayment) where it is lost; ``reason``: the ``end_reason`` recorded,
    nonpayment before others where several subscriptions ended together, None if none was; ``pending`` bool;
    ``growth``: of an account that expanded, cross_sell (more subscriptions), else tier (other plans), else seats, else
    price.

    Without contracts an account is lost that is active at the start and not at the end: always certain and voluntary,
    ``left_at`` the instant from which it counts as lost, without reason and growth.

    Raises
    ------
    BadRequest : the period is empty, or ``known_at`` lies before its end.
    """
    known = end if known_at is None else known_at
    if not start < end or known < end:
        raise BadRequest(
            f"a period from {to_iso(start)} to {to_iso(end)}, looked at from {to_iso(known)}",
            "a start before the end, looked at from the end or later",
        )
    first, last, until = epoch_micros(start), epoch_micros(end), epoch_micros(known)
    if signals.contractual:
        _lay(signals, first, last, until, grace_days * DAY)
        found = collect(signals.connection, contract_moves).to_pandas()
        frame = told(found, first, last, until, grace_days * DAY)
    else:
        _lay(signals, first, last, until, active_days * DAY)
        found = collect(signals.connection, order_moves).to_pandas()
        frame = told_of_orders(found, first, active_days * DAY)
    frame = frame.sort_values("account_id", kind="stable", ignore_index=True)
    left = pd.to_datetime(frame["left_at"], unit="us", utc=True).dt.as_unit("us")
    return frame.assign(left_at=left)[list(MOVEMENTS)]


def people(signals: Signals) -> pd.DataFrame:
    """What the source says of every account, active or not, for it bears no date: ``account_id``, ``name``, ``csm``,
    ``industry``, ``region`` (None where it does not say); sorted by account_id."""
    found = collect(signals.connection, _people).to_pandas().sort_values("account_id", ignore_index=True)
    texts = found.astype(object)
    told: pd.DataFrame = texts.where(texts.notna(), None)
    return told


def _people() -> ibis.Table:
    return contract_table("accounts").select("account_id", *(n for n in PEOPLE if n != "employees"))


def _lay(signals: Signals, start: int, end: int, known: int, grace: int) -> None:
    row = {"start": [start], "end": [end], "known": [known], "grace": [grace]}
    create_table(signals.connection, "ledger_span", pa.table(row))


def _contract_facts() -> ibis.Table:
    rows = contract_table("subscriptions").cross_join(SPAN)
    rows = rows.mutate(started=epoch_us(rows.started_at), ended=epoch_us(rows.ended_at), fixed=fixed(rows.arr))
    rows = rows.filter(rows.started < rows.end)
    runs = rows.ended.isnull() | (rows.ended >= rows.end)
    account = ibis.window(group_by="account_id")
    noticed = epoch_us(rows.notice_at)
    noticed = ibis.ifelse(noticed < rows.end, noticed, ibis.null("int64"))
    rows = rows.mutate(runs=runs, noticed=noticed, since=rows.started.min().over(account)).filter(lambda t: t.runs)
    largest = rows.fixed == rows.fixed.max().over(account)
    rows = rows.mutate(named=ibis.ifelse(largest, rows.plan, ibis.null("string")))
    found = rows.group_by("account_id").aggregate(
        since=rows.since.min(),
        arr=_whole(rows, rows.fixed.sum().cast("int64")),
        seats=_whole(rows, rows.seats.cast("float64").sum().nullif(0.0)),
        plan=_whole(rows, rows.named.max()),
        notice_at=rows.noticed.max(),
        renewal_at=epoch_us(rows.renewal_at).min(),
        subscriptions=rows.count(),
    )
    return _with_people(found)


def _whole(rows: ibis.Table, value: Any) -> Any:
    """The value of a group of subscriptions; null where the terms of one of them are unknown."""
    return ibis.ifelse(rows.fixed.isnull().any(), ibis.null(value.type()), value)


def _order_facts() -> ibis.Table:
    rows = contract_table("orders").cross_join(SPAN)
    rows = rows.mutate(at=epoch_us(rows.occurred_at), fixed=fixed(rows.amount))
    rows = rows.filter((rows.at < rows.end) & known_before_us(rows, rows.known))
    bought = rows.amount > 0
    recent = rows.at >= rows.end - CALENDAR_YEAR * DAY
    found = rows.group_by("account_id").aggregate(
        since=ibis.ifelse(bought, rows.at, ibis.null("int64")).min(),
        arr=ibis.greatest(ibis.ifelse(recent, rows.fixed, 0).sum().cast("int64"), 0),
        lately=(bought & (rows.at >= rows.end - rows.grace)).any(),
    )
    found = found.filter(found.lately).mutate(
        seats=ibis.null("float64"), plan=ibis.null("string"), renewal_at=ibis.null("int64"),
        notice_at=ibis.null("int64"), subscriptions=ibis.null("float64"),
    )  # fmt: skip
    return _with_people(found.drop("lately"))


def _with_people(found: ibis.Table) -> ibis.Table:
    people = contract_table("accounts")
    people = people.select("account_id", *PEOPLE, created_at=epoch_us(people.created_at))
    return found.inner_join(people, "account_id").select(*FACTS)
