"""Contributions to the KPIs of power users and feature utilization, which need the single users and features."""

from __future__ import annotations

from datetime import datetime
from math import ceil

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from features.aggregation.passes import known_before_us
from features.definitions.windows import MONTH
from features.families.usage import SIGNING_IN
from features.kpi.contributions import kpi_part
from features.kpi.definitions import COMMON_USE, REGULAR_DAYS, SETTLED_DAYS
from features.revenue.contract_outcomes import DAY_US
from features.signals.signals import OpenSignals
from features.sources.engine import collect, contract_table, create_table
from features.sources.sql_functions import epoch_us
from features.utils.dates import epoch_micros

SPAN = ibis.table({"start": "int64", "end": "int64"}, name="kpi_usage_span")
"""One row: the days of usage that count, ``[start, end)`` in microseconds."""


def product_usage_parts(signals: OpenSignals, frame: pd.DataFrame, at: datetime) -> pd.DataFrame:
    """Return the contributions to the KPIs of power users and feature utilization at an instant.

    Parameters
    ----------
    signals : the open signals.
    frame : the snapshot at the instant, with account_id and `features.kpi.components.FEATURES`.
    at : the instant; only usage known before it counts.

    Returns
    -------
    pandas.DataFrame
        The columns of `features.kpi.contributions.COLUMNS`. Unknown where the users or features of an account are.
    """
    ids, arr = frame["account_id"], frame["contract.arr"]
    users, used = frame["usage.active_users_28d"], frame["usage.features_used_28d"]
    regular, features, offered = pd.Series(dtype=float), pd.Series(dtype=float), 0
    if signals.has("usage"):
        end = epoch_micros(at)
        create_table(signals.connection, SPAN.get_name(), pa.table({"start": [end - MONTH * DAY_US], "end": [end]}))
        regular = collect(signals.connection, _regular_users).to_pandas().set_index("account_id")["users"]
        features, offered = _common_features(collect(signals.connection, _used_features).to_pandas(), set(ids))
    gone = arr.isna() & signals.contractual
    settled = (frame["contract.tenure_days"] >= SETTLED_DAYS).to_numpy(dtype=bool)
    known = used.notna() & (offered > 0)
    counts = {
        name: pd.Series(each.reindex(ids.to_numpy()).fillna(0.0).to_numpy(dtype=np.float64), index=frame.index)
        for name, each in (("regular", regular), ("features", features))
    }
    own = frame[settled]
    parts = [
        kpi_part("power_users", ids, counts["regular"].where(users.notna()), users, arr, overwritten=gone),
        kpi_part(
            "feature_utilization",
            own["account_id"],
            counts["features"].where(known)[settled],
            float(offered),
            own["contract.arr"],
            overwritten=gone[settled],
        ),
    ]
    return pd.concat(parts, ignore_index=True)


def _common_features(pairs: pd.DataFrame, accounts: set[str]) -> tuple[pd.Series[float], int]:
    """Return how many features of the portfolio each account used, and how many there are.

    Features that few accounts use, such as those of one customer or the names of single pages, are none of these.
    """
    pairs = pairs[pairs["account_id"].isin(accounts)]
    least = max(ceil(COMMON_USE * pairs["account_id"].nunique()), 1)
    accounts_of = pairs["feature"].value_counts()
    common = accounts_of[accounts_of >= least].index
    counts: pd.Series[float] = pairs[pairs["feature"].isin(common)].groupby("account_id").size().astype(float)
    return counts, len(common)


def _recent() -> ibis.Table:
    rows = contract_table("usage").cross_join(SPAN)
    at = epoch_us(rows.occurred_at)
    return rows.filter((at >= rows.start) & (at < rows.end) & known_before_us(rows, rows.end))


def _regular_users() -> ibis.Table:
    rows = _recent().filter(lambda t: t.user_id.notnull())
    rows = rows.mutate(day=epoch_us(rows.occurred_at) // DAY_US)
    people = rows.group_by("account_id", "user_id").aggregate(days=rows.day.nunique())
    people = people.filter(people.days >= REGULAR_DAYS)
    return people.group_by("account_id").aggregate(users=people.count())


def _used_features() -> ibis.Table:
    rows = _recent().filter(lambda t: t.feature.notnull() & ~t.feature.lower().isin(SIGNING_IN))
    return rows.select("account_id", "feature").distinct()
