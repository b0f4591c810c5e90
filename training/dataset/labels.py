"""Labels of snapshots: churn, expansion and contraction within the horizon.

See docs/reference/signals.md, "Outcomes to predict".

This is the only code that looks ahead. It uses two readings of an instant, which must not be confused:

- *At* ``as_of``, an account is what its snapshot shows: a subscription counts if ``started_at < as_of`` and it has no
  end or ``ended_at >= as_of``, because an end at exactly ``as_of`` is not known yet. So an account whose last
  subscription ends at exactly ``as_of`` is active, and its churn lies inside the window.
- *In the window* ``[as_of, as_of + H)``, a subscription runs over ``[started_at, ended_at)``. A renewal at exactly
  ``as_of`` therefore replaces its predecessor there, and the two are never counted together.

Both are one step function of the running subscriptions; the first is read just before ``as_of``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.errors import BadRequest
from features.signals.signals import OpenSignals
from features.sources.engine import newest_versions
from features.utils.arrays import Bools, Floats, Ints, Objects
from training.dataset.expansion_kind import growth_kind
from training.dataset.step_functions import (
    DAY_US,
    FIXED_POINT_SCALE,
    NEVER,
    StepFunctions,
    from_fixed_point,
    to_fixed_point,
)
from training.dataset.subscription_spells import Spells

GROWTH = 1.05
SHRINKAGE = 0.95
ORDER_GROWTH = 1.25
YEAR_OF_ORDERS = 365
# Tolerance for a ratio of two sums that is exactly on its limit, such as 1.05 x 3.
_SLACK = 1e-9


def label(signals: OpenSignals, keys: pd.DataFrame, horizon_days: int = 90, grace_days: int = 30) -> pd.DataFrame:
    """Label each account with its outcomes within ``[as_of, as_of + horizon_days)``.

    Parameters
    ----------
    signals : the source, complete up to ``signals.data_through``.
    keys : one row per account and instant: ``account_id`` (str), ``as_of`` (datetime, UTC; unzoned is read as UTC).
    horizon_days, grace_days : H and G, in days. Order businesses have no grace; it counts as 0 there.

    Returns
    -------
    One row per key, in the order of `keys`, with a new index:

    - ``account_id``, ``as_of``;
    - ``churn`` float: 1.0 churned, 0.0 stayed, NaN censored (``as_of + H + G`` after ``data_through``);
    - ``churn_kind``: "involuntary" (a subscription that ended last ended by nonpayment), "voluntary", or None. Order
      businesses have voluntary churn only;
    - ``expansion``, ``contraction`` float, NaN censored (``as_of + H`` after ``data_through``);
    - ``expansion_kind``: "cross_sell" (more subscriptions run than at ``as_of``), else "tier" (another plan), else
      "seats" (more seats), at the instant when the growth was first reached; None otherwise, such as for a price
      increase only;
    - ``arr`` float: at ``as_of``, in currency per year;
    - ``active`` bool: at ``as_of``.

    Accounts that are not active at ``as_of`` have no labels, only NaN and None. If the terms of a subscription are
    unknown at ``as_of`` or in the window (see `features.signals.contract_terms`), ``arr``, ``expansion`` and
    ``contraction`` are unknown too.

    Raises
    ------
    BadRequest
        If `keys` lacks a column or an instant, H is not positive, or G is negative.
    """
    if missing := {"account_id", "as_of"} - set(keys.columns):
        names = ", ".join(sorted(missing))
        raise BadRequest(f"the snapshots have no column {names}", "one row per account_id and as_of")
    if horizon_days < 1 or grace_days < 0:
        raise BadRequest(
            f"a horizon of {horizon_days} days and a grace period of {grace_days} days",
            "a horizon of at least 1 day and a grace period of at least 0 days",
        )
    as_of = pd.to_datetime(keys["as_of"], utc=True).reset_index(drop=True)
    if as_of.isna().any():
        raise BadRequest("snapshots without as_of", "a date in each row")
    rows = _subscriptions(signals) if signals.contractual else _orders(signals)
    accounts = keys["account_id"].to_numpy(dtype=object)
    codes = pd.factorize(np.concatenate([rows["account_id"].to_numpy(dtype=object), accounts]))[0].astype(np.int64)
    rows, start = rows.assign(code=codes[: len(rows)]), _micros(as_of)
    through = int(_micros(pd.Series([signals.data_through]))[0])
    queries = _Queries(codes[len(rows) :], start, start + horizon_days * DAY_US, through)
    if signals.contractual:
        labels = _label_contracts(rows, queries, grace_days * DAY_US)
    else:
        labels = _label_orders(rows, queries)
    return pd.DataFrame({"account_id": accounts, "as_of": as_of.dt.as_unit("us")}).join(labels)


def churn_events(signals: OpenSignals, frame: pd.DataFrame, labels: pd.DataFrame, grace_days: int = 30) -> pd.DataFrame:
    """List every churn that is known by ``signals.data_through``, including those without a snapshot before them.

    Parameters
    ----------
    signals : the source.
    frame, labels : weekly snapshots and their labels. Used for order businesses only, where a churn is dated by the
        first snapshot after the last order (the first of a run of snapshots labelled as churn).
    grace_days : G.

    Returns
    -------
    DataFrame
        One row per churn: account_id, churned_at (datetime64[us, UTC]), involuntary (bool).
    """
    if not signals.contractual:
        return _order_churns(frame, labels)
    rows = _subscriptions(signals)
    codes, names = pd.factorize(rows["account_id"])
    start, end = (rows[c].to_numpy(dtype=np.int64) for c in ("start", "end"))
    spells = Spells(codes.astype(np.int64), start, end, rows["unpaid"].to_numpy(dtype=bool), grace_days * DAY_US)
    account, ends, unpaid = spells.all_ends
    closed = ends + grace_days * DAY_US < int(_micros(pd.Series([signals.data_through]))[0])
    when = pd.to_datetime(ends[closed], unit="us", utc=True).as_unit("us")
    return pd.DataFrame(
        {
            "account_id": names.to_numpy(dtype=object)[account[closed]],
            "churned_at": when,
            "involuntary": unpaid[closed],
        }
    )


def _order_churns(frame: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    rows = frame[["account_id", "as_of"]].assign(churn=labels["churn"].to_numpy()).sort_values(["account_id", "as_of"])
    before = rows.groupby("account_id")["churn"].shift()
    first = rows[(rows["churn"] == 1) & (before != 1)]
    return pd.DataFrame(
        {
            "account_id": first["account_id"].to_numpy(dtype=object),
            "churned_at": first["as_of"].to_numpy(),
            "involuntary": np.zeros(len(first), dtype=bool),
        }
    ).assign(churned_at=lambda t: pd.to_datetime(t["churned_at"], utc=True))


@dataclass(frozen=True)
class _Queries:
    """The keys as numbers: accounts, their windows [as_of, end), and the end of the data (all in microseconds)."""

    codes: Ints
    as_of: Ints
    end: Ints
    through: int


def _subscriptions(signals: OpenSignals) -> pd.DataFrame:
    """Return every subscription of positive duration: account_id, start, end, parts (ARR; 0 and ``unknown`` 1 where
    its terms are unknown), seats, plan, unpaid."""
    table = signals.tables["subscriptions"]
    columns = table.select("account_id", "started_at", "ended_at", "arr", "seats", "plan", "end_reason")
    columns = columns.to_pyarrow().to_pandas()
    start = _micros(columns["started_at"])
    ended = columns["ended_at"].notna()
    lines = pd.DataFrame(
        {
            "account_id": columns["account_id"],
            "start": start,
            "end": np.where(ended, _micros(columns["ended_at"].where(ended, columns["started_at"])), NEVER),
            "parts": to_fixed_point(columns["arr"].fillna(0.0)),
            "unknown": columns["arr"].isna().astype(np.int64),
            "seats": columns["seats"].astype(np.float64),
            "plan": columns["plan"],
            "unpaid": (columns["end_reason"] == "nonpayment").to_numpy(dtype=bool),
        }
    )
    return lines[lines["end"] > lines["start"]].reset_index(drop=True)


def _orders(signals: OpenSignals) -> pd.DataFrame:
    """Return orders per account and instant: account_id, time, parts (net amount), bought (orders of positive
    amount)."""
    table = newest_versions(signals.tables["orders"])
    parts = (table.amount * FIXED_POINT_SCALE).round().cast("int64")
    bought = (table.amount > 0).cast("int64")
    groups = table.group_by("account_id", "occurred_at")
    rows = groups.agg(parts=parts.sum().cast("int64"), bought=bought.sum().cast("int64")).to_pyarrow().to_pandas()
    return pd.DataFrame(rows).assign(time=_micros(rows["occurred_at"]))


def _label_contracts(rows: pd.DataFrame, queries: _Queries, grace: int) -> pd.DataFrame:
    columns = ("code", "start", "end", "parts", "unknown")
    codes, start, end, parts, unknown_terms = (rows[c].to_numpy(dtype=np.int64) for c in columns)
    both, times = np.concatenate([codes, codes]), np.concatenate([start, end])
    arr = StepFunctions(both, times, np.concatenate([parts, -parts]))
    running = StepFunctions(both, times, np.repeat(np.array([1, -1]), len(rows)))
    unknown = StepFunctions(both, times, np.concatenate([unknown_terms, -unknown_terms]))
    active = running.before(queries.codes, queries.as_of) > 0
    base = arr.before(queries.codes, queries.as_of)
    unknown_base = unknown.before(queries.codes, queries.as_of) > 0
    unknown_later = unknown.extremes(queries.codes, queries.as_of, queries.end).highest > 0

    # Within the grace, while nothing runs, there is no ARR to compare: a late renewal is no contraction.
    reached = arr.extremes(queries.codes, queries.as_of, queries.end, only=running.values > 0)
    grown = reached.has_value & _grown(reached.highest, base, GROWTH)
    shrunk = reached.has_value & _shrunk(reached.lowest, base)
    spells = Spells(codes, start, end, rows["unpaid"].to_numpy(dtype=bool), grace)
    last, unpaid = spells.ends(queries.codes, queries.as_of)
    ends = last < queries.end
    undecided = ends & (last + grace >= queries.through)

    labelled = active & (queries.end <= queries.through) & ~unknown_base & ~unknown_later
    churn = _label(ends, active & (queries.end + grace <= queries.through))
    expansion = _label(grown, labelled)
    contraction = _label(shrunk & ~ends, labelled & ~(shrunk & undecided))
    kinds = _named(expansion == 1, None)
    grew = np.flatnonzero(expansion == 1)
    low, high = arr.segments(queries.codes[grew], queries.as_of[grew], queries.end[grew])
    when = np.maximum(_first_reached(arr, low, high, base[grew]), queries.as_of[grew])
    kinds[grew] = growth_kind(rows, queries.codes[grew], queries.as_of[grew], when)
    kind = _named(churn == 1, "voluntary")
    kind[(churn == 1) & unpaid] = "involuntary"
    arr_then = np.where(active & ~unknown_base, from_fixed_point(base), np.nan)
    return _columns(churn, kind, expansion, kinds, contraction, arr_then, active)


def _label_orders(rows: pd.DataFrame, queries: _Queries) -> pd.DataFrame:
    codes, times, parts, purchases = (rows[c].to_numpy(dtype=np.int64) for c in ("code", "time", "parts", "bought"))
    bought, amount = StepFunctions(codes, times, purchases), StepFunctions(codes, times, parts)
    # Each order counts toward the ARR for a year: again a step function.
    expiry = times + YEAR_OF_ORDERS * DAY_US
    changes = np.concatenate([parts, -parts])
    arr = StepFunctions(np.concatenate([codes, codes]), np.concatenate([times, expiry]), changes)

    def within(steps: StepFunctions, start: Ints, end: Ints) -> Ints:
        return steps.before(queries.codes, end) - steps.before(queries.codes, start)

    earlier = queries.as_of - (queries.end - queries.as_of)
    active = within(bought, earlier, queries.as_of) > 0
    stopped = within(bought, queries.as_of, queries.end) == 0
    # Returns can exceed purchases; after that, any net purchase is growth.
    spent = np.maximum(within(amount, earlier, queries.as_of), 0)
    grown = _grown(within(amount, queries.as_of, queries.end), spent, ORDER_GROWTH)
    # If returns exceed the orders of a year, the ARR is 0, not negative.
    base = np.maximum(arr.before(queries.codes, queries.as_of), 0)
    shrunk = _shrunk(np.maximum(arr.extremes(queries.codes, queries.as_of, queries.end).lowest, 0), base)

    labelled = active & (queries.end <= queries.through)
    churn = _label(stopped, labelled)
    kind, kinds = _named(churn == 1, "voluntary"), _named(grown, None)
    contraction = _label(shrunk & ~stopped, labelled)
    return _columns(
        churn,
        kind,
        _label(grown, labelled),
        kinds,
        contraction,
        np.where(active, from_fixed_point(base), np.nan),
        active,
    )


def _first_reached(arr: StepFunctions, low: Ints, high: Ints, base: Ints) -> Ints:
    """Return the first instant of each range of levels at which the ARR has grown enough."""
    length = high - low
    query = np.repeat(np.arange(len(low)), length)
    level = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + low[query]
    grown = _grown(arr.values[level], base[query], GROWTH)
    first = np.unique(query[grown], return_index=True)[1]
    times: Ints = arr.timeline.times[level[grown][first]]
    return times


def _grown(value: Ints, base: Ints, factor: float) -> Bools:
    """Return whether a value is at least `factor` times the base and above it: 0 is no growth over 0."""
    return np.asarray((value >= factor * base * (1 - _SLACK)) & (value > base))


def _shrunk(value: Ints, base: Ints) -> Bools:
    return np.asarray((value <= SHRINKAGE * base * (1 + _SLACK)) & (value < base))


def _label(happened: Bools, labelled: Bools) -> Floats:
    return np.where(labelled, happened.astype(np.float64), np.nan)


def _named(which: Bools, kind: str | None) -> Objects:
    kinds = np.full(len(which), None, dtype=object)
    kinds[which] = kind
    return kinds


def _columns(
    churn: Floats,
    churn_kind: Objects,
    expansion: Floats,
    expansion_kind: Objects,
    contraction: Floats,
    arr: Floats,
    active: Bools,
) -> pd.DataFrame:
    kinds = {"churn_kind": churn_kind, "expansion_kind": expansion_kind}
    named = {name: pd.Series(kind, dtype=object) for name, kind in kinds.items()}
    columns = {"churn": churn, "expansion": expansion, "contraction": contraction, "arr": arr} | named
    names = ["churn", "churn_kind", "expansion", "expansion_kind", "contraction", "arr", "active"]
    return pd.DataFrame(columns | {"active": active})[names]


def _micros(times: pd.Series[pd.Timestamp]) -> Ints:
    return np.asarray(pd.to_datetime(times, utc=True).dt.as_unit("us").astype("int64"), dtype=np.int64)
