"""The last business review of each account that was held."""

from __future__ import annotations

from datetime import datetime

import ibis
import pandas as pd
import pyarrow as pa

from features.aggregation.passes import known_before_us
from features.kpi.definitions import HELD
from features.signals.signals import OpenSignals
from features.sources.engine import collect, contract_table, create_table
from features.sources.sql_functions import epoch_us
from features.utils.dates import epoch_micros

INSTANT = ibis.table({"end": "int64"}, name="kpi_review_instant")
"""One row: the instant before which reviews count and must be known (microseconds)."""


def last_reviews(signals: OpenSignals, at: datetime) -> pd.Series[int]:
    """Return when the last business review of each account was held, as known before ``at``.

    Returns
    -------
    Series
        Microseconds by account_id; accounts without a review are absent.
    """
    if not signals.has("engagement"):
        return pd.Series(dtype="int64")
    create_table(signals.connection, INSTANT.get_name(), pa.table({"end": [epoch_micros(at)]}))
    found: pd.Series[int] = collect(signals.connection, _last).to_pandas().set_index("account_id")["last"]
    return found


def _last() -> ibis.Table:
    rows = contract_table("engagement").cross_join(INSTANT)
    rows = rows.filter((rows.kind == "qbr") & rows.outcome.isin(HELD).fill_null(False))
    rows = rows.filter((epoch_us(rows.occurred_at) < rows.end) & known_before_us(rows, rows.end))
    return rows.group_by("account_id").aggregate(last=epoch_us(rows.occurred_at).max())
