"""Labelled snapshots of the example data sets and of simulated worlds, for the scripts that measure the models.

Reading and labeling take minutes, so the result is stored in a work folder and read from there the next time.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pandas as pd

from features.catalogue.catalogue import CATALOGUE
from features.errors import SignalsError
from features.signals.signals import OpenSignals, open_signals
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid
from models.targets import Target
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots, read_labelled_snapshots
from training.dataset.target_rows import TargetRows
from training.simulation import MarketOptions, simulate

EXAMPLES = Path(__file__).resolve().parent.parent / "notebooks" / "examples"
HORIZON_DAYS = 90
TEST_DATES, SAMPLE_DATES = 3, 3
"""Dates with true probabilities of a world to predict, and of a large sample: the newest with known outcomes."""


@dataclass(frozen=True)
class Portfolio:
    """Labelled snapshots, and for simulated worlds later snapshots with the true probabilities.

    Parameters
    ----------
    name : a file name.
    stored : frame, labels, further labels, grace days and dates of the snapshots, without the open source.
    truth : snapshots with the columns ``true_churn`` and ``true_expansion``; None for data without a known truth.
    """

    name: str
    stored: dict[str, Any] = field(repr=False)
    truth: pd.DataFrame | None = field(default=None, repr=False)

    @property
    def frame(self) -> pd.DataFrame:
        """The labelled snapshots."""
        return cast(pd.DataFrame, self.stored["frame"])

    def rows(self, target: Target) -> TargetRows:
        """Return the snapshots with the labels of one target."""
        return TargetRows(self.prepared, target, {}, HORIZON_DAYS)

    @property
    def prepared(self) -> LabelledSnapshots:
        """The snapshots as training reads them; the source is closed."""
        stored = self.stored
        grid = Grid.ending(stored["as_ofs"][-1], stored["as_ofs"][0], 7)
        return LabelledSnapshots(
            cast(OpenSignals, None),
            grid,
            stored["frame"],
            stored["labels"],
            stored["grace_days"],
            CATALOGUE,
            stored["further_labels"],
        )

    def known_at(self, date: datetime) -> Portfolio:
        """Return the portfolio with snapshots up to ``date`` only, so that this is the newest one."""
        early = (self.frame["as_of"] <= date).to_numpy()
        cut = {name: self.stored[name][early].reset_index(drop=True) for name in ("frame", "labels")}
        further = {days: each[early].reset_index(drop=True) for days, each in self.stored["further_labels"].items()}
        return replace(self, stored=self.stored | cut | {"further_labels": further})

    def at(self, date: datetime, target: Target) -> tuple[pd.DataFrame, pd.Series]:
        """Return the snapshots of one date that have a label, and their labels."""
        inside = (self.frame["as_of"] == date).to_numpy() & self.stored["labels"][target].notna().to_numpy()
        return self.frame[inside].reset_index(drop=True), self.stored["labels"][target][inside].reset_index(drop=True)


def example(name: str, work: Path) -> Portfolio | None:
    """Return an example data set; None, with a message, if its files are missing."""
    file = work / f"{name}.pickle"
    if not file.exists():
        try:
            stored = _labelled(EXAMPLES / f"{name}.toml")
        except SignalsError as error:
            print(f"{name} is skipped: {error.found}")
            return None
        store(file, stored)
    return Portfolio(name, read(file))


def simulated(
    work: Path, name: str, accounts: int, weeks: int, seed: int, options: Mapping[str, Any] | None = None
) -> Portfolio:
    """Return a simulated world with the true probabilities of its dates.

    Parameters
    ----------
    work : the folder of stored results.
    name : a name for the options, part of the file name.
    accounts, weeks, seed : of the simulation.
    options : further arguments of `training.simulation.simulate`, such as the preset.
    """
    full = f"{name}-{accounts}-{weeks}-{seed}"
    file, truth = work / f"{full}.pickle", work / f"{full}-truth.pickle"
    if not (file.exists() and truth.exists()):
        signals = _simulate(work / full, accounts, weeks, seed, options or {})
        store(truth, _true_snapshots(signals, TEST_DATES))
        store(file, _labelled(signals))
        _remove(signals)
    return Portfolio(full, read(file), read(truth))


def true_sample(work: Path, name: str, accounts: int, weeks: int, seed: int, options: Mapping[str, Any]) -> Any:
    """Return snapshots of a large simulated world with the true probabilities, without labels."""
    file = work / f"{name}-{accounts}-{weeks}-{seed}-truth.pickle"
    if not file.exists():
        signals = _simulate(work / file.stem, accounts, weeks, seed, options)
        store(file, _true_snapshots(signals, SAMPLE_DATES))
        _remove(signals)
    return read(file)


def _simulate(folder: Path, accounts: int, weeks: int, seed: int, options: Mapping[str, Any]) -> Path:
    simulate(folder, accounts=accounts, weeks=weeks, seed=seed, options=MarketOptions(**options))
    return folder


def _labelled(address: Path) -> dict[str, Any]:
    prepared = read_labelled_snapshots(address, None, TrainConfig())
    prepared.signals.close()
    return {
        "frame": prepared.frame,
        "labels": prepared.labels,
        "further_labels": dict(prepared.further_labels),
        "grace_days": prepared.grace_days,
        "as_ofs": list(prepared.grid.as_ofs),
    }


def _true_snapshots(signals: Path, dates: int) -> pd.DataFrame:
    truth = pd.read_parquet(signals.with_name(f"{signals.name}-truth.parquet"))
    truth["as_of"] = pd.to_datetime(truth["as_of"], utc=True)
    frames = []
    for as_of in sorted(truth["as_of"].unique())[-1 - dates : -1]:
        opened = open_signals(signals, as_of.to_pydatetime())
        frames.append(snapshot(opened, Grid.single(as_of.to_pydatetime())))
        opened.close()
    named = truth.rename(columns={"churn": "true_churn", "expansion": "true_expansion"})
    columns = ["account_id", "as_of", "true_churn", "true_expansion"]
    return pd.concat(frames, ignore_index=True).merge(named[columns], on=["account_id", "as_of"])


def _remove(signals: Path) -> None:
    shutil.rmtree(signals, ignore_errors=True)
    signals.with_name(f"{signals.name}-truth.parquet").unlink(missing_ok=True)


def store(file: Path, content: Any) -> None:
    """Write a result of this project's own scripts."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_bytes(pickle.dumps(content, protocol=5))
    part.replace(file)


def read(file: Path) -> Any:
    """Read a result that `store` wrote."""
    return pickle.loads(file.read_bytes())
