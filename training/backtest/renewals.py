"""Past quarters' renewals, forecast from their start as it was known then, beside what happened.

The forecast at a quarter's start has to come from models that knew no outcome of it. The champion is taken where it was
trained before that start; where it was not, its recipe is fitted anew on the labels whose windows had ended by then,
with a short search, on the same split and with the same calibration. So the backtest is of the recipe, not of one
model's luck. The level of each forecast is allowed to be off by what the quarters that had matured before it taught,
never by what came later.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
from models.scorer.base import RENEWAL_FEATURE
from models.scorer.scorer import Scorer
from models.targets import Target
from training.backtest.contracts import ContractBook
from training.backtest.outcomes import quarter_outcomes
from training.backtest.refit import load_champion_scorers, models_as_of
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots, read_labelled_snapshots
from training.dataset.overwritten_terms import overwritten_rows
from training.estimators.blend import Blend

#: Past quarters that are looked at, the newest ones.
QUARTERS = 6
#: A coarse grid and a short search: a backtest fits many models.
BACKTEST_CONFIG = TrainConfig(every_days=14, trials=2, refits=0)


def backtest(
    address: str | Path,
    home: Home,
    data_through: datetime | None = None,
    progress: Progress = no_progress,
    engine: str = DUCKDB,
    quarters: int = QUARTERS,
    config: TrainConfig = BACKTEST_CONFIG,
) -> PastForecasts:
    """Forecast past quarters, hold them against what happened, and keep that in the home.

    Raises
    ------
    BadRequest : the signals have no contracts.
    PortfolioMismatchError : the home belongs to another portfolio.
    InsufficientData : no quarter could be forecast; what is lacking is said.
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
        champions = load_champion_scorers(home, catalogue)
        found = forecast_past_quarters(prepared, quarters, config, champions, subprogress(progress, 0.3, 1.0))
    finally:
        prepared.signals.close()
    found.save(home)
    progress(1.0, "looked back")
    return found


def forecast_past_quarters(
    prepared: LabelledSnapshots,
    quarters: int,
    config: TrainConfig,
    champions: dict[Target, tuple[Scorer, datetime]],
    progress: Progress = no_progress,
) -> PastForecasts:
    """The newest ``quarters`` whose renewals have settled.

    Parameters
    ----------
    champions : by target the model that answers and the instant through which it was trained.

    Raises
    ------
    InsufficientData : no quarter could be forecast.
    """
    signals, grace = prepared.signals, prepared.grace_days
    book = ContractBook.of(signals, grace)
    asked = _settled(prepared, quarters)
    found: list[PastQuarter] = []
    skipped: dict[str, str] = {}
    recipes: dict[Target, Blend] = {}
    for place, period in enumerate(asked):
        progress(place / max(len(asked), 1), f"forecasting {period.name} from its start")
        matured = [q for q in found if _matured(_period(q), grace) <= period.start]
        try:
            scorers, by = models_as_of(prepared, period.start, config, champions, recipes)
            found.append(_quarter(prepared, period, scorers, by, book, matured))
        except InsufficientData as error:
            skipped[period.name] = "; ".join(error.missing)
    if not found:
        raise InsufficientData(
            [f"{name}: {why}" for name, why in skipped.items()] or ["a quarter whose renewals have settled: none yet"],
            "wait for more history; until then the interval stands on its prior",
        )
    return PastForecasts(
        made_at=datetime.now(UTC).replace(microsecond=0),
        data_through=signals.data_through,
        quarters=tuple(found),
        skipped=skipped,
    )


def _period(told: PastQuarter) -> Period:
    return Quarter.of(told.as_of).period


def _matured(period: Period, grace: int) -> datetime:
    """When what became of a period's last renewal is certain: its grace, and the grace of an end at the last of it."""
    return period.end + timedelta(days=2 * grace)


def _settled(prepared: LabelledSnapshots, quarters: int) -> list[Period]:
    """The newest quarters that have matured, the oldest first."""
    found: list[Period] = []
    period = Quarter.of(prepared.signals.data_through).period
    while period.start > prepared.grid.first and len(found) < quarters:
        if _matured(period, prepared.grace_days) <= prepared.signals.data_through:
            found.append(period)
        period = Quarter.of(period.start - timedelta(days=1)).period
    return found[::-1]


def _quarter(
    prepared: LabelledSnapshots,
    period: Period,
    scorers: dict[Target, Scorer],
    by: str,
    book: ContractBook,
    matured: Iterable[PastQuarter],
) -> PastQuarter:
    start, grace, signals = period.start, prepared.grace_days, prepared.signals
    frame = snapshot(signals, Grid.single(start), catalogue=prepared.catalogue)
    arr, until = (number_column(frame, name) for name in (ARR_FEATURE, RENEWAL_FEATURE))
    if overwritten_rows(frame["as_of"], arr).any():
        raise InsufficientData(
            [f"the terms of contracts as they were on {to_iso(start)}: the source has overwritten them since"]
        )
    said = {target: _said(scorer, frame) for target, scorer in scorers.items()}
    due = find_due_accounts(start, period, until, arr, said["churn"], said.get("expansion"), grace)
    if not due.complete.any():
        raise InsufficientData([f"accounts due in {period.name}: none"])
    segment = segment_of(arr)
    habits = historical_rates(book.contracts, start, grace)
    leaving, growing = bias_distributions(matured)
    whole_ = forecast_due_renewals(due.of(arr, segment), habits, leaving, growing, {})["all", None]
    happened = quarter_outcomes(book, frame[due.complete], start, until[due.complete], arr[due.complete], grace)
    figures = {}
    for name in FIGURES:
        told = getattr(whole_, name)
        if told is not None:
            figures[name] = PastFigure(expected=told.value, low=told.low, high=told.high, happened=happened.sums[name])
    return PastQuarter(
        period=period.name,
        as_of=start,
        by="champion" if by == "champion" else "refit",
        accounts=whole_.accounts,
        arr=whole_.arr,
        figures=figures,
        leaving=_miss(due.leaves, due.leaves_spread, happened.left, due.complete),
        growing=_miss(due.grows, due.grows_spread, happened.grew, due.complete),
    )


def _said(scorer: Scorer, frame: pd.DataFrame) -> ModelProbabilities:
    matrix = scorer.encode(frame).matrix
    told = scorer.calibrate(scorer.raw(matrix))
    return ModelProbabilities(
        scorer.by_horizon(matrix) or {BACKTEST_CONFIG.horizon_days: told.probability}, told.low, told.high
    )


def _miss(p: Floats | None, spreads: Floats, happened: Floats, told: Bools) -> PastCountForecast:
    if p is None:
        return PastCountForecast(expected=0.0, happened=0.0, variance=0.0, drawn=0.0)
    found = count_forecast(p[told], spreads[told], happened)
    return PastCountForecast(
        expected=found.expected, happened=found.happened, variance=found.variance, drawn=found.drawn
    )


def summary_line(found: PastForecasts) -> str:
    """What a backtest gave, in a line."""
    inside, of = found.coverage("renewed_arr")
    return f"{of} past quarters up to {to_iso(found.data_through)}: renewed ARR inside its 80% interval in {inside}"
