"""A new aggregation is one class: every way of computing features uses it, and all give the same numbers."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.aggregation import rollup
from features.catalogue.catalogue import Catalogue
from features.custom.current_catalogue import with_custom_features
from features.definitions.aggregations import MEASURE_KINDS, MeasureWindow, NumericMeasure, Values
from features.errors import BadRequest
from features.signals.signals import OpenSignals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.sources.open_source import open_source
from features.utils.dates import Grid

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
LONG_AGO = datetime(2010, 1, 1, tzinfo=UTC)
GRID = Grid(AS_OF - timedelta(days=21), 7, 4)
ACCOUNTS = [{"account_id": a, "created_at": "2024-01-01"} for a in "abc"]
SUBSCRIPTIONS = [{"account_id": a, "started_at": "2024-01-01", "arr": 100.0} for a in "abc"]
WINDOWS = (7, 28, 91)
FEATURE = """
[[features]]
name = "own.spread"
table = "usage"
measure = "%s"
value = "minutes"
where = {feature = "f"}
windows = [7, 28, 91]
words = "spread of minutes over {w} days"
unit = "minutes"
"""

Row = dict[str, Any]


@pytest.fixture(params=["range", "average"])
def aggregation(request: pytest.FixtureRequest) -> Iterator[str]:
    """Name of a newly defined aggregation."""
    before = dict(MEASURE_KINDS)

    @dataclass(frozen=True, eq=False)
    class Range(NumericMeasure):
        """The greatest value minus the least."""

        kind = "range"
        required_keys = ("value",)
        reductions = ("least", "greatest")

        def evaluate(self, window: MeasureWindow) -> Values:
            return window.greatest() - window.least()

    @dataclass(frozen=True, eq=False)
    class Average(NumericMeasure):
        """The mean of a value over the rows that have one."""

        kind = "average"
        required_keys = ("value",)
        reductions = ("sum", "count")

        def evaluate(self, window: MeasureWindow) -> Values:
            rows = window.count()
            return np.where(rows > 0, window.sum() / np.maximum(rows, 1), np.nan)

    yield request.param
    MEASURE_KINDS.clear()
    MEASURE_KINDS.update(before)


@pytest.fixture
def catalogue(aggregation: str, tmp_path: Path) -> Catalogue:
    """The features that a file of custom features defines with the aggregation."""
    (tmp_path / "own.toml").write_text(FEATURE % aggregation, encoding="utf-8")
    return Catalogue(tuple(f for f in with_custom_features(tmp_path / "own.toml").values() if f.name.startswith("own.")))


def _rows(rng: random.Random, n: int) -> list[Row]:
    """Usage rows at various times, some late or without minutes; the oldest one shows that minutes were always recorded."""
    rows = [_row("c", 700, 0.0, 0.25, "f", "old")]
    for i in range(n):
        days = rng.choice([0.25, 1, 3.5, 7, 8, 13.9, 14, 20, 21, 27, 28, 35, 56, 90, 91, 98, 118])
        minutes = rng.choice([None, 3.5, 0.0, 0.25, 2.5, 40.0])
        rows.append(_row(rng.choice("ab"), days, rng.choice([0.0, 0.5, 6, 15]), minutes, rng.choice("ffg"), f"e{i}"))
    return rows


def _row(account: str, days_ago: float, late: float, minutes: float | None, feature: str, event: str) -> Row:
    at = AS_OF - timedelta(days=days_ago)
    own = {"minutes": minutes, "feature": feature, "user_id": "u", "event_id": event}
    return {"account_id": account, "occurred_at": at, "loaded_at": at + timedelta(days=late), **own}


def _expected(aggregation: str, rows: list[Row]) -> pd.DataFrame:
    """Expected values, row by row: of each event the latest version before the date."""
    expected = []
    for as_of in GRID.as_ofs:
        available = [r for r in rows if max(r["occurred_at"], r["loaded_at"]) < as_of]
        newest = {r["event_id"]: r for r in sorted(available, key=lambda r: r["loaded_at"])}
        for account in "abc":
            figures: Row = {"account_id": account, "as_of": pd.Timestamp(as_of)}
            for days in WINDOWS:
                values = [
                    r["minutes"]
                    for r in newest.values()
                    if r["account_id"] == account and r["feature"] == "f" and r["minutes"] is not None
                    if as_of - timedelta(days=days) <= r["occurred_at"] < as_of
                ]
                if values:
                    own = max(values) - min(values) if aggregation == "range" else round(sum(values) * 1e4) / len(values) / 1e4
                figures[f"own.spread_{days}d"] = own if values else np.nan
            expected.append(figures)
    return pd.DataFrame(expected)


def _as_text(rows: list[Row]) -> list[Row]:
    return [{k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]


def _check(signals: OpenSignals, catalogue: Catalogue, expected: pd.DataFrame, rollup_folder: Path | None = None) -> None:
    try:
        whole = snapshot(signals, GRID, catalogue=catalogue, rollup_folder=rollup_folder)
        single = snapshot(signals, Grid.single(AS_OF), catalogue=catalogue, rollup_folder=rollup_folder)
    finally:
        signals.close()
    for frame in (whole, single):
        dates = expected["as_of"].isin(frame["as_of"])
        columns = [f"own.spread_{days}d" for days in WINDOWS]
        assert frame["account_id"].tolist() == expected["account_id"][dates].tolist()
        np.testing.assert_array_equal(frame[columns].to_numpy(), expected[columns][dates].to_numpy())
        assert frame[columns].notna().to_numpy().any()


def test_computed_by_the_engine(aggregation: str, catalogue: Catalogue, to_arrow: Any) -> None:
    rows = _rows(random.Random(1), 60)
    tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "usage": _as_text(rows)}
    source = from_tables({n: to_arrow(n, r) for n, r in tables.items()}, "a test")
    _check(read_signals(source, AS_OF, LONG_AGO), catalogue, _expected(aggregation, rows))


def test_with_several_versions_of_events(aggregation: str, catalogue: Catalogue, to_arrow: Any) -> None:
    rng = random.Random(2)
    rows = _rows(rng, 60)
    again = [
        r | {"loaded_at": r["loaded_at"] + timedelta(days=rng.choice([2, 9, 30])), "minutes": rng.choice([None, 1.0, 90.0])}
        for r in rng.sample(rows[1:], 25)
    ]
    tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "usage": _as_text([*rows, *again])}
    signals = read_signals(from_tables({n: to_arrow(n, r) for n, r in tables.items()}, "a test"), AS_OF, LONG_AGO)
    assert "usage" in signals.versioned
    _check(signals, catalogue, _expected(aggregation, [*rows, *again]))


@pytest.mark.slow
def test_in_parts_and_from_stored_buckets(
    aggregation: str, catalogue: Catalogue, to_arrow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read the files in parts; then file by file, reading older files only once."""
    monkeypatch.setattr(rollup, "PART_ROWS", 7)
    rng, rows, place, rollup_folder = random.Random(3), [], tmp_path / "source", tmp_path / "rollup_folder"
    (place / "usage").mkdir(parents=True)
    pq.write_table(to_arrow("accounts", ACCOUNTS), place / "accounts.parquet")
    pq.write_table(to_arrow("subscriptions", SUBSCRIPTIONS), place / "subscriptions.parquet")
    for i in range(3):
        new = [r | {"event_id": None, "user_id": f"{r['event_id']}-{i}"} for r in _rows(rng, 25)]
        # Rows repeated from an earlier file count once.
        file = [*new, *rng.sample(rows, len(rows) // 3)]
        pq.write_table(to_arrow("usage", _as_text(file)), place / "usage" / f"{i}.parquet")
        rows += new
        expected = _expected(aggregation, [r | {"event_id": r["user_id"]} for r in rows])
        for folder in (None, rollup_folder):
            signals = read_signals(open_source(place), AS_OF, LONG_AGO, copied_up_to=0, rollup_folder=folder)
            assert "usage" in signals.feeds
            _check(signals, catalogue, expected, folder)
    shutil.rmtree(rollup_folder)


def test_custom_features_use_it_by_name_and_check_its_limits(aggregation: str, tmp_path: Path) -> None:
    """A trend is refused, because values over two windows do not add up; without the class the name is unknown."""
    text = (FEATURE % aggregation).replace("windows = [7, 28, 91]", "windows = [7]\ntrend_days = 91")
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadRequest, match=f"values of {aggregation} do not add up over time"):
        with_custom_features(tmp_path / "own.toml")
    (tmp_path / "own.toml").write_text((FEATURE % aggregation).replace('value = "minutes"\n', ""), encoding="utf-8")
    with pytest.raises(BadRequest, match=f"{aggregation} takes value"):
        with_custom_features(tmp_path / "own.toml")
    del MEASURE_KINDS[aggregation]
    with pytest.raises(BadRequest, match="key measure: Input should be 'count'"):
        with_custom_features(tmp_path / "own.toml")
