"""KPIs that depend on rules: business reviews within the cycle of the segment, and customers after a play."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from features.kpi.business_reviews import last_reviews
from features.kpi.contributions import kpi_part
from features.revenue.contract_outcomes import DAY_US
from features.signals.signals import OpenSignals
from features.utils.dates import epoch_micros
from features.utils.periods import Period
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE, segment_of, segments_file
from models.rules.intervention_effects import AFTER_DAYS, compared_records
from models.rules.intervention_table import interventions_from_signals

REVIEWS_HELD, TENURE = "engagement.qbrs_held_182d", "contract.tenure_days"


def review_parts(signals: OpenSignals, frame: pd.DataFrame, at: datetime) -> pd.DataFrame:
    """Return the contributions to the KPI of accounts with a business review.

    Parameters
    ----------
    signals : the open signals.
    frame : the snapshot at the instant.
    at : the instant.
    """
    arr, tenure = number_column(frame, ARR_FEATURE), number_column(frame, TENURE)
    cycles: Mapping[str | None, int | None] = {s.name: s.reviews_every_days for s in segments_file().segments}
    cycle = np.array([cycles.get(name) or np.nan for name in segment_of(arr)], dtype=np.float64)
    unknown_arr = np.isnan(arr)
    # Comparisons with NaN are false, so that segments without a cycle are not due.
    chosen = (tenure >= cycle) | unknown_arr
    last = last_reviews(signals, at).reindex(frame["account_id"].to_numpy(dtype=object)).to_numpy(dtype=np.float64)
    held = (epoch_micros(at) - last <= cycle * DAY_US).astype(np.float64)
    unknown = unknown_arr | np.isnan(number_column(frame, REVIEWS_HELD))
    return kpi_part(
        "review_coverage",
        frame["account_id"].to_numpy(dtype=object)[chosen],
        np.where(unknown, np.nan, held)[chosen],
        1.0,
        arr[chosen],
        overwritten=(unknown_arr & signals.contractual)[chosen],
    )


def play_parts(signals: OpenSignals, period: Period, known_at: datetime, moved: pd.DataFrame) -> pd.DataFrame:
    """Return the contributions to the KPIs of accounts that stayed, after a play and held out.

    Parameters
    ----------
    signals : the open signals.
    period : the 90th day after the beginning of an intervention is in it.
    known_at : the instant before which rows must be known.
    moved : account_id, arr (which determines the segment) and overwritten of the accounts.
    """
    after = timedelta(days=AFTER_DAYS)
    records = [
        each
        for each in compared_records(interventions_from_signals(signals, known_at))
        if each.stayed is not None and period.start <= each.occurred_at + after < period.end
    ]
    rows = pd.DataFrame(
        {
            "account_id": pd.Series([each.account_id for each in records], dtype=object),
            "held_out": pd.Series([each.held_out for each in records], dtype=bool),
            "stayed": pd.Series([float(bool(each.stayed)) for each in records], dtype=np.float64),
        }
    )
    terms = moved.drop_duplicates("account_id").set_index("account_id")
    parts = []
    for code, held_out in (("stayed_after_play", False), ("stayed_held_out", True)):
        own = rows[rows["held_out"] == held_out].groupby("account_id")["stayed"].agg(["sum", "count"])
        terms_of = terms.reindex(own.index)
        overwritten = terms_of["overwritten"].eq(True).to_numpy(dtype=bool)
        parts.append(
            kpi_part(
                code,
                own.index,
                own["sum"],
                own["count"],
                terms_of["arr"].to_numpy(dtype=np.float64),
                overwritten=overwritten,
            )
        )
    return pd.concat(parts, ignore_index=True)
