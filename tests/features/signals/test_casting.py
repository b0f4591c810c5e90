"""Values of any format and type are cast to the contract's types or rejected by row, never guessed."""

from __future__ import annotations

import gzip
import json
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import renewcast
from features.errors import SignalsError
from features.signals.signals import open_signals, read_signals
from features.signals.validation import CheckReport, check_source
from features.sources.base import from_tables
from features.sources.open_source import open_source

NOON = datetime(2026, 6, 20, 10)


def _read(column: str, values: Any, table: str = "subscriptions") -> list[Any]:
    """Return the values read from one column of an otherwise valid table."""
    rows = len(values)
    columns: dict[str, Any] = {"account_id": ["a"] * rows, "started_at": [datetime(2025, 1, 1)] * rows, "arr": [1.0] * rows}
    tables = {"accounts": pa.table({"account_id": ["a"], "created_at": [datetime(2024, 1, 1)]})}
    tables[table] = pa.table(columns | {column: values, "plan": [f"{i:03d}" for i in range(rows)]})
    signals = read_signals(from_tables(tables, "a test"), datetime(2199, 1, 1, tzinfo=UTC))
    return signals.tables[table].order_by("plan")[column].to_pyarrow().to_pylist()


ISO = {
    "2026-06-20T10:00:00Z": NOON,
    "2026-06-20 10:00": NOON,
    "2026-06-20T10:00Z": NOON,
    "2026-06-20T10": NOON,
    "2026-06-20T10:00:00+0530": datetime(2026, 6, 20, 4, 30),
    "2026-06-20 10:00:00 +0530": datetime(2026, 6, 20, 4, 30),
    "2026-06-20 10:00:00-03": datetime(2026, 6, 20, 13),
    "2026-06-20T10:00-03:00": datetime(2026, 6, 20, 13),
    "2026-06-20 10:00:00.000 Z": NOON,
    "2026-06-20 10:00:00 UTC": NOON,
    "2026-06-20t10:00:00z": NOON,
    "2026-06-20T10:00:00,5": NOON.replace(microsecond=500_000),
    "2026-06-20T10:00:00.123456789Z": NOON.replace(microsecond=123_456),
    "20260620T100000Z": NOON,
    "20260620T1000": NOON,
    "20260620T100000,25+0200": datetime(2026, 6, 20, 8, microsecond=250_000),
    "20260620": datetime(2026, 6, 20),
    " 2026-06-20 ": datetime(2026, 6, 20),
}


def test_instants_are_read_in_all_forms_of_iso_8601() -> None:
    assert dict(zip(ISO, _read("renewal_at", list(ISO)), strict=True)) == ISO


@pytest.mark.parametrize(
    "text",
    ["06/20/2026", "20.06.2026", "1781949600", "2026-06-20 10:00:00 AM", "2026-06-20 10:00 Europe/Berlin", "2026-02-30", "202606"],
)
def test_invalid_instants_are_rejected_by_row(text: str) -> None:
    with pytest.raises(SignalsError, match=r"renewal_at: a value that cannot be read in 1 row \(row 2\); .*ISO 8601") as caught:
        _read("renewal_at", ["2026-06-20", text])
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([Decimal(5), None], pa.decimal128(38, 0)),
        pa.array([Decimal(5), None], pa.decimal128(10, 2)),
        pa.array([5.0, None]),
        pa.array(["5", None]),
        pa.array(["5.0", ""]),
        pa.array([5, None], pa.int8()),
    ],
)
def test_whole_numbers_of_any_type_are_integers(values: pa.Array) -> None:
    assert _read("seats", values) == [5, None]


@pytest.mark.parametrize(
    "values", [pa.array([1.0, 2.5]), pa.array([Decimal(1), Decimal("2.5")], pa.decimal128(10, 1)), pa.array(["1", "2.5"])]
)
def test_a_number_with_a_fraction_is_not_an_integer(values: pa.Array) -> None:
    with pytest.raises(SignalsError, match=r"seats: a value that cannot be read in 1 row \(row 2\); .*whole number"):
        _read("seats", values)


@pytest.mark.parametrize("kind", ["UUID", "HUGEINT", "DECIMAL(20, 0)", "BIGINT", "VARCHAR"])
def test_ids_of_any_type_are_text(kind: str, tmp_path: Path) -> None:
    identity = UUID(int=7) if kind == "UUID" else 7
    with duckdb.connect(str(tmp_path / "w.duckdb")) as warehouse:
        warehouse.execute(f"CREATE TABLE Accounts AS SELECT CAST('{identity}' AS {kind}) AS ACCOUNT_ID, DATE '2025-01-01' AS Created_At")
        warehouse.execute("CREATE TABLE SUBSCRIPTIONS AS SELECT account_id, Created_At AS started_at, 1.0 AS arr FROM Accounts")
    signals = open_signals(f"duckdb:///{tmp_path / 'w.duckdb'}")
    assert signals.tables["accounts"]["account_id"].to_pyarrow().to_pylist() == [str(identity)]


