"""The leadership report of a published snapshot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from features.errors import BadRequest
from features.utils.dates import to_iso
from features.utils.periods import period_ending
from serving.leadership.report import LeadershipInputs, leadership_report, start_years
from serving.leadership.schemas import Division
from serving.portfolio.cohorts import LIVES
from serving.portfolio.filtered_kpis import kpi_versions, published_accounts, required_contributions, targets_of
from serving.portfolio.kpi_filter import KpiFilter
from serving.portfolio.kpi_schemas import published_kpis
from serving.portfolio.lifetime_value import LIMIT_YEARS, check_parameters
from serving.renewals.published_forecast import published_renewals
from serving.snapshots.account_attributes import AccountSelection, account_attributes, filtered_cache
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import file_version


def published_leadership(
    scored: ScoredSnapshot,
    selection: AccountSelection,
    by: Division = "segment",
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
        only = KpiFilter.of(account_attributes(scored), account_filter) if account_filter.chosen else None
        inputs = _inputs(scored, selection)
        return leadership_report(inputs, scored.assessment, selection, only, by, margin, years)

    # Other parameters are not cached, so that they cannot evict what the pages need.
    if (margin, years) != (1.0, LIMIT_YEARS):
        return make()
    lives = file_version(sidecar_path(scored.snapshots, scored.as_of, LIVES))
    return filtered_cache(scored, account_filter).get(("leadership", by, lives, *kpi_versions(scored)), make)


def _inputs(scored: ScoredSnapshot, selection: AccountSelection) -> LeadershipInputs:
    kpis = published_kpis(scored, "year")
    quarter = period_ending(scored.as_of, "quarter")
    forecast, unknown = None, None
    try:
        forecast = published_renewals(scored, limit=0, selection=selection)
    except BadRequest as error:
        unknown = error.found
    return LeadershipInputs(
        kpis,
        required_contributions(scored, "year"),
        targets_of(kpis),
        _accounts(scored),
        {"name": quarter.name, "start": to_iso(quarter.start), "end": to_iso(quarter.end)},
        forecast,
        unknown,
        account_attributes(scored).names,
    )


def _accounts(scored: ScoredSnapshot) -> pd.DataFrame:
    """Return every account with its groups, the year of its start and the cost of its acquisition."""
    people = (read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS) or {}).get("accounts", {})
    lives = (read_sidecar(scored.snapshots, scored.as_of, LIVES) or {}).get("columns", {"account_id": [], "began": []})
    accounts = published_accounts(scored)
    costs = {account: each.get("acquisition_cost") for account, each in people.items()}
    return accounts.assign(
        cohort=accounts["account_id"].map(start_years(pd.DataFrame(lives))),
        cost=accounts["account_id"].map(costs).astype(np.float64),
    )
