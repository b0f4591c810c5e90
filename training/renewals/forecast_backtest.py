"""Backtest of renewal forecasts: past quarters forecast from the data known at their start, compared with outcomes.

The forecast at a quarter's start must come from models trained on earlier outcomes only. The champion is used if it was
trained before that start. Otherwise Renewcast's own recipe is refitted on labels whose windows had ended by then, with
a short search and the same calibration, also if the champion is a registered estimator. If the champion has a renewal
model, that is refitted too. The backtest thus tests the recipe rather than one model. The shared error of each forecast
is estimated from the quarters that had matured before it, never from later ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from features.custom.current_catalogue import current_catalogue
from features.errors import BadRequest, InsufficientData
from features.snapshots.snapshot import snapshot
from features.sources.base import DUCKDB
from features.utils.arrays import Bools, Floats
from features.utils.dates import Grid, to_iso
from features.utils.periods import Period, Quarter
from features.utils.progress import Progress, no_progress, subprogress
from models.artifacts.home_portfolio import require_portfolio
from models.home import Home
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.renewals.due_accounts import ModelProbabilities, find_due_accounts
from models.renewals.forecast import forecast_due_renewals
from models.renewals.forecast_bias import count_forecast
from models.renewals.historical_rates import historical_rates
from models.renewals.past_forecasts import (
    FIGURES,
    PastCountForecast,
    PastFigure,
    PastForecasts,
    PastQuarter,
    bias_distributions,
)
from models.renewals.renewal_model import RenewalModel, Stage
from models.scorer.base import RENEWAL_FEATURE
from models.scorer.scorer import Scorer
from models.targets import Target
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots, read_labelled_snapshots
from training.dataset.overwritten_terms import overwritten_rows
from training.estimators.ensemble import Settings
from training.renewals.contracts import ContractBook
from training.renewals.outcomes import quarter_outcomes
from training.renewals.refit import load_champion_scorers, models_as_of, refit_renewals

#: Number of past quarters, the newest ones.
QUARTERS = 6
#: A coarse grid and a short search: a backtest fits many models.
BACKTEST_CONFIG = TrainConfig(every_days=14, trials=2)


def backtest(
    address: str | Path,
    home: Home,
    data_through: datetime | None = None,
    progress: Progress = no_progress,
    engine: str = DUCKDB,
    quarters: int = QUARTERS,
    config: TrainConfig = BACKTEST_CONFIG,
) -> PastForecasts:
    """Forecast past quarters, compare them with outcomes, and store the result in the home.

    Parameters
    ----------
    address : the address of the signals.
    home : the home, which also stores the result.
    data_through : only what was known before this instant is read; None for all.
    progress : called with the share done.
    engine : the query engine.
    quarters : the number of quarters.
    config : the training settings of the refits.

    Returns
    -------
    PastForecasts

    Raises
    ------
    BadRequest
        If the signals have no contracts.
    PortfolioMismatchError
        If the home belongs to another portfolio.
    InsufficientData
        If no quarter could be forecast; the message states what is missing.
    """
    home.ensure()
    catalogue = current_catalogue()
    prepared = read_labelled_snapshots(
        address, data_through, config, subprogress(progress, 0.0, 0.3), catalogue, engine
    )
    try:
        if not prepared.signals.contractual:
            raise BadRequest(
                "signals without subscriptions have no renewals", "contracts with the end of their term (renewal_at)"
            )
        require_portfolio(home, prepared.signals)
        champions, renewals = load_champion_scorers(home, catalogue)
        part = subprogress(progress, 0.3, 1.0)
        result = forecast_past_quarters(prepared, quarters, config, champions, part, renewals)
    finally:
        prepared.signals.close()
    result.save(home)
    progress(1.0, "done")
    return result


def forecast_past_quarters(
    prepared: LabelledSnapshots,
    quarters: int,
    config: TrainConfig,
    champions: dict[Target, tuple[Scorer, datetime]],
    progress: Progress = no_progress,
    renewals: RenewalModel | None = None,
) -> PastForecasts:
    """Forecast the newest ``quarters`` whose renewals have settled.

    Parameters
    ----------
    champions : by target, the champion and the end of its training data.
    renewals : the renewal model of the champion for churn; None if it has none.

    Raises
    ------
    InsufficientData
        If no quarter could be forecast.
    """
    signals, grace = prepared.signals, prepared.grace_days
    book = ContractBook.of(signals, grace)
    periods = _settled(prepared, quarters)
    forecasts: list[PastQuarter] = []
    skipped: dict[str, str] = {}
    settings: dict[Target, Settings] = {}
    stage_settings: dict[Stage, Settings] = {}
    for place, period in enumerate(periods):
        progress(place / max(len(periods), 1), f"forecasting {period.name} from its start")
        matured = [q for q in forecasts if _matured(_period(q), grace) <= period.start]
        try:
            scorers, by = models_as_of(prepared, period.start, config, champions, settings)
            model = renewals
            if renewals is not None and by == "refit":
                model = refit_renewals(prepared, book, renewals.scorers, period.start, config, stage_settings)
            forecasts.append(_quarter(prepared, period, scorers, by, book, matured, model))
        except InsufficientData as error:
            skipped[period.name] = "; ".join(error.missing)
    if not forecasts:
        raise InsufficientData(
            [f"{name}: {why}" for name, why in skipped.items()]
            or ["there is no past quarter in which the outcome of every renewal is known"],
            "wait for more history; until then the interval comes from its prior",
        )
    return PastForecasts(
        made_at=datetime.now(UTC).replace(microsecond=0),
        data_through=signals.data_through,
        quarters=tuple(forecasts),
        skipped=skipped,
    )


def _period(quarter: PastQuarter) -> Period:
    return Quarter.of(quarter.as_of).period


def _matured(period: Period, grace: int) -> datetime:
    """Return when the outcome of a period's last renewal is certain: two grace periods after its end."""
    return period.end + timedelta(days=2 * grace)


