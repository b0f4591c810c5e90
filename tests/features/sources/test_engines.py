"""The same portfolio gives bit-identical snapshots for every source format and engine."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import renewcast
from features.contract.schema import TABLES
from features.errors import BadRequest, SignalsError
from features.feed_health.feed_health import feed_health
from features.signals.casting import conformed_columns, source_schema, source_table
from features.signals.signals import open_signals, read_signals
from features.signals.validation import check_source
from features.snapshots.snapshot import snapshot
from features.sources.engine import collect
from features.sources.open_source import open_source
from features.utils.dates import Grid
from serving.scoring.score_portfolio import newest_events
from training.config import TrainConfig
from training.dataset.labelled_snapshots import read_labelled_snapshots
from training.leakage.account_sample import sampled_tables

GRID = Grid(datetime(2025, 6, 2, tzinfo=UTC), 28, 8)
# PySpark leaves closing the result socket to the garbage collector.
on_spark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]


BUSINESSES = ("contracts", "orders")
NOT_SIMULATED = ("fx_rates",)
"""The portfolios of these tests have one currency."""


@pytest.fixture(scope="module")
def businesses(portfolios: ModuleType) -> dict[str, dict[str, pa.Table]]:
    tables = {b: portfolios.portfolio(contractual=b == "contracts") for b in BUSINESSES}
    assert set(tables["contracts"]) == set(TABLES) - {"orders", *NOT_SIMULATED}
    assert set(tables["orders"]) == set(TABLES) - {"subscriptions", *NOT_SIMULATED}
    return tables


@pytest.fixture(scope="module")
def folders(businesses: Any, portfolios: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write Parquet with monthly usage folders and damaged unused columns, so that reading any of these fails."""
    return {b: portfolios.as_parquet(tables, tmp_path_factory.mktemp(b)) for b, tables in businesses.items()}


@pytest.fixture(scope="module")
def expected(folders: dict[str, str]) -> dict[str, pd.DataFrame]:
    frames = {b: snapshot(open_signals(folder), GRID) for b, folder in folders.items()}
    assert all(len(frame) > 100 and frame.notna().any().sum() > 140 for frame in frames.values())
    return frames


def _same(address: str, expected: pd.DataFrame, engine: str = "duckdb", **more: Any) -> None:
    signals = read_signals(open_source(address, engine), **more)
    try:
        pd.testing.assert_frame_equal(snapshot(signals, GRID), expected, check_exact=True)
    finally:
        signals.close()


def test_parquet_read_in_place(folders: dict[str, str], expected: Any) -> None:
    _same(folders["orders"], expected["orders"], copied_up_to=0)


@pytest.mark.parametrize(
    ("business", "writer"), [(b, "as_csv") for b in BUSINESSES] + [("contracts", "as_duckdb"), ("contracts", "as_sqlite")]
)
def test_other_files(
    business: str, writer: str, businesses: Any, expected: Any, portfolios: ModuleType, tmp_path: Path
) -> None:
    _same(getattr(portfolios, writer)(businesses[business], tmp_path), expected[business])


@pytest.mark.parametrize(("business", "copied_up_to"), [("contracts", 0), ("orders", 10**9)])
def test_postgresql(
    business: str, copied_up_to: int, businesses: Any, expected: Any, portfolios: ModuleType, postgres: Any
) -> None:
    with psycopg.connect(postgres.get_uri(), autocommit=True, options="-c timezone=UTC") as server:
        portfolios.as_postgres(businesses[business], server, business)
    _same(f"{postgres.get_uri()}&schema={business}", expected[business], copied_up_to=copied_up_to)


