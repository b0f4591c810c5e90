"""The renewal forecast of a published snapshot, worked out once for each period."""

from __future__ import annotations

from typing import Any

from features.utils.periods import forecast_period
from models.renewals.past_forecasts import FILE
from serving.renewals.forecast import filter_forecast, forecast_renewals
from serving.renewals.inputs import RENEWALS, published_inputs
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.snapshot_files import file_version


def published_renewals(
    scored: ScoredSnapshot,
    period: str | None = None,
    days: int | None = None,
    by: str | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """What `serving.renewals.schemas.Renewals` says of a period: a quarter or month by name, or the next so many days,
    90
    by default; one division by name, or all; the first ``limit`` accounts, or all.

    Raises
    ------
    BadRequest : the period cannot be, or the business has no contracts.
    HomeError : what was kept beside the snapshot is broken.
    """
    asked = forecast_period(scored.as_of, period, days)
    snapshots = scored.snapshots

    def make() -> dict[str, Any]:
        return forecast_renewals(scored.assessment, asked, published_inputs(snapshots, scored.as_of))

    # A new backtest changes the answer.
    told = scored.cache.get((RENEWALS, asked, file_version(snapshots.home.root / FILE)), make)
    return filter_forecast(told, by, limit)