FAR = ["9999-12-31", "2200-01-01", "1899-12-31 23:59:59", "0001-01-01", "2199-12-31", "1900-01-01", None]


@pytest.mark.parametrize("typed", [False, True])
def test_an_optional_instant_out_of_range_is_unknown_and_counted(typed: bool) -> None:
    column = pa.array(FAR) if not typed else pa.array([datetime.fromisoformat(v) if v else None for v in FAR], pa.timestamp("us"))
    rows = len(FAR)
    tables = {
        "accounts": pa.table({"account_id": ["a"], "created_at": [datetime(1900, 1, 1)]}),
        "support": pa.table(
            {"account_id": ["a"] * rows, "ticket_id": [str(i) for i in range(rows)], "severity": ["low"] * rows,
             "occurred_at": [datetime(1900, 1, 1)] * rows, "loaded_at": column}
        ),
        "subscriptions": pa.table({"account_id": ["a"], "started_at": [datetime(2025, 1, 1)], "arr": [1.0]}),
    }
    source = from_tables(tables, "a test")
    report = check_source(source)
    assert report.ok, report.errors
    (far,) = (f for f in report.findings if (f.table, f.column) == ("support", "loaded_at"))
    assert (far.rows, far.what) == (4, "are before 1900 or from 2200 on: they are read as unknown")


