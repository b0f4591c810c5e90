"""Renewcast: open a source (check, normalize, remove duplicates) and take a snapshot of all usage features."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from child import Task, answer

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.signals.signals import open_signals
from features.snapshots.snapshot import snapshot
from features.sources.sql_cache import enable_sql_cache
from features.utils.dates import Grid, parse_instant

USAGE = Catalogue(tuple(f for f in CATALOGUE.values() if f.table == "usage"))


def _build(task: Task, address: Path, as_of: datetime, first: datetime, home: Path | None) -> pd.DataFrame:
    """Return the snapshots of every week from ``first`` to ``as_of``, as ``renewcast snapshot`` does.

    ``home`` stores roll-ups and SQL texts for the next run; with None nothing is stored.
    """
    as_of, first = parse_instant(as_of), parse_instant(first)
    rollup_folder = home / "rollups" if home else None
    if home:
        enable_sql_cache(home / "texts.json")
    with task.timed("open"):
        signals = open_signals(address, as_of, rollup_folder=rollup_folder)
    with task.timed("snapshot"):
        return snapshot(signals, Grid.ending(as_of, first, 7), catalogue=USAGE, rollup_folder=rollup_folder)


def make(task: Task) -> pd.DataFrame:
    """Build the snapshots of ``task``."""
    home = task.given.get("home") if task.given.get("keep") else None
    return _build(task, task.address, task.as_of, task.dates[0], Path(home) if home else None)


def build(task: Task) -> dict[str, Any]:
    frame = make(task)
    result: dict[str, Any] = {"rows": len(frame), "columns": len(USAGE)}
    if task.given.get("digest"):
        result["digest"] = f"{pd.util.hash_pandas_object(frame, index=False).sum():016x}"
    return result


if __name__ == "__main__":
    answer(build)
