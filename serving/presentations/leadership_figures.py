"""The figures of the leadership presentation, read from signals with the functions of the pages and commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from features.errors import BadRequest
from features.revenue.arr import movements, people
from features.signals.contract_terms import TOLERATED_SHARE
from features.signals.signals import OpenSignals
from features.utils.formatting import count_of
from features.utils.periods import Period, forecast_period, period_ending
from features.utils.progress import Progress, no_progress, subprogress
from models.artifacts.champion import Champion
from models.home import Home
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE
from models.predictions.assessment import Assessment
from models.predictions.payload import account_answer
from models.predictions.table_export import plain_rows
from models.rules.intervention_effects import InterventionStatus
from serving.portfolio.kpi_report import kpi_report
from serving.portfolio.rule_tables import expansions_board
from serving.portfolio.weekly_health import band_changes, score_changes, weekly_health
from serving.renewals.forecast import forecast_renewals
from serving.renewals.inputs import inputs_from_signals
from serving.scoring.score_portfolio import champion_horizon
from serving.snapshots.portfolio_summary import summarize_portfolio
from serving.snapshots.sidecars import accounts_document

LISTED = 8
"""How many accounts a slide lists."""
CHANGES = ("arr_start", "new", "returned", "expanded", "contracted", "churned", "in_grace", "renewed_late", "arr_end")


@dataclass(frozen=True)
class ArrChanges:
    """How the ARR changed over a period, as known at its end.

    Parameters
    ----------
    period : the period.
    sums : the sum of each of `CHANGES` over the accounts; None if it is unknown.
    unknown : why the sums are unknown, or which accounts they leave out; None if they cover every account.
    churned, expanded : the largest, each an account id and an amount, largest first.
    """

    period: Period
    sums: Mapping[str, float] | None
    unknown: str | None
    churned: tuple[tuple[str, float], ...]
    expanded: tuple[tuple[str, float], ...]


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
    changes : how the ARR changed over the last quarter.
    risks : the accounts with the largest ARR at risk, each its answer with ``arr`` and ``arr_at_risk``.
    expansions : the accounts with expansion potential, recommended ones first.
    people : name and csm of accounts by their id.
    work : accounts whose plays are off the list, and why.
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
    changes: ArrChanges
    risks: list[dict[str, Any]]
    expansions: list[dict[str, Any]]
    people: Mapping[str, Mapping[str, Any]]
    work: Mapping[str, InterventionStatus]

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

    Returns
    -------
    LeadershipFigures
    """
    as_of, days = assessment.as_of.to_pydatetime(), champion_horizon(champion)
    through = min(signals.data_through, as_of)
    kpis = kpi_report(
        signals,
        period_ending(as_of, "year"),
        assessment.champion.rubric,
        days,
        subprogress(progress, 0.0, 0.7),
        frames={as_of: assessment.frame},
        rollup_folder=home.rollups,
    )
    progress(0.7, "forecasting renewals")
    forecast, no_forecast = None, None
    try:
        forecast = forecast_renewals(assessment, forecast_period(as_of), inputs_from_signals(signals, as_of, home))
    except BadRequest as error:
        no_forecast = error.found
    progress(0.9, "listing accounts")
    return LeadershipFigures(
        as_of,
        through,
        kpis,
        summarize_portfolio(assessment),
        weekly_health(assessment),
        band_changes(assessment),
        score_changes(assessment),
        forecast,
        no_forecast,
        _arr_changes(signals, period_ending(as_of, "quarter"), days),
        _risks(assessment, through),
        plain_rows(expansions_board(assessment).head(LISTED)),
        _people(signals, as_of, days),
        work,
    )


def _people(signals: OpenSignals, as_of: datetime, active_days: int) -> dict[str, Mapping[str, Any]]:
    """Return the details of active accounts, and the name and CSM of those that have left."""
    known: dict[str, Mapping[str, Any]] = {row["account_id"]: row for row in plain_rows(people(signals))}
    return {**known, **accounts_document(signals, as_of, active_days)["accounts"]}


def _risks(assessment: Assessment, through: datetime) -> list[dict[str, Any]]:
    arr = number_column(assessment.frame, ARR_FEATURE)
    at_risk = assessment.target_scores["churn"].probability * arr
    known = np.flatnonzero(~np.isnan(at_risk))
    rows = known[np.argsort(-at_risk[known], kind="stable")][:LISTED]
    now = datetime.now(UTC)
    return [
        account_answer(assessment, assessment.account_ids[row], scored_at=now, data_through=through)
        | {"arr": float(arr[row]), "arr_at_risk": float(at_risk[row])}
        for row in rows
    ]


def _arr_changes(signals: OpenSignals, period: Period, active_days: int) -> ArrChanges:
    moved = movements(signals, period.start, period.end, active_days=active_days)
    complete = moved[list(CHANGES)].notna().all(axis=1)
    known, missing = moved[complete], int((~complete).sum())

    def largest(name: str) -> tuple[tuple[str, float], ...]:
        some = known[known[name] > 0].sort_values([name, "account_id"], ascending=[False, True]).head(LISTED)
        return tuple(zip(some["account_id"], map(float, some[name]), strict=True))

    unknown = None
    if missing:
        unknown = f"the ARR of {count_of(missing, 'account')} at one end of the period is unknown"
    sums = {name: float(known[name].sum()) for name in CHANGES}
    covered = bool(len(moved)) and missing <= TOLERATED_SHARE * len(moved)
    return ArrChanges(
        period,
        sums if covered else None,
        unknown if len(moved) else "no account was active in the period",
        largest("churned"),
        largest("expanded"),
    )
