"""Data of a review: weekly snapshots up to the end of the quarter, their scores by the current rubric, their outcomes,
and the churn probabilities of the champion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.custom.current_catalogue import current_catalogue
from features.errors import InsufficientData
from features.feed_health.feed_health import Feeds, feed_health
from features.signals.data_through import newest_instant
from features.signals.fingerprint import fingerprint
from features.signals.signals import OpenSignals, read_signals
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

#: The bands from worst to best, then accounts without a score.
BAND_NAMES = ("red", "yellow", "green", "insufficient_data")
TENURE = "contract.tenure_days"
PULSE = ("pulse.renewal_call", "pulse.sentiment")
STATES = ("contract.notice_given", "contract.paused", "contract.past_due")
"""What contracts say about an account."""


@dataclass(frozen=True)
class ReviewData:
    """n weekly snapshots with scores and outcomes. Every array has shape (n,), in the order of ``frame``.

    Parameters
    ----------
    signals, feeds : the source up to ``data_through`` of the window, and the health of its feeds.
    window : the snapshots that the quarter evaluates.
    champion : the bundles, and the reviewed rubric.
    catalogue : the features.
    frame : account_id, as_of, the features of the rubric, ARR, days to renewal.
    health : the scores by the rubric that applies on the newest date.
    labels : the outcome of each row (`training.dataset.labels.label`).
    churned_at : every churn known by the end: account_id, churned_at (UTC), involuntary.
    probability : churn probability of the champion; NaN where it was not computed.
    data_fingerprint : of the signals (`features.signals.fingerprint`).
    rollup_folder : where roll-ups of large feeds are stored; None to store none.
    """

    signals: OpenSignals
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
    rollup_folder: Path | None = None

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
        """The health score; NaN without a score."""
        return np.asarray(self.health.score, dtype=np.float64)

    @cached_property
    def band(self) -> Objects:
        """The band of the score."""
        return self.health.band.to_numpy(dtype=object)

    @cached_property
    def arr(self) -> Floats:
        """ARR at as_of; 0 if unknown."""
        return np.asarray(np.nan_to_num(number_column(self.frame, ARR_FEATURE)), dtype=np.float64)

    @cached_property
    def segment(self) -> Objects:
        """The segment by ARR; None if unknown."""
        return segment_of(number_column(self.frame, ARR_FEATURE))

    @cached_property
    def churn(self) -> Floats:
        """1 for churned, 0 for retained, NaN for censored."""
        return self.labels["churn"].to_numpy(dtype=np.float64)

    @cached_property
    def expansion(self) -> Floats:
        """1 for expanded, 0 for not expanded, NaN for censored."""
        return self.labels["expansion"].to_numpy(dtype=np.float64)

    @cached_property
    def judged(self) -> Bools:
        """The rows evaluated in the quarter: their outcome became known in it."""
        return self.window.judged(self.as_of) & np.isfinite(self.churn)

    @cached_property
    def labelled(self) -> Bools:
        """All rows with a known outcome, including those of earlier quarters."""
        return np.asarray(np.isfinite(self.churn))

    @cached_property
    def dates(self) -> list[pd.Timestamp]:
        """The weekly dates, in order."""
        return sorted(pd.Timestamp(date) for date in self.as_of.unique())

    @cached_property
    def newest(self) -> Bools:
        """The rows of the newest date: the current portfolio."""
        return (self.as_of == self.as_of.max()).to_numpy()

    @property
    def contractual(self) -> bool:
        """Whether the signals contain contracts."""
        return self.signals.contractual

    def at(self, date: pd.Timestamp) -> Bools:
        """The rows of one date."""
        return (self.as_of == date).to_numpy()

    def unseen(self, bundle: Bundle) -> Bools:
        """Return the evaluated rows whose outcome was still open when a model was trained.

        Metrics on other rows would be too optimistic.

        Parameters
        ----------
        bundle : the model.
        """
        was_open = (self.as_of + self.window.wait > bundle.manifest.trained_through).to_numpy()
        return np.asarray(self.judged & was_open & (self._old_enough))

    @cached_property
    def _old_enough(self) -> Bools:
        return np.asarray(~(number_column(self.frame, TENURE) < WEEK_DAYS))

    def probability_by(self, bundle: Bundle, rows: Bools) -> Floats:
        """Compute the churn probability of a bundle on some rows; NaN elsewhere.

        The features of the bundle are built for the dates of those rows.

        Parameters
        ----------
        bundle : the model.
        rows : mask of shape (n,).
        """
        out = np.full(len(self.frame), np.nan)
        wanted = self.frame.loc[rows, ["account_id", "as_of"]]
        for grid in _weekly_grids(wanted["as_of"]):
            catalogue = self.catalogue.subset(bundle.scorer.features)
            horizon = self.window.horizon_days
            built = snapshot(
                self.signals, grid, horizon_days=horizon, catalogue=catalogue, rollup_folder=self.rollup_folder
            )
            if self.signals.contractual:
                overwritten = self.as_of[overwritten_rows(self.as_of, number_column(self.frame, ARR_FEATURE))].unique()
                built = mask_terms(built, built["as_of"].isin(overwritten).to_numpy(), catalogue)
            probability = bundle.scorer.predict(built).probability
            keyed = built[["account_id", "as_of"]].assign(p=probability)
            merged = wanted.reset_index().merge(keyed, on=["account_id", "as_of"], how="inner")
            out[merged["index"].to_numpy()] = merged["p"].to_numpy()
        return np.where(self._old_enough, out, np.nan)


def load_review_data(
    address: str | Path,
    quarter: Quarter,
    champion: Champion,
    progress: Progress = no_progress,
    rollup_folder: Path | None = None,
) -> ReviewData:
    """Read the signals and compute the data of a review.

    Parameters
    ----------
    address : the signals source. Rows at or after the end of the quarter are ignored.
    quarter : the quarter to review.
    champion : the models and the rubric to review.
    progress : called with the share done (0 to 1) and a description of the current step.
    rollup_folder : where roll-ups of large feeds are stored; None to store none.

    Raises
    ------
    SignalsError, BundleError, RulesError
        The source, a bundle or a rules file is broken.
    InsufficientData
        No snapshot matured in the quarter; the message lists what is missing.
    """
    source = open_source(address)
    newest = newest_instant(source)
    config = _settings(champion)
    # The grace period depends on the tables: it is 0 without contracts.
    grace = config.grace_days if "subscriptions" in source.tables else 0
    window = Window.of(quarter, config.horizon_days, grace, newest + timedelta(microseconds=1))
    feeds = feed_health(source, window.data_through)
    signals = read_signals(
        source, window.data_through, progress=lambda done, what: progress(0.2 * done, what), rollup_folder=rollup_folder
    )
    try:
        progress(0.2, "fingerprint of the data")
        data_fingerprint = fingerprint(signals)
        grid = _grid(signals, config, window)
        champion = champion.at(window.data_through)
        catalogue = current_catalogue()
        progress(0.25, "weekly snapshots")
        wanted = [signal.feature for _, signal in champion.rubric.signals] + [
            *(ARR_FEATURE, RENEWAL, TENURE),
            *PULSE,
            *STATES,
        ]
        frame = snapshot(
            signals,
            grid,
            horizon_days=config.horizon_days,
            catalogue=catalogue.subset(wanted),
            rollup_folder=rollup_folder,
            progress=lambda done, what: progress(0.25 + 0.4 * done, what),
        )
        if frame.empty:
            raise _insufficient_data(quarter, ["there are no active accounts"])
        if signals.contractual:
            frame = mask_overwritten_terms(frame, catalogue.subset(wanted))
        progress(0.65, "outcomes")
        labels = label(signals, frame[["account_id", "as_of"]], config.horizon_days, grace)
        data = ReviewData(
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
            data_fingerprint,
            rollup_folder,
        )
        if not data.judged.any():
            raise _insufficient_data(quarter, [_missing_snapshots(window, grid)])
        if "churn" in champion.bundles:
            progress(0.7, "probabilities of the champion")
            bundle = champion.bundles["churn"]
            rows = data.unseen(bundle) | data.newest
            data = replace(data, probability=data.probability_by(bundle, rows))
        progress(1.0, "data ready")
        return data
    except BaseException:
        signals.close()
        raise


def _settings(champion: Champion) -> TrainConfig:
    bundle = champion.bundles.get("churn") or champion.bundles.get("expansion")
    if bundle is None:
        return TrainConfig()
    return TrainConfig(horizon_days=bundle.manifest.horizon_days, grace_days=bundle.manifest.grace_days)


def _grid(signals: OpenSignals, config: TrainConfig, window: Window) -> Grid:
    """Weekly dates up to the newest one, from the first date whose outcome can be known."""
    try:
        first = labelled_grid(signals, config)[0].first
    except InsufficientData as error:
        raise _insufficient_data(window.quarter, error.missing) from None
    return Grid.ending(midnight(window.data_through), first, WEEK_DAYS)


def _insufficient_data(quarter: Quarter, missing: list[str]) -> InsufficientData:
    return InsufficientData(
        missing,
        "load more history, or review another quarter",
        f"review {quarter.name}",
        "snapshots that have matured in it",
    )


def _missing_snapshots(window: Window, grid: Grid) -> str:
    return (
        f"snapshots from {to_iso(window.after)} to {to_iso(window.cut_off)}, whose {window.horizon_days} days of "
        f"horizon and {window.grace_days} days of grace end in the quarter (the history begins on {to_iso(grid.first)})"
    )


def _weekly_grids(dates: pd.Series[pd.Timestamp]) -> list[Grid]:
    """Weekly grids that cover the dates, one for each run without a gap."""
    ordered = sorted(pd.Timestamp(date).to_pydatetime() for date in dates.unique())
    runs: list[list[datetime]] = []
    for date in ordered:
        if runs and date - runs[-1][-1] == timedelta(days=WEEK_DAYS):
            runs[-1].append(date)
        else:
            runs.append([date])
    return [Grid(run[0], WEEK_DAYS, len(run)) for run in runs]
