"""After deployment: what was predicted against what happened, drift since training, feeds, and whether to retrain.

Predictions are the champion's on snapshots of dates after its training, built anew from the signals as they were known
then; point in time they are what was served. Nothing promotes itself: monitoring ends in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.special

from features.catalogue import Catalogue
from features.clock import Grid, midnight, show
from features.errors import BadRequest
from features.health.feeds import feed_health
from features.own.current import current_catalogue
from features.progress import Progress, part_of, silent
from features.signals import Signals, read_signals
from features.snapshot import snapshot
from features.source import DUCKDB, open_source
from models.bundle import Bundle
from models.champion import load_champion
from models.home import Home
from models.targets import TARGETS, Target
from training import metrics
from training.bootstrap import AccountBootstrap
from training.candidate import OUTCOMES
from training.drift import ANOTHER, by_chance, psi
from training.judge import plain
from training.labels import label
from training.metrics import Predictions
from training.steps import Floats
from training.tested import UNKNOWN, figure, ratio

EVERY_DAYS = 28
#: Dates before training that stand for the portfolio trained on, and newest dates that stand for the present.
REFERENCE_DATES = 3
#: Accounts with the outcome, below which matured predictions say nothing.
LEAST_OUTCOMES = 10
RESAMPLES = 300
#: So many more outcomes than before make it worth training again.
MORE_OUTCOMES = 0.25
SHOWN = 12


@dataclass(frozen=True)
class Matured:
    """Predictions within one horizon whose outcome is known by now.

    Parameters
    ----------
    days : the horizon.
    rows, accounts, happened : account-dates, accounts, and accounts to which it happened.
    expected, rate : the mean probability, and how often it happened.
    ratio : happened over expected, with its 95% interval (accounts resampled).
    roc_auc, brier, slope : with their intervals; NaN where not defined.
    """

    days: int
    rows: int
    accounts: int
    happened: int
    expected: float
    rate: float
    ratio: tuple[float, float, float]
    roc_auc: tuple[float, float, float]
    brier: tuple[float, float, float]
    slope: tuple[float, float, float]

    @property
    def off(self) -> bool:
        """Whether the level is clearly wrong: its interval excludes 1."""
        return self.happened >= LEAST_OUTCOMES and not self.ratio[1] <= 1 <= self.ratio[2]


@dataclass(frozen=True)
class Watched:
    """One champion after its training.

    Parameters
    ----------
    version, trained_through, horizon_days : of the champion.
    matured : by horizon, shortest first; those without a matured prediction are left out.
    trained_auc : its AUC on the test, as judged.
    score_psi : of the log-odds.
    feature_psi : of the features that have become another population, furthest first.
    new_outcomes : what became known since, as a share of what was known at training.
    reasons : why it should be trained again, a sentence each; empty: no reason.
    """

    version: str
    trained_through: datetime
    horizon_days: int
    matured: tuple[Matured, ...]
    trained_auc: float | None
    score_psi: float
    feature_psi: Mapping[str, float]
    new_outcomes: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class MonitorReport:
    """What monitoring found.

    Parameters
    ----------
    data_through : the end of the signals, UTC.
    targets : by target; those without a champion are left out.
    feeds : what is wrong with a feed, a line each: to be mended before anything is trained.
    """

    data_through: datetime
    targets: Mapping[Target, Watched]
    feeds: tuple[str, ...]

    @property
    def retrain(self) -> bool:
        """Whether there is a reason to, and no feed that has to be mended first."""
        return not self.feeds and any(watched.reasons for watched in self.targets.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; figures that are not defined are None."""
        told = {t: asdict(w) | {"trained_through": show(w.trained_through)} for t, w in self.targets.items()}
        whole = {"data_through": show(self.data_through), "targets": told, "feeds": list(self.feeds)}
        return dict(plain(whole | {"retrain": self.retrain}))


def monitor(
    address: str | Path,
    home: Home,
    data_through: datetime | None = None,
    progress: Progress = silent,
    engine: str = DUCKDB,
) -> MonitorReport:
    """Look at the champions after their training.

    Parameters
    ----------
    address : the signals source, by now.
    data_through : nothing at or after this instant is read; None: everything.

    Raises
    ------
    BadRequest
        There is no champion, or the signals end before it was trained.
    SignalsError, BundleError
        The source or a bundle is broken.
    """
    catalogue = current_catalogue()
    bundles = load_champion(home, catalogue).bundles
    if not bundles:
        raise BadRequest("there is no champion to look at", "a promoted model", "train one: `renewcast train SIGNALS`")
    source = open_source(address, engine)
    feeds = feed_health(source, data_through)
    signals = read_signals(source, data_through, progress=part_of(progress, 0.0, 0.3))
    try:
        targets: dict[Target, Watched] = {}
        for i, target in enumerate(t for t in TARGETS if t in bundles):
            progress(0.3 + 0.7 * i / len(bundles), f"looking at {target}")
            targets[target] = _watched(signals, bundles[target], catalogue)
        progress(1.0, "looked")
        return MonitorReport(signals.data_through, targets, tuple(feeds.troubles()))
    finally:
        signals.close()


