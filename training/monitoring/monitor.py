"""Monitoring after deployment: predictions and early warnings against outcomes, drift, feeds, and whether to retrain.

Predictions are recomputed on point-in-time snapshots of past dates, so they equal those that were served. The current
champion is evaluated on all dates after its training. Previous champions are evaluated on the dates when they were in
use, because with frequent training a champion is replaced before its own predictions mature. Monitoring only reports;
it promotes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.special

from features.catalogue.catalogue import Catalogue
from features.custom.current_catalogue import current_catalogue
from features.errors import BadRequest, InsufficientData
from features.feed_health.feed_health import feed_health
from features.signals.signals import OpenSignals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import DUCKDB
from features.sources.open_source import open_source
from features.utils.arrays import Bools, Floats
from features.utils.dates import Grid, midnight, to_iso
from features.utils.progress import Progress, no_progress, subprogress
from models.artifacts.bundle import Bundle, load_bundle
from models.artifacts.champion import load_champion
from models.artifacts.champion_pointer import ChampionEntry, ChampionPointer, read_pointer
from models.artifacts.home_portfolio import require_portfolio
from models.home import Home
from models.targets import TARGETS, Target
from training.dataset.labelled_snapshots import require_history
from training.dataset.labels import label
from training.dataset.overwritten_terms import mask_overwritten_terms
from training.monitoring.drift import SHIFT_LIMIT, expected_psi, psi
from training.monitoring.matured_predictions import MaturedPredictions, evaluate_by_horizon
from training.monitoring.new_outcomes import new_outcome_share
from training.monitoring.report import ChampionMonitoring, Drift, FormerChampion, MonitorReport
from training.monitoring.warning_precision import WarningPrecision, measure_warnings
from training.registry.champion_history import LOOK_BACK, ChampionPeriod, champion_periods, periods_by_champion

EVERY_DAYS = 28
#: Number of dates before training that represent the training portfolio; the newest date represents the present.
REFERENCE_DATES = 3


def monitor(
    address: str | Path,
    home: Home,
    data_through: datetime | None = None,
    progress: Progress = no_progress,
    engine: str = DUCKDB,
) -> MonitorReport:
    """Monitor the champions after their training.

    Parameters
    ----------
    address : the current signals source.
    data_through : nothing at or after this instant is read; None: everything.

    Raises
    ------
    BadRequest
        If there is no champion, or the signals end before it was trained.
    SignalsError, BundleError
        If the source or the bundle of a current champion is broken, or the source belongs to another portfolio.
    """
    catalogue = current_catalogue()
    bundles, pointer = load_champion(home, catalogue).bundles, read_pointer(home)
    if not bundles or pointer is None:
        raise BadRequest("there is no champion to monitor", "a promoted model", "train one: `renewcast train SIGNALS`")
    source = open_source(address, engine)
    feeds = feed_health(source, data_through)
    signals = read_signals(source, data_through, progress=subprogress(progress, 0.0, 0.3))
    try:
        require_portfolio(home, signals)
        require_history(signals)
        targets: dict[Target, ChampionMonitoring] = {}
        for i, target in enumerate(t for t in TARGETS if t in bundles):
            progress(0.3 + 0.5 * i / len(bundles), f"monitoring {target}")
            targets[target] = _monitor_champion(signals, bundles[target], pointer, home, catalogue)
        progress(0.8, "early warnings")
        early_warnings, why_none = _measure_warnings(signals, bundles.get("churn"), catalogue)
        progress(1.0, "done")
        return MonitorReport(
            signals.data_through,
            targets,
            tuple(feeds.troubles()),
            early_warnings,
            why_none,
            signals.open_questions,
        )
    finally:
        signals.close()


def _measure_warnings(
    signals: OpenSignals, churn: Bundle | None, catalogue: Catalogue
) -> tuple[WarningPrecision | None, str | None]:
    """Return the precision of the early warnings, or the reason why there is none."""
    if churn is None:
        return None, "there is no champion for churn, whose horizon is used"
    try:
        return measure_warnings(signals, churn.manifest.horizon_days, churn.manifest.grace_days, catalogue), None
    except InsufficientData as lacking:
        return None, f"not enough history: {'; '.join(lacking.missing)}"


def _monitor_champion(
    signals: OpenSignals, bundle: Bundle, pointer: ChampionPointer, home: Home, catalogue: Catalogue
) -> ChampionMonitoring:
    manifest = bundle.manifest
    trained, last = midnight(manifest.trained_through), midnight(signals.data_through)
    if last < trained:
        raise BadRequest(
            f"the signals end on {to_iso(last)}, before the champion for {manifest.target} was trained "
            f"({to_iso(trained)})",
            "newer signals",
        )

    def load(champion: ChampionEntry) -> Bundle:
        folder = home.root / champion.folder
        return bundle if folder == bundle.folder else load_bundle(folder, manifest.target, catalogue)

    periods = champion_periods(pointer, manifest.target, last, load)
    reference = trained - timedelta(days=EVERY_DAYS * REFERENCE_DATES)
    earliest = max(min(period.since for period in periods), last - LOOK_BACK)
    past = _Past(signals, Grid.ending(last, min(reference, earliest), EVERY_DAYS), catalogue)
    own = past.matured(bundle, lambda as_of: as_of >= trained)
    parts = periods_by_champion(periods)
    served = past.matured(bundle, _in_use(parts.pop(periods[-1].champion)))
    former = {
        one: past.matured(terms[0].bundle, _in_use(terms))
        for one, terms in parts.items()
        if terms[0].bundle is not None
    }
    auc = manifest.metrics.get("roc_auc")
    return ChampionMonitoring(
        version=manifest.version,
        trained_through=manifest.trained_through,
        horizon_days=manifest.horizon_days,
        matured=evaluate_by_horizon([own]),
        trained_auc=float(auc) if isinstance(auc, float | int) else None,
        former=tuple(
            FormerChampion(
                version=one.version,
                since=terms[0].since,
                until=terms[-1].until or last,
                matured=evaluate_by_horizon([former[one]]) if one in former else None,
            )
            for one, terms in parts.items()
        ),
        together=evaluate_by_horizon([*former.values(), served]),
        drifted=past.drift(bundle, reference, trained),
        new_outcomes=new_outcome_share(signals, manifest),
    )


class _Past:
    """Snapshots of past dates, with labels and the predictions of each model."""

    def __init__(self, signals: OpenSignals, grid: Grid, catalogue: Catalogue) -> None:
        self._signals, self._grid, self._catalogue = signals, grid, catalogue
        self._frames: dict[int, pd.DataFrame] = {}
        self._labels: dict[tuple[int, int, int], pd.DataFrame] = {}

    def frame(self, horizon_days: int) -> pd.DataFrame:
        """Return all snapshots, n rows."""
        key = self._key(horizon_days)
        if key not in self._frames:
            frame = snapshot(self._signals, self._grid, horizon_days=horizon_days, catalogue=self._catalogue)
            contracts = self._signals.contractual
            self._frames[key] = mask_overwritten_terms(frame, self._catalogue) if contracts else frame
        return self._frames[key]

    def labels(self, horizon_days: int, days: int, grace_days: int) -> pd.DataFrame:
        """Return the outcomes of all snapshots within ``days``, n rows."""
        key = self._key(horizon_days), days, grace_days
        if key not in self._labels:
            pairs = self.frame(horizon_days)[["account_id", "as_of"]]
            self._labels[key] = label(self._signals, pairs, days, grace_days)
        return self._labels[key]

    def _key(self, horizon_days: int) -> int:
        """Return the cache key: without contracts, the active accounts depend on the horizon."""
        return 0 if self._signals.contractual else horizon_days

    def matured(
        self, bundle: Bundle, dates: Callable[[pd.Series[Any]], pd.Series[Any]]
    ) -> dict[int, MaturedPredictions]:
        """Return a model's matured predictions on the selected dates, by horizon."""
        manifest = bundle.manifest
        snapshots = self.frame(manifest.horizon_days)
        rows: Bools = dates(snapshots["as_of"]).to_numpy(dtype=bool)
        frame, predictions = snapshots[rows], {}
        if frame.empty:
            return {}
        accounts = frame["account_id"].to_numpy(dtype=object)
        for days, p in _probabilities(bundle, frame).items():
            labels = self.labels(manifest.horizon_days, days, manifest.grace_days)
            y = labels[manifest.target].to_numpy(dtype=np.float64)[rows]
            labelled: Bools = np.isfinite(y)
            predictions[days] = MaturedPredictions(p[labelled], y[labelled], accounts[labelled])
        return predictions

    def drift(self, bundle: Bundle, reference: datetime, trained: datetime) -> Drift:
        """Compare the newest date with the dates from ``reference`` to the training."""
        scorer = bundle.scorer
        frame = self.frame(bundle.manifest.horizon_days)
        as_of = frame["as_of"]
        then, now = frame[(as_of >= reference) & (as_of < trained)], frame[as_of == as_of.max()]
        shared = {name for name, feature in self._catalogue.items() if feature.shared}
        moved = {name: psi(then[name], now[name]) for name in scorer.features if name in frame and name not in shared}
        # Largest drift first; undefined values last.
        ordered = dict(sorted(moved.items(), key=lambda item: -np.nan_to_num(item[1], nan=-1.0)))
        limit = SHIFT_LIMIT + expected_psi(len(then), len(now))
        main = bundle.manifest.horizon_days
        scores = [_log_odds(_probabilities(bundle, rows)[main]) if len(rows) else _NOTHING for rows in (then, now)]
        return Drift(psi(*scores), ordered, limit)


def _in_use(terms: Sequence[ChampionPeriod]) -> Callable[[pd.Series[Any]], pd.Series[Any]]:
    """Return a filter for the dates in one of the periods."""

    def within(as_of: pd.Series[Any]) -> pd.Series[Any]:
        inside = [(as_of >= one.since) & (one.until is None or as_of < one.until) for one in terms]
        return pd.concat(inside, axis=1).any(axis=1)

    return within


_NOTHING: pd.Series[Any] = pd.Series([], dtype=np.float64)


def _probabilities(bundle: Bundle, frame: pd.DataFrame) -> dict[int, Floats]:
    """Return the probabilities by horizon, shape (n,) each."""
    scorer = bundle.scorer
    matrix = scorer.encode(frame).matrix
    main = scorer.calibrate(scorer.raw(matrix)).probability
    return {bundle.manifest.horizon_days: main} | scorer.by_horizon(matrix)


def _log_odds(p: Floats) -> pd.Series[Any]:
    return pd.Series(scipy.special.logit(np.clip(p, 1e-9, 1 - 1e-9)))