class TestSpark:
    """All tests share one Spark application, started by the first of them."""

    pytestmark = on_spark

    def test_csv(self, spark: str, businesses: Any, expected: Any, portfolios: ModuleType, tmp_path: Path) -> None:
        _same(portfolios.as_csv(businesses["contracts"], tmp_path), expected["contracts"], spark)

    def test_training_data_and_feed_ages(self, spark: str, folders: dict[str, str]) -> None:
        """Of orders, because `test_csv` has contracts."""
        folder = folders["orders"]
        config = TrainConfig(horizon_days=30)
        embedded = read_labelled_snapshots(folder, GRID.last, config)
        prepared = read_labelled_snapshots(folder, GRID.last, config, engine=spark)
        pd.testing.assert_frame_equal(prepared.frame, embedded.frame, check_exact=True)
        pd.testing.assert_frame_equal(prepared.labels, embedded.labels, check_exact=True)
        day = prepared.frame["as_of"].iloc[-1]
        assert newest_events(prepared.signals, day.to_pydatetime()) == newest_events(embedded.signals, day.to_pydatetime())
        assert prepared.signals.rows == embedded.signals.rows
        # A second session in the same application has its own tables.
        earlier = open_signals(folder, GRID.first, engine=spark)
        assert earlier.rows["usage"] < prepared.signals.rows["usage"]
        some = sampled_tables(prepared.signals, [f"a{i:03d}" for i in range(30)], rows=200)
        assert 20 < len(some["usage"]) < prepared.signals.rows["usage"] / 2
        assert {n: t.schema for n, t in some.items()} == {n: t.schema for n, t in sampled_tables(embedded.signals, []).items()}
        earlier.close()
        prepared.signals.close()

    def test_the_check_command(self, spark: str, folders: dict[str, str]) -> None:
        result, expected = (_json_output(["check", folders["contracts"], "--json", "--engine", engine]) for engine in (spark, "duckdb"))
        assert set(expected["feeds"]["tables"]) == set(TABLES) - {"orders", *NOT_SIMULATED}
        assert result == expected


def _json_output(arguments: list[str]) -> Any:
    result = CliRunner().invoke(renewcast.app, arguments)
    assert result.exit_code == 0, result.output
    return _rounded(json.loads(result.stdout))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return round(value, 9) if isinstance(value, float) else value


ODD = {
    "occurred_at": (
        "2024-01-01", "2024-1-5", "2024-01", "2024-01-01T10:00:00Z", "2024-01-01 10:00:00+02:00", "2024-01-01 10:00:00+02",
        "2024-01-01 10:00", "2024-01-01 10", "2024-01-01 10:00:00.1234567", "2024-01-01T10:00:00.123456789+05:30",
        " 2024-01-01 ", "2024-02-30", "01/02/2024", "2024/01/02", "epoch", "infinity", "20240101", "2024-01-01 24:00:00",
        "2024-01-01 10:00:00 UTC", "2024-01-01 10:00:00 Europe/Berlin", "0001-01-01", "9999-12-31", "10000-01-01", "12:00",
        "2024-01-01T10:00:00-08", "2024-01-01 1:00", "today", "2024-01-01 10:00:60", "1700000000", "1969-12-31 23:59:59.5",
    ),
    "csat": (
        "1", "1.5", "1e3", "1d", "1.5f", "0x1p3", " 2 ", "inf", "Infinity", "-inf", "nan", "1_000", "1,000", "1.", ".5", "+3",
        "1e400", "1e-400", "--1", "5L", "true", "0.1", "123456789.123456789", "",
    ),
    "escalated": ("true", "TRUE", "t", "f", "1", "0", "yes", "no", "y", "n", "on", "off", "2", " true ", "1.0", ""),
    "topic": ("x", " x ", "NULL", "NA", 'a"b', '""', "a,b", "a\nb", "a\r\nb", "é", "\\", "\\N", "#c", "'q'", ""),
}  # fmt: skip


def _odd(to: Path) -> Path:
    """Write a CSV table of texts that engines interpret differently."""
    longest = max(map(len, ODD.values()))
    columns = {name: [*texts, *[None] * (longest - len(texts))] for name, texts in ODD.items()}
    rows = pd.DataFrame(columns | {"ticket_id": [f"{i:02d}" for i in range(longest)]})
    rows.to_csv(to / "support.csv", index=False)
    return to


def _parsed(address: Path, engine: str) -> pd.DataFrame:
    source = open_source(address, engine)

    def build() -> Any:
        unbound = source_table("support", source_schema(source, "support"))
        return unbound.select(**conformed_columns(unbound, TABLES["support"], text=True)).order_by("ticket_id")

    return collect(source.connection, build).to_pandas()[["ticket_id", *ODD]]


