"""Past quarters' renewals, forecast from their start as it was known then, beside what happened.

The forecast at a quarter's start has to come from models that knew no outcome of it. The champion is taken where it was
trained before that start; where it was not, its recipe is fitted anew on the labels whose windows had ended by then,
with a short search, on the same split and with the same calibration. So the backtest is of the recipe, not of one
model's luck. The level of each forecast is allowed to be off by what the quarters that had matured before it taught,
never by what came later.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.catalogue import Catalogue
from features.clock import Grid, show
from features.errors import BadRequest, BundleError, InsufficientData
from features.own.current import current_catalogue
from features.progress import Progress, part_of, silent
from features.signals import Signals
from features.snapshot import snapshot
from features.sources.base import DUCKDB
from models.bundle import schema_of
from models.champion import load_champion
from models.columns import number_column
from models.home import Home
from models.home_portfolio import require_portfolio
from models.peers import Peers
from models.renewals.due import Said, in_period
from models.renewals.forecast import forecast
from models.renewals.habits import GROWN, habits_of
from models.renewals.level import missed_of
from models.renewals.past import FIGURES, PastFigure, PastForecasts, PastMiss, PastQuarter, levels
from models.renewals.period import Period, quarter_of
from models.scorer import RENEWAL_FEATURE, Scorer
from models.segments import ARR_FEATURE, segment_of
from models.targets import TARGETS, Target
from training.blend import Blend, fit_blend, refit_blend
from training.calibrate import calibrate
from training.config import TrainConfig
from training.contenders import expected_rate, level_move
from training.overwritten import overwritten_rows
from training.prepare import Prepared, prepare
from training.rows import Rows
from training.spells import Spells
from training.split import split
from training.spread import spread
from training.steps import DAY, NEVER, Bools, Floats, Steps, money, whole

#: Past quarters that are looked at, the newest ones.
QUARTERS = 6
#: A coarse grid and a short search: a backtest fits many models.
QUICK = TrainConfig(every_days=14, trials=2, refits=0)


def backtest(
    address: str | Path,
    home: Home,
    data_through: datetime | None = None,
    progress: Progress = silent,
    engine: str = DUCKDB,
    quarters: int = QUARTERS,
    config: TrainConfig = QUICK,
) -> PastForecasts:
    """Forecast past quarters, hold them against what happened, and keep that in the home.

    Raises
    ------
    BadRequest : the signals have no contracts.
    AnotherPortfolio : the home belongs to another portfolio.
    InsufficientData : no quarter could be forecast; what is lacking is said.
    """
    home.ensure()
    catalogue = current_catalogue()
    prepared = prepare(address, data_through, config, part_of(progress, 0.0, 0.3), catalogue, engine)
    try:
        if not prepared.signals.contractual:
            raise BadRequest(
                "signals without subscriptions have no renewals", "contracts with the end of their term (renewal_at)"
            )
        require_portfolio(home, prepared.signals)
        champions = _champions(home, catalogue)
        found = past_forecasts(prepared, quarters, config, champions, part_of(progress, 0.3, 1.0))
    finally:
        prepared.signals.close()
    found.save(home)
    progress(1.0, "looked back")
    return found


def past_forecasts(
    prepared: Prepared,
    quarters: int,
    config: TrainConfig,
    champions: dict[Target, tuple[Scorer, datetime]],
    progress: Progress = silent,
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
    book = Book.of(signals, grace)
    asked = _settled(prepared, quarters)
    found: list[PastQuarter] = []
    skipped: dict[str, str] = {}
    recipes: dict[Target, Blend] = {}
    for place, period in enumerate(asked):
        progress(place / max(len(asked), 1), f"forecasting {period.name} from its start")
        matured = [q for q in found if _matured(_period(q), grace) <= period.start]
        try:
            scorers, by = _models(prepared, period.start, config, champions, recipes)
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
    return quarter_of(told.as_of)


def _matured(period: Period, grace: int) -> datetime:
    """When what became of a period's last renewal is certain: its grace, and the grace of an end at the last of it."""
    return period.end + timedelta(days=2 * grace)


def _settled(prepared: Prepared, quarters: int) -> list[Period]:
    """The newest quarters that have matured, the oldest first."""
    found: list[Period] = []
    period = quarter_of(prepared.signals.data_through)
    while period.start > prepared.grid.first and len(found) < quarters:
        if _matured(period, prepared.grace_days) <= prepared.signals.data_through:
            found.append(period)
        period = quarter_of(period.start - timedelta(days=1))
    return found[::-1]