def _watched(signals: Signals, bundle: Bundle, catalogue: Catalogue) -> Watched:
    told, scorer = bundle.manifest, bundle.scorer
    trained, last = midnight(told.trained_through), midnight(signals.data_through)
    if last < trained:
        raise BadRequest(
            f"the signals end on {show(last)}, before the champion for {told.target} was trained ({show(trained)})",
            "newer signals",
        )
    # One grid, so that the days after training and the last ones before it are snapshots of one build.
    first = trained - timedelta(days=EVERY_DAYS * (REFERENCE_DATES - 1))
    frame = snapshot(signals, Grid.ending(last, first, EVERY_DAYS), horizon_days=told.horizon_days, catalogue=catalogue)
    since = (frame["as_of"] >= trained).to_numpy()
    newest = (frame["as_of"] == frame["as_of"].max()).to_numpy()
    matrix = scorer.encode(frame).matrix
    p = {told.horizon_days: scorer.calibrate(scorer.raw(matrix)).probability} | scorer.by_horizon(matrix)
    found, known = [], {}
    for days in sorted(p):
        labels = label(signals, frame[["account_id", "as_of"]], days, told.grace_days)[told.target].to_numpy(
            dtype=np.float64
        )
        known[days] = labels
        rows = since & np.isfinite(labels)
        if rows.any():
            found.append(_matured(days, p[days][rows], labels[rows], frame["account_id"].to_numpy(dtype=object)[rows]))
    raw = pd.Series(scipy.special.logit(np.clip(p[told.horizon_days], 1e-9, 1 - 1e-9)))
    names = [name for name in scorer.features if name in frame]
    moved = {name: psi(frame.loc[~since, name], frame.loc[newest, name]) for name in names}
    limit = ANOTHER + by_chance(int((~since).sum()), int(newest.sum()))
    far = sorted(((v, n) for n, v in moved.items() if v > limit), reverse=True)[:SHOWN]
    happened = known[told.horizon_days]
    new = _accounts(frame, since & (happened == 1)) / max(_trained_outcomes(bundle), 1)
    auc = told.metrics.get("roc_auc")
    watched = Watched(
        told.version,
        told.trained_through,
        told.horizon_days,
        tuple(found),
        float(auc) if isinstance(auc, float | int) else None,
        psi(raw[~since], raw[newest]),
        {name: value for value, name in far},
        new,
        (),
    )
    return replace(watched, reasons=tuple(_reasons(watched, limit)))


def _matured(days: int, p: Floats, y: Floats, accounts: Any) -> Matured:
    data = Predictions(y, p, np.zeros(len(y)))
    bootstrap = AccountBootstrap(accounts, RESAMPLES)
    happened = len(set(accounts[y == 1]))
    enough = happened >= LEAST_OUTCOMES and len(set(accounts[y == 0])) >= LEAST_OUTCOMES
    others = (metrics.roc_auc, metrics.brier, metrics.calibration_slope)
    auc, brier, slope = (figure(of, data, bootstrap) if enough else UNKNOWN for of in others)
    level, people = figure(ratio, data, bootstrap), bootstrap.accounts
    return Matured(days, len(y), people, happened, float(p.mean()), float(y.mean()), level, auc, brier, slope)


def _reasons(watched: Watched, limit: float) -> list[str]:
    reasons = []
    for seen in watched.matured:
        if seen.off:
            more = "more" if seen.ratio[0] > 1 else "less"
            low, high = seen.ratio[1:]
            reasons.append(
                f"within {seen.days} days it happened {seen.ratio[0]:.2f} times as often as predicted ({low:.2f} to "
                f"{high:.2f}): {more} than chance explains"
            )
        faded = watched.trained_auc is not None and seen.roc_auc[2] < watched.trained_auc
        if seen.days == watched.horizon_days and faded:
            reasons.append(
                f"within {seen.days} days the ranking has faded: AUC {seen.roc_auc[0]:.3f} (up to "
                f"{seen.roc_auc[2]:.3f}), {watched.trained_auc:.3f} when it was judged"
            )
    if watched.score_psi > limit:
        reasons.append(f"the portfolio scores unlike the one trained on (PSI {watched.score_psi:.2f})")
    if watched.new_outcomes >= MORE_OUTCOMES:
        reasons.append(
            f"{watched.new_outcomes:.0%} more outcomes are known than at training: there is more to learn from"
        )
    return reasons


def _accounts(frame: pd.DataFrame, rows: Any) -> int:
    return int(frame["account_id"][rows].nunique())


def _trained_outcomes(bundle: Bundle) -> int:
    known = bundle.manifest.metrics.get(OUTCOMES)
    return int(known) if isinstance(known, int | float) else 0
