"""The leadership report: bridge of ARR, retention, forecast, groups, cohorts, capacity of CSMs and unit economics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.kpi.arr_bridge import AMOUNTS, PREFIX
from features.kpi.contributions import ACQUISITION
from features.kpi.definitions import BY_CODE
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE, segment_names
from models.predictions.assessment import Assessment
from serving.leadership.arr_bridge import arr_bridge
from serving.leadership.csm_capacity import csm_capacity
from serving.leadership.unit_economics import unit_economics
from serving.portfolio.contribution_rows import ContributionRows, KpiSum
from serving.portfolio.kpi_filter import KpiFilter
from serving.portfolio.kpi_values import KpiContributions, kpi_measures, kpi_value, not_by_segment, with_groups
from serving.portfolio.lifetime_value import LIMIT_YEARS, lifetimes
from serving.schemas.divisions import ExclusiveDivision
from serving.snapshots.account_attributes import AccountSelection
from serving.snapshots.portfolio_summary import sum_of_known

RETENTION = ("nrr", "grr", "logo_retention", "logo_churn_year", "arr_churn_year", "expansion_rate")
"""The KPIs of the report."""
GROUP_KPIS = ("nrr", "grr", "logo_retention")
"""The KPIs of each group."""
_GROUP_CODES = (*GROUP_KPIS, *(f"{PREFIX}{step}" for step in AMOUNTS))
CODES = frozenset({*RETENTION, *_GROUP_CODES, ACQUISITION})
"""The contributions that the report needs."""
NO_LIVES = "not stored with this snapshot; `renewcast score --publish` stores it"


@dataclass(frozen=True)
class LeadershipInputs:
    """What the report is computed from, for all accounts.

    Parameters
    ----------
    about : as_of, period, last_period and contractual of the KPIs.
    contributions : the contributions to the figures of the trailing twelve months, with the groups of ``accounts``.
    targets : the target of each KPI over the period.
    accounts : account_id, csm, region, parent, cohort (the year of the start, as text; None if unknown) and cost (of
        acquisition, NaN if unknown) of each account, active or not.
    quarter : name, start and end of the last quarter.
    forecast : the forecast of the next renewals of the accounts that count (`serving.renewals.schemas.Renewals`); None
        if there is none.
    forecast_unknown : why there is none.
    names : the names of accounts.
    """

    about: Mapping[str, Any]
    contributions: KpiContributions
    targets: Mapping[str, dict[str, Any] | None]
    accounts: pd.DataFrame
    quarter: Mapping[str, str]
    forecast: Mapping[str, Any] | None
    forecast_unknown: str | None
    names: Mapping[str, str | None]


def leadership_report(
    inputs: LeadershipInputs,
    assessment: Assessment,
    selection: AccountSelection,
    only: KpiFilter | None = None,
    by: ExclusiveDivision = "segment",
    margin: float = 1.0,
    years: float = LIMIT_YEARS,
) -> dict[str, Any]:
    """Return the report (`serving.leadership.schemas.Leadership`).

    Parameters
    ----------
    inputs : what it is computed from.
    assessment : the assessed portfolio.
    selection : the active accounts that count.
    only : the contributions that count; None for all.
    by : the breakdown.
    margin, years : the gross margin and the limit of the lifetime (`serving.portfolio.lifetime_value.lifetimes`).

    Raises
    ------
    BadRequest : the margin or the limit of years is not valid.
    """
    chosen = inputs.contributions.of(only)
    now, recent = chosen.now, chosen.recent
    period = inputs.about["period"]
    measures = {each["measure"]: each for each in kpi_measures(chosen, inputs.targets)}
    accounts = _active(inputs, assessment, selection)
    rows = now.rows.of_measures(_GROUP_CODES)
    cohorts_known = inputs.accounts["cohort"].notna().any()
    bundle = assessment.target_scores["churn"].bundle
    forecast = inputs.forecast
    return {
        **{name: inputs.about[name] for name in ("as_of", "period", "contractual")},
        "horizon_days": None if bundle is None else bundle.manifest.horizon_days,
        "bridge": arr_bridge(now.rows.sums(), now.missing, period),
        "quarter_bridge": arr_bridge(
            {} if recent is None else recent.rows.sums(), {} if recent is None else recent.missing, inputs.quarter
        ),
        "retention": [measures[code] for code in RETENTION],
        "forecast": None if forecast is None else _forecast(forecast, accounts),
        "forecast_unknown": inputs.forecast_unknown,
        "by": by,
        "groups": retention_groups(by, rows, now.missing, period, forecast, inputs.names),
        "cohorts": retention_groups("cohort", rows, now.missing, period) if cohorts_known else [],
        "cohorts_unknown": None if cohorts_known else NO_LIVES,
        "capacity": csm_capacity(accounts),
        "economics": unit_economics(
            accounts, lifetimes(assessment, margin, years, selection.rows), now.rows, now.missing
        ),
        "filter": selection.account_filter.applied,
    }


def _active(inputs: LeadershipInputs, assessment: Assessment, selection: AccountSelection) -> pd.DataFrame:
    """Return the active accounts that count: account_id, csm, segment, arr, at_risk and cost."""
    arr = number_column(assessment.frame, ARR_FEATURE)
    frame = pd.DataFrame(
        {
            "account_id": np.asarray(assessment.account_ids, dtype=object),
            "segment": assessment.rule_results.segments,
            "arr": arr,
            "at_risk": arr * assessment.target_scores["churn"].probability,
        }
    )[selection.rows]
    grouped = with_groups(frame, inputs.accounts[["account_id", "csm", "cost"]])
    return grouped.assign(cost=grouped["cost"].astype(np.float64)).reset_index(drop=True)


def _forecast(forecast: Mapping[str, Any], accounts: pd.DataFrame) -> dict[str, Any]:
    due, now = forecast["whole"], sum_of_known(accounts["arr"].to_numpy(dtype=np.float64))
    changes = [due[name] for name in ("lost_arr", "contracted_arr", "expanded_arr")]
    expected = None
    if now is not None and None not in changes:
        lost, contracted, expanded = (each["expected"] for each in changes)
        expected = now - lost - contracted + expanded
    return {
        **{name: forecast[name] for name in ("period", "start", "end")},
        "due": due,
        "arr_now": now,
        "arr_expected": expected,
    }


def retention_groups(
    by: str,
    rows: ContributionRows,
    missing: Mapping[str, str],
    period: Mapping[str, str],
    forecast: Mapping[str, Any] | None = None,
    names: Mapping[str, str | None] | None = None,
) -> list[dict[str, Any]]:
    """Return the groups (`serving.leadership.schemas.RetentionGroup`).

    Parameters
    ----------
    by : the column of the groups.
    rows : the contributions that count, with the groups.
    missing : the KPIs that are unknown, each with the reason.
    period : name, start and end.
    forecast : the forecast of the next renewals (`serving.renewals.schemas.Renewals`); None if there is none.
    names : the names of parent companies.

    Returns
    -------
    list of dict
        Segments and cohorts in their order, others by ARR at the end; unknown groups come last.
    """
    sums = rows.sums(by)
    if by == "segment":
        missing = {**missing, **not_by_segment(rows.sums())}
    due = {} if forecast is None else {each[by]: each for each in forecast.get(f"by_{by}") or ()}
    groups = []
    for name in {key[0] for key in sums} | {each or "" for each, one in due.items() if _due(one, by) is not None}:
        bridge = arr_bridge(sums, missing, period, name)
        values = {code: kpi_value(BY_CODE[code], sums.get((name, code), KpiSum()), missing) for code in GROUP_KPIS}
        groups.append(
            {
                "group": name or None,
                "name": (names or {}).get(name) if by == "parent" else None,
                "bridge": bridge,
                **values,
                "forecast": _due(due.get(name or None), by),
            }
        )
    places = {name: place for place, name in enumerate(segment_names())}

    def order(group: Mapping[str, Any]) -> tuple[bool, float, str]:
        name, steps = group["group"] or "", group["bridge"]["steps"]
        size = float(places.get(name, 0)) if by == "segment" else 0.0
        if by not in ("segment", "cohort") and steps is not None:
            size = -steps[-1]["arr"]
        return group["group"] is None, size, name

    return sorted(groups, key=order)


def _due(renewals: Mapping[str, Any] | None, by: str) -> dict[str, Any] | None:
    if renewals is None or not renewals["accounts"] + renewals["overdue_accounts"]:
        return None
    return {name: value for name, value in renewals.items() if name != by}


def start_years(lives: pd.DataFrame) -> pd.Series[str]:
    """Return the year in which each account began, as text, by account_id.

    Parameters
    ----------
    lives : rows of `features.kpi.cohort_retention.account_lives`.
    """
    began = pd.to_datetime(lives["began"].astype("int64"), unit="us", utc=True)
    years = began.dt.year.astype(str).astype(object)
    return pd.Series(years.to_numpy(dtype=object), index=lives["account_id"].to_numpy(dtype=object), dtype=object)