def test_valid_texts_are_iso_8601_and_plain_numbers(tmp_path: Path) -> None:
    parsed = _parsed(_odd(tmp_path), "duckdb")
    read = {name: [t for t, v in zip(ODD[name], parsed[name], strict=False) if pd.notna(v)] for name in ODD}
    assert "2024-01-01T10:00:00.123456789+05:30" in read["occurred_at"]
    # A zone name would also be applied to the values below.
    assert not {"epoch", "today", "2024/01/02", "2024-01-01 10:00:00 Europe/Berlin"} & set(read["occurred_at"])
    assert not {"1d", "1_000", "0x1p3", "nan"} & set(read["csat"])
    after = parsed["occurred_at"][ODD["occurred_at"].index("9999-12-31")]
    assert after == datetime(9999, 12, 31)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_spark_parses_texts_like_duckdb(spark: str, tmp_path: Path) -> None:
    place = _odd(tmp_path)
    pd.testing.assert_frame_equal(_parsed(place, spark), _parsed(place, "duckdb"), check_exact=True)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Write a source with every kind of violation."""
    (tmp_path / "accounts.csv").write_text(
        "account_id,created_at,employees\na,2024-01-01,5\na,2024-01-01,6\n,2024-01-01,-1\nb,soon,1.5\nb,2024-01-01,inf\n"
    )
    (tmp_path / "subscriptions.csv").write_text(
        "account_id,started_at,ended_at,arr\na,2024-01-01,2023-01-01,5\nzz,2024-01-01,,-5\na,2024-01-01,,\na,2024-01-01,,1e13\n"
    )
    ids = ["a", "b", "stranger"]
    moments = pa.array([0, 1000, 2000], pa.timestamp("ns"))
    minutes = [math.nan, -1.0, math.inf]
    pq.write_table(pa.table({"account_id": ids, "occurred_at": moments, "minutes": minutes}), tmp_path / "usage.parquet")
    pq.write_table(pa.table({"account_id": ids, "occurred_at": ["x", "y", "z"]}), tmp_path / "orders.parquet")
    zoned = moments.cast(pa.timestamp("us", "Europe/Berlin"))
    kinds = ["meeting", "nope", None]
    pq.write_table(pa.table({"account_id": ids, "occurred_at": zoned, "kind": kinds}), tmp_path / "engagement.parquet")
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_spark_reads_files_with_different_columns(spark: str, tmp_path: Path) -> None:
    first = pa.table({"account_id": ["a"], "occurred_at": pa.array([datetime(2025, 1, 1)], pa.timestamp("us"))})
    (tmp_path / "usage").mkdir()
    for i, table in enumerate([first, first.append_column("minutes", pa.array([2.0]))]):
        pq.write_table(table, tmp_path / "usage" / f"{i}.parquet")
    for engine in ("duckdb", spark):
        source = open_source(tmp_path, engine)
        rows = collect(source.connection, source_table, "usage", source_schema(source, "usage"))
        assert sorted(rows["minutes"].to_pylist(), key=str) == [2.0, None]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_spark_reports_the_same_violations_as_duckdb(spark: str, broken: Path) -> None:
    result, expected = check_source(open_source(broken, spark)), check_source(open_source(broken))
    assert len(expected.errors) > 15
    assert result.as_dict() == expected.as_dict()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_spark_reports_unreadable_files_without_their_content(spark: str, broken: Path, capfd: Any) -> None:
    rows = "a,2024-01-01,funding\n" * 30_000
    (broken / "company.csv").write_text(f"account_id,occurred_at,kind\n{rows}secret,2024\n")
    with pytest.raises(SignalsError, match=r"company\.csv: row 30001 has 2 values but the header has 3") as caught:
        open_source(broken, spark)
    assert "secret" not in str(caught.value)
    (broken / "company.csv").unlink()
    (broken / "billing.parquet").write_bytes(b"secret")
    with pytest.raises(SignalsError, match=r"billing\.parquet cannot be read as Parquet") as caught:
        open_source(broken, spark)
    assert "secret" not in str(caught.value)
    assert "secret" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("address", ["duckdb:///x.duckdb", "postgresql://u:secret@h/d", "map.toml", "nowhere"])
def test_spark_accepts_only_folders(address: str) -> None:
    with pytest.raises(SignalsError, match="a folder of Parquet or CSV files") as caught:
        open_source(address, "spark")
    assert "secret" not in str(caught.value)


def test_an_unknown_engine_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="duckdb, spark or spark://HOST:PORT"):
        open_source(tmp_path, "flink")


@pytest.mark.slow
@pytest.mark.parametrize("copied_up_to", [0, 10**9], ids=["read where it lies", "copied"])
def test_unused_columns_are_not_read(folders: dict[str, str], expected: Any, copied_up_to: int) -> None:
    with pytest.raises(duckdb.Error):
        duckdb.sql(f"SELECT max(needless_07) FROM '{folders['contracts']}/usage/**/*.parquet'").fetchall()
    source = open_source(folders["contracts"])
    assert check_source(source).ok
    assert len(feed_health(source).tables) == len(TABLES) - 1 - len(NOT_SIMULATED)
    signals = read_signals(source, copied_up_to=copied_up_to)
    pd.testing.assert_frame_equal(snapshot(signals, GRID), expected["contracts"], check_exact=True)
