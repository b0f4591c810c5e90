"""The inputs of the leadership report, computed from signals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.kpi.cohort_retention import account_lives
from features.revenue.arr import people
from features.signals.signals import OpenSignals
from features.utils.dates import to_iso
from features.utils.periods import period_ending
from features.utils.progress import Progress, no_progress
from models.health.rubric import Rubric
from models.rules.kpi_targets import kpi_targets_file
from serving.leadership.report import LeadershipInputs, start_years
from serving.portfolio.kpi_report import account_groups, kpi_contributions


def inputs_from_signals(
    signals: OpenSignals,
    as_of: datetime,
    frame: pd.DataFrame,
    rubric: Rubric,
    active_days: int,
    forecast: Mapping[str, Any] | None,
    forecast_unknown: str | None,
    progress: Progress = no_progress,
    rollup_folder: Path | None = None,
) -> LeadershipInputs:
    """Compute what the report needs.

    Parameters
    ----------
    signals : validated signals.
    as_of : the date of the report.
    frame : the snapshot at that date, all features.
    rubric, active_days, rollup_folder : as in `serving.portfolio.kpi_report.kpi_report`.
    forecast, forecast_unknown : the forecast of the next renewals of the accounts that count, or why there is none.
    progress : called with the share done.
    """
    period, quarter = period_ending(as_of, "year"), period_ending(as_of, "quarter")
    lives = account_lives(signals, as_of, active_days)
    contributions = kpi_contributions(
        signals, period, rubric, active_days, progress, {as_of: frame}, rollup_folder, lives
    )
    everyone = people(signals)
    groups = account_groups(everyone)
    spans = {
        each: {"name": span.name, "start": to_iso(span.start), "end": to_iso(span.end)}
        for each, span in {"year": period, "quarter": quarter}.items()
    }
    return LeadershipInputs(
        {"as_of": to_iso(as_of), "period": spans["year"], "contractual": signals.contractual},
        contributions,
        {target.measure: target.over(period.years) for target in kpi_targets_file().targets},
        groups.drop(columns="name").assign(
            cohort=groups["account_id"].map(start_years(lives)), cost=everyone["acquisition_cost"].astype(np.float64)
        ),
        spans["quarter"],
        forecast,
        forecast_unknown,
        dict(zip(everyone["account_id"], everyone["name"], strict=True)),
    )
