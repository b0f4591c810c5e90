"""KPIs of the accounts of a published snapshot that match a filter, computed from the stored contributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from features.errors import UnknownSnapshot
from features.utils.account_hierarchies import top_accounts
from models.peer_groups.segments import segment_of
from serving.portfolio.contribution_rows import GROUP_COLUMNS
from serving.portfolio.kpi_file import contributions_path, read_contributions
from serving.portfolio.kpi_filter import KpiFilter, stored_measures
from serving.portfolio.kpi_schemas import PeriodName, published_kpis
from serving.portfolio.kpi_values import KpiContributions, kpi_measures, kpis_of, with_groups
from serving.schemas.account_filter import AccountFilter
from serving.snapshots.account_attributes import account_attributes, attribute_versions, filtered_cache
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, KPIS, read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import file_version
from serving.snapshots.stored_tables import SCORE_AGAIN


def filtered_kpis(scored: ScoredSnapshot, period: PeriodName, account_filter: AccountFilter) -> dict[str, Any]:
    """Return the KPIs of the accounts that match a filter (`serving.portfolio.kpi_schemas.PortfolioKpis`).

    Parameters
    ----------
    scored : the snapshot.
    period : the period that ends at the snapshot.
    account_filter : the filter; without one, the stored KPIs are returned.

    Raises
    ------
    UnknownSnapshot : no KPIs, or no contributions of accounts, were stored with the snapshot.
    HomeError : a stored file is not valid.
    """
    stored = published_kpis(scored, period)
    if not account_filter.chosen:
        return stored
    contributions = required_contributions(scored, period)

    def make() -> dict[str, Any]:
        only = kpi_filter(scored, account_filter)
        found = kpis_of(contributions, targets_of(stored), _held(scored), stored["advocates"], only)
        return {**stored, **found, "filter": account_filter.applied}

    return filtered_cache(scored, account_filter).get(("kpis", period, *kpi_versions(scored)), make)


def filtered_measures(
    scored: ScoredSnapshot, period: PeriodName, account_filter: AccountFilter
) -> list[dict[str, Any]] | None:
    """Return the KPIs of the accounts that match a filter, without groups.

    Parameters
    ----------
    scored, period, account_filter : as in `filtered_kpis`.

    Returns
    -------
    list of dict or None
        Measures (`serving.portfolio.kpi_schemas.KpiResponse`). None if an earlier release published the snapshot and
        the filter is not one of its stored groups.

    Raises
    ------
    UnknownSnapshot : no KPIs were stored with the snapshot.
    HomeError : a stored file is not valid.
    """
    stored = published_kpis(scored, period)
    if not account_filter.chosen:
        measures: list[dict[str, Any]] = stored["measures"]
        return measures
    contributions = stored_contributions(scored, period)
    if contributions is None:
        return stored_measures(stored, account_filter)

    def make() -> list[dict[str, Any]]:
        return kpi_measures(contributions.of(kpi_filter(scored, account_filter)), targets_of(stored))

    return filtered_cache(scored, account_filter).get(("measures", period, *kpi_versions(scored)), make)


def kpi_filter(scored: ScoredSnapshot, account_filter: AccountFilter) -> KpiFilter:
    """Return which contributions a filter selects, cached.

    Raises
    ------
    HomeError : a sidecar is not valid.
    """
    return filtered_cache(scored, account_filter).get(
        ("kpi filter", *attribute_versions(scored)),
        lambda: KpiFilter.of(account_attributes(scored), account_filter),
    )


def stored_contributions(scored: ScoredSnapshot, period: PeriodName) -> KpiContributions | None:
    """Return the contributions of all accounts to the KPIs of a period, with their groups, cached.

    Returns
    -------
    KpiContributions or None
        None if they were not stored.

    Raises
    ------
    HomeError : a file is not valid.
    """

    def make() -> KpiContributions | None:
        now, last = (read_contributions(scored.snapshots, scored.as_of, period, span) for span in ("now", "last"))
        if now is None or last is None:
            return None
        recent = read_contributions(scored.snapshots, scored.as_of, "quarter") if period == "year" else None
        return KpiContributions(now, last, recent).with_groups(published_accounts(scored))

    return scored.cache.get(("contributions", period, *kpi_versions(scored)), make)


def required_contributions(scored: ScoredSnapshot, period: PeriodName) -> KpiContributions:
    """Return the contributions of all accounts to the KPIs of a period, with their groups, cached.

    Raises
    ------
    UnknownSnapshot : they were not stored with the snapshot.
    HomeError : the file is not valid.
    """
    contributions = stored_contributions(scored, period)
    if contributions is None:
        raise UnknownSnapshot(
            "an earlier release scored this snapshot, so its KPIs are stored only for all accounts together",
            "a snapshot with the contributions of each account",
            f"{SCORE_AGAIN} --publish",
        )
    return contributions


def kpi_versions(scored: ScoredSnapshot) -> tuple[Any, ...]:
    """Return the versions of the files that the KPIs of a filter depend on."""
    snapshots, as_of = scored.snapshots, scored.as_of
    paths = (sidecar_path(snapshots, as_of, KPIS), contributions_path(snapshots, as_of))
    return (*map(file_version, paths), *attribute_versions(scored))


def published_accounts(scored: ScoredSnapshot) -> pd.DataFrame:
    """Return account_id, csm, region and parent of every account, active or not, cached.

    Raises
    ------
    HomeError : the sidecar is not valid.
    """

    def make() -> pd.DataFrame:
        document = read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS) or {}
        tops = top_accounts(document.get("parents", {}))
        everyone = {**document.get("former", {}), **document.get("accounts", {})}
        rows = [(account, each.get("csm"), each.get("region"), tops.get(account)) for account, each in everyone.items()]
        return pd.DataFrame(rows, columns=["account_id", *GROUP_COLUMNS], dtype=object)

    return scored.cache.get(("every account", *attribute_versions(scored)), make)


def _held(scored: ScoredSnapshot) -> pd.DataFrame:
    """Return the active accounts with their ARR and groups, cached."""

    def make() -> pd.DataFrame:
        active = (read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS) or {}).get("accounts", {})
        arr = np.array([each["arr"] for each in active.values()], dtype=np.float64)
        held = pd.DataFrame({"account_id": list(active), "arr": arr, "segment": segment_of(arr)})
        return with_groups(held, published_accounts(scored))

    return scored.cache.get(("held", *attribute_versions(scored)), make)


def targets_of(stored: Mapping[str, Any]) -> dict[str, dict[str, Any] | None]:
    """Return the target of each KPI of `serving.portfolio.kpi_schemas.PortfolioKpis`."""
    return {each["measure"]: each["target"] for each in stored["measures"]}
