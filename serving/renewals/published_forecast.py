"""The renewal forecast of a published snapshot, worked out once for each period."""

from __future__ import annotations

from typing import Any

from features.utils.periods import forecast_period
from models.renewals.past_forecasts import FILE
from serving.renewals.forecast import narrowed, renewals_of
from serving.renewals.inputs import RENEWALS, known_published
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.snapshot_files import file_version


def renewals_published(
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
        return renewals_of(scored.assessment, asked, known_published(snapshots, scored.as_of))

    # A new backtest changes the answer.
    told = scored.cache.get((RENEWALS, asked, file_version(snapshots.home.root / FILE)), make)
    return narrowed(told, by, limit)
