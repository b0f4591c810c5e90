"""Checks of features that Python functions compute: they depend only on the rows that they get, and on the date.

A function gets no row of the future. It can still read a file, a global table or the clock. Such a function does not
change with the source, so the rebuilds of `training.leakage.snapshot_rebuild` cannot find it. Three other rebuilds do:

- some accounts alone: the value of an account must not depend on the other accounts;
- other ids: accounts, users, contacts and events get other ids. A function that looks them up elsewhere then finds
  nothing;
- other dates: all dates are `SHIFT_YEARS` earlier. The Gregorian calendar repeats after 28 years, so weekdays, months
  and quarters stay the same, but the clock and fixed dates do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.catalogue.catalogue import KEYS, Catalogue
from features.contract.current_contract import current_tables
from features.contract.schema import TABLES
from features.errors import FeatureError
from features.signals.signals import OpenSignals
from features.utils.dates import Grid, to_iso
from features.utils.progress import Progress, no_progress
from training.config import TrainConfig
from training.leakage.account_sample import ContractTables
from training.leakage.report import Check, LeakFinding
from training.leakage.snapshot_rebuild import FAR_AHEAD, altered_snapshot

FUNCTION_CHECKS: Mapping[Check, str] = {
    "other accounts": "depends on which other accounts are computed with an account",
    "other ids": "changes when accounts, users and events get other ids: it looks ids up in other data",
    "other dates": "changes when all dates are 28 years earlier: it reads the clock, a fixed date or other data",
}
"""Description of a feature that fails a check."""
SHIFT_YEARS = 28
SHIFT = timedelta(days=10_227)
"""28 years, which are 1,461 whole weeks."""
ALONE = 5
"""Number of accounts that are computed alone."""
LONG_AGO = datetime(1900, 1, 2, tzinfo=UTC)
"""Every feed counts as complete from here on, so that fewer rows do not make values unknown."""
IDS = frozenset(
    {"user_id", "contact_id", "ticket_id", "order_id", "event_id", "subscription_id", "name", "trial", "parent_id"}
)
"""Columns of the contract with ids, besides the identity of each table."""
TOLERANCE = 1e-9
"""Relative difference of sums that is only rounding."""


def function_catalogue(catalogue: Catalogue) -> Catalogue:
    """Return the features that Python functions compute."""
    return Catalogue(tuple(f for f in catalogue.values() if f.function is not None), catalogue.windows)


def function_findings(
    tables: ContractTables,
    grid: Grid,
    signals: OpenSignals,
    catalogue: Catalogue,
    config: TrainConfig,
    progress: Progress = no_progress,
) -> list[LeakFinding]:
    """Compute the functions from altered sources, and report every feature that changes or cannot be computed.

    Parameters
    ----------
    tables : rows of the sample (see `training.leakage.account_sample.sampled_tables`).
    grid : the dates.
    signals : the source of the sample.
    catalogue : the features that functions compute (see `function_catalogue`).
    config : the settings of the training.
    progress : progress callback.

    Returns
    -------
    list of LeakFinding
        At most one for each check and feature.
    """

    def build(rows: ContractTables, shift: timedelta = timedelta(0)) -> pd.DataFrame:
        through, dates = signals.data_through + FAR_AHEAD - shift, Grid(grid.first - shift, grid.every_days, grid.n)
        frame = altered_snapshot(rows, signals, through, LONG_AGO, dates, catalogue, config)
        return frame.assign(as_of=frame["as_of"] + shift).set_index(list(KEYS)).sort_index()

    progress(0.0, "computing functions")
    expected = build(tables)
    accounts = sorted(expected.index.get_level_values("account_id").unique())
    if not accounts:
        return []
    findings: dict[tuple[Check, str], LeakFinding] = {}
    changes = list(_changes(tables, accounts))
    for i, (check, rows, original, shift) in enumerate(changes):
        progress((i + 1) / (len(changes) + 1), f"functions: {check}")
        try:
            frame = build(rows, shift)
        except FeatureError as error:
            words = f"{error.feature} cannot be computed: {error.found}"
            findings.setdefault((check, error.feature), LeakFinding(check, error.feature, words))
            continue
        frame = frame.rename(index=original, level="account_id").sort_index()
        for name, dates in _differences(expected, frame):
            words = f"{name} {FUNCTION_CHECKS[check]} (at {to_iso(dates[0])})"
            findings.setdefault((check, name), LeakFinding(check, name, words, dates=dates))
    return list(findings.values())


def _changes(
    tables: ContractTables, accounts: Sequence[str]
) -> Iterator[tuple[Check, ContractTables, Mapping[str, str], timedelta]]:
    """Yield each altered source: its check, its tables, the original id of each account, and how much earlier it is."""
    alone = [accounts[i] for i in np.linspace(0, len(accounts) - 1, min(ALONE, len(accounts))).astype(int)]
    for some in [accounts[::2], *([account] for account in alone)]:
        chosen = pa.array(some, pa.string())
        rows = {
            name: table.filter(pc.is_in(table["account_id"], chosen)) if current_tables()[name].of_accounts else table
            for name, table in tables.items()
        }
        yield "other accounts", rows, {}, timedelta(0)
    renamed, original = _with_other_ids(tables)
    yield "other ids", renamed, original, timedelta(0)
    yield "other dates", {name: _earlier(table) for name, table in tables.items()}, {}, SHIFT


def _with_other_ids(tables: ContractTables) -> tuple[ContractTables, Mapping[str, str]]:
    """Return the tables with other ids in the same order, and the original id of each account."""
    accounts = _new_names(tables, "account_id", "account")
    renamed = {}
    for name, table in tables.items():
        for column in _id_columns(name, table):
            names = accounts if column in ("account_id", "parent_id") else _new_names(tables, column, "id")
            place, values = table.schema.get_field_index(column), table[column].to_pylist()
            # A parent is not necessarily among the accounts.
            new = pa.array([None if v is None else names.get(v, v) for v in values], pa.string())
            table = table.set_column(place, table.schema.field(place), new.cast(table.schema.field(place).type))
        renamed[name] = table
    return renamed, {new: old for old, new in accounts.items()}


def _id_columns(name: str, table: pa.Table) -> list[str]:
    """Return the columns of a table with ids. Other columns of an extra table may have any meaning."""
    ids = {"account_id", current_tables()[name].identity} | (IDS if name in TABLES else set())
    return [column for column in table.column_names if column in ids]


def _new_names(tables: ContractTables, column: str, prefix: str) -> dict[Any, str]:
    """Return a new name for each value of a column in all tables. The names have the order of the values."""
    with_ids = [table for name, table in tables.items() if column in _id_columns(name, table)]
    values = {v for table in with_ids for v in pc.unique(table[column]).to_pylist()}
    return {value: f"{prefix} {i:09}" for i, value in enumerate(sorted(values - {None}))}


def _earlier(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            earlier = pc.subtract(table[place], pa.scalar(SHIFT, pa.duration("us")))
            table = table.set_column(place, field, earlier.cast(field.type))
    return table


def _differences(expected: pd.DataFrame, frame: pd.DataFrame) -> Iterator[tuple[str, tuple[datetime, ...]]]:
    """Yield each feature that differs, and the dates at which it does."""
    common = expected.index.intersection(frame.index)
    for name in expected.columns:
        before, after = (f.loc[common, name].to_numpy(dtype=np.float64) for f in (expected, frame))
        same = np.isclose(before, after, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        if not same.all():
            dates = common[~same].get_level_values("as_of").unique().sort_values()
            yield str(name), tuple(date.to_pydatetime() for date in dates)
