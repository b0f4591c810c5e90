"""Kind of an expansion: more subscriptions, another plan, or more seats.

See docs/reference/signals.md, "Outcomes to predict".

Instants are microseconds since 1970 in UTC. A subscription counts at ``as_of`` if ``start < as_of <= end`` (as known
then), and at a later instant if ``start <= instant < end`` (as it actually ran).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.arrays import Bools, Floats, Ints, Objects


def growth_kind(lines: pd.DataFrame, codes: Ints, as_of: Ints, when: Ints) -> Objects:
    """Return the kind of growth of each (account, as_of) whose ARR had grown enough at the instant `when`.

    Parameters
    ----------
    lines : every subscription: code, start, end (int64), plan (str or None), seats (number, NaN unknown).
    codes, as_of, when : one entry per growth.

    Returns
    -------
    "cross_sell" where more subscriptions run than at as_of; else "tier" where the plans differ; else "seats" where
    there are more seats, all of them known; else None (only a price increase, or unrecorded seats).
    """
    queries = pd.DataFrame({"code": codes, "as_of": as_of, "when": when}).reset_index(names="query")
    plan = pd.factorize(lines["plan"])[0]
    lines = lines.assign(plan=plan, seats=lines["seats"].astype(np.float64))
    pairs = queries.merge(lines, on="code")
    then = (pairs["start"] < pairs["as_of"]) & (pairs["end"] >= pairs["as_of"])
    now = (pairs["start"] <= pairs["when"]) & (pairs["end"] > pairs["when"])
    count, seats = _sums(pairs, then, len(queries))
    count_now, seats_now = _sums(pairs, now, len(queries))
    other_plan = _balance(pairs, now, then, len(queries))
    kind = np.full(len(queries), None, dtype=object)
    for name, holds in (("seats", seats_now > seats), ("tier", other_plan), ("cross_sell", count_now > count)):
        kind[holds] = name
    return kind


def _sums(pairs: pd.DataFrame, chosen: pd.Series[bool], queries: int) -> tuple[Ints, Floats]:
    """Return subscriptions and seats per query; NaN seats where any is unknown."""
    query = pairs["query"][chosen].to_numpy(dtype=np.int64)
    seats = np.bincount(query, pairs["seats"][chosen].to_numpy(dtype=np.float64), queries)
    return np.bincount(query, minlength=queries).astype(np.int64), seats.astype(np.float64)


def _balance(pairs: pd.DataFrame, now: pd.Series[bool], then: pd.Series[bool], queries: int) -> Bools:
    """Return whether any plan runs more or less often now than then, per query."""
    change = now.astype(np.int64) - then.astype(np.int64)
    per_plan = change.groupby([pairs["query"], pairs["plan"]]).sum()
    differs = per_plan.index.get_level_values("query")[per_plan.to_numpy() != 0].to_numpy(dtype=np.int64)
    return np.bincount(differs, minlength=queries) > 0
