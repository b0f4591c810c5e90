"""The peer in pandas, on the rows as they are: read, sort by time once, then group a slice per date and window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
from child import WINDOWS, Task, answer, totals

COLUMNS = ["account_id", "user_id", "occurred_at", "quantity"]


def _read(task: Task) -> pd.DataFrame:
    """Return the rows ordered by time, with accounts and users as codes."""
    folder = task.address / "usage"
    place = folder if folder.is_dir() else task.address / "usage.parquet"
    # Texts are dictionaries: a few thousand values, and a code for each row.
    format_ = ds.ParquetFileFormat(read_options={"dictionary_columns": {"account_id", "user_id"}})
    table = ds.dataset(place, format=format_).to_table(columns=COLUMNS).unify_dictionaries()
    frame = table.to_pandas()
    return frame.sort_values("occurred_at", kind="stable", ignore_index=True)


def build(task: Task) -> dict[str, Any]:
    with task.timed("read"):
        events = _read(task)
    with task.timed("windows"):
        at = events["occurred_at"].to_numpy()
        pieces = []
        for as_of in task.dates:
            end = np.searchsorted(at, np.datetime64(as_of))
            columns = {}
            for w in WINDOWS:
                visible = events.iloc[np.searchsorted(at, np.datetime64(as_of) - np.timedelta64(w, "D")) : end]
                by = visible.groupby("account_id", observed=True)
                columns[f"events_{w}d"] = by.size()
                columns[f"quantity_{w}d"] = by["quantity"].sum()
                users = visible[["account_id", "user_id"]].drop_duplicates()
                columns[f"users_{w}d"] = users.groupby("account_id", observed=True).size()
            pieces.append(pd.DataFrame(columns).fillna(0.0).assign(as_of=as_of))
        frame = pd.concat(pieces)
    return {"rows": len(frame), "totals": totals(frame)}


if __name__ == "__main__":
    answer(build)
