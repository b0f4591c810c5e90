"""The inputs of the leadership report, computed from signals."""

from __future__ import annotations

import numpy as np

from features.errors import BadRequest
from features.kpi.cohort_retention import account_lives
from features.revenue.arr import people
from features.signals.signals import OpenSignals
from features.utils.dates import to_iso
from features.utils.periods import forecast_period, period_ending
from features.utils.progress import Progress, no_progress, subprogress
from models.artifacts.champion import Champion
from models.home import Home
from models.predictions.assessment import Assessment
from models.rules.kpi_targets import kpi_targets_file
from serving.leadership.report import LeadershipInputs, start_years
from serving.portfolio.kpi_report import account_groups, kpi_contributions
from serving.renewals.forecast import forecast_renewals
from serving.renewals.inputs import inputs_from_signals
from serving.scoring.score_portfolio import champion_horizon
from serving.snapshots.account_attributes import AccountSelection


def leadership_inputs(
    signals: OpenSignals,
    assessment: Assessment,
    home: Home,
    champion: Champion,
    selection: AccountSelection,
    progress: Progress = no_progress,
) -> LeadershipInputs:
    """Compute what the report needs.

    Parameters
    ----------
    signals : validated signals.
    assessment : the assessed portfolio.
    home : the home.
    champion : the models and the rubric in use.
    selection : the active accounts that count, which the forecast is of.
    progress : called with the share done.
    """
    as_of, active_days = assessment.as_of.to_pydatetime(), champion_horizon(champion)
    progress(0.0, "forecasting renewals")
    forecast, unknown = None, None
    try:
        forecast = forecast_renewals(
            assessment, forecast_period(as_of), inputs_from_signals(signals, as_of, home), selection
        )
    except BadRequest as error:
        unknown = error.found
    period, quarter = period_ending(as_of, "year"), period_ending(as_of, "quarter")
    lives = account_lives(signals, as_of, active_days)
    contributions = kpi_contributions(
        signals,
        period,
        assessment.champion.rubric,
        active_days,
        subprogress(progress, 0.2, 1.0),
        {as_of: assessment.frame},
        home.rollups,
        lives,
    )
    everyone = people(signals)
    groups = account_groups(everyone)
    spans = {
        each: {"name": span.name, "start": to_iso(span.start), "end": to_iso(span.end)}
        for each, span in {"year": period, "quarter": quarter}.items()
    }
    groups = groups.drop(columns="name").assign(cohort=groups["account_id"].map(start_years(lives)))
    return LeadershipInputs(
        {"as_of": to_iso(as_of), "period": spans["year"], "contractual": signals.contractual},
        contributions.with_groups(groups),
        kpi_targets_file().over(period.years),
        groups.assign(cost=everyone["acquisition_cost"].astype(np.float64)),
        spans["quarter"],
        forecast,
        unknown,
        dict(zip(everyone["account_id"], everyone["name"], strict=True)),
    )