def test_a_required_instant_out_of_range_is_an_error_by_row(tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("account_id,created_at\na,2025-01-01\nb,9999-12-31\nc,0001-01-01\n")
    (tmp_path / "subscriptions.csv").write_text("account_id,started_at,arr\na,2025-01-01,1\n")
    (finding,) = check_source(open_source(tmp_path)).errors
    assert (finding.column, finding.positions) == ("created_at", (2, 3))
    assert "out of range" in finding.problem


def _in_unit(folder: Path, epoch: str, factor: int, text: bool) -> CheckReport:
    """Check usage at three seconds of 2025, written as numbers with ``factor`` per second, and read as ``epoch``."""
    folder.joinpath("accounts.csv").write_text("account_id,created_at\na,2025-01-01\n")
    folder.joinpath("subscriptions.csv").write_text("account_id,started_at,arr\na,2025-01-01,1\n")
    rows = [f"a,{(1738368000 + second) * factor}" for second in range(3)]
    folder.joinpath("given.csv").write_text("\n".join(["account_id,occurred_at", *rows]) + "\n")
    number = "occurred_at" if text else "CAST(occurred_at AS BIGINT) AS occurred_at"
    mapping = folder / "mapping.toml"
    mapping.write_text(
        "[source]\nuri = '.'\n[tables]\naccounts = 'SELECT * FROM accounts'\nsubscriptions = 'SELECT * FROM subscriptions'\n"
        f"[tables.usage]\nquery = 'SELECT account_id, {number} FROM given'\ntime.epoch = '{epoch}'\n"
    )
    return check_source(open_source(mapping))


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(("epoch", "factor"), [("ms", 1), ("us", 1000), ("us", 1), ("ns", 1_000_000)])
def test_too_small_a_unit_dates_rows_in_1970_and_is_a_finding(epoch: str, factor: int, text: bool, tmp_path: Path) -> None:
    assert not [f for f in _in_unit(tmp_path, "s", 1, text).findings if f.column == "occurred_at"]
    report = _in_unit(tmp_path, epoch, factor, text)
    assert report.ok, report.errors
    (early,) = (f for f in report.findings if (f.table, f.column) == ("usage", "occurred_at"))
    assert (early.rows, early.positions, early.what) == (3, (1, 2, 3), "are before 1990, out of 3 with a date")
    assert "time.epoch" in early.cure


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(("epoch", "factor"), [("s", 1000), ("ms", 1_000_000), ("s", 1_000_000), ("s", 1_000_000_000)])
def test_too_large_a_unit_is_refused_and_names_the_rule(epoch: str, factor: int, text: bool, tmp_path: Path) -> None:
    (error,) = _in_unit(tmp_path, epoch, factor, text).errors
    assert (error.table, error.column, error.positions) == ("usage", "occurred_at", (1, 2, 3))
    assert "time.epoch" in error.expected


def test_a_few_old_dates_and_a_rate_since_1970_are_no_finding(tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("account_id,created_at\na,1985-01-01\nb,2025-01-01\n")
    (tmp_path / "subscriptions.csv").write_text("account_id,started_at,arr,currency\na,2025-01-01,1,EUR\n")
    (tmp_path / "fx_rates.csv").write_text("currency,occurred_at,rate\nEUR,1970-01-01,1.1\n")
    assert check_source(open_source(tmp_path)).findings == ()
    (tmp_path / "accounts.csv").write_text("account_id,created_at\na,1985-01-01\nb,1989-12-31\nc,2025-01-01\n")
    (finding,) = check_source(open_source(tmp_path)).findings
    assert (finding.table, finding.column, finding.positions) == ("accounts", "created_at", (1, 2))


def test_a_renewal_in_9999_is_no_renewal_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("account_id,created_at\na,2023-01-01\nb,2023-01-01\n")
    (tmp_path / "subscriptions.csv").write_text(
        "account_id,started_at,ended_at,arr,renewal_at\na,2023-01-01,9999-12-31,100,9999-08-13 16:00:00\nb,2023-01-01,,200,2024-06-01\n"
    )
    (tmp_path / "engagement.csv").write_text("account_id,occurred_at,kind\na,2024-05-30,meeting\n")
    answer = CliRunner().invoke(
        renewcast.app, ["renewals", str(tmp_path), "--as-of", "2024-05-01", "--period", "2024Q2", "--json"]
    )
    assert answer.exception is None or isinstance(answer.exception, SystemExit | SignalsError), answer.exception
    assert answer.exit_code == 0, answer.output


ROWS = {
    "accounts": [{"account_id": "1", "created_at": "2025-01-01T00:00Z"}, {"account_id": "2", "created_at": "20250102"}],
    "subscriptions": [{"account_id": "1", "started_at": "2025-01-01", "arr": "1200.5", "seats": "3.0", "renewal_at": "2026-01-01T10:00+02"}],
    "support": [{"account_id": "1", "ticket_id": "t", "occurred_at": "2025-02-01", "severity": "low", "escalated": "true"}],
}


def _csv(place: Path) -> str:
    for name, rows in ROWS.items():
        lines = [";".join(rows[0]).upper(), *(";".join(row.values()) for row in rows)]
        (place / f"{name.title()}.CSV").write_text("\n".join(lines))
    return str(place)


def _parquet(place: Path) -> str:
    for name, rows in ROWS.items():
        pq.write_table(pa.Table.from_pylist([{k.upper(): v for k, v in row.items()} for row in rows]), place / f"{name}.parquet")
    return str(place)


def _ndjson(place: Path) -> str:
    for name, rows in ROWS.items():
        (place / f"{name}.ndjson.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    return str(place)


def _json(place: Path) -> str:
    for name, rows in ROWS.items():
        (place / f"{name}.json").write_text(json.dumps([{**row, "account_id": int(row["account_id"])} for row in rows]))
    return str(place)


def _pattern(place: Path) -> str:
    (place / "2026-01").mkdir()
    _csv(place / "2026-01")
    return str(place / "2026-*" / "*")


def _duckdb(place: Path) -> str:
    with duckdb.connect(str(place / "w.duckdb")) as warehouse:
        for name, rows in ROWS.items():
            warehouse.register("rows", pa.Table.from_pylist(rows))
            warehouse.execute(f"CREATE TABLE {name.upper()} AS SELECT * FROM rows")
    return f"duckdb:///{place / 'w.duckdb'}"


def _sqlite(place: Path) -> str:
    with sqlite3.connect(place / "w.sqlite") as lite:
        for name, rows in ROWS.items():
            lite.execute(f"CREATE TABLE {name.title()} ({', '.join(map(str.upper, rows[0]))})")
            lite.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", [tuple(r.values()) for r in rows])
    lite.close()
    return f"sqlite:///{place / 'w.sqlite'}"


def _mapping(place: Path) -> str:
    _csv(place)
    files = "\n".join(f'{name}_raw = "{name.title()}.CSV"' for name in ROWS)
    tables = "\n".join(f'{name} = "SELECT * FROM {name}_RAW;"' for name in ROWS)
    (place / "m.toml").write_text(f"[files]\n{files}\n[tables]\n{tables}\n")
    return str(place / "m.toml")


@pytest.mark.parametrize("writer", [_csv, _parquet, _ndjson, _json, _pattern, _duckdb, _sqlite, _mapping])
def test_text_is_parsed_the_same_way_in_every_format(writer: Any, tmp_path: Path) -> None:
    signals = open_signals(writer(tmp_path))
    (subscription,) = signals.tables["subscriptions"].to_pyarrow().to_pylist()
    assert subscription["renewal_at"] == datetime(2026, 1, 1, 8)
    assert (subscription["arr"], subscription["seats"], subscription["account_id"]) == (1200.5, 3, "1")
    (ticket,) = signals.tables["support"].to_pyarrow().to_pylist()
    assert (ticket["escalated"], ticket["occurred_at"]) == (True, datetime(2025, 2, 1))
    assert sorted(signals.tables["accounts"]["created_at"].to_pyarrow().to_pylist()) == [datetime(2025, 1, 1), datetime(2025, 1, 2)]
