"""Check that ours and the join by hand agree to the last bit: every usage count, sum and number of users over 7, 28 and
91 days, for every account and date. With ``"strict"`` the join respects duplicates and arrival as ours does. Without
it, the join takes the rows as they are, which is the same if no row is late or repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from child import Task, answer
from duck import connect, range_join_query
from ours import USAGE, make
from pandas import DataFrame

STRICT = """(
    SELECT account_id, occurred_at, user_id, quantity, min(loaded_at) AS loaded_at FROM read_parquet('{usage}')
    GROUP BY account_id, occurred_at, user_id, feature, quantity, minutes)"""
COLUMNS = {
    f"usage.{ours}_{w}d": f"{theirs}_{w}d"
    for ours, theirs in (("events", "events"), ("quantity", "quantity"), ("active_users", "users"))
    for w in (7, 28, 91)
    if f"usage.{ours}_{w}d" in USAGE
}


def compare(task: Task) -> dict[str, Any]:
    ours = make(task)
    strict = bool(task.given.get("strict"))
    rows = STRICT.format(usage=task.usage) if strict else f"read_parquet('{task.usage}')"
    query = range_join_query(task, rows, "AND loaded_at < as_of" if strict else "")
    theirs: DataFrame = connect(task).execute(query).df()
    theirs["as_of"] = pd.to_datetime(theirs["as_of"], utc=True).astype(ours["as_of"].dtype)
    keys = ours[["account_id", "as_of"]]
    theirs = keys.merge(theirs, on=["account_id", "as_of"], how="left", validate="one_to_one").fillna(0)
    compared, unknown, different = 0, 0, {}
    if not COLUMNS:
        raise LookupError("the catalogue has no feature to compare")
    for mine, other in COLUMNS.items():
        a, b = ours[mine].to_numpy(), theirs[other].to_numpy(dtype="float64")
        labelled = ~np.isnan(a)
        compared, unknown = compared + int(labelled.sum()), unknown + int((~labelled).sum())
        if wrong := int((a[labelled] != b[labelled]).sum()):
            different[mine] = wrong
    # The feed begins 104 weeks before the end. Only a window that begins before it may be unknown.
    whole = (ours["as_of"] > ours["as_of"].max() - pd.Timedelta(days=7 * 104 - 91 - 1)).to_numpy()
    if lost := int(ours.loc[whole, list(COLUMNS)].isna().sum().sum()):
        different["unknown without reason"] = lost
    return {"rows": len(ours), "columns": list(COLUMNS), "compared": compared, "unknown": unknown, "wrong": different}


if __name__ == "__main__":
    answer(compare)
