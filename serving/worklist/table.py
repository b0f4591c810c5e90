"""The worklist as a flat table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from models.predictions.schema import RecommendedPlay
from serving.worklist.schemas import WorkItem

PLAY_COLUMNS = {name: f"play_{name}" for name in RecommendedPlay.model_fields}
"""The column of each field of the play."""
WORKLIST_COLUMNS = (*(name for name in WorkItem.model_fields if name != "play"), *PLAY_COLUMNS.values())
"""All columns, in the order of the schema."""


def worklist_frame(payload: Mapping[str, Any]) -> pd.DataFrame:
    """Return the accounts of a worklist as a flat table.

    Parameters
    ----------
    payload : the answer of `serving.worklist.rank.build_worklist`.

    Returns
    -------
    pandas.DataFrame
        One row per account, with `WORKLIST_COLUMNS`. Without accounts it is empty and has no columns.
    """
    rows = []
    for item in payload["accounts"]:
        play = item["play"] or dict.fromkeys(PLAY_COLUMNS)
        rows.append({k: v for k, v in item.items() if k != "play"} | {PLAY_COLUMNS[k]: v for k, v in play.items()})
    return pd.DataFrame(rows)
