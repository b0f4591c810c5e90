"""The peer Featuretools, on the rows as they are: deep feature synthesis with cut-off times and training windows.

Run in a separate environment, see requirements-featuretools.txt.
"""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
from child import WINDOWS, Task, answer, totals

warnings.filterwarnings("ignore")
import featuretools as ft  # noqa: E402

COLUMNS = ["account_id", "user_id", "occurred_at", "quantity"]


def build(task: Task) -> dict[str, Any]:
    with task.timed("read"):
        folder = task.address / "usage"
        events = pd.read_parquet(folder if folder.is_dir() else task.address / "usage.parquet", columns=COLUMNS)
        events = events.sort_values("occurred_at", ignore_index=True)
        accounts = pd.read_parquet(task.address / "accounts.parquet", columns=["account_id"])
        entities = ft.EntitySet("signals")
        entities.add_dataframe(
            dataframe_name="accounts",
            dataframe=accounts,
            index="account_id",
            logical_types={"account_id": "Categorical"},
        )
        entities.add_dataframe(
            dataframe_name="usage",
            dataframe=events,
            index="event_id",
            make_index=True,
            time_index="occurred_at",
            already_sorted=True,
            logical_types={"account_id": "Categorical", "user_id": "Categorical", "quantity": "Double"},
        )
        entities.add_relationship("accounts", "account_id", "usage", "account_id")
    with task.timed("windows"):
        cutoffs = accounts[["account_id"]].merge(pd.DataFrame({"time": task.dates}), how="cross")
        columns: dict[str, pd.Series] = {}
        for w in WINDOWS:
            result, _ = ft.dfs(
                entityset=entities,
                target_dataframe_name="accounts",
                cutoff_time=cutoffs,
                training_window=ft.Timedelta(w, "d"),
                include_cutoff_time=False,
                agg_primitives=["count", "sum", "num_unique"],
                trans_primitives=[],
                max_depth=1,
                cutoff_time_in_index=True,
                n_jobs=1,
            )
            columns[f"events_{w}d"] = result["COUNT(usage)"]
            columns[f"quantity_{w}d"] = result["SUM(usage.quantity)"]
            columns[f"users_{w}d"] = result["NUM_UNIQUE(usage.user_id)"]
        frame = pd.DataFrame(columns)
    return {"rows": len(frame), "totals": totals(frame)}


if __name__ == "__main__":
    answer(build)
