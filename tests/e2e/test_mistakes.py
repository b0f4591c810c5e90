"""A user's mistake ends with one clear message and exit code 2, and leaves nothing half-written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SCORED_AT = "2026-09-30"


@pytest.fixture
def tiny(tmp_path: Path, to_arrow: Any) -> Path:
    """Sound signals of one account, far too few to train on."""
    place = tmp_path / "tiny"
    place.mkdir()
    pq.write_table(to_arrow("accounts", [{"account_id": "a", "created_at": "2025-01-01"}]), place / "accounts.parquet")
    row = {"account_id": "a", "started_at": "2025-01-01", "arr": 1.0}
    pq.write_table(to_arrow("subscriptions", [row]), place / "subscriptions.parquet")
    return place


def test_a_source_that_is_not_there(renewcast: Any, tmp_path: Path) -> None:
    done = renewcast("check", tmp_path / "nowhere", home=tmp_path / "home", expect=2)
    assert "no signals source" in done.stderr


@pytest.mark.parametrize("arguments", [("bogus",), ("score", "x"), ("train",), ("simulate", "x", "--accounts", "many")])
def test_a_command_that_is_put_wrongly(renewcast: Any, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = renewcast(*arguments, home=tmp_path / "home", expect=2)
    assert "Usage" in done.stderr


def test_a_file_of_own_features_that_is_broken(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    file, out, home = tmp_path / "mine.toml", tmp_path / "x.csv", tmp_path / "home"
    file.write_text("[[features]]\nname = 'own.x'\ntable = 'use'\nmeasure = 'count'\nunit = 'x'\nwords = '{w}'\n", encoding="utf-8")
    done = renewcast("snapshot", tiny, "--as-of", "2025-06-01", "--out", out, home=home, expect=2, features=file)
    assert "mine.toml: feature own.x, key table: there is no table use" in done.stderr
    renewcast("train", tiny, home=home, expect=2, features=tmp_path / "none.toml")
    assert not out.exists()


def test_a_date_that_is_none(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    done = renewcast("snapshot", tiny, "--as-of", "soon", "--out", tmp_path / "x.csv", home=tmp_path / "home", expect=2)
    assert "ISO 8601" in done.stderr


def test_a_format_that_cannot_be_written(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.xlsx"
    done = renewcast("score", tiny, "--as-of", "2025-06-01", "--out", out, home=tmp_path / "home", expect=2)
    assert ".csv, .parquet, .ndjson" in done.stderr
    assert not out.exists()


def test_broken_signals_are_named_and_nothing_is_written(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"account_id": ["SECRET"], "occurred_at": ["x"]}), tiny / "usage.parquet")
    done = renewcast("check", tiny, home=tmp_path / "home", expect=2)
    assert "usage.occurred_at" in done.stdout
    assert "SECRET" not in done.stdout + done.stderr
    out = tmp_path / "x.parquet"
    renewcast("snapshot", tiny, "--as-of", "2025-06-01", "--out", out, home=tmp_path / "home", expect=2)
    assert not out.exists()


def test_too_little_data_trains_nothing_and_says_what_is_missing(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    done = renewcast("train", tiny, home=tmp_path / "home", expect=2)
    assert "Not enough data" in done.stderr
    assert "days of history" in done.stderr
    assert not (tmp_path / "home" / "champion.json").exists()


def test_an_unknown_setting_is_named(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("trails = 3\n")
    done = renewcast("train", tiny, "--config", tmp_path / "c.toml", home=tmp_path / "home", expect=2)
    assert "trails" in done.stderr


def test_a_home_that_cannot_be_written(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    done = renewcast("train", tiny, home=tmp_path / "home", expect=2)
    assert "RENEWCAST_HOME" in done.stderr


def test_a_broken_bundle_is_refused(renewcast: Any, world: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(world.home, home)
    model = next(home.glob("bundles/*/*/model.txt"))
    model.write_text(model.read_text() + "\n")
    out = tmp_path / "x.csv"
    done = renewcast("score", world.signals, "--as-of", SCORED_AT, "--out", out, home=home, expect=2)
    assert "model.txt was changed" in done.stderr
    assert not out.exists()
