"""From a signals source to labelled snapshots: the rows that every candidate is trained and judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.contract.schema import EVENT_TABLES
from features.errors import InsufficientData
from features.signals.signals import Signals, open_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import DUCKDB
from features.utils.dates import Grid, midnight, to_iso
from features.utils.progress import Progress, no_progress, subprogress
from training.config import TrainConfig
from training.dataset.labels import label
from training.dataset.overwritten_terms import mask_growth, mask_terms, overwritten_rows

COARSEST_DAYS = 91
"""The widest step of the grid that a large portfolio is given."""


@dataclass(frozen=True)
class LabelledSnapshots:
    """Snapshots and what became of them.

    Parameters
    ----------
    signals : the checked source.
    grid : the dates of the snapshots, all with a closed label window.
    frame : the snapshots, n rows (see `features.snapshots.snapshot.snapshot`).
    labels : what became of each row, n rows in the same order (see `training.dataset.labels.label`).
    grace_days : G in force: none for order businesses.
    catalogue : the features of the snapshots.
    beside : the labels at further horizons, by days, n rows in the same order.
    without_terms : the dates at which the source has overwritten terms of contracts: nothing is known of them there
        (see `training.dataset.overwritten_terms`).
    """

    signals: Signals
    grid: Grid
    frame: pd.DataFrame
    labels: pd.DataFrame
    grace_days: int
    catalogue: Catalogue
    beside: Mapping[int, pd.DataFrame] = field(default_factory=dict)
    without_terms: tuple[datetime, ...] = ()

    @property
    def latest(self) -> pd.DataFrame:
        """The newest of the snapshots."""
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
    """Read the signals before ``data_through`` on ``engine``, snapshot them on a grid, and label the rows.

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
    signals: Signals, config: TrainConfig, progress: Progress = no_progress, catalogue: Catalogue = CATALOGUE
) -> LabelledSnapshots:
    """Snapshot open signals on a grid, and label the rows.

    Raises
    ------
    InsufficientData
        If no date has a closed label window, or no account is active at any.
    """
    grid, grace = labelled_grid(signals, config)
    frame = snapshot(
        signals,
        grid,
        horizon_days=config.horizon_days,
        catalogue=catalogue,
        progress=subprogress(progress, 0.0, 0.85),
    )
    if frame.empty:
        raise InsufficientData(["accounts: none is active at any date with a known outcome"])
    progress(0.85, "what became of them")
    keys = frame[["account_id", "as_of"]]
    labels = label(signals, keys, config.horizon_days, grace)
    further = sorted(set(config.horizons) - {config.horizon_days}) if signals.contractual else []
    beside = {days: label(signals, keys, days, grace) for days in further}
    lost = np.zeros(len(frame), dtype=np.bool_)
    if signals.contractual:
        lost = overwritten_rows(labels["as_of"], labels["arr"])
        frame, labels = mask_terms(frame, lost, catalogue), mask_growth(labels, lost)
        beside = {days: mask_growth(each, lost) for days, each in beside.items()}
    progress(1.0, "labelled")
    return LabelledSnapshots(signals, grid, frame, labels, grace, catalogue, beside, _without_terms(frame, lost))


def _without_terms(frame: pd.DataFrame, lost: npt.NDArray[np.bool_]) -> tuple[datetime, ...]:
    return tuple(at.to_pydatetime() for at in pd.DatetimeIndex(frame["as_of"][lost].unique()))


def labelled_grid(signals: Signals, config: TrainConfig) -> tuple[Grid, int]:
    """The dates of which the outcome can be known, no more of them than ``config.snapshots`` allows, and the grace in
    force: none for order businesses.

    Raises
    ------
    InsufficientData
        If there is no such date.
    """
    grace = config.grace_days if signals.contractual else 0
    first, last = _span(signals, config, grace)
    if first > last:
        short = -(-(first - last) // timedelta(days=1))
        raise InsufficientData(
            [
                f"{short} more days of history (the first snapshot would be of {to_iso(first)}, and the last one whose "
                f"outcome is known of {to_iso(last)})"
            ],
            "wait for more history, or load older data",
        )
    grid = Grid.ending(last, first, config.every_days)
    table = signals.tables["subscriptions" if signals.contractual else "orders"]
    accounts = table["account_id"].nunique().to_pyarrow().as_py()
    coarser = min(-(-accounts * grid.n // config.snapshots), max(COARSEST_DAYS // config.every_days, 1))
    return (grid if coarser <= 1 else Grid.ending(last, first, config.every_days * coarser)), grace


def _span(signals: Signals, config: TrainConfig, grace: int) -> tuple[datetime, datetime]:
    """The first and last instant at which a snapshot may be taken."""
    last = midnight(signals.data_through - timedelta(days=config.horizon_days + grace))
    table, at = ("subscriptions", "started_at") if signals.contractual else ("orders", "occurred_at")
    begun = signals.tables[table][at].min().to_pyarrow().as_py()
    if begun is None:
        raise InsufficientData(
            [f"rows in {table}: there is none before {to_iso(signals.data_through)}"],
            f"fill {table}; `renewcast check` shows the facts",
        )
    # Contracts are often known from long before most else was recorded; a snapshot of those times would be nearly
    # empty.
    feeds = [signals.tables[name].occurred_at.min() for name in EVENT_TABLES if signals.has(name)]
    heard = [first for feed in feeds if (first := feed.to_pyarrow().as_py()) is not None]
    oldest = max(begun, sorted(heard)[len(heard) // 2]) if heard else begun
    # Accounts with orders are active by their last H days, which have to lie within the data.
    settle = config.warmup_days if signals.contractual else max(config.warmup_days, config.horizon_days)
    earliest = midnight(oldest.replace(tzinfo=last.tzinfo)) + timedelta(days=settle)
    return max(earliest, last - timedelta(days=config.history_days)), last