def _champions(home: Home, catalogue: Catalogue) -> dict[Target, tuple[Scorer, datetime]]:
    try:
        bundles = load_champion(home, catalogue).bundles
    except BundleError:
        return {}
    return {target: (bundle.scorer, bundle.manifest.trained_through) for target, bundle in bundles.items()}


def _models(
    prepared: Prepared,
    start: datetime,
    config: TrainConfig,
    champions: dict[Target, tuple[Scorer, datetime]],
    recipes: dict[Target, Blend],
) -> tuple[dict[Target, Scorer], str]:
    """The champions, if they were trained before ``start``; else their recipe on what was known by then. Without
    enough outcomes for expansion there is only the model of churn."""
    if "churn" in champions and all(through <= start for _, through in champions.values()):
        return {target: scorer for target, (scorer, _) in champions.items()}, "champion"
    found = {"churn": refitted(prepared, "churn", start, config, recipes)}
    with contextlib.suppress(InsufficientData):
        found["expansion"] = refitted(prepared, "expansion", start, config, recipes)
    return {target: found[target] for target in TARGETS if target in found}, "refit"


def refitted(
    prepared: Prepared, target: Target, start: datetime, config: TrainConfig, recipes: dict[Target, Blend]
) -> Scorer:
    """The recipe of the champions on what was known at ``start``: labels whose windows had ended by then.

    Parameters
    ----------
    recipes : by target the model whose settings are taken over; a target's first one is searched for and put there.

    Raises
    ------
    InsufficientData : the history before it is too short, or holds too few outcomes.
    """
    main, grace, catalogue = config.horizon_days, prepared.grace_days, prepared.catalogue
    parts = split([at for at in prepared.grid.as_ofs if at < start], main, grace, start).final()
    rows = Rows(prepared, target, {}, main)
    design = rows.designed(parts.calibration[0])
    if target in recipes:
        model = refit_blend(recipes[target], design, catalogue, target)
    else:
        model = fit_blend(design, catalogue, target, config.trials, config.seed, config.threads)
    latest = rows.of(parts, "calibration")
    expected, move = expected_rate(model, design, latest), level_move(model, rows, parts, start)
    calibrator = calibrate(model.raw(latest.frame), latest.y, *latest.keys, expected, seed=config.seed, move=move)
    # Only once all else went well.
    recipes.setdefault(target, model)
    numbers = [name for name, feature in catalogue.items() if feature.kind == "number"]
    encoding = model.encoding
    schema = schema_of(
        encoding.features, encoding.levels, Peers.of(latest.frame.head(1), numbers), catalogue, model.plain()
    )
    plain = json.loads(json.dumps([schema, calibrator | {"spread": spread(None)}]))
    return Scorer.from_texts(model.trees.text, *plain)


def _quarter(
    prepared: Prepared,
    period: Period,
    scorers: dict[Target, Scorer],
    by: str,
    book: Book,
    matured: Iterable[PastQuarter],
) -> PastQuarter:
    start, grace, signals = period.start, prepared.grace_days, prepared.signals
    frame = snapshot(signals, Grid.single(start), catalogue=prepared.catalogue)
    arr, until = (number_column(frame, name) for name in (ARR_FEATURE, RENEWAL_FEATURE))
    if overwritten_rows(frame["as_of"], arr).any():
        raise InsufficientData(
            [f"the terms of contracts as they were on {show(start)}: the source has overwritten them since"]
        )
    said = {target: _said(scorer, frame) for target, scorer in scorers.items()}
    due = in_period(start, period, until, arr, said["churn"], said.get("expansion"), grace)
    if not due.told.any():
        raise InsufficientData([f"accounts due in {period.name}: none"])
    segment = segment_of(arr)
    habits = habits_of(book.contracts, start, grace)
    leaving, growing = levels(matured)
    whole_ = forecast(due.of(arr, segment), habits, leaving, growing, {})["all", None]
    happened = _happened(book, frame, start, until, arr, due.told, grace)
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
        leaving=_miss(due.leaves, due.leaves_spread, happened.left, due.told),
        growing=_miss(due.grows, due.grows_spread, happened.grew, due.told),
    )


