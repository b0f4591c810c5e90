"""Labelled snapshots of a signals source: the rows on which every candidate is trained and evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.contract.current_contract import current_tables, event_tables
from features.errors import InsufficientData
from features.revenue.history_start import history_start
from features.signals.signals import OpenSignals, open_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import DUCKDB
from features.utils.dates import Grid, midnight, to_iso
from features.utils.progress import Progress, no_progress, subprogress
from training.config import TrainConfig
from training.dataset.labels import label
from training.dataset.overwritten_terms import mask_growth, mask_terms, overwritten_rows

COARSEST_DAYS = 91
"""Widest grid step, used for large portfolios."""


@dataclass(frozen=True)
class LabelledSnapshots:
    """Snapshots with their labels.

    Parameters
    ----------
    signals : the validated source.
    grid : the dates of the snapshots, all with a closed label window.
    frame : the snapshots, n rows (see `features.snapshots.snapshot.snapshot`).
    labels : labels at the main horizon, n rows in the same order (see `training.dataset.labels.label`).
    grace_days : G in effect: 0 for order businesses.
    catalogue : the features of the snapshots.
    further_labels : labels at further horizons, by days, n rows in the same order.
    dates_without_terms : dates for which the source has overwritten contract terms, so that these are unknown (see
        `training.dataset.overwritten_terms`).
    current : the snapshots at the end of the data, whose outcomes are not known yet; None if they were not taken.
    """

    signals: OpenSignals
    grid: Grid
    frame: pd.DataFrame
    labels: pd.DataFrame
    grace_days: int
    catalogue: Catalogue
    further_labels: Mapping[int, pd.DataFrame] = field(default_factory=dict)
    dates_without_terms: tuple[datetime, ...] = ()
    current: pd.DataFrame | None = None

    @property
    def latest(self) -> pd.DataFrame:
        """The snapshots of the newest date."""
        newest: pd.DataFrame = self.frame[self.frame["as_of"] == self.frame["as_of"].max()]
        return newest


def read_labelled_snapshots(
    address: str | Path,
    data_through: datetime | None,
    config: TrainConfig,
    progress: Progress = no_progress,
    catalogue: Catalogue = CATALOGUE,
    engine: str = DUCKDB,
) -> LabelledSnapshots:
    """Read signals, take snapshots on a grid, and label the rows.

    Parameters
    ----------
    address : the address of the signals.
    data_through : only what was known before this instant is read; None for all.
    config : the training settings.
    progress : called with the share done.
    catalogue : the features.
    engine : the query engine.

    Returns
    -------
    LabelledSnapshots

    Raises
    ------
    SignalsError
        If the source cannot be read or breaks the contract.
    InsufficientData
        If no date has a closed label window, or no account is active at any.
    """
    signals = open_signals(address, data_through, subprogress(progress, 0.0, 0.3), engine)
    return label_snapshots(signals, config, subprogress(progress, 0.3, 1.0), catalogue)


def label_snapshots(
    signals: OpenSignals, config: TrainConfig, progress: Progress = no_progress, catalogue: Catalogue = CATALOGUE
) -> LabelledSnapshots:
    """Take snapshots of open signals on a grid, and label the rows.

    Parameters
    ----------
    signals : validated signals.
    config : the training settings.
    progress : called with the share done.
    catalogue : the features.

    Returns
    -------
    LabelledSnapshots

    Raises
    ------
    InsufficientData
        If no date has a closed label window, or no account is active at any.
    """
    grid, grace = labelled_grid(signals, config)
    days = config.horizon_days
    frame = snapshot(signals, grid, horizon_days=days, catalogue=catalogue, progress=subprogress(progress, 0.0, 0.8))
    if frame.empty:
        raise InsufficientData(["no account is active at any date with a known outcome"])
    current = snapshot(signals, Grid.single(midnight(signals.data_through)), horizon_days=days, catalogue=catalogue)
    progress(0.85, "labeling snapshots")
    keys = frame[["account_id", "as_of"]]
    labels = label(signals, keys, config.horizon_days, grace)
    horizons = sorted(set(config.horizons) - {config.horizon_days}) if signals.contractual else []
    further = {days: label(signals, keys, days, grace) for days in horizons}
    overwritten = np.zeros(len(frame), dtype=np.bool_)
    if signals.contractual:
        overwritten = overwritten_rows(labels["as_of"], labels["arr"])
        frame, labels = mask_terms(frame, overwritten, catalogue), mask_growth(labels, overwritten)
        further = {days: mask_growth(each, overwritten) for days, each in further.items()}
    progress(1.0, "snapshots labeled")
    dates = tuple(at.to_pydatetime() for at in pd.DatetimeIndex(frame["as_of"][overwritten].unique()))
    return LabelledSnapshots(signals, grid, frame, labels, grace, catalogue, further, dates, current)


def require_history(signals: OpenSignals) -> None:
    """Reject a source that shows the accounts at one date, such as a spreadsheet.

    Raises
    ------
    InsufficientData
        If it does.
    """
    if signals.states is not None and signals.states.sole:
        raise InsufficientData(
            ["history: a spreadsheet shows the accounts at one date, without those that left before"],
            "keep every export in one folder, with its date in the file's name, and use the folder; or connect the "
            "billing system and the product; until then use `renewcast risks`, `health`, `worklist` and `renewals`, "
            "which need no model",
            "learn from the past",
            "the accounts at several dates, over a year or more",
        )


def labelled_grid(signals: OpenSignals, config: TrainConfig) -> tuple[Grid, int]:
    """Return the grid of dates whose outcome can be known, at most as many as ``config.snapshots`` allows.

    Parameters
    ----------
    signals : validated signals.
    config : the training settings.

    Returns
    -------
    Grid
    int
        The grace period in effect, in days: 0 for order businesses.

    Raises
    ------
    InsufficientData
        If there is no such date, or the source has no history.
    """
    require_history(signals)
    grace = config.grace_days if signals.contractual else 0
    first, last = _span(signals, config, grace)
    if first > last:
        missing_days = -(-(first - last) // timedelta(days=1))
        raise InsufficientData(
            [
                f"{missing_days} more days of history (the first snapshot would be at {to_iso(first)}, and the last "
                f"one with a known outcome at {to_iso(last)})"
            ],
            "wait for more history, or load older data",
        )
    grid = Grid.ending(last, first, config.every_days)
    table = signals.tables["subscriptions" if signals.contractual else "orders"]
    accounts = table["account_id"].nunique().to_pyarrow().as_py()
    coarser = min(-(-accounts * grid.n // config.snapshots), max(COARSEST_DAYS // config.every_days, 1))
    return (grid if coarser <= 1 else Grid.ending(last, first, config.every_days * coarser)), grace


def _span(signals: OpenSignals, config: TrainConfig, grace: int) -> tuple[datetime, datetime]:
    """Return the first and last instant at which a snapshot may be taken."""
    last = midnight(signals.data_through - timedelta(days=config.horizon_days + grace))
    table, at = ("subscriptions", "started_at") if signals.contractual else ("orders", "occurred_at")
    start = signals.tables[table][at].min().to_pyarrow().as_py()
    if start is None:
        raise InsufficientData(
            [f"{table} has no rows before {to_iso(signals.data_through)}"],
            f"fill {table}; `renewcast check` shows the facts",
        )
    # Before the history of contracts begins, only accounts that stayed are in the source.
    if (known := history_start(signals)) is not None:
        start = max(start, known.replace(tzinfo=None))
    # Contracts often reach back further than other feeds; snapshots of those times would be nearly empty.
    feeds = [signals.tables[name][current_tables()[name].at].min() for name in event_tables() if signals.has(name)]
    starts = [first for feed in feeds if (first := feed.to_pyarrow().as_py()) is not None]
    oldest = max(start, sorted(starts)[len(starts) // 2]) if starts else start
    # For order businesses, the last H days decide which accounts are active, and must lie within the data.
    warmup = config.warmup_days if signals.contractual else max(config.warmup_days, config.horizon_days)
    earliest = midnight(oldest.replace(tzinfo=last.tzinfo)) + timedelta(days=warmup)
    return max(earliest, last - timedelta(days=config.history_days)), last
