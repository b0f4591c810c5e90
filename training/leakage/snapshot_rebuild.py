"""Rebuild the snapshots of a sample from altered sources, and report every feature that changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import pandas as pd

from features.catalogue.catalogue import KEYS, Catalogue
from features.signals.signals import OpenSignals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.account_states import AccountStates
from features.sources.base import from_tables
from features.utils.dates import Grid, to_iso
from features.utils.progress import Progress, no_progress
from training.config import TrainConfig
from training.leakage.account_sample import ContractTables
from training.leakage.altered_states import drop_future_states, perturb_future_states, repeat_states
from training.leakage.future_perturbation import drop_future, perturb_future, repeat_rows
from training.leakage.report import Check, LeakFinding

CHANGES: Mapping[Check, str] = {
    "future added": "changes when rows are added or altered that happened or arrived later",
    "future dropped": "changes when everything at or after its date is removed",
    "rows repeated": "changes when rows are reordered or repeated",
}
"""Description of a feature that fails a rebuild, by check."""
ACTIVE_ACCOUNTS = "set of active accounts"
FAR_AHEAD = timedelta(days=2000)
"""Later than every generated row, so that the cut-off of the source hides none of them."""


@dataclass(frozen=True)
class _Rebuild:
    """One rebuild: its check, the last compared date, the functions that alter rows and states, and the rebuilt
    dates."""

    check: Check
    until: datetime
    alter: Callable[[], ContractTables]
    alter_states: Callable[[AccountStates], AccountStates]
    grid: Grid


def rebuild_findings(
    tables: ContractTables,
    grid: Grid,
    signals: OpenSignals,
    catalogue: Catalogue,
    config: TrainConfig,
    progress: Progress = no_progress,
    states: AccountStates | None = None,
) -> list[LeakFinding]:
    """Rebuild from each altered source, and report every feature that is not bit-identical.

    Parameters
    ----------
    tables : rows of the sample (see `training.leakage.account_sample.sampled_tables`).
    grid : the dates.
    signals : the source of the sample.
    catalogue, config : features and settings of the snapshots; the seed chooses the generated rows.
    progress : progress callback.
    states : states of the sample (see `training.leakage.account_sample.sampled_states`).

    Returns
    -------
    list of LeakFinding
        One for each check and feature, with the dates at which it changed.
    """

    def build(rows: ContractTables, some: AccountStates | None, dates: Grid) -> pd.DataFrame:
        through = signals.data_through + FAR_AHEAD
        return altered_snapshot(rows, signals, through, signals.history_from, dates, catalogue, config, some)

    progress(0.0, "rebuilding a sample")
    original, rebuilds = build(tables, states, grid), _rebuilds(tables, grid, config.seed)
    changed: dict[tuple[Check, str], list[datetime]] = {}
    for i, rebuild in enumerate(rebuilds):
        progress((i + 1) / (len(rebuilds) + 1), f"{rebuild.check}: {to_iso(rebuild.until)}")
        altered = None if states is None else rebuild.alter_states(states)
        rebuilt, last = build(rebuild.alter(), altered, rebuild.grid), pd.Timestamp(rebuild.until)
        expected = original[(original["as_of"] >= pd.Timestamp(rebuild.grid.first)) & (original["as_of"] <= last)]
        for name in differing_features(expected, rebuilt[rebuilt["as_of"] <= last]):
            changed.setdefault((rebuild.check, name), []).append(rebuild.until)
    return [_finding(check, name, dates, grid.n) for (check, name), dates in changed.items()]


def altered_snapshot(
    rows: ContractTables,
    signals: OpenSignals,
    data_through: datetime,
    history_from: datetime | None,
    dates: Grid,
    catalogue: Catalogue,
    config: TrainConfig,
    states: AccountStates | None = None,
) -> pd.DataFrame:
    """Return the snapshots of altered rows. What the source cannot record is unknown, as in its own snapshots.

    Parameters
    ----------
    rows : the tables.
    signals : the source of the rows, with its name and with the values that it can record.
    data_through, history_from : as in `features.signals.signals.read_signals`.
    dates : the dates.
    catalogue, config : features and settings of the snapshots.
    states : the states of the accounts; None without any.
    """
    altered = replace(from_tables(rows, signals.origin), records=signals.records, states=states)
    # A few thousand rows are not worth several threads.
    altered.connection.raw_sql("SET threads = 1")
    opened = read_signals(altered, data_through, history_from, sound=True)
    try:
        return snapshot(opened, dates, horizon_days=config.horizon_days, catalogue=catalogue)
    finally:
        opened.close()


def differing_features(expected: pd.DataFrame, rebuilt: pd.DataFrame) -> list[str]:
    """Return the features that are not bit-identical; if the rows themselves differ, only `ACTIVE_ACCOUNTS`.

    Parameters
    ----------
    expected, rebuilt : snapshots of the same dates, in the order of `features.snapshots.snapshot.snapshot`.

    Returns
    -------
    list of str
    """
    keys = [[frame[key].tolist() for key in KEYS] for frame in (expected, rebuilt)]
    if keys[0] != keys[1]:
        return [ACTIVE_ACCOUNTS]
    return [name for name in expected.columns if name not in KEYS and not _same(expected[name], rebuilt[name])]


def _rebuilds(tables: ContractTables, grid: Grid, seed: int) -> list[_Rebuild]:
    rebuilds = []
    for i, date in enumerate(grid.as_ofs):
        # Only the dates that are compared are built: functions never see generated rows.
        until = Grid(grid.first, grid.every_days, i + 1)
        added = partial(perturb_future, tables, date, seed), partial(perturb_future_states, as_of=date, seed=seed)
        rebuilds.append(_Rebuild("future added", date, *added, until))
        # Without the future, only the date itself is built, as in scoring.
        dropped = partial(drop_future, tables, date), partial(drop_future_states, as_of=date)
        rebuilds.append(_Rebuild("future dropped", date, *dropped, Grid.single(date)))
    repeated = partial(repeat_rows, tables, seed), partial(repeat_states, seed=seed)
    rebuilds.append(_Rebuild("rows repeated", grid.last, *repeated, grid))
    return rebuilds


def _same(one: pd.Series[float], other: pd.Series[float]) -> bool:
    if pd.api.types.is_numeric_dtype(one) and pd.api.types.is_numeric_dtype(other):
        # All bit patterns of NaN are equal.
        bits = [np.where(np.isnan(v), np.nan, v).view(np.int64) for v in (one.to_numpy(float), other.to_numpy(float))]
        return bool((bits[0] == bits[1]).all())
    return one.reset_index(drop=True).equals(other.reset_index(drop=True))


def _finding(check: Check, name: str, dates: list[datetime], of: int) -> LeakFinding:
    where = f"{len(dates)} of {of} dates" if len(dates) > 1 else to_iso(dates[0])
    return LeakFinding(check, name, f"{name} {CHANGES[check]} (at {where})", dates=tuple(dates))
