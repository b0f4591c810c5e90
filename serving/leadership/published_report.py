"""The leadership report of a published snapshot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from features.errors import BadRequest
from features.utils.dates import to_iso
from features.utils.periods import period_ending
from serving.leadership.report import CODES, LeadershipInputs, leadership_report, start_years
from serving.portfolio.cohorts import LIVES
from serving.portfolio.filtered_kpis import (
    kpi_filter,
    kpi_versions,
    published_accounts,
    required_contributions,
    targets_of,
)
from serving.portfolio.kpi_schemas import published_kpis
from serving.portfolio.kpi_values import KpiContributions
from serving.portfolio.lifetime_value import LIMIT_YEARS, check_parameters
from serving.renewals.published_forecast import published_renewals
from serving.schemas.divisions import ExclusiveDivision
from serving.snapshots.account_attributes import (
    AccountSelection,
    account_attributes,
    attribute_versions,
    filtered_cache,
)
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import FileVersion, file_version


def published_leadership(
    scored: ScoredSnapshot,
    selection: AccountSelection,
    by: ExclusiveDivision = "segment",
    margin: float = 1.0,
    years: float = LIMIT_YEARS,
) -> dict[str, Any]:
    """Return the report (`serving.leadership.schemas.Leadership`).

    Parameters
    ----------
    scored : the snapshot.
    selection : the accounts that count.
    by : the breakdown.
    margin, years : the gross margin and the limit of the lifetime (`serving.portfolio.lifetime_value.lifetimes`).

    Raises
    ------
    BadRequest : the margin or the limit of years is not valid.
    UnknownSnapshot : the KPIs or the contributions of accounts were not stored with the snapshot.
    HomeError : a stored file is not valid.
    """
    check_parameters(margin, years)
    account_filter = selection.account_filter

    def make() -> dict[str, Any]:
        only = kpi_filter(scored, account_filter) if account_filter.chosen else None
        inputs = published_inputs(scored, selection)
        return leadership_report(inputs, scored.assessment, selection, only, by, margin, years)

    # Other parameters are not cached, so that they cannot evict what the pages need.
    if (margin, years) != (1.0, LIMIT_YEARS):
        return make()
    versions = (_lives_version(scored), *kpi_versions(scored))
    return filtered_cache(scored, account_filter).get(("leadership", by, *versions), make)


def published_inputs(
    scored: ScoredSnapshot, selection: AccountSelection, forecast_accounts: int | None = 0
) -> LeadershipInputs:
    """Return what the report needs, as it was stored with the snapshot.

    Parameters
    ----------
    scored, selection : as in `published_leadership`.
    forecast_accounts : how many accounts the forecast lists; all if None.

    Raises
    ------
    UnknownSnapshot, HomeError : as in `published_leadership`.
    """
    kpis = published_kpis(scored, "year")
    quarter = period_ending(scored.as_of, "quarter")
    forecast, unknown = None, None
    try:
        forecast = published_renewals(scored, limit=forecast_accounts, selection=selection)
    except BadRequest as error:
        unknown = error.found
    accounts = _accounts(scored)

    def contributions() -> KpiContributions:
        return required_contributions(scored, "year").of_measures(CODES).with_groups(accounts.drop(columns="cost"))

    return LeadershipInputs(
        kpis,
        scored.cache.get(("leadership contributions", _lives_version(scored), *kpi_versions(scored)), contributions),
        targets_of(kpis),
        accounts,
        {"name": quarter.name, "start": to_iso(quarter.start), "end": to_iso(quarter.end)},
        forecast,
        unknown,
        account_attributes(scored).names,
    )


def _accounts(scored: ScoredSnapshot) -> pd.DataFrame:
    """Return every account with its groups, the year of its start and the cost of its acquisition, cached."""

    def make() -> pd.DataFrame:
        people = (read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS) or {}).get("accounts", {})
        lives = read_sidecar(scored.snapshots, scored.as_of, LIVES) or {"columns": {"account_id": [], "began": []}}
        accounts = published_accounts(scored)
        costs = {account: each.get("acquisition_cost") for account, each in people.items()}
        return accounts.assign(
            cohort=accounts["account_id"].map(start_years(pd.DataFrame(lives["columns"]))),
            cost=accounts["account_id"].map(costs).astype(np.float64),
        )

    return scored.cache.get(("accounts with costs", _lives_version(scored), *attribute_versions(scored)), make)


def _lives_version(scored: ScoredSnapshot) -> FileVersion | None:
    return file_version(sidecar_path(scored.snapshots, scored.as_of, LIVES))
