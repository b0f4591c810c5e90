"""The same rows give the same signals from every kind of source; an invalid source is reported with a fix."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from features.errors import SignalsError
from features.signals.signals import open_signals
from features.snapshots.snapshot import snapshot
from features.sources.open_source import open_source
from features.utils.dates import Grid, parse_instant

ROOT = Path(__file__).resolve().parents[3]
ROWS: dict[str, list[dict[str, Any]]] = {
    "accounts": [{"account_id": "a", "created_at": "2025-01-01", "region": "north"}],
    "subscriptions": [{"account_id": "a", "started_at": "2025-01-01", "arr": 1200.5, "seats": 4, "renewal_at": "2026-01-01"}],
    "support": [
        {"account_id": "a", "ticket_id": "t1", "occurred_at": "2025-05-01T12:30:00", "severity": "high", "escalated": True},
        {"account_id": "a", "ticket_id": "t2", "occurred_at": "2025-05-02", "severity": "low", "escalated": False},
    ],
}
AS_OF = parse_instant("2025-06-01")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, to_arrow: Any) -> Path:
    place = tmp_path_factory.mktemp("signals")
    for name, rows in ROWS.items():
        pq.write_table(to_arrow(name, rows), place / f"{name}.parquet")
    return place


@pytest.fixture(scope="module")
def expected(folder: Path) -> pd.DataFrame:
    frame = snapshot(open_signals(folder), Grid.single(AS_OF))
    assert frame.loc[0, "contract.arr"] == 1200.5
    assert frame.loc[0, "support.escalated_91d"] != frame.loc[0, "support.tickets_91d"]
    return frame


def _csv(folder: Path, to: Path) -> str:
    for file in folder.glob("*.parquet"):
        pa_csv.write_csv(pq.read_table(file), to / f"{file.stem}.csv")
    return str(to)


def _duckdb(folder: Path, to: Path) -> str:
    with duckdb.connect(str(to / "w.duckdb")) as connection:
        for file in folder.glob("*.parquet"):
            connection.execute(f"CREATE VIEW raw_{file.stem} AS SELECT * FROM '{file}'")
            connection.execute(f"CREATE TABLE {file.stem} AS SELECT * FROM raw_{file.stem}")
    return f"duckdb:///{to / 'w.duckdb'}"


def _sqlite(folder: Path, to: Path) -> str:
    with sqlite3.connect(to / "w.db") as connection:
        for file in folder.glob("*.parquet"):
            frame = pq.read_table(file).to_pandas()
            for column in frame.select_dtypes("datetime"):
                frame[column] = frame[column].astype(str)
            frame.to_sql(file.stem, connection, index=False)
    connection.close()
    return f"sqlite:///{to / 'w.db'}"


def _mapping(folder: Path, to: Path) -> str:
    files = "\n".join(f'raw_{f.stem} = "{f}"' for f in folder.glob("*.parquet"))
    tables = "\n".join(f'{f.stem} = "SELECT * FROM raw_{f.stem}"' for f in folder.glob("*.parquet"))
    (to / "map.toml").write_text(f"[files]\n{files}\n[tables]\n{tables}\n")
    return str(to / "map.toml")


def _partitioned(folder: Path, to: Path) -> str:
    for file in folder.glob("*.parquet"):
        table = pq.read_table(file)
        for i in range(len(table)):
            part = to / file.stem / f"part={i}"
            part.mkdir(parents=True)
            pq.write_table(table.slice(i, 1), part / "0.parquet")
    return str(to)


@pytest.mark.skipif(os.name != "posix", reason="Windows takes no such file names")
@pytest.mark.parametrize("name", ["a?b", "a*b", "a[c]b", "a#b", "a%20b", "a'b"])
@pytest.mark.parametrize("kind", ["parquet", "partitions", "json"])
def test_a_name_with_characters_of_a_pattern_is_not_a_pattern(folder: Path, tmp_path: Path, name: str, kind: str) -> None:
    # Each pattern also matches the name of this folder.
    for place, account in ((tmp_path / "acb", "other"), (tmp_path / name, "a")):
        place.mkdir()
        for file in folder.glob("*.parquet"):
            rows = pq.read_table(file).to_pandas().assign(account_id=account)
            if kind == "json":
                rows.to_json(place / f"{file.stem}.ndjson", orient="records", lines=True, date_format="iso")
            elif kind == "parquet":
                rows.to_parquet(place / file.name)
            else:
                for part, few in enumerate((rows, rows.head(0))):
                    (place / file.stem / f"part={part}").mkdir(parents=True)
                    few.to_parquet(place / file.stem / f"part={part}" / "rows.parquet")
    signals = open_signals(tmp_path / name)
    assert signals.rows["accounts"] == 1
    assert snapshot(signals, Grid.single(AS_OF))["account_id"].tolist() == ["a"]


@pytest.mark.parametrize("writer", [_csv, _duckdb, _sqlite, _mapping, _partitioned], ids=lambda d: d.__name__.strip("_"))
def test_every_format_gives_the_same_snapshot(writer: Any, folder: Path, expected: pd.DataFrame, tmp_path: Path) -> None:
    signals = open_signals(writer(folder, tmp_path))
    pd.testing.assert_frame_equal(snapshot(signals, Grid.single(AS_OF)), expected, check_exact=True)


def test_a_long_query_draws_no_bar_on_standard_output() -> None:
    # DuckDB draws one after two seconds where Python has no main file, as with `python -c`.
    query = "SELECT current_setting('enable_progress_bar')"
    code = f'from features.sources.base import connect_duckdb; print(connect_duckdb().raw_sql("{query}").fetchone()[0])'
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere", "no signals source"),
        ("mysql://host/db", r"unsupported database address: mysql\nExpected: one of .*postgresql://USER:PASSWORD@HOST"),
        ("duckdb:///nowhere.duckdb", "no database file"),
    ],
)
def test_missing_sources_are_named(address: str, message: str) -> None:
    with pytest.raises(SignalsError, match=message):
        open_source(address)


def test_a_folder_without_tables_lists_the_contract_tables(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("id\n1\n")
    with pytest.raises(SignalsError, match="accounts, subscriptions"):
        open_source(tmp_path)


def test_a_duplicate_table_is_rejected(folder: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(folder / "accounts.parquet"), tmp_path / "accounts.parquet")
    (tmp_path / "accounts.csv").write_text("account_id,created_at\na,2025-01-01\n")
    with pytest.raises(SignalsError, match="more than once"):
        open_source(tmp_path)


def test_a_damaged_file_is_named_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "accounts.parquet").write_bytes(b"secret-customer")
    with pytest.raises(SignalsError, match=r"accounts\.parquet cannot be read") as caught:
        open_source(tmp_path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("= nonsense", "not valid TOML"),
        ('[tables]\ncustomers = "SELECT 1"', "customers"),
        ('[tables]\naccounts = "SELECT nothing FROM nowhere"', "tables.accounts does not run"),
        ('[files]\nx = "missing.parquet"\n[tables]\naccounts = "SELECT 1"', "does not exist"),
        ('[tablse]\naccounts = "SELECT 1"', "unknown keys tablse"),
    ],
)
def test_invalid_mappings_report_the_location(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(SignalsError, match=message):
        open_source(tmp_path / "map.toml")


def test_rows_at_or_after_data_through_are_ignored(folder: Path) -> None:
    signals = open_signals(folder, parse_instant("2025-05-02"))
    assert signals.rows["support"] == 1
    assert signals.data_through == parse_instant("2025-05-02")


def test_folder_keys_above_the_source_are_not_columns(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "region=emea" / "signals"
    (place / "subscriptions" / "plan=pro").mkdir(parents=True)
    pq.write_table(pq.read_table(folder / "accounts.parquet"), place / "accounts.parquet")
    pq.write_table(pq.read_table(folder / "subscriptions.parquet"), place / "subscriptions/plan=pro/0.parquet")
    for writer in ("accounts.parquet", "accounts.csv"):
        if writer.endswith("csv"):
            (place / "accounts.parquet").unlink()
            (place / writer).write_text("account_id,created_at,region\na,2025-01-01,north\n")
        source = open_source(place)
        assert source.tables["accounts"].to_pyarrow().to_pylist()[0]["region"] == "north"
        assert source.tables["subscriptions"].to_pyarrow().to_pylist()[0]["plan"] == "pro"
        assert "region" not in source.tables["subscriptions"].columns


def test_files_of_other_programs_are_ignored(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "support" / "_delta_log").mkdir(parents=True)
    pq.write_table(pq.read_table(folder / "support.parquet"), tmp_path / "support" / "1.parquet")
    (tmp_path / "support" / "._1.parquet").write_bytes(b"\0\5\26\7")
    (tmp_path / "support" / "_delta_log" / "0.json").write_text("{}")
    (tmp_path / "._accounts.parquet").write_bytes(b"\0\5\26\7")
    assert open_source(tmp_path).tables["support"].count().to_pyarrow().as_py() == 2


@pytest.mark.parametrize("columns", [("account_id", "ACCOUNT_ID"), ("Created_At", "created_at")])
def test_duplicate_columns_are_rejected(columns: tuple[str, str], tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=list(columns))
    pq.write_table(table, tmp_path / "accounts.parquet")
    with pytest.raises(SignalsError, match=f"more than once: {columns[0]}, {columns[1]}"):
        open_source(tmp_path)


def test_duplicate_table_names_are_rejected(tmp_path: Path) -> None:
    for name in ("accounts.csv", "Accounts.CSV"):
        (tmp_path / name).write_text("account_id,created_at\na,2025-01-01\n")
    with pytest.raises(SignalsError, match=r"accounts more than once: Accounts\.CSV and accounts\.csv"):
        open_source(tmp_path)


@pytest.mark.parametrize("address", ["https://example.org/accounts.csv", "abfss://x@y/z"])
def test_remote_addresses_are_rejected_with_a_fix(address: str) -> None:
    with pytest.raises(SignalsError, match=r"unsupported remote address[^$]*copy the files to this machine"):
        open_source(address)


@pytest.mark.parametrize("writer", [_csv, _mapping, _partitioned], ids=lambda d: d.__name__.strip("_"))
def test_relative_paths_and_links(
    writer: Any, folder: Path, expected: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "with space and 'quote'"
    place.mkdir()
    name = Path(writer(folder, place)).relative_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for address in [f"../{name}", *(["../link"] if writer is not _mapping else [])]:
        signals = open_signals(address)
        pd.testing.assert_frame_equal(snapshot(signals, Grid.single(AS_OF)), expected, check_exact=True)
