"""The figures of the leadership presentation, read from signals with the functions of the pages and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from features.kpi.arr_bridge import PREFIX
from features.signals.signals import OpenSignals
from features.utils.arrays import Bools
from features.utils.periods import period_ending
from features.utils.progress import Progress, no_progress, subprogress
from models.artifacts.champion import Champion
from models.home import Home
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE
from models.predictions.assessment import Assessment
from models.predictions.payload import account_answer
from models.predictions.table_export import plain_rows
from models.rules.intervention_effects import InterventionStatus
from serving.leadership.published_report import published_inputs, published_leadership
from serving.leadership.report import LeadershipInputs, leadership_report
from serving.leadership.report_from_signals import leadership_inputs
from serving.portfolio.filtered_kpis import filtered_kpis, kpi_filter
from serving.portfolio.kpi_filter import KpiFilter
from serving.portfolio.kpi_report import kpi_report
from serving.portfolio.kpi_values import Contributions
from serving.portfolio.rule_tables import expansions_board
from serving.portfolio.weekly_health import band_changes, score_changes, weekly_health
from serving.scoring.score_portfolio import champion_horizon, complete_until, newest_events
from serving.snapshots.account_attributes import AccountSelection
from serving.snapshots.portfolio_summary import summarize_portfolio
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, accounts_document, read_sidecar

LISTED = 8
"""How many accounts a slide lists."""


@dataclass(frozen=True)
class LeadershipFigures:
    """The figures of the presentation.

    Parameters
    ----------
    as_of, data_through : the instant of the figures, and the end of the signals.
    kpis : `serving.portfolio.kpi_report.kpi_report` of the trailing twelve months.
    summary : `serving.snapshots.portfolio_summary.summarize_portfolio`.
    weeks, bands, scores : the health by week, and its changes (`serving.portfolio.weekly_health`).
    forecast : `serving.renewals.forecast.forecast_renewals` of the next 90 days; None if there is none.
    no_forecast : why there is none.
    report : the leadership report (`serving.leadership.schemas.Leadership`).
    losses : the accounts with the largest churned ARR over the year and over the quarter, with the amount.
    risks : the accounts with the largest ARR at risk, each its answer with ``arr`` and ``arr_at_risk``.
    expansions : the accounts with expansion potential, recommended ones first.
    people : name and csm of accounts by their id.
    work : accounts whose plays are off the list, and why.
    chosen : the fields of the filter with their values; empty for all accounts.
    """

    as_of: datetime
    data_through: datetime
    kpis: Mapping[str, Any]
    summary: Mapping[str, Any]
    weeks: list[dict[str, Any]]
    bands: Mapping[tuple[str, str], int]
    scores: list[tuple[str, float, float]]
    forecast: Mapping[str, Any] | None
    no_forecast: str | None
    report: Mapping[str, Any]
    losses: Mapping[str, Sequence[tuple[str, float]]]
    risks: list[dict[str, Any]]
    expansions: list[dict[str, Any]]
    people: Mapping[str, Mapping[str, Any]]
    work: Mapping[str, InterventionStatus]
    chosen: Mapping[str, str] = field(default_factory=dict)

    def name(self, account_id: str) -> str:
        """Return the name of an account, or its id if it has none."""
        return self.people.get(account_id, {}).get("name") or account_id

    def csm(self, account_id: str) -> str | None:
        """Return the CSM of an account; None if unknown."""
        csm: str | None = self.people.get(account_id, {}).get("csm")
        return csm


def leadership_figures(
    signals: OpenSignals,
    assessment: Assessment,
    home: Home,
    champion: Champion,
    work: Mapping[str, InterventionStatus],
    progress: Progress = no_progress,
    selection: AccountSelection | None = None,
    only: KpiFilter | None = None,
) -> LeadershipFigures:
    """Collect the figures of the presentation.

    Parameters
    ----------
    signals : validated signals.
    assessment : the assessed portfolio.
    home : the home.
    champion : the models and the rubric in use.
    work : accounts whose plays are off the list, and why.
    progress : called with the share done.
    selection, only : the active accounts and the contributions that count; None for all.

    Returns
    -------
    LeadershipFigures
    """
    as_of, days = assessment.as_of.to_pydatetime(), champion_horizon(champion)
    through = complete_until(signals, as_of, newest_events(signals, as_of))
    rubric = assessment.champion.rubric
    selection = AccountSelection.everyone(assessment) if selection is None else selection
    inputs = leadership_inputs(signals, assessment, home, champion, selection, subprogress(progress, 0.0, 0.8))
    progress(0.8, "adding up KPIs")
    kpis = kpi_report(
        signals,
        period_ending(as_of, "year"),
        rubric,
        days,
        frames={as_of: assessment.frame},
        only=only,
        contributions=inputs.contributions,
    )
    progress(0.9, "listing accounts")
    report = leadership_report(inputs, assessment, selection, only)
    return _figures(assessment, through, selection, kpis, inputs, report, only, _people(signals, as_of, days), work)


def published_figures(
    scored: ScoredSnapshot, selection: AccountSelection, work: Mapping[str, InterventionStatus]
) -> LeadershipFigures:
    """Collect the figures of the presentation from a published snapshot.

    Parameters
    ----------
    scored : the snapshot.
    selection : the active accounts that count.
    work : accounts whose plays are off the list, and why.

    Returns
    -------
    LeadershipFigures
        The same as `leadership_figures` collects from the signals of the snapshot.

    Raises
    ------
    UnknownSnapshot : the KPIs or the contributions of accounts were not stored with the snapshot.
    HomeError : a stored file is not valid.
    """
    account_filter = selection.account_filter
    only = kpi_filter(scored, account_filter) if account_filter.chosen else None
    document = read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS) or {}
    return _figures(
        scored.assessment,
        scored.data_through,
        selection,
        filtered_kpis(scored, "year", account_filter),
        published_inputs(scored, selection, forecast_accounts=None),
        published_leadership(scored, selection),
        only,
        {**document.get("former", {}), **document.get("accounts", {})},
        work,
    )


def _figures(
    assessment: Assessment,
    through: datetime,
    selection: AccountSelection,
    kpis: Mapping[str, Any],
    inputs: LeadershipInputs,
    report: Mapping[str, Any],
    only: KpiFilter | None,
    people: Mapping[str, Mapping[str, Any]],
    work: Mapping[str, InterventionStatus],
) -> LeadershipFigures:
    chosen = inputs.contributions.of(only)
    expansions = expansions_board(assessment)
    expansions = expansions[[selection.includes(account) for account in expansions["account_id"]]]
    return LeadershipFigures(
        assessment.as_of.to_pydatetime(),
        through,
        kpis,
        summarize_portfolio(assessment, selection.rows),
        weekly_health(assessment, selection.rows),
        band_changes(assessment, selection.rows),
        score_changes(assessment, selection.rows),
        inputs.forecast,
        inputs.forecast_unknown,
        report,
        {"year": _losses(chosen.now), "quarter": _losses(chosen.recent)},
        _risks(assessment, through, selection.rows),
        plain_rows(expansions.head(LISTED)),
        people,
        work,
        selection.account_filter.chosen,
    )


def _losses(contributions: Contributions | None) -> list[tuple[str, float]]:
    """Return the accounts with the largest churned ARR, and the amount."""
    if contributions is None:
        return []
    rows = contributions.rows.of_measures({f"{PREFIX}churned"}).table()
    lost = rows[rows["numerator"] > 0].sort_values(["numerator", "account_id"], ascending=[False, True]).head(LISTED)
    return list(zip(lost["account_id"], map(float, lost["numerator"]), strict=True))


def _people(signals: OpenSignals, as_of: datetime, active_days: int) -> dict[str, Mapping[str, Any]]:
    """Return the details of active accounts, and the name and CSM of those that have left."""
    document = accounts_document(signals, as_of, active_days)
    return {**document["former"], **document["accounts"]}


def _risks(assessment: Assessment, through: datetime, selected: Bools) -> list[dict[str, Any]]:
    arr = number_column(assessment.frame, ARR_FEATURE)
    at_risk = assessment.target_scores["churn"].probability * arr
    known = np.flatnonzero(~np.isnan(at_risk) & selected)
    rows = known[np.argsort(-at_risk[known], kind="stable")][:LISTED]
    now = datetime.now(UTC)
    return [
        account_answer(assessment, assessment.account_ids[row], scored_at=now, data_through=through)
        | {"arr": float(arr[row]), "arr_at_risk": float(at_risk[row])}
        for row in rows
    ]
