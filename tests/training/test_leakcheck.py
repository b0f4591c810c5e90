"""A leak is found: a feature that knows the outcome, a snapshot that changes when the future is taken away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.clock import Grid
from features.signals import open_signals
from features.snapshot import snapshot
from training.leakcheck import too_good, vanished_future

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def source(tmp_path: Path, to_arrow: Any) -> Path:
    tables: dict[str, list[dict[str, Any]]] = {
        "accounts": [{"account_id": "a", "created_at": "2025-01-01"}],
        "subscriptions": [{"account_id": "a", "started_at": "2025-01-01", "arr": 10.0, "seats": 2}],
        "usage": [
            {"account_id": "a", "occurred_at": (AS_OF + timedelta(days=d)).isoformat(), "user_id": "u"}
            for d in range(-60, 60, 3)
        ],
    }
    for name, rows in tables.items():
        pq.write_table(to_arrow(name, rows), tmp_path / f"{name}.parquet")
    return tmp_path


def test_our_own_snapshots_do_not_change_when_the_future_vanishes(source: Path) -> None:
    frame = snapshot(open_signals(source), Grid(AS_OF - timedelta(days=7), 7, 3))
    assert vanished_future(source, frame, pd.Timestamp(AS_OF), 90) == []


def test_a_feature_that_saw_the_future_is_named(source: Path) -> None:
    frame = snapshot(open_signals(source), Grid.single(AS_OF))
    frame["usage.events_28d"] += 1.0
    (line,) = vanished_future(source, frame, pd.Timestamp(AS_OF), 90)
    assert line.startswith("usage.events_28d changes")


def test_accounts_that_only_the_future_knows_are_noticed(source: Path) -> None:
    frame = snapshot(open_signals(source), Grid.single(AS_OF))
    more = pd.concat([frame, frame.assign(account_id="z")], ignore_index=True)
    assert "which accounts are active" in vanished_future(source, more, pd.Timestamp(AS_OF), 90)[0]


def test_a_feature_that_separates_the_classes_alone_is_named() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0.0, 1.0], 100)
    frame = pd.DataFrame({"told": -y + 0.01 * rng.random(200), "noise": rng.random(200), "rare": np.nan})
    (line,) = too_good(frame, y, ["told", "noise", "rare"])
    assert line.startswith("told separates the outcomes alone (AUC 1.000)")
