"""Snapshots: what was known of every active account at an instant, as features."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from features.aggregation.account_date_grid import Block, Board, Ints, Values
from features.aggregation.passes import Need, Pass, Starts
from features.aggregation.rollup import Rolled, roll
from features.aggregation.versioned_rows import with_versions
from features.aggregation.window_columns import columns_of, feed_starts
from features.catalogue.catalogue import CATALOGUE, KEYS, Catalogue
from features.definitions.feature import Feature
from features.signals.signals import Signals
from features.snapshots.active_accounts import accounts_of, by_contract, by_orders, needed_of_orders, panel_columns
from features.sources.engine import available_cpus, create_table
from features.utils.dates import DAY_SECONDS, Grid, epoch_seconds
from features.utils.progress import Progress, no_progress

SIDE_BY_SIDE = 500_000
"""Buckets from which on their accounts are shared out among threads."""


def snapshot(
    signals: Signals,
    grid: Grid,
    *,
    horizon_days: int = 90,
    catalogue: Catalogue = CATALOGUE,
    kept: Path | None = None,
    progress: Progress = no_progress,
) -> pd.DataFrame:
    """One row per active account and date of ``grid``, from what was known before that date.

    Parameters
    ----------
    signals : checked signals.
    grid : the dates.
    horizon_days : without subscriptions, an account is active if it ordered within so many days before the date.
    catalogue : the features to compute.
    kept : a folder in which the roll-ups of large feeds are kept, so that next time only new files are read (see
        `features.aggregation.incremental_state`); None keeps nothing. It changes no result.
    progress : told how far the work is.

    Returns
    -------
    pandas.DataFrame
        Sorted by as_of, account_id. Columns: account_id (str), as_of (datetime64[us, UTC]), then the catalogue's
        features in order: numbers float64 with NaN for unknown (never zero), categories str with None. A table that the
        source lacks leaves all its features unknown.
    """
    _lay_grid(signals, grid)
    features = computable(signals, catalogue)
    needs = _needs_by_table(features)
    if not signals.contractual:
        needs["orders"] = needs.get("orders", frozenset()) | needed_of_orders(horizon_days)
    rolled: dict[str, Rolled] = {}
    for i, (name, wanted) in enumerate(needs.items()):
        progress(0.8 * i / len(needs), f"features of {name}")
        rolled[name] = roll(signals, name, wanted, grid, kept)
    progress(0.8, "putting the features together")
    accounts = accounts_of(signals)
    everyone = Board(accounts["account_id"].combine_chunks(), grid, np.arange(len(accounts) * grid.n, dtype=np.int64))
    if signals.contractual:
        board, contract = by_contract(signals, everyone)
    else:
        at_all = _rolled_columns(rolled["orders"], needed_of_orders(horizon_days), everyone)
        board, contract = by_orders(everyone, at_all, horizon_days)
    columns = panel_columns(accounts, board, contract)
    history = np.nan if signals.history_from is None else float(epoch_seconds(signals.history_from))
    for name, wanted in needs.items():
        columns |= _rolled_columns(rolled[name], wanted, board)
        starts = feed_starts(*rolled[name].starts, grid, history)
        columns |= {start: at_s[board.place[1]] for start, at_s in starts.items()}
        rolled.pop(name)
    frame = _finished(features, columns, accounts, board, catalogue)
    progress(1.0, "snapshots ready")
    return frame


def _lay_grid(signals: Signals, grid: Grid) -> None:
    row = {"first_s": [epoch_seconds(grid.first)], "step_s": [grid.every_days * DAY_SECONDS], "dates": [grid.n]}
    create_table(signals.connection, "snapshot_grid", pa.table(row))


def computable(signals: Signals, catalogue: Catalogue) -> tuple[Feature, ...]:
    """The features for which the source has every table."""
    return tuple(
        f
        for f in catalogue.values()
        if signals.has(f.table) and (f.term is None or all(signals.has(m.table) for m, _ in f.term.needs))
    )


def _needs_by_table(features: tuple[Feature, ...]) -> dict[str, frozenset[Need]]:
    needs: dict[str, set[Need]] = defaultdict(set)
    for f in features:
        for measure, days in f.term.needs if f.term else ():
            needs[measure.table].add((measure, days))
    return {name: frozenset(wanted) for name, wanted in sorted(needs.items())}


def _rolled_columns(rolled: Rolled, needs: frozenset[Need], board: Board) -> dict[str, Values]:
    columns: dict[str, Values] = {}
    for what, table in zip(rolled.passes, rolled.tables, strict=True):
        if isinstance(what, Starts) or len(table) < SIDE_BY_SIDE:
            columns |= columns_of(what, table, needs, board)
            continue
        # No account has to do with another; NumPy lets go of the interpreter while it sorts and sums.
        rows, account = board.rows_of(table)
        blocks = board.blocks(available_cpus())
        with ThreadPoolExecutor(available_cpus()) as pool:
            parts = pool.map(partial(_block_columns, what, rows, account, needs), blocks)
            for block, part in zip(blocks, parts, strict=True):
                for name, values in part.items():
                    columns.setdefault(name, np.empty(len(board.cells), dtype=values.dtype))[block.cells] = values
    return columns if rolled.versions is None else with_versions(columns, rolled.versions, needs, board)


def _block_columns(
    what: Pass, rows: pa.Table, account: Ints, needs: frozenset[Need], block: Block
) -> dict[str, Values]:
    """The columns of a block of accounts, ``rows`` being everybody's and ``account`` whose each is."""
    mine = rows.filter(pa.array((account >= block.first) & (account < block.end)))
    return columns_of(what, mine, needs, block.board)


def _finished(
    features: tuple[Feature, ...], columns: dict[str, Values], accounts: pa.Table, board: Board, catalogue: Catalogue
) -> pd.DataFrame:
    """Every feature of the catalogue, in order and of its dtype."""
    account, pos = board.place
    as_ofs = pd.DatetimeIndex(pd.to_datetime(board.grid.as_ofs, utc=True)).as_unit("us")
    ids = accounts["account_id"].to_numpy(zero_copy_only=False)[account]
    found: dict[str, object] = {KEYS[0]: pd.Series(ids, dtype="str"), KEYS[1]: as_ofs[pos]}
    computed = {f.name for f in features}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, f in catalogue.items():
            if f.kind == "category":
                texts = columns[f.column or ""] if name in computed else [None] * len(pos)
                found[name] = pd.Series(texts, dtype="object")
            elif f.term is not None and name in computed:
                found[name] = f.term.build(columns)
            else:
                found[name] = np.full(len(pos), np.nan)
    return pd.DataFrame(found)
