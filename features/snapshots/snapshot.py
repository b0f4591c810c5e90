"""Snapshots: the features of every active account, from what was known at an instant."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from features.aggregation.account_date_grid import AccountBlock, Panel, Values
from features.aggregation.passes import FeedStartPass, Need, Pass
from features.aggregation.rollup import RolledTable, roll_up
from features.aggregation.versioned_rows import with_versions
from features.aggregation.window_columns import feed_starts, window_columns
from features.catalogue.catalogue import CATALOGUE, KEYS, Catalogue
from features.definitions.aggregations import Measure
from features.definitions.feature import Feature
from features.families.peers import FEATURES as PEER_FEATURES
from features.families.subscriptions import OUTCOME_FEATURES
from features.revenue.contract_outcomes import contract_outcomes, subscription_rows
from features.signals.signals import OpenSignals
from features.snapshots.active_accounts import (
    accounts_of,
    active_by_contract,
    active_by_orders,
    order_needs,
    panel_columns,
)
from features.snapshots.function_columns import function_columns
from features.snapshots.outcome_history import own_outcome_columns
from features.snapshots.peer_rates import PeerTotals, Portfolio, peer_columns
from features.snapshots.state_columns import with_states
from features.sources.engine import available_cpus, collect, create_table
from features.utils.arrays import Ints
from features.utils.dates import DAY_SECONDS, Grid, epoch_seconds
from features.utils.progress import Progress, no_progress, subprogress

PARALLEL_MIN_BUCKETS = 500_000
"""Number of buckets from which the accounts are divided among threads."""


def snapshot(
    signals: OpenSignals,
    grid: Grid,
    *,
    horizon_days: int = 90,
    catalogue: Catalogue = CATALOGUE,
    rollup_folder: Path | None = None,
    peer_totals: PeerTotals | None = None,
    progress: Progress = no_progress,
) -> pd.DataFrame:
    """One row per active account and date of ``grid``, from what was known before that date.

    Parameters
    ----------
    signals : checked signals.
    grid : the dates.
    horizon_days : without subscriptions, an account is active if it ordered within this many days before the date.
    catalogue : the features to compute.
    rollup_folder : a folder for the roll-ups of large feeds, so that the next run only reads new files (see
        `features.aggregation.incremental_state`); None to store nothing. It changes no result.
    peer_totals : the totals of the whole portfolio (`portfolio_totals`), if the signals are only a part of it; by
        default the signals are the portfolio.
    progress : receives the progress of the computation.

    Returns
    -------
    pandas.DataFrame
        Sorted by as_of, account_id. Columns: account_id (str), as_of (datetime64[us, UTC]), then the catalogue's
        features in order: numbers float64 with NaN for unknown (never zero), categories str with None. Features of
        tables that the source lacks are unknown.
    """
    _create_grid_table(signals, grid)
    features = computable(signals, catalogue)
    needs = _needs_by_table(features)
    if not signals.contractual:
        needs["orders"] = needs.get("orders", frozenset()) | order_needs(horizon_days)
    rolled: dict[str, RolledTable] = {}
    for i, (name, wanted) in enumerate(needs.items()):
        progress(0.8 * i / len(needs), f"features of {name}")
        rolled[name] = roll_up(signals, name, wanted, grid, rollup_folder)
    progress(0.8, "combining features")
    accounts = accounts_of(signals)
    all_cells = Panel(accounts["account_id"].combine_chunks(), grid, np.arange(len(accounts) * grid.n, dtype=np.int64))
    if signals.contractual:
        panel, contract = active_by_contract(signals, all_cells)
    else:
        order_columns = _rolled_columns(rolled["orders"], order_needs(horizon_days), all_cells)
        panel, contract = active_by_orders(all_cells, order_columns, horizon_days)
    columns = panel_columns(accounts, panel, contract)
    history = np.nan if signals.history_from is None else float(epoch_seconds(signals.history_from))
    for name, wanted in needs.items():
        columns |= _rolled_columns(rolled[name], wanted, panel)
        starts = feed_starts(*rolled[name].starts, grid, history)
        columns |= {start: at_s[panel.place[1]] for start, at_s in starts.items()}
        rolled.pop(name)
    columns |= _outcome_columns(signals, features, accounts, panel, columns, peer_totals)
    if functions := [f.function for f in features if f.function is not None]:
        columns |= function_columns(signals, functions, panel, subprogress(progress, 0.8, 1.0))
    frame = _feature_frame(features, columns, accounts, panel, catalogue)
    if signals.states is not None:
        frame = with_states(frame, signals.states, catalogue)
    progress(1.0, "snapshots ready")
    return frame


def portfolio_totals(signals: OpenSignals, grid: Grid) -> PeerTotals | None:
    """Return the portfolio's totals at the dates of ``grid``, for the snapshot of a part of it.

    None without subscriptions.
    """
    if not signals.contractual:
        return None
    _create_grid_table(signals, grid)
    accounts = accounts_of(signals)
    ids = Panel(accounts["account_id"].combine_chunks(), grid, np.zeros(0, dtype=np.int64))
    dates = np.array([epoch_seconds(at) for at in grid.as_ofs], dtype=np.int64)
    return _portfolio(signals, accounts, ids).totals(dates)


def _outcome_columns(
    signals: OpenSignals,
    features: tuple[Feature, ...],
    accounts: pa.Table,
    panel: Panel,
    columns: dict[str, Values],
    totals: PeerTotals | None,
) -> dict[str, Values]:
    """Return the columns from past outcomes, of the account itself and of its peers, that the features need."""
    names = {f.name for f in features}
    own, peers = bool(names & OUTCOME_FEATURES), bool(names & {f.name for f in PEER_FEATURES})
    if not signals.contractual or not (own or peers):
        return {}
    portfolio, account = _portfolio(signals, accounts, panel), panel.place[0]
    as_of_s = columns["as_of_s"].astype(np.int64)
    result: dict[str, Values] = {}
    if own:
        result |= own_outcome_columns(portfolio.outcomes, account, as_of_s * 1_000_000)
    if peers:
        result |= peer_columns(portfolio, account, as_of_s, columns["plan"], totals)
    return result


def _portfolio(signals: OpenSignals, accounts: pa.Table, panel: Panel) -> Portfolio:
    rows, owner = panel.rows_of(collect(signals.connection, subscription_rows))
    texts = {name: accounts[name].to_numpy(zero_copy_only=False) for name in ("account_id", "industry", "region")}
    return Portfolio(contract_outcomes(rows.combine_chunks(), owner), texts.pop("account_id"), texts)


def _create_grid_table(signals: OpenSignals, grid: Grid) -> None:
    row = {"first_s": [epoch_seconds(grid.first)], "step_s": [grid.every_days * DAY_SECONDS], "dates": [grid.n]}
    create_table(signals.connection, "snapshot_grid", pa.table(row))


def computable(signals: OpenSignals, catalogue: Catalogue) -> tuple[Feature, ...]:
    """Return the features for which the source has every table, and can record what they count."""
    return tuple(
        f
        for f in catalogue.values()
        if signals.has(f.table)
        and (f.term is None or all(_is_recorded(signals, m) for m, _ in f.term.needs))
        and (f.function is None or all(map(signals.has, f.function.reads)))
    )


def _is_recorded(signals: OpenSignals, measure: Measure) -> bool:
    return signals.has(measure.table) and measure.is_recorded(signals.records.get(measure.table, {}))


def _needs_by_table(features: tuple[Feature, ...]) -> dict[str, frozenset[Need]]:
    needs: dict[str, set[Need]] = defaultdict(set)
    for f in features:
        for measure, days in f.term.needs if f.term else ():
            needs[measure.table].add((measure, days))
    return {name: frozenset(wanted) for name, wanted in sorted(needs.items())}


def _rolled_columns(rolled: RolledTable, needs: frozenset[Need], panel: Panel) -> dict[str, Values]:
    columns: dict[str, Values] = {}
    for what, table in zip(rolled.passes, rolled.tables, strict=True):
        if isinstance(what, FeedStartPass) or len(table) < PARALLEL_MIN_BUCKETS:
            columns |= window_columns(what, table, needs, panel)
            continue
        # Accounts are independent, and NumPy releases the GIL while it sorts and sums.
        rows, account = panel.rows_of(table)
        blocks = panel.blocks(available_cpus())
        with ThreadPoolExecutor(available_cpus()) as pool:
            parts = pool.map(partial(_block_columns, what, rows, account, needs), blocks)
            for block, part in zip(blocks, parts, strict=True):
                for name, values in part.items():
                    columns.setdefault(name, np.empty(len(panel.cells), dtype=values.dtype))[block.cells] = values
    return columns if rolled.versions is None else with_versions(columns, rolled.versions, needs, panel)


def _block_columns(
    what: Pass, rows: pa.Table, account: Ints, needs: frozenset[Need], block: AccountBlock
) -> dict[str, Values]:
    """Return the columns of a block of accounts; ``rows`` are those of all accounts, ``account`` their positions."""
    block_rows = rows.filter(pa.array((account >= block.first) & (account < block.end)))
    return window_columns(what, block_rows, needs, block.panel)


def _feature_frame(
    features: tuple[Feature, ...], columns: dict[str, Values], accounts: pa.Table, panel: Panel, catalogue: Catalogue
) -> pd.DataFrame:
    """Return every feature of the catalogue, in order and with its dtype."""
    account, pos = panel.place
    as_ofs = pd.DatetimeIndex(pd.to_datetime(panel.grid.as_ofs, utc=True)).as_unit("us")
    ids = accounts["account_id"].to_numpy(zero_copy_only=False)[account]
    values: dict[str, object] = {KEYS[0]: pd.Series(ids, dtype="str"), KEYS[1]: as_ofs[pos]}
    computed = {f.name for f in features}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, f in catalogue.items():
            if f.kind == "category":
                texts = columns[f.column or ""] if name in computed else [None] * len(pos)
                values[name] = pd.Series(texts, dtype="object")
            elif f.term is not None and name in computed:
                values[name] = f.term.build(columns)
            else:
                values[name] = np.full(len(pos), np.nan)
    return pd.DataFrame(values)
