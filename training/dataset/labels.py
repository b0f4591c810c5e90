"""What happened after each snapshot: churn, expansion and contraction.

See docs/reference/signals.md, "Outcomes to predict".

This is the only code that looks ahead. Two readings of an instant meet here and are kept apart:

- *At* ``as_of`` an account is seen as its snapshot sees it: a subscription counts if ``started_at < as_of`` and it
  has no end or ``ended_at >= as_of``, for an end at exactly ``as_of`` is not known yet. So an account whose last
  subscription ends at exactly ``as_of`` is active, and its churn lies inside the window.
- *In the window* ``[as_of, as_of + H)`` a subscription truly runs over ``[started_at, ended_at)``. A renewal at
  exactly ``as_of`` therefore replaces its predecessor there, and is never counted beside it.

Both are one step function of the running subscriptions, the first read just before ``as_of``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.errors import BadRequest
from features.signals.signals import Signals
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
# Slack for a ratio of two sums that is exactly on its limit, such as 1.05 x 3.
_SLACK = 1e-9


def label(signals: Signals, keys: pd.DataFrame, horizon_days: int = 90, grace_days: int = 30) -> pd.DataFrame:
    """What became of each account within ``[as_of, as_of + horizon_days)``.

    Parameters
    ----------
    signals : the source, complete up to ``signals.data_through``.
    keys : one row per account and instant: ``account_id`` (str), ``as_of`` (datetime, UTC; unzoned is read as UTC).
    horizon_days, grace_days : H and G, in days. Order businesses have no grace: it is taken as 0 there.

    Returns
    -------
    One row per key, in the order of `keys`, with a fresh index:

    - ``account_id``, ``as_of``;
    - ``churn`` float: 1.0 churned, 0.0 stayed, NaN censored (``as_of + H + G`` after ``data_through``);
    - ``churn_kind``: "involuntary" (a subscription that ended last ended by nonpayment), "voluntary", or None. Always
      voluntary for order businesses;
    - ``expansion``, ``contraction`` float, NaN censored (``as_of + H`` after ``data_through``);
    - ``expansion_kind``: "cross_sell" (more subscriptions run than at ``as_of``), else "tier" (another plan), else
      "seats" (more seats), as it stood when the growth was first reached; None otherwise, so for a mere rise in price;
    - ``arr`` float: at ``as_of``, in currency a year;
    - ``active`` bool: at ``as_of``.

    Accounts that are not active at ``as_of`` have no labels: NaN and None throughout. Where the terms of a subscription
    are unknown at ``as_of`` or in the window (see `features.signals.contract_terms`), so are ``arr``, ``expansion``
    and ``contraction``.

    Raises
    ------
    BadRequest
        `keys` lacks a column, or H is not positive, or G negative.
    """
    if missing := {"account_id", "as_of"} - set(keys.columns):
        raise BadRequest(f"keys without {', '.join(sorted(missing))}", "one row per account_id and as_of")
    if horizon_days < 1 or grace_days < 0:
        raise BadRequest(
            f"a horizon of {horizon_days} and a grace of {grace_days} days",
            "a horizon of 1 day or more and a grace of 0 or more",
        )
    as_of = pd.to_datetime(keys["as_of"], utc=True).reset_index(drop=True)
    rows = _subscriptions(signals) if signals.contractual else _orders(signals)
    accounts = keys["account_id"].to_numpy(dtype=object)
    codes = pd.factorize(np.concatenate([rows["account_id"].to_numpy(dtype=object), accounts]))[0].astype(np.int64)
    rows, begin = rows.assign(code=codes[: len(rows)]), _micros(as_of)
    through = int(_micros(pd.Series([signals.data_through]))[0])
    asked = _Queries(codes[len(rows) :], begin, begin + horizon_days * DAY_US, through)
    found = _label_contracts(rows, asked, grace_days * DAY_US) if signals.contractual else _label_orders(rows, asked)
    return pd.DataFrame({"account_id": accounts, "as_of": as_of.dt.as_unit("us")}).join(found)


def churn_events(signals: Signals, frame: pd.DataFrame, labels: pd.DataFrame, grace_days: int = 30) -> pd.DataFrame:
    """Every churn that is known by ``signals.data_through``, whether a snapshot saw it coming or not.

    Parameters
    ----------
    frame, labels : weekly snapshots and what became of them; read without contracts only, where a churn is dated by the
        first snapshot after the last order (one that begins a run of snapshots labelled as churn).
    grace_days : G.

    Returns
    -------
    One row per churn: account_id, churned_at (datetime64[us, UTC]), involuntary (bool).
    """
    if not signals.contractual:
        return _order_churns(frame, labels)
    rows = _subscriptions(signals)
    codes, names = pd.factorize(rows["account_id"])
    start, end = (rows[c].to_numpy(dtype=np.int64) for c in ("start", "end"))
    spells = Spells(codes.astype(np.int64), start, end, rows["unpaid"].to_numpy(dtype=bool), grace_days * DAY_US)
    account, ends, unpaid = spells.every
    known = ends + grace_days * DAY_US < int(_micros(pd.Series([signals.data_through]))[0])
    when = pd.to_datetime(ends[known], unit="us", utc=True).as_unit("us")
    return pd.DataFrame(
        {"account_id": names.to_numpy(dtype=object)[account[known]], "churned_at": when, "involuntary": unpaid[known]}
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
    """The keys as numbers: accounts, [as_of, end) of their windows, and the end of the data (all microseconds)."""

    codes: Ints
    as_of: Ints
    end: Ints
    through: int


def _subscriptions(signals: Signals) -> pd.DataFrame:
    """Every subscription that ran for a while: account_id, start, end, parts (ARR; 0 and ``unknown`` 1 where its
    terms are unknown), seats, plan, unpaid."""
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


def _orders(signals: Signals) -> pd.DataFrame:
    """Orders per account and instant: account_id, time, parts (net amount), bought (orders of positive amount)."""
    table = newest_versions(signals.tables["orders"])
    parts = (table.amount * FIXED_POINT_SCALE).round().cast("int64")
    bought = (table.amount > 0).cast("int64")
    groups = table.group_by("account_id", "occurred_at")
    rows = groups.agg(parts=parts.sum().cast("int64"), bought=bought.sum().cast("int64")).to_pyarrow().to_pandas()
    return pd.DataFrame(rows).assign(time=_micros(rows["occurred_at"]))


def _label_contracts(rows: pd.DataFrame, asked: _Queries, grace: int) -> pd.DataFrame:
    columns = ("code", "start", "end", "parts", "unknown")
    codes, start, end, parts, lost = (rows[c].to_numpy(dtype=np.int64) for c in columns)
    both, times = np.concatenate([codes, codes]), np.concatenate([start, end])
    arr = StepFunctions(both, times, np.concatenate([parts, -parts]))
    running = StepFunctions(both, times, np.repeat(np.array([1, -1]), len(rows)))
    unknown = StepFunctions(both, times, np.concatenate([lost, -lost]))
    active = running.before(asked.codes, asked.as_of) > 0
    base = arr.before(asked.codes, asked.as_of)
    unknown_base = unknown.before(asked.codes, asked.as_of) > 0
    unknown_later = unknown.extremes(asked.codes, asked.as_of, asked.end).highest > 0

    # While nothing runs, within the grace, there is no ARR to compare: a late renewal has not shrunk.
    reached = arr.extremes(asked.codes, asked.as_of, asked.end, only=running.values > 0)
    grown = reached.found & _grown(reached.highest, base, GROWTH)
    shrunk = reached.found & _shrunk(reached.lowest, base)
    spells = Spells(codes, start, end, rows["unpaid"].to_numpy(dtype=bool), grace)
    last, unpaid = spells.ends(asked.codes, asked.as_of)
    ends = last < asked.end
    undecided = ends & (last + grace >= asked.through)

    known = active & (asked.end <= asked.through) & ~unknown_base & ~unknown_later
    churn = _label(ends, active & (asked.end + grace <= asked.through))
    expansion = _label(grown, known)
    contraction = _label(shrunk & ~ends, known & ~(shrunk & undecided))
    kinds = _named(expansion == 1, None)
    grew = np.flatnonzero(expansion == 1)
    low, high = arr.segments(asked.codes[grew], asked.as_of[grew], asked.end[grew])
    when = np.maximum(_first_reached(arr, low, high, base[grew]), asked.as_of[grew])
    kinds[grew] = growth_kind(rows, asked.codes[grew], asked.as_of[grew], when)
    kind = _named(churn == 1, "voluntary")
    kind[(churn == 1) & unpaid] = "involuntary"
    arr_then = np.where(active & ~unknown_base, from_fixed_point(base), np.nan)
    return _columns(churn, kind, expansion, kinds, contraction, arr_then, active)


def _label_orders(rows: pd.DataFrame, asked: _Queries) -> pd.DataFrame:
    codes, times, parts, purchases = (rows[c].to_numpy(dtype=np.int64) for c in ("code", "time", "parts", "bought"))
    bought, amount = StepFunctions(codes, times, purchases), StepFunctions(codes, times, parts)
    # Each order counts towards the ARR for a year, and then leaves it: again a step function.
    gone = times + YEAR_OF_ORDERS * DAY_US
    arr = StepFunctions(np.concatenate([codes, codes]), np.concatenate([times, gone]), np.concatenate([parts, -parts]))

    def within(steps: StepFunctions, start: Ints, end: Ints) -> Ints:
        return steps.before(asked.codes, end) - steps.before(asked.codes, start)

    earlier = asked.as_of - (asked.end - asked.as_of)
    active = within(bought, earlier, asked.as_of) > 0
    stopped = within(bought, asked.as_of, asked.end) == 0
    # Returns can outweigh purchases; after that, any net purchase is growth.
    spent = np.maximum(within(amount, earlier, asked.as_of), 0)
    grown = _grown(within(amount, asked.as_of, asked.end), spent, ORDER_GROWTH)
    # Where returns outweigh the orders of a year, there is no ARR, and not less.
    base = np.maximum(arr.before(asked.codes, asked.as_of), 0)
    shrunk = _shrunk(np.maximum(arr.extremes(asked.codes, asked.as_of, asked.end).lowest, 0), base)

    known = active & (asked.end <= asked.through)
    churn = _label(stopped, known)
    kind, kinds = _named(churn == 1, "voluntary"), _named(grown, None)
    contraction = _label(shrunk & ~stopped, known)
    return _columns(
        churn, kind, _label(grown, known), kinds, contraction, np.where(active, from_fixed_point(base), np.nan), active
    )


def _first_reached(arr: StepFunctions, low: Ints, high: Ints, base: Ints) -> Ints:
    """The first instant of each range of levels at which the ARR has grown enough."""
    length = high - low
    query = np.repeat(np.arange(len(low)), length)
    level = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + low[query]
    grown = _grown(arr.values[level], base[query], GROWTH)
    first = np.unique(query[grown], return_index=True)[1]
    times: Ints = arr.timeline.times[level[grown][first]]
    return times


def _grown(value: Ints, base: Ints, factor: float) -> Bools:
    """At least `factor` times the base, and more than it: nothing is not growth over nothing."""
    return np.asarray((value >= factor * base * (1 - _SLACK)) & (value > base))


def _shrunk(value: Ints, base: Ints) -> Bools:
    return np.asarray((value <= SHRINKAGE * base * (1 + _SLACK)) & (value < base))


def _label(happened: Bools, known: Bools) -> Floats:
    return np.where(known, happened.astype(np.float64), np.nan)


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
