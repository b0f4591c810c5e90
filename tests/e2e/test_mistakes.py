"""A user's mistake ends with one clear message and exit code 2, and leaves no partial file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.errors import BadRequest
from renewcast import app


@pytest.fixture
def tiny(tmp_path: Path, to_arrow: Any) -> Path:
    """Return valid signals of one account, far too few to train on."""
    place = tmp_path / "tiny"
    place.mkdir()
    pq.write_table(to_arrow("accounts", [{"account_id": "a", "created_at": "2025-01-01"}]), place / "accounts.parquet")
    row = {"account_id": "a", "started_at": "2025-01-01", "arr": 1.0}
    pq.write_table(to_arrow("subscriptions", [row]), place / "subscriptions.parquet")
    return place


@pytest.mark.slow
def test_a_missing_source(renewcast: Any, tmp_path: Path) -> None:
    result = renewcast("check", tmp_path / "nowhere", home=tmp_path / "home", expect=2)
    assert "no signals source" in result.stderr


@pytest.mark.parametrize("arguments", [("bogus",), ("score", "x"), ("train",), ("simulate", "x", "--accounts", "many")])
def test_a_command_with_wrong_arguments(renewcast: Any, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = renewcast(*arguments, home=tmp_path / "home", expect=2)
    assert "Usage" in result.stderr


def test_a_broken_file_of_custom_features(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    file, out, home = tmp_path / "mine.toml", tmp_path / "x.csv", tmp_path / "home"
    file.write_text("[[features]]\nname = 'own.x'\ntable = 'use'\nmeasure = 'count'\nunit = 'x'\nwords = '{w}'\n", encoding="utf-8")
    result = renewcast("snapshot", tiny, "--as-of", "2025-06-01", "--out", out, home=home, expect=2, features=file)
    assert "mine.toml: feature own.x, key table: use is not a table that can be measured" in result.stderr
    renewcast("train", tiny, home=home, expect=2, features=tmp_path / "none.toml")
    assert not out.exists()


def test_a_date_that_cannot_be_read(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    result = renewcast("snapshot", tiny, "--as-of", "soon", "--out", tmp_path / "x.csv", home=tmp_path / "home", expect=2)
    assert "ISO 8601" in result.stderr


def test_an_unknown_output_format(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.xls"
    result = renewcast("score", tiny, "--as-of", "2025-06-01", "--out", out, home=tmp_path / "home", expect=2)
    assert ".csv, .parquet, .ndjson, .xlsx" in result.stderr
    assert not out.exists()


def test_broken_signals_are_named_and_nothing_is_written(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"account_id": ["SECRET"], "occurred_at": ["x"]}), tiny / "usage.parquet")
    result = renewcast("check", tiny, home=tmp_path / "home", expect=2)
    assert "usage.occurred_at" in result.stdout
    assert "SECRET" not in result.stdout + result.stderr
    out = tmp_path / "x.parquet"
    renewcast("snapshot", tiny, "--as-of", "2025-06-01", "--out", out, home=tmp_path / "home", expect=2)
    assert not out.exists()


def test_too_little_data_trains_nothing_and_says_what_is_missing(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    result = renewcast("train", tiny, home=tmp_path / "home", expect=2)
    assert "Not enough data" in result.stderr
    assert "days of history" in result.stderr
    assert not (tmp_path / "home" / "champion.json").exists()


def test_an_unknown_setting_is_named(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("trails = 3\n")
    result = renewcast("train", tiny, "--config", tmp_path / "c.toml", home=tmp_path / "home", expect=2)
    assert "trails" in result.stderr


def test_a_home_that_cannot_be_written(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    result = renewcast("train", tiny, home=tmp_path / "home", expect=2)
    assert "RENEWCAST_HOME" in result.stderr


HEADERS_AND_ROWS = {
    "accounts": ("account_id,created_at", ["a,2025-01-01", "b,2025-01-01"]),
    "subscriptions": ("account_id,started_at,ended_at,arr,renewal_at", ["a,2025-01-01,,1200,2026-01-01", "b,2025-01-01,,1200,2026-01-01"]),
    "usage": ("account_id,occurred_at,user_id", [f"a,2025-0{m}-01,u" for m in range(1, 7)]),
    "support": ("account_id,occurred_at,ticket_id,severity", ["a,2025-05-01,t,low"]),
    "outcomes": ("account_id,occurred_at,kind,value", ["a,2025-05-01,nps,9"]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("empty", "shape"),
    [
        ("all", "folder"),
        *(
            pytest.param(name, "folder", marks=pytest.mark.slow)
            for name in (*HEADERS_AND_ROWS, "all but accounts")
        ),
        *(pytest.param(name, "mapping", marks=pytest.mark.slow) for name in ("usage", "subscriptions", "all")),
    ],
)
def test_tables_with_only_a_header_end_with_one_message(renewcast: Any, tmp_path: Path, empty: str, shape: str) -> None:
    folder, home, out = tmp_path / "signals", tmp_path / "home", tmp_path / "rows.csv"
    folder.mkdir()
    for name, (header, rows) in HEADERS_AND_ROWS.items():
        bare = empty in (name, "all") or (empty == "all but accounts" and name != "accounts")
        (folder / f"{name}.csv").write_text("\n".join([header, *([] if bare else rows)]) + "\n", encoding="utf-8")
    source = folder
    if shape == "mapping":
        files = "".join(f'f_{name} = "signals/{name}.csv"\n' for name in HEADERS_AND_ROWS)
        tables = "".join(f'{name} = "SELECT * FROM f_{name}"\n' for name in HEADERS_AND_ROWS)
        source = tmp_path / "mapping.toml"
        source.write_text(f"[files]\n{files}[tables]\n{tables}", encoding="utf-8")
    broken, unusable = empty in ("accounts", "all"), empty in ("subscriptions", "all but accounts")
    checked = renewcast("check", source, home=home, expect=2 if broken else 0)
    if not broken and empty != "all but accounts":
        assert f"{empty}: no rows before the end of the data" in " ".join(checked.stdout.split())
    trained = renewcast("train", source, home=home, expect=2)
    scored = renewcast("score", source, "--as-of", "2025-06-02", "--out", out, home=home, expect=2 if broken or unusable else 0)
    for result in (trained, scored):
        if result.returncode:
            assert result.stderr.count("Fix: ") == 1, result.stderr
    assert out.exists() == (scored.returncode == 0)


@pytest.mark.parametrize(
    "arguments",
    [
        *(f"{command} SIGNALS --data-through" for command in ("check", "leakcheck", "train", "monitor")),
        *(f"{command} SIGNALS --as-of" for command in ("health", "risks", "worklist", "portfolio", "cohorts", "renewals")),
        *(f"{command} SIGNALS --out rows.csv --as-of" for command in ("snapshot", "score")),
        "renewals SIGNALS --backtest --as-of",
        "holdout effect SIGNALS --as-of",
    ],
)
def test_a_date_that_means_no_end_is_rejected_before_anything_is_read(arguments: str) -> None:
    result = CliRunner().invoke(app, [*arguments.split(), "9999-12-31"])
    assert isinstance(result.exception, BadRequest), result.output
    assert "too far in the future" in result.exception.found