def _said(scorer: Scorer, frame: pd.DataFrame) -> Said:
    matrix = scorer.encode(frame).matrix
    told = scorer.calibrate(scorer.raw(matrix))
    return Said(scorer.by_horizon(matrix) or {QUICK.horizon_days: told.probability}, told.low, told.high)


def _miss(p: Floats | None, spreads: Floats, happened: Floats, told: Bools) -> PastMiss:
    if p is None:
        return PastMiss(expected=0.0, happened=0.0, variance=0.0, drawn=0.0)
    found = missed_of(p[told], spreads[told], happened)
    return PastMiss(expected=found.expected, happened=found.happened, variance=found.variance, drawn=found.drawn)


@dataclass(frozen=True)
class Book:
    """Every contract of a source, to look ahead in: the rows, and the running ARR and the spells of each account, its
    number being its place in ``accounts``."""

    contracts: pd.DataFrame
    accounts: pd.Index[Any]
    arr: Steps
    spells: Spells

    @classmethod
    def of(cls, signals: Signals, grace_days: int) -> Book:
        """Read them."""
        columns = ("account_id", "started_at", "ended_at", "arr", "renewal_at", "end_reason")
        rows = signals.tables["subscriptions"].select(*columns).to_pyarrow().to_pandas()
        codes, accounts = pd.factorize(rows["account_id"])
        start = _micros(rows["started_at"])
        end = np.where(rows["ended_at"].notna(), _micros(rows["ended_at"].fillna(rows["started_at"])), NEVER)
        ran = end > start
        codes = codes.astype(np.int64)[ran]
        start, end, parts = start[ran], end[ran], whole(rows["arr"].fillna(0.0))[ran]
        unpaid = (rows["end_reason"] == "nonpayment").to_numpy(dtype=bool)[ran]
        both = np.concatenate([codes, codes])
        arr = Steps(both, np.concatenate([start, end]), np.concatenate([parts, -parts]))
        return cls(rows, pd.Index(accounts), arr, Spells(codes, start, end, unpaid, grace_days * DAY))


@dataclass(frozen=True)
class _Happened:
    """What became of the accounts: who left and who grew, 0 or 1, and the sums by figure."""

    left: Floats
    grew: Floats
    sums: dict[str, float]


def _happened(
    book: Book, frame: pd.DataFrame, start: datetime, until: Floats, arr: Floats, told: Bools, grace_days: int
) -> _Happened:
    """Read each account a grace after its renewal; where it then runs on a late renewal, a grace later."""
    codes = book.accounts.get_indexer(pd.Index(frame["account_id"][told])).astype(np.int64)
    begin = np.full(len(codes), _micros(pd.Series([start]))[0])
    settled = begin + np.rint((until[told] + grace_days) * DAY).astype(np.int64)
    ends, _ = book.spells.ends(codes, begin)
    left = (ends < settled).astype(np.float64)
    before = arr[told]
    after = money(book.arr.before(codes, settled))
    after = np.where(after > 0, after, money(book.arr.before(codes, settled + grace_days * DAY)))
    after = np.where(left == 1, 0.0, np.where(after > 0, after, before))
    stays, change = left == 0, after - before
    due, lost = float(before.sum()), float(before[left == 1].sum())
    contracted = float(np.maximum(-change[stays], 0.0).sum())
    expanded = float(np.maximum(change[stays], 0.0).sum())
    sums = {
        "renewed_accounts": float(stays.sum()),
        "renewed_arr": due - lost,
        "lost_arr": lost,
        "contracted_arr": contracted,
        "expanded_arr": expanded,
        "grr": (due - lost - contracted) / due if due else 1.0,
        "nrr": (due - lost - contracted + expanded) / due if due else 1.0,
    }
    return _Happened(left, (stays & (after >= GROWN * before * (1 - 1e-9))).astype(np.float64), sums)


def _micros(times: pd.Series[pd.Timestamp]) -> npt.NDArray[np.int64]:
    return np.asarray(pd.to_datetime(times, utc=True).dt.as_unit("us").astype("int64"), dtype=np.int64)


def words(found: PastForecasts) -> str:
    """What a backtest gave, in a line."""
    inside, of = found.coverage("renewed_arr")
    return f"{of} past quarters up to {show(found.data_through)}: renewed ARR inside its 80% interval in {inside}"
