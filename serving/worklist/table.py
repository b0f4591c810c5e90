"""The worklist as a flat table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from models.peer_groups.frame_columns import join_codes
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
        One row per account, with `WORKLIST_COLUMNS`; ``play_because`` is text, with "; " between the codes. Without
        accounts it is empty and has no columns.
    """
    rows = []
    for item in payload["accounts"]:
        play: Mapping[str, Any] = item["play"] or dict.fromkeys(PLAY_COLUMNS)
        row = {name: value for name, value in item.items() if name != "play"}
        row |= {PLAY_COLUMNS[name]: join_codes(value) if name == "because" else value for name, value in play.items()}
        rows.append(row)
    return pd.DataFrame(rows)
