"""KPIs from the health score: bands, mean health, advocates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from features.families.outcomes import PROMOTER_FROM
from features.kpi.contributions import kpi_part
from models.health.rubric import INSUFFICIENT, HealthScores
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.predictions.table_export import plain_rows
from serving.portfolio.kpi_schemas import Advocate

NPS = "outcomes.nps_last"
NPS_AGE = "outcomes.nps_age_days"


def health_parts(frame: pd.DataFrame, health: HealthScores, contractual: bool) -> pd.DataFrame:
    """Return the components (`features.kpi.components.COLUMNS`) of the health KPIs at a snapshot.

    Parameters
    ----------
    frame : the snapshot's rows, in the order of ``health``.
    contractual : whether the source has subscriptions. If so, an unknown ARR means that the terms were overwritten.
    """
    ids, arr = frame["account_id"], number_column(frame, ARR_FEATURE)
    overwritten = np.isnan(arr) & contractual
    band = health.band.to_numpy(dtype=object)
    scored = pd.Series(np.where(band == INSUFFICIENT, np.nan, 1.0), index=frame.index)
    nps = number_column(frame, NPS)
    # An account that is not green, or not a promoter, is not an advocate, even if other values are unknown.
    no = np.isin(band, ["yellow", "red"]) | (nps < PROMOTER_FROM)
    yes = (band == "green") & (nps >= PROMOTER_FROM)
    return pd.concat(
        [
            *(
                kpi_part(f"{name}_share", ids, np.where(band == name, 1.0, 0.0), scored, arr, overwritten=overwritten)
                for name in ("green", "yellow", "red")
            ),
            kpi_part("mean_health", ids, health.score.to_numpy(dtype=np.float64), scored, arr, overwritten=overwritten),
            kpi_part(
                "advocates", ids, np.where(yes, 1.0, np.where(no, 0.0, np.nan)), 1.0, arr, overwritten=overwritten
            ),
        ],
        ignore_index=True,
    )


def advocates(frame: pd.DataFrame, health: HealthScores, people: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the accounts with green health and a latest NPS answer of 9 or 10 (`Advocate`), largest ARR first.

    Parameters
    ----------
    frame : the snapshot's rows.
    health : their health scores, in the same order.
    people : name and csm of each account.

    Returns
    -------
    list of dict
    """
    arr = number_column(frame, ARR_FEATURE)
    table = pd.DataFrame(
        {
            "account_id": frame["account_id"].astype(object),
            "segment": segment_of(arr),
            "arr": arr,
            "nps": number_column(frame, NPS),
            "nps_age_days": np.floor(number_column(frame, NPS_AGE)),
            "health": health.score.to_numpy(dtype=np.float64),
        }
    )
    chosen = table[(health.band.to_numpy(dtype=object) == "green") & (table["nps"] >= PROMOTER_FROM).to_numpy()]
    named = chosen.merge(people[["account_id", "name", "csm"]], on="account_id", how="left")
    order = named.sort_values(["arr", "account_id"], ascending=[False, True], na_position="last")
    return plain_rows(order[list(Advocate.model_fields)].reset_index(drop=True))
