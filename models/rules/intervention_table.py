"""The table ``interventions`` of the signals as records, with what became of each account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.renewals.historical_rates import ArrLine, seconds_of
from models.rules.intervention_effects import AFTER_DAYS, CLOSING_RESULTS, InterventionRecord

if TYPE_CHECKING:
    from features.signals.signals import OpenSignals

LOOKBACK_DAYS = 730
"""How many days back interventions are used."""
_COLUMNS = (
    *("account_id", "occurred_at", "held_out", "closed_at", "result"),
    *("play", "trial", "held_out_share", "churn_probability"),
)


def interventions_from_signals(signals: OpenSignals, as_of: datetime) -> list[InterventionRecord]:
    """Return the interventions in the signals, and whether each account stayed.

    Parameters
    ----------
    signals : validated signals.
    as_of : only what was known before this instant counts.

    Returns
    -------
    list of InterventionRecord
        Empty without the table.
    """
    if not signals.has("interventions"):
        return []
    # Imported here, because reading published snapshots needs no query engine.
    import ibis

    from features.sources.engine import known_before

    table = signals.tables["interventions"]
    table = table.filter(known_before(table, ibis.literal(as_of.astimezone(UTC).replace(tzinfo=None))))
    given = table.select(*_COLUMNS).to_pyarrow().to_pandas()
    at = pd.to_datetime(given["occurred_at"], utc=True)
    given = given[((at < as_of) & (at >= as_of - timedelta(days=LOOKBACK_DAYS))).to_numpy()].reset_index(drop=True)
    stayed, arr = _stayed(signals, given, as_of)
    closed = pd.to_datetime(given["closed_at"], utc=True)
    return [
        InterventionRecord(
            str(row.account_id),
            pd.Timestamp(row.occurred_at, tz="UTC").to_pydatetime(),
            not pd.isna(row.held_out) and bool(row.held_out),
            None if pd.isna(end) or end >= as_of else end.to_pydatetime(),
            None if pd.isna(end) or end >= as_of else CLOSING_RESULTS.get(str(row.result)),
            still_active,
            play=_text(row.play),
            trial=_text(row.trial),
            held_out_share=_number(row.held_out_share),
            churn_probability=_number(row.churn_probability),
            arr=value,
        )
        for row, end, still_active, value in zip(given.itertuples(index=False), closed, stayed, arr, strict=True)
    ]


def _text(value: Any) -> str | None:
    return None if pd.isna(value) or not str(value) else str(value)


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _stayed(
    signals: OpenSignals, given: pd.DataFrame, as_of: datetime
) -> tuple[Sequence[bool | None], Sequence[float | None]]:
    """Return whether each account stayed, and its ARR when the intervention began; None is unknown."""
    if not signals.contractual or not len(given):
        return [None] * len(given), [None] * len(given)
    columns = ("account_id", "started_at", "ended_at", "arr")
    rows = signals.tables["subscriptions"].select(*columns).to_pyarrow().to_pandas()
    accounts = pd.Index(rows["account_id"].unique())
    codes = accounts.get_indexer(pd.Index(rows["account_id"])).astype(np.int64)
    # Each subscription counts as 1, so that subscriptions without a price are included.
    started, ended = seconds_of(rows["started_at"]), seconds_of(rows["ended_at"])
    line = ArrLine(codes, started, ended, np.ones(len(rows)))
    prices = ArrLine(codes, started, ended, rows["arr"].fillna(0.0).to_numpy(dtype=np.float64))
    begun = seconds_of(given["occurred_at"])
    after = begun + AFTER_DAYS * 86_400
    place = accounts.get_indexer(pd.Index(given["account_id"])).astype(np.int64)
    running = line.at(np.maximum(place, 0), after) > 0
    known = (after <= int(as_of.timestamp())) & (place >= 0)
    arr = prices.at(np.maximum(place, 0), begun)
    return (
        [bool(runs) if there else None for runs, there in zip(running, known, strict=True)],
        [float(value) if there and value > 0 else None for value, there in zip(arr, place >= 0, strict=True)],
    )
