"""What a review looks at: weekly snapshots through the quarter and before it, their scores by the rubric in force, what
became of each, and what the champion says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.custom.current_catalogue import current_catalogue
from features.definitions.feature import Feature
from features.errors import InsufficientData
from features.feed_health.feed_health import Feeds, feed_health
from features.signals.fingerprint import fingerprint
from features.signals.signals import Signals, newest_instant, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.open_source import open_source
from features.utils.arrays import Bools, Floats, Objects
from features.utils.dates import WEEK_DAYS, Grid, midnight, to_iso
from features.utils.periods import Quarter
from features.utils.progress import Progress, no_progress
from models.artifacts.bundle import Bundle
from models.artifacts.champion import Champion
from models.health.rubric import HealthScores
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.rules.early_warnings import RENEWAL
from training.config import TrainConfig
from training.dataset.labelled_snapshots import labelled_grid
from training.dataset.labels import churn_events, label
from training.dataset.overwritten_terms import mask_overwritten_terms, mask_terms, overwritten_rows
from training.review.window import Window

#: Text of a band without a score, and the bands from bad to good.
BAND_NAMES = ("red", "yellow", "green", "insufficient_data")
TENURE = "contract.tenure_days"


@dataclass(frozen=True)
class ReviewData:
    """n weekly snapshots and all that is known of them; every array is of shape (n,), in the order of ``frame``.

    Parameters
    ----------
    signals, feeds : the source up to the window's ``data_through``, and the health of its feeds.
    window : which snapshots the quarter judges.
    champion : the bundles, and the rubric that is reviewed.
    frame : account_id, as_of, the features of the rubric, ARR, days to renewal.
    health : the scores by the rubric in force at the newest date.
    labels : what became of each row (`training.dataset.labels.label`).
    churned_at : every churn that is known by the end: account_id, churned_at (UTC), involuntary.
    probability : the champion's, of churn; NaN where it was not worked out.
    data_fingerprint : of the signals (`features.signals.fingerprint`).
    kept : folder of the roll-ups of large feeds; None keeps none.
    """

    signals: Signals
    feeds: Feeds
    window: Window
    champion: Champion
    catalogue: Catalogue
    frame: pd.DataFrame
    health: HealthScores
    labels: pd.DataFrame
    churned_at: pd.DataFrame
    probability: Floats
    data_fingerprint: str
    kept: Path | None = None

    @cached_property
    def accounts(self) -> Objects:
        """The account of each row."""
        return self.frame["account_id"].to_numpy(dtype=object)

    @property
    def as_of(self) -> pd.Series[pd.Timestamp]:
        """The date of each row."""
        return self.frame["as_of"]

    @cached_property
    def score(self) -> Floats:
        """The health score, NaN for none."""
        return np.asarray(self.health.score, dtype=np.float64)

    @cached_property
    def band(self) -> Objects:
        """Its band."""
        return self.health.band.to_numpy(dtype=object)

    @cached_property
    def arr(self) -> Floats:
        """ARR at as_of, 0 where unknown."""
        return np.asarray(np.nan_to_num(number_column(self.frame, ARR_FEATURE)), dtype=np.float64)

    @cached_property
    def segment(self) -> Objects:
        """The segment by ARR, None unknown."""
        return segment_of(number_column(self.frame, ARR_FEATURE))

    @cached_property
    def churn(self) -> Floats:
        """1 churned, 0 stayed, NaN censored."""
        return self.labels["churn"].to_numpy(dtype=np.float64)

    @cached_property
    def expansion(self) -> Floats:
        """1 grew, 0 did not, NaN censored."""
        return self.labels["expansion"].to_numpy(dtype=np.float64)

    @cached_property
    def judged(self) -> Bools:
        """The rows that the quarter judges: matured in it, with a known outcome."""
        return self.window.judged(self.as_of) & np.isfinite(self.churn)

    @cached_property
    def labelled(self) -> Bools:
        """Every row with a known outcome, those of earlier quarters too."""
        return np.asarray(np.isfinite(self.churn))

    @cached_property
    def dates(self) -> list[pd.Timestamp]:
        """The weekly dates, in order."""
        return sorted(pd.Timestamp(date) for date in self.as_of.unique())

    @cached_property
    def newest(self) -> Bools:
        """The rows of the newest date: the portfolio as it stands."""
        return (self.as_of == self.as_of.max()).to_numpy()

    @property
    def contractual(self) -> bool:
        """Whether there are contracts."""
        return self.signals.contractual

    def at(self, date: pd.Timestamp) -> Bools:
        """The rows of one date."""
        return (self.as_of == date).to_numpy()

    def unseen(self, bundle: Bundle) -> Bools:
        """Judged rows whose outcome was still open when a model was trained; on others its figures flatter it."""
        open_then = (self.as_of + self.window.wait > bundle.manifest.trained_through).to_numpy()
        return np.asarray(self.judged & open_then & (self._old_enough))

    @cached_property
    def _old_enough(self) -> Bools:
        return np.asarray(~(number_column(self.frame, TENURE) < WEEK_DAYS))

    def probability_by(self, bundle: Bundle, rows: Bools) -> Floats:
        """A bundle's probability of churn on some rows; NaN elsewhere. Its features are built for those dates."""
        out = np.full(len(self.frame), np.nan)
        wanted = self.frame.loc[rows, ["account_id", "as_of"]]
        for grid in _grids(wanted["as_of"]):
            catalogue = _part_of(self.catalogue, bundle.scorer.features)
            horizon = self.window.horizon_days
            built = snapshot(self.signals, grid, horizon_days=horizon, catalogue=catalogue, kept=self.kept)
            if self.signals.contractual:
                lost = self.as_of[overwritten_rows(self.as_of, number_column(self.frame, ARR_FEATURE))].unique()
                built = mask_terms(built, built["as_of"].isin(lost).to_numpy(), catalogue)
            found = bundle.scorer.predict(built).probability
            keyed = built[["account_id", "as_of"]].assign(p=found)
            merged = wanted.reset_index().merge(keyed, on=["account_id", "as_of"], how="inner")
            out[merged["index"].to_numpy()] = merged["p"].to_numpy()
        return np.where(self._old_enough, out, np.nan)


