"""The renewal forecast of a published snapshot, computed once for each period."""

from __future__ import annotations

from typing import Any

from features.utils.periods import forecast_period
from models.renewals.past_forecasts import FILE
from serving.renewals.forecast import filter_forecast, forecast_renewals
from serving.renewals.inputs import RENEWALS, published_inputs
from serving.schemas.account_filter import EVERYONE
from serving.snapshots.account_attributes import AccountSelection, attribute_versions, filtered_cache
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.snapshot_files import file_version


def published_renewals(
    scored: ScoredSnapshot,
    period: str | None = None,
    days: int | None = None,
    by: str | None = None,
    limit: int | None = None,
    selection: AccountSelection | None = None,
) -> dict[str, Any]:
    """Return the renewal forecast (`serving.renewals.schemas.Renewals`) of a period.

    Parameters
    ----------
    period : a quarter or month by name.
    days : the next so many days, if no period is given; 90 by default.
    by : the breakdown to include; all if None.
    limit : how many accounts to list; all if None.
    selection : the accounts that count; all if None.

    Raises
    ------
    BadRequest : the period is not valid, or the business has no contracts.
    HomeError : a sidecar of the snapshot is not valid.
    """
    forecast_for = forecast_period(scored.as_of, period, days)
    snapshots = scored.snapshots

    def make() -> dict[str, Any]:
        return forecast_renewals(scored.assessment, forecast_for, published_inputs(snapshots, scored.as_of), selection)

    account_filter = EVERYONE if selection is None else selection.account_filter
    # A new backtest changes the result.
    version = (file_version(snapshots.home.root / FILE), *attribute_versions(scored))
    forecast = filtered_cache(scored, account_filter).get((RENEWALS, forecast_for, *version), make)
    return filter_forecast(forecast, by, limit)
