"""Rebuilding a sample's snapshots from altered sources, and naming every feature that is not what it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import pandas as pd

from features.catalogue.catalogue import KEYS, Catalogue
from features.signals.signals import Signals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.utils.dates import Grid, to_iso
from features.utils.progress import Progress, no_progress
from training.config import TrainConfig
from training.leakage.account_sample import ContractTables
from training.leakage.future_perturbation import drop_future, perturb_future, repeat_rows
from training.leakage.report import Check, LeakFinding

CHANGES: Mapping[Check, str] = {
    "future added": "changes when rows are added or altered that happened or arrived later",
    "future dropped": "changes when everything at or after its date is taken away",
    "rows repeated": "changes when rows come in another order or are sent again",
}
"""What a feature does that fails a rebuild."""
ACTIVE_ACCOUNTS = "which accounts are active"
FAR_AHEAD = timedelta(days=2000)
"""Beyond everything that is made up: a rebuild is not to be saved by the cut-off of the source."""


@dataclass(frozen=True)
class _Rebuild:
    """One rebuild: the check that it is of, the last date that is compared, the altered rows, and the dates built."""

    check: Check
    until: datetime
    alter: Callable[[], ContractTables]
    grid: Grid


def rebuild_findings(
    tables: ContractTables,
    grid: Grid,
    signals: Signals,
    catalogue: Catalogue,
    config: TrainConfig,
    progress: Progress = no_progress,
) -> list[LeakFinding]:
    """Rebuild from each altered source and name every feature that is not bit for bit what it was.

    Parameters
    ----------
    tables : the sample's rows (see `training.leakage.account_sample.sampled_tables`).
    grid : the dates.
    signals : the source of the sample.
    catalogue, config : of the snapshots; the seed chooses what is made up.
    progress : told how far the work is.

    Returns
    -------
    list of Finding
        One for each check and feature, with the dates at which it was seen.
    """

    def built(rows: ContractTables, dates: Grid) -> pd.DataFrame:
        altered = from_tables(rows, signals.origin)
        # A few thousand rows are not worth sharing out.
        altered.connection.raw_sql("SET threads = 1")
        opened = read_signals(altered, signals.data_through + FAR_AHEAD, signals.history_from, sound=True)
        try:
            return snapshot(opened, dates, horizon_days=config.horizon_days, catalogue=catalogue)
        finally:
            opened.close()

    progress(0.0, "rebuilding a sample")
    whole, works = built(tables, grid), _rebuilds(tables, grid, config.seed)
    changed: dict[tuple[Check, str], list[datetime]] = {}
    for i, work in enumerate(works):
        progress((i + 1) / (len(works) + 1), f"{work.check}: {to_iso(work.until)}")
        again, last = built(work.alter(), work.grid), pd.Timestamp(work.until)
        expected = whole[(whole["as_of"] >= pd.Timestamp(work.grid.first)) & (whole["as_of"] <= last)]
        for name in differing_features(expected, again[again["as_of"] <= last]):
            changed.setdefault((work.check, name), []).append(work.until)
    return [_finding(check, name, dates, grid.n) for (check, name), dates in changed.items()]


def differing_features(expected: pd.DataFrame, rebuilt: pd.DataFrame) -> list[str]:
    """The features that are not the same in every bit; where the rows themselves differ, only `ACTIVE_ACCOUNTS`.

    Parameters
    ----------
    expected, rebuilt : snapshots of the same dates, sorted as `features.snapshots.snapshot.snapshot` has it.
    """
    keys = [[frame[key].tolist() for key in KEYS] for frame in (expected, rebuilt)]
    if keys[0] != keys[1]:
        return [ACTIVE_ACCOUNTS]
    return [name for name in expected.columns if name not in KEYS and not _same(expected[name], rebuilt[name])]


def _rebuilds(tables: ContractTables, grid: Grid, seed: int) -> list[_Rebuild]:
    found = []
    for date in grid.as_ofs:
        found.append(_Rebuild("future added", date, partial(perturb_future, tables, date, seed), grid))
        # With the future gone only the date itself is built, as a score is.
        found.append(_Rebuild("future dropped", date, partial(drop_future, tables, date), Grid.single(date)))
    found.append(_Rebuild("rows repeated", grid.last, partial(repeat_rows, tables, seed), grid))
    return found


def _same(one: pd.Series[float], other: pd.Series[float]) -> bool:
    if pd.api.types.is_numeric_dtype(one) and pd.api.types.is_numeric_dtype(other):
        # One NaN has as good a bit pattern as another.
        bits = [np.where(np.isnan(v), np.nan, v).view(np.int64) for v in (one.to_numpy(float), other.to_numpy(float))]
        return bool((bits[0] == bits[1]).all())
    return one.reset_index(drop=True).equals(other.reset_index(drop=True))


def _finding(check: Check, name: str, dates: list[datetime], of: int) -> LeakFinding:
    seen = f"{len(dates)} of {of} dates" if len(dates) > 1 else to_iso(dates[0])
    return LeakFinding(check, name, f"{name} {CHANGES[check]} (seen at {seen})", dates=tuple(dates))