def load_review_data(
    address: str | Path,
    quarter: Quarter,
    champion: Champion,
    progress: Progress = no_progress,
    kept: Path | None = None,
) -> ReviewData:
    """Read the signals and work out all that a review needs.

    Parameters
    ----------
    address : the signals source; rows at or after the quarter's end are not looked at.
    champion : the models, and beside them the rubric to review, as named by the caller.
    kept : folder of the roll-ups of large feeds.

    Raises
    ------
    SignalsError, BundleError, RulesError
        The source, a bundle or a file of rules is broken.
    InsufficientData
        Nothing has matured in the quarter: what is lacking.
    """
    source = open_source(address)
    newest = newest_instant(source)
    config = _settings(champion)
    # Grace is known only once the tables are read; without contracts there is none.
    grace = config.grace_days if "subscriptions" in source.tables else 0
    window = Window.of(quarter, config.horizon_days, grace, newest + timedelta(microseconds=1))
    feeds = feed_health(source, window.data_through)
    signals = read_signals(
        source, window.data_through, progress=lambda done, what: progress(0.2 * done, what), kept=kept
    )
    try:
        progress(0.2, "fingerprint of the data")
        told = fingerprint(signals)
        grid = _grid(signals, config, window)
        champion = champion.at(window.data_through)
        catalogue = current_catalogue()
        progress(0.25, "weekly snapshots")
        wanted = [signal.feature for _, signal in champion.rubric.signals] + [ARR_FEATURE, RENEWAL, TENURE]
        frame = snapshot(
            signals,
            grid,
            horizon_days=config.horizon_days,
            catalogue=_part_of(catalogue, wanted),
            kept=kept,
            progress=lambda done, what: progress(0.25 + 0.4 * done, what),
        )
        if frame.empty:
            raise _too_little(quarter, ["active accounts: there is none"])
        if signals.contractual:
            frame = mask_overwritten_terms(frame, _part_of(catalogue, wanted))
        progress(0.65, "what became of them")
        labels = label(signals, frame[["account_id", "as_of"]], config.horizon_days, grace)
        seen = ReviewData(
            signals,
            feeds,
            window,
            champion,
            catalogue,
            frame,
            champion.rubric.score(frame),
            labels,
            churn_events(signals, frame, labels, grace),
            np.full(len(frame), np.nan),
            told,
            kept,
        )
        if not seen.judged.any():
            raise _too_little(quarter, [_when(window, grid)])
        if "churn" in champion.bundles:
            progress(0.7, "what the champion says")
            bundle = champion.bundles["churn"]
            rows = seen.unseen(bundle) | seen.newest
            seen = replace(seen, probability=seen.probability_by(bundle, rows))
        progress(1.0, "evidence gathered")
        return seen
    except BaseException:
        signals.close()
        raise


def _settings(champion: Champion) -> TrainConfig:
    bundle = champion.bundles.get("churn") or champion.bundles.get("expansion")
    if bundle is None:
        return TrainConfig()
    return TrainConfig(horizon_days=bundle.manifest.horizon_days, grace_days=bundle.manifest.grace_days)


def _grid(signals: Signals, config: TrainConfig, window: Window) -> Grid:
    """Weekly dates that end with the newest, from the first of which the outcome can be known."""
    try:
        first = labelled_grid(signals, config)[0].first
    except InsufficientData as error:
        raise _too_little(window.quarter, error.missing) from None
    return Grid.ending(midnight(window.data_through), first, WEEK_DAYS)


def _too_little(quarter: Quarter, missing: list[str]) -> InsufficientData:
    return InsufficientData(
        missing,
        "load more history, or review another quarter",
        f"review {quarter.name}",
        "snapshots that have matured in it",
    )


def _when(window: Window, grid: Grid) -> str:
    return (
        f"snapshots of {to_iso(window.after)} to {to_iso(window.cut_off)}, whose {window.horizon_days} days and "
        f"{window.grace_days} days of grace end in the quarter: the history begins with {to_iso(grid.first)}"
    )


def _part_of(catalogue: Mapping[str, Feature], names: Iterable[str]) -> Catalogue:
    """The features of these names, and those that they compare themselves with, in the catalogue's order."""
    wanted: set[str] = set()
    todo = [name for name in names if name in catalogue]
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.add(name)
            if (past := catalogue[name].own_past) is not None:
                todo.append(past)
    return Catalogue(tuple(catalogue[name] for name in catalogue if name in wanted))


def _grids(dates: pd.Series[pd.Timestamp]) -> list[Grid]:
    """Weekly grids that hold the dates: one for each run without a gap."""
    known = sorted(pd.Timestamp(date).to_pydatetime() for date in dates.unique())
    runs: list[list[datetime]] = []
    for date in known:
        if runs and date - runs[-1][-1] == timedelta(days=WEEK_DAYS):
            runs[-1].append(date)
        else:
            runs.append([date])
    return [Grid(run[0], WEEK_DAYS, len(run)) for run in runs]
