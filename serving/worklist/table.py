"""The worklist as a flat table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd


def worklist_frame(payload: Mapping[str, Any]) -> pd.DataFrame:
    """Return the accounts of a worklist as a flat table.

    Parameters
    ----------
    payload : the answer of `serving.worklist.rank.build_worklist`.

    Returns
    -------
    pandas.DataFrame
        One row per account, with the columns ``play_name``, ``play_severity``, ``play_act``, ``play_who`` and
        ``play_due`` for the play. Without accounts it is empty and has no columns.
    """
    rows = []
    for item in payload["accounts"]:
        play = item["play"] or dict.fromkeys(("name", "severity", "act", "who", "due"))
        rows.append({k: v for k, v in item.items() if k != "play"} | {f"play_{k}": v for k, v in play.items()})
    return pd.DataFrame(rows)
