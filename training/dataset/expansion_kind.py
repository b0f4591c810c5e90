"""By what an account grew: further subscriptions, another plan, or more seats.

See docs/reference/signals.md, "Outcomes to predict".

Instants are microseconds since 1970 in UTC. A subscription counts at ``as_of`` if ``start < as_of <= end`` (what was
known then), and at a later instant if ``start <= instant < end`` (what truly ran).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.arrays import Bools, Floats, Ints, Objects


def growth_kind(lines: pd.DataFrame, codes: Ints, as_of: Ints, when: Ints) -> Objects:
    """The kind of growth of each (account, as_of) that had grown enough at the instant `when`.

    Parameters
    ----------
    lines : every subscription: code, start, end (int64), plan (str or None), seats (number, NaN unknown).
    codes, as_of, when : one entry per growth.

    Returns
    -------
    "cross_sell" where more subscriptions run than at as_of; else "tier" where the plans differ; else "seats" where
    the seats, all of them known, are more; else None (a mere rise in price, or seats that nobody recorded).
    """
    asked = pd.DataFrame({"code": codes, "as_of": as_of, "when": when}).reset_index(names="query")
    plan = pd.factorize(lines["plan"])[0]
    lines = lines.assign(plan=plan, seats=lines["seats"].astype(np.float64))
    pairs = asked.merge(lines, on="code")
    then = (pairs["start"] < pairs["as_of"]) & (pairs["end"] >= pairs["as_of"])
    now = (pairs["start"] <= pairs["when"]) & (pairs["end"] > pairs["when"])
    count, seats = _sums(pairs, then, len(asked))
    count_now, seats_now = _sums(pairs, now, len(asked))
    other_plan = _balance(pairs, now, then, len(asked))
    kind = np.full(len(asked), None, dtype=object)
    for name, holds in (("seats", seats_now > seats), ("tier", other_plan), ("cross_sell", count_now > count)):
        kind[holds] = name
    return kind


def _sums(pairs: pd.DataFrame, chosen: pd.Series[bool], queries: int) -> tuple[Ints, Floats]:
    """Subscriptions and seats per query; NaN seats where any is unknown."""
    query = pairs["query"][chosen].to_numpy(dtype=np.int64)
    seats = np.bincount(query, pairs["seats"][chosen].to_numpy(dtype=np.float64), queries)
    return np.bincount(query, minlength=queries).astype(np.int64), seats.astype(np.float64)


def _balance(pairs: pd.DataFrame, now: pd.Series[bool], then: pd.Series[bool], queries: int) -> Bools:
    """Whether any plan runs more or less often now than then."""
    change = now.astype(np.int64) - then.astype(np.int64)
    per_plan = change.groupby([pairs["query"], pairs["plan"]]).sum()
    differs = per_plan.index.get_level_values("query")[per_plan.to_numpy() != 0].to_numpy(dtype=np.int64)
    return np.bincount(differs, minlength=queries) > 0
