"""A home belongs to one portfolio: every command that combines signals with the home refuses those of another company."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

AS_OF = "2026-09-30"
COMMANDS: list[Callable[[Path, Path], tuple[str | Path, ...]]] = [
    lambda signals, place: ("train", signals),
    lambda signals, place: ("score", signals, "--as-of", AS_OF, "--out", place / "scores.csv", "--publish"),
    lambda signals, place: ("health", signals, "--as-of", AS_OF),
    lambda signals, place: ("renewals", signals, "--as-of", AS_OF),
    lambda signals, place: ("monitor", signals),
]


@pytest.fixture
def home(world: Any, tmp_path: Path) -> Path:
    """Return a copy of the world's home that may be changed."""
    return Path(shutil.copytree(world.home, tmp_path / "home"))


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return signals of a shop: other customer ids, orders, no contracts."""
    place: Path = tmp_path_factory.mktemp("shop") / "shop"
    place.mkdir()
    with (place / "accounts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("account_id", "created_at"), *((f"shop-{i}", "2023-01-01") for i in range(60))])
    days = [(i, date(2024, 1, 1) + timedelta(days=7 * k + i % 7)) for i in range(60) for k in range(100 + i % 40)]
    with (place / "orders.csv").open("w", newline="") as file:
        rows = ((f"shop-{i}", day.isoformat(), 10 + i) for i, day in days)
        csv.writer(file).writerows([("account_id", "occurred_at", "amount"), *rows])
    return place


def contents(home: Path) -> dict[str, str]:
    """Return the important files of a home: models, pointer, identity, snapshots."""
    files = [*home.glob("*.json"), *(home / "bundles").rglob("*"), *(home / "snapshots").rglob("*")]
    return {str(f): hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file() and f.name != "texts.json"}


def _loose(home: Path) -> list[Path]:
    """Return what other users may read."""
    return [path for path in (home, *home.rglob("*")) if stat.S_IMODE(path.lstat().st_mode) not in (0o700, 0o600)]


@pytest.mark.slow
def test_another_companys_contracts_and_orders_are_refused_everywhere(
    world: Any, renewcast: Any, home: Path, orders: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    renewcast("simulate", other, "--accounts", "60", "--weeks", "60", "--seed", "9", home=tmp_path / "unused")
    before = contents(home)
    for signals, differs in ((orders, "orders without subscriptions"), (other, "have the month of creation that the home recorded")):
        for command in COMMANDS if signals is orders else COMMANDS[:2]:
            result = renewcast(*command(signals, tmp_path), home=home, expect=2)
            head, *rest = result.stderr.strip().splitlines()
            assert "another portfolio than the home" in head, result.args
            assert differs in result.stderr
            assert "RENEWCAST_HOME=FOLDER renewcast train SIGNALS" in " ".join(rest)
            assert "shop-" not in result.stderr
    assert contents(home) == before
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.slow
def test_new_ids_are_refused_until_a_person_confirms_them(world: Any, renewcast: Any, home: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for file in world.signals.glob("*.parquet"):
        table = pq.read_table(file)
        ids = pa.array([f"crm-{i}" for i in table["account_id"].to_pylist()])
        pq.write_table(table.set_column(table.column_names.index("account_id"), "account_id", ids), renamed / file.name)
    score = ("score", renamed, "--as-of", AS_OF, "--out", tmp_path / "scores.csv")
    refused = renewcast(*score, home=home, expect=2)
    assert "0% of the 400 account ids are known" in refused.stderr
    assert "renewcast home SIGNALS --same-portfolio --why TEXT" in refused.stderr
    renewcast("home", renamed, "--same-portfolio", home=home, expect=2)
    renewcast("home", renamed, "--same-portfolio", "--why", "moved to another CRM", "--by", "Ada", home=home)
    renewcast(*score, home=home)
    portfolio = json.loads(renewcast("home", "--json", home=home).stdout)["portfolio"]
    assert (portfolio["kind"], portfolio["accounts"], portfolio["same"][0]["who"]) == ("contractual", 800, "Ada")
    # The earlier ids are still known.
    renewcast("home", world.signals, home=home)


def test_the_identity_is_in_home_bundles_runs_and_versions(world: Any) -> None:
    own = json.loads((world.home / "portfolio.json").read_text())
    manifests = [json.loads(file.read_text()) for file in (world.home / "bundles").rglob("manifest.json")]
    assert manifests
    for manifest in manifests:
        assert (manifest["format_version"], manifest["portfolio"]["id"]) == (6, own["id"])
    with sqlite3.connect(world.home / "mlflow.db") as store:
        tags = dict(store.execute("SELECT key, value FROM tags WHERE key LIKE 'renewcast.portfolio%'").fetchall())
        params = dict(store.execute("SELECT key, value FROM params").fetchall())
        versions = store.execute("SELECT DISTINCT value FROM model_version_tags WHERE key = 'renewcast.portfolio'").fetchall()
    store.close()
    assert (tags["renewcast.portfolio"], tags["renewcast.portfolio.name"]) == (own["id"], own["name"])
    assert (params["portfolio"], versions) == (own["name"], [(own["id"],)])
    assert "A00001" not in (world.home / "portfolio.json").read_text()


@pytest.mark.slow
def test_a_missing_table_gives_a_warning_or_refuses_a_model_that_depends_on_it(
    world: Any, renewcast: Any, home: Path, tmp_path: Path
) -> None:
    part, out = tmp_path / "part", tmp_path / "scores.csv"
    shutil.copytree(world.signals, part)
    (part / "company.parquet").unlink()
    result = renewcast("score", part, "--as-of", AS_OF, "--out", out, home=home)
    assert "Tables that signals had before are missing: company." in result.stderr
    for file in part.glob("*.parquet"):
        if file.stem not in ("accounts", "subscriptions", "interventions"):
            file.unlink()
    out.unlink()
    refused = renewcast("score", part, "--as-of", AS_OF, "--out", out, home=home, expect=2)
    assert "is in features that are unknown for every account; missing tables: " in refused.stderr
    assert "usage" in refused.stderr
    assert "renewcast train SIGNALS" in refused.stderr
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_everything_in_a_home_is_private_to_its_owner(world: Any, renewcast: Any, home: Path, tmp_path: Path) -> None:
    for path in (home, *home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    renewcast("score", world.signals, "--as-of", AS_OF, "--out", tmp_path / "scores.csv", "--publish", home=home)
    renewcast("keys", "create", "crm", home=home)
    assert _loose(home) == []
    assert stat.S_IMODE((tmp_path / "scores.csv").stat().st_mode) & 0o044
    assert _loose(world.home) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_a_review_is_private_to_its_owner(world: Any, renewcast: Any, home: Path) -> None:
    renewcast("review", world.signals, "--quarter", "2026Q2", home=home)
    assert list((home / "reviews").rglob("*.json"))
    assert _loose(home) == []