def _settled(prepared: LabelledSnapshots, quarters: int) -> list[Period]:
    """Return the newest quarters that have matured, oldest first."""
    periods: list[Period] = []
    period = Quarter.of(prepared.signals.data_through).period
    while period.start > prepared.grid.first and len(periods) < quarters:
        if _matured(period, prepared.grace_days) <= prepared.signals.data_through:
            periods.append(period)
        period = Quarter.of(period.start - timedelta(days=1)).period
    return periods[::-1]


def _quarter(
    prepared: LabelledSnapshots,
    period: Period,
    scorers: dict[Target, Scorer],
    by: str,
    book: ContractBook,
    matured: Iterable[PastQuarter],
    renewals: RenewalModel | None,
) -> PastQuarter:
    start, grace, signals = period.start, prepared.grace_days, prepared.signals
    frame = snapshot(signals, Grid.single(start), catalogue=prepared.catalogue)
    arr, until = (number_column(frame, name) for name in (ARR_FEATURE, RENEWAL_FEATURE))
    if overwritten_rows(frame["as_of"], arr).any():
        raise InsufficientData(
            [f"the terms of contracts as they were on {to_iso(start)}: the source has overwritten them since"]
        )
    probabilities = {target: _probabilities(scorer, frame) for target, scorer in scorers.items()}
    predicted = None if renewals is None else renewals.predict(frame)
    growth = probabilities.get("expansion")
    due = find_due_accounts(start, period, until, arr, probabilities["churn"], growth, grace, predicted)
    if not due.complete.any():
        raise InsufficientData([f"accounts due in {period.name}: none"])
    segment = segment_of(arr)
    habits = historical_rates(book.contracts, start, grace)
    leaving, growing = bias_distributions(matured)
    total = forecast_due_renewals(due.of(arr, segment), habits, leaving, growing, {})["all", None]
    happened = quarter_outcomes(book, frame[due.complete], start, until[due.complete], arr[due.complete], grace)
    figures = {}
    for name in FIGURES:
        estimate = getattr(total, name)
        if estimate is not None:
            figures[name] = PastFigure(
                expected=estimate.value, low=estimate.low, high=estimate.high, happened=happened.sums[name]
            )
    return PastQuarter(
        period=period.name,
        as_of=start,
        by="champion" if by == "champion" else "refit",
        accounts=total.accounts,
        arr=total.arr,
        figures=figures,
        leaving=_miss(due.leaves, due.leaves_spread, happened.left, due.complete),
        growing=_miss(due.grows, due.grows_spread, happened.grew, due.complete),
    )


def _probabilities(scorer: Scorer, frame: pd.DataFrame) -> ModelProbabilities:
    matrix = scorer.encode(frame).matrix
    calibrated = scorer.calibrate(*scorer.estimate(matrix))
    probabilities = scorer.by_horizon(matrix) or {BACKTEST_CONFIG.horizon_days: calibrated.probability}
    return ModelProbabilities(probabilities, calibrated.low, calibrated.high)


def _miss(p: Floats | None, spreads: Floats, happened: Floats, included: Bools) -> PastCountForecast:
    if p is None:
        return PastCountForecast(expected=0.0, happened=0.0, variance=0.0, drawn=0.0)
    known = np.isfinite(p[included])
    miss = count_forecast(p[included][known], spreads[included][known], happened[known])
    return PastCountForecast(expected=miss.expected, happened=miss.happened, variance=miss.variance, drawn=miss.drawn)
