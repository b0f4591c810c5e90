"""What it cost to acquire the accounts of a period, and the ARR that they pay at its end."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.kpi.contributions import ACQUISITION, kpi_part
from features.revenue.arr import ACTIVE_DAYS, facts, people
from features.signals.signals import OpenSignals
from features.utils.dates import epoch_micros
from features.utils.periods import Period


def acquisition_parts(
    signals: OpenSignals, period: Period, lives: pd.DataFrame, active_days: int = ACTIVE_DAYS
) -> pd.DataFrame:
    """Return the acquisition cost and the ARR at the period's end of each account that began in the period.

    An account that has left by then has its cost and no ARR. The segment is that of the ARR at its start.

    Parameters
    ----------
    signals : the open signals.
    period : the period.
    lives : rows of `features.kpi.cohort_retention.account_lives` at the period's end or later.
    active_days : without contracts, the days for which an order makes an account active.

    Returns
    -------
    pandas.DataFrame
        Contributions (`features.kpi.contributions.COLUMNS`): cost as numerator, ARR as denominator. Empty if no account
        has an acquisition cost.
    """
    costs = pd.Series(people(signals).set_index("account_id")["acquisition_cost"], dtype=np.float64)
    began = lives["began"].to_numpy(dtype=np.int64)
    own = lives[(began >= epoch_micros(period.start)) & (began < epoch_micros(period.end))]
    if costs.isna().all():
        own = own.iloc[:0]
    ids = own["account_id"].to_numpy(dtype=object)
    active = facts(signals, period.end, active_days).set_index("account_id")["arr"]
    arr = active.reindex(ids).to_numpy(dtype=np.float64)
    left = ~np.isin(ids, active.index.to_numpy(dtype=object))
    start = own["arr_start"].to_numpy(dtype=np.float64)
    return kpi_part(
        ACQUISITION,
        ids,
        costs.reindex(ids).to_numpy(dtype=np.float64),
        np.where(left, 0.0, arr),
        np.where(np.isnan(start), arr, start),
    )
