"""Snapshots: what was known of every active account at an instant, as features."""

from __future__ import annotations

from collections import defaultdict

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from features.catalogue import CATALOGUE, KEYS, Catalogue
from features.clock import DAY_SECONDS, Grid, seconds
from features.engine import store
from features.feature import Feature
from features.measures import column_name, start_column
from features.panel import PANEL_COLUMNS, everyone, panel
from features.rollup import Need, feed_starts, rolled_up
from features.signals import Progress, Signals, silent


def snapshot(
    signals: Signals,
    grid: Grid,
    *,
    horizon_days: int = 90,
    catalogue: Catalogue = CATALOGUE,
    progress: Progress = silent,
) -> pd.DataFrame:
    """One row per active account and date of ``grid``, from what was known before that date.

    Parameters
    ----------
    signals : checked signals.
    grid : the dates.
    horizon_days : without subscriptions, an account is active if it ordered within so many days before the date.
    catalogue : the features to compute.
    progress : told how far the work is.

    Returns
    -------
    pandas.DataFrame
        Sorted by as_of, account_id. Columns: account_id (str), as_of (datetime64[us, UTC]), then the catalogue's
        features in order:
        numbers float64 with NaN for unknown (never zero), categories str with None. A table that the source lacks
        leaves all its features unknown.
    """
    connection = signals.connection
    _lay_grid(signals, grid)
    store(connection, "snapshot_everyone", everyone)
    store(connection, "snapshot_panel", panel, signals.contractual, horizon_days)
    features = _computable(signals, catalogue)
    needs = _needs_by_table(features)
    for i, (name, wanted) in enumerate(needs):
        progress(i / (len(needs) + 1), f"features of {name}")
        store(connection, f"snapshot_{name}", rolled_up, name, wanted)
        store(connection, f"snapshot_{name}_from", feed_starts, name, _columns(wanted))
    progress(len(needs) / (len(needs) + 1), "putting the features together")
    store(connection, "snapshot_features", _features, features, needs)
    frame = connection.table("snapshot_features").to_pyarrow().to_pandas()
    for name in ("features", "panel", "everyone", *(f"{n}{end}" for n, _ in needs for end in ("", "_from"))):
        connection.raw_sql(f'DROP TABLE "snapshot_{name}"')
    progress(1.0, "snapshots ready")
    return _finished(frame, grid, catalogue)


def _lay_grid(signals: Signals, grid: Grid) -> None:
    start, step = seconds(grid.first), grid.every_days * DAY_SECONDS
    history = None if signals.history_from is None else seconds(signals.history_from)
    row = {"first_s": [start], "step_s": [step], "dates": [grid.n], "history_s": pa.array([history], pa.int64())}
    places = np.arange(grid.n, dtype=np.int64)
    dates = {"pos": places, "as_of_s": start + places * step}
    for name, columns in (("snapshot_grid", row), ("snapshot_dates", dates)):
        signals.connection.create_table(name, pa.table(columns), temp=True, overwrite=True)


def _computable(signals: Signals, catalogue: Catalogue) -> tuple[Feature, ...]:
    """The features for which the source has every table."""
    return tuple(
        f
        for f in catalogue.values()
        if signals.has(f.table) and (f.term is None or all(signals.has(m.table) for m, _ in f.term.needs))
    )


def _needs_by_table(features: tuple[Feature, ...]) -> tuple[tuple[str, frozenset[Need]], ...]:
    needs: dict[str, set[Need]] = defaultdict(set)
    for f in features:
        for measure, days in f.term.needs if f.term else ():
            needs[measure.table].add((measure, days))
    return tuple((name, frozenset(wanted)) for name, wanted in sorted(needs.items()))


def _columns(needs: frozenset[Need]) -> tuple[str, ...]:
    """The optional columns that the measures rest on."""
    return tuple(sorted({m.column for m, _ in needs if m.column}))


def _features(features: tuple[Feature, ...], needs: tuple[tuple[str, frozenset[Need]], ...]) -> ibis.Table:
    """The panel beside everything rolled up, and each feature's term built on it."""
    wide = ibis.table(PANEL_COLUMNS, name="snapshot_panel")
    for name, wanted in needs:
        columns = {"account_id": "string", "pos": "int64"} | {column_name(*n): "int64" for n in wanted}
        wide = wide.join(ibis.table(columns, name=f"snapshot_{name}"), ["account_id", "pos"])
        starts = {start_column(name, c): "int64" for c in ("", *_columns(wanted))}
        wide = wide.join(ibis.table({"pos": "int64", **starts}, name=f"snapshot_{name}_from"), "pos")
    built = {f.name: wide[f.column] if f.term is None else f.term.build(wide) for f in features}
    return wide.select("account_id", "pos", **built).order_by(["pos", "account_id"])


def _finished(frame: pd.DataFrame, grid: Grid, catalogue: Catalogue) -> pd.DataFrame:
    """Every feature of the catalogue, in order and of its dtype."""
    as_ofs = pd.DatetimeIndex(pd.to_datetime(grid.as_ofs, utc=True)).as_unit("us")
    columns: dict[str, object] = {
        KEYS[0]: frame["account_id"].astype("str"),
        KEYS[1]: as_ofs[frame["pos"].to_numpy(dtype=np.int64)],
    }
    for name, f in catalogue.items():
        if f.kind == "number":
            columns[name] = frame[name].astype("float64") if name in frame else np.nan
        else:
            values = frame[name].astype("object") if name in frame else pd.Series([None] * len(frame), dtype="object")
            columns[name] = values.where(values.notna(), None)
    return pd.DataFrame(columns, index=frame.index)
