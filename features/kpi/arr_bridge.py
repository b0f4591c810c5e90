"""The bridge of ARR over a period: what every account contributes to each step from the start to the end.

``start + new + returned + expansion - contraction - churn - pending + renewed late = end``, in ARR and in accounts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from features.kpi.contributions import kpi_part

STEPS: Mapping[str, int] = {
    "arr_start": 1,
    "new": 1,
    "returned": 1,
    "expanded": 1,
    "contracted": -1,
    "churned": -1,
    "in_grace": -1,
    "renewed_late": 1,
}
"""The steps before the end, with their signs. They are columns of `features.revenue.arr.movements`."""
END = "arr_end"
AMOUNTS = (*STEPS, END)
MOVED = frozenset({"new", "returned", "churned", "in_grace", "renewed_late"})
"""The steps with which the number of accounts changes, too."""
PREFIX = "bridge_"


def bridge_parts(moved: pd.DataFrame, arr: pd.Series[float]) -> list[pd.DataFrame]:
    """Return the contributions to each step: the ARR as numerator, and 1 as denominator for an account that counts.

    The first step has a row for every account that counts in a step. If one amount of an account is unknown, all of
    them are, so that the known accounts add up. The codes are those of `AMOUNTS` after `PREFIX`.

    Parameters
    ----------
    moved : rows of `features.revenue.arr.movements`.
    arr : the ARR of each account, which determines its segment.
    """
    known = moved[list(AMOUNTS)].notna().all(axis=1)
    counted = {
        "arr_start": moved["active_start"],
        "expanded": moved["expanded"] > 0,
        "contracted": moved["contracted"] > 0,
        "churned": moved["kind"].notna(),
        "in_grace": moved["active_start"] & ~moved["active_end"] & moved["kind"].isna(),
        END: moved["active_end"],
        **{name: moved["arrival"] == name for name in ("new", "returned", "renewed_late")},
    }
    # An account that came and left within the period is in no step.
    every = ~known.to_numpy() | np.logical_or.reduce([each.to_numpy(dtype=bool) for each in counted.values()])
    parts = []
    for name in AMOUNTS:
        counts = counted[name].to_numpy(dtype=bool)
        rows = every if name == "arr_start" else counts & known.to_numpy()
        own = moved[rows]
        parts.append(
            kpi_part(
                f"{PREFIX}{name}",
                own["account_id"],
                own[name].where(known[rows]),
                counts[rows].astype(np.float64),
                arr[rows],
                overwritten=~known[rows],
            )
        )
    return parts
