"""Storing the portfolio's KPIs and cohorts with a published snapshot."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd

from features.kpi.cohort_retention import account_lives, retention_of
from features.signals.signals import OpenSignals
from features.utils.periods import period_ending
from models.health.rubric import Rubric
from serving.portfolio.churned_accounts import CHURNED, churned_document
from serving.portfolio.cohorts import LIVES, lives_document
from serving.portfolio.kpi_file import write_contributions
from serving.portfolio.kpi_report import kpi_contributions, kpi_report
from serving.portfolio.kpi_schemas import PUBLISHED_PERIODS
from serving.portfolio.kpi_values import KpiContributions
from serving.snapshots.sidecars import COHORTS, KPIS, write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles


def publish_kpis(
    signals: OpenSignals,
    snapshots: SnapshotFiles,
    as_of: datetime,
    frame: pd.DataFrame,
    rubric: Rubric,
    active_days: int,
) -> None:
    """Store the KPIs of each period of `PUBLISHED_PERIODS` that ends at ``as_of``, the contributions of every account,
    the accounts that churned, the cohort retention and what it is computed from.

    Parameters
    ----------
    frame : the snapshot at ``as_of``, all features.
    rubric, active_days : as `serving.portfolio.kpi_report.kpi_report` takes them.

    Raises
    ------
    HomeError : the home cannot be written.
    """
    frames, rollups = {as_of: frame}, snapshots.home.rollups
    lives = account_lives(signals, as_of, active_days)
    contributions: dict[str, KpiContributions] = {}
    kpis: dict[str, Any] = {}
    for name in PUBLISHED_PERIODS:
        period = period_ending(as_of, name)
        contributions[name] = kpi_contributions(
            signals, period, rubric, active_days, frames=frames, rollup_folder=rollups, lives=lives
        )
        kpis[name] = kpi_report(signals, period, rubric, active_days, frames=frames, contributions=contributions[name])
    write_contributions(snapshots, as_of, contributions)
    write_sidecar(snapshots, as_of, KPIS, kpis)
    write_sidecar(snapshots, as_of, CHURNED, churned_document(signals, as_of, active_days))
    write_sidecar(snapshots, as_of, LIVES, lives_document(lives, signals.contractual))
    write_sidecar(snapshots, as_of, COHORTS, retention_of(lives, as_of, signals.contractual))
