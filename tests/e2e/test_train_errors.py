"""Training through the command line with leaks, with faulty feeds, and with a champion that cannot be compared."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
QUICK = "every_days = 28\ntrials = 1\nresamples = 50\nfolds = 2\nhorizons = [90]\n"
LOOKS_AHEAD = """
from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.definitions.feature import Feature
from features.definitions.aggregations import Count
import training.pipeline.train

ended = Count("subscriptions", "ahead_ended", at="started_at", known_at="started_at", where=lambda t: t.ended_at.notnull())
ahead = Feature("contract.ahead", "subscriptions", "contract", "contract.ahead", "number", "", None, None, "ends", term=ended.all_time())
training.pipeline.train.current_catalogue = lambda: Catalogue((*CATALOGUE.values(), ahead))

from renewcast import main

main()
"""
"""The command line with a feature that knows from the start which subscriptions will end."""


@pytest.fixture(scope="module")
def lean(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the world's portfolio with few tables, because the time of these runs depends on their number."""
    place: Path = tmp_path_factory.mktemp("lean") / "signals"
    place.mkdir()
    for name in ("accounts", "subscriptions", "billing", "usage"):
        for result in world.signals.glob(f"{name}*"):
            (shutil.copytree if result.is_dir() else shutil.copy)(result, place / result.name)
    return place


@pytest.fixture
def train(renewcast: Any, tmp_path: Path) -> Callable[..., Any]:
    (tmp_path / "quick.toml").write_text(QUICK, encoding="utf-8")
    (tmp_path / "none.toml").write_text("features = []\n", encoding="utf-8")

    def run(signals: Path, home: Path, *more: str) -> Any:
        arguments = ("train", signals, "--config", tmp_path / "quick.toml", *more)
        return renewcast(*arguments, home=home, features=tmp_path / "none.toml")

    return run


def _runs(home: Path) -> list[tuple[str, str]]:
    """Return name and status of every MLflow run, including failed ones."""
    with sqlite3.connect(home / "mlflow.db") as store:
        rows = store.execute("SELECT name, status FROM runs").fetchall()
    store.close()
    return rows


def _changed(lean: Path, to: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> Path:
    shutil.copytree(lean, to)
    pq.write_table(change(pq.read_table(lean / f"{name}.parquet")), to / f"{name}.parquet")
    return to


@pytest.mark.slow
def test_a_feature_that_looks_ahead_stops_the_run_before_anything_is_fitted(lean: Path, renewcast: Any, tmp_path: Path) -> None:
    home, settings = tmp_path / "home", tmp_path / "quick.toml"
    settings.write_text(QUICK, encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RENEWCAST_", "MLFLOW_"))}
    result = subprocess.run(
        [sys.executable, "-c", LOOKS_AHEAD, "train", str(lean), "--config", str(settings)],
        env=environment | {"RENEWCAST_HOME": str(home)}, cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert "nothing was trained: contract.ahead changes when" in result.stderr
    assert "Fix: fix the feature, which looks past its as_of" in result.stderr
    assert result.stdout == ""
    assert not (home / "champion.json").exists()
    assert list((home / "bundles").rglob("manifest.json")) == []
    ((name, status),) = _runs(home)
    assert ("stopped by a leak" in name, status) == (True, "FAILED")
    (record,) = (json.loads(file.read_text(encoding="utf-8")) for file in home.rglob("leakcheck.json"))
    assert "contract.ahead" in {finding["subject"] for finding in record["findings"]}
    assert json.loads(renewcast("runs", "--json", home=home).stdout)["runs"] == []


@pytest.mark.slow
def test_a_feature_that_reveals_one_outcome_stops_that_target_only(lean: Path, train: Any, tmp_path: Path) -> None:
    running = {row["account_id"] for row in pq.read_table(lean / "subscriptions.parquet").to_pylist() if row["ended_at"] is None}

    def status(accounts: pa.Table) -> pa.Table:
        industry = pa.array(["x" if a in running else "SECRET" for a in accounts["account_id"].to_pylist()])
        return accounts.set_column(accounts.column_names.index("industry"), "industry", industry)

    result = train(_changed(lean, tmp_path / "leaky", "accounts", status), tmp_path / "home", "--json")
    targets = json.loads(result.stdout)["targets"]
    assert "version" not in targets["churn"]
    leaks = targets["churn"]["leaks"]
    # The churn rate of the accounts of an industry reveals what the industry does.
    assert any(line.startswith("account.industry ") for line in leaks)
    assert all("industry" in line for line in leaks)
    assert targets["expansion"]["leaks"] == []
    assert targets["expansion"]["version"] == "1"
    assert not list((tmp_path / "home" / "bundles" / "churn").glob("*"))
    assert "SECRET" not in result.stdout + result.stderr


@pytest.fixture(scope="module")
def newest(lean: Path) -> datetime:
    return max(
        pc.max(pq.read_table(file)["occurred_at"]).as_py().replace(tzinfo=UTC)
        for file in lean.rglob("*.parquet")
        if "occurred_at" in pq.read_schema(file).names
    )


@pytest.mark.slow
def test_a_stale_feed_of_subscriptions_prevents_promotion(lean: Path, train: Any, newest: datetime, tmp_path: Path) -> None:
    since = pa.scalar((newest - timedelta(days=100)).replace(tzinfo=None), pa.timestamp("us"))

    def cut(subscriptions: pa.Table) -> pa.Table:
        begun = subscriptions["started_at"].cast(pa.timestamp("us"), safe=False)
        return subscriptions.filter(pc.less(begun, since))

    report = json.loads(train(_changed(lean, tmp_path / "stale", "subscriptions", cut), tmp_path / "home", "--json").stdout)
    assert any(line.startswith("subscriptions: no rows since") for line in report["feeds"]["troubles"])
    for target in report["targets"].values():
        gates = {gate["name"]: gate for gate in target["gates"]}
        assert not gates["feeds_sound"]["passed"]
        assert "subscriptions: no rows since" in gates["feeds_sound"]["words"]
        assert not target["promoted"]
        card = json.loads((Path(target["bundle"]) / "card.json").read_text(encoding="utf-8"))
        assert card["feeds"] == report["feeds"]["troubles"]
    assert not (tmp_path / "home" / "champion.json").exists()


@pytest.mark.slow
def test_the_same_data_again_replaces_the_champion_only_if_a_person_promotes_it(
    lean: Path, train: Any, renewcast: Any, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    first = json.loads(train(lean, home, "--json").stdout)
    promoted = [target for target, result in first["targets"].items() if result["promoted"]]
    assert promoted
    before = (home / "champion.json").read_bytes()
    text = " ".join(train(lean, home).stdout.replace("│", " ").split())
    assert (home / "champion.json").read_bytes() == before
    for target in promoted:
        assert f"`renewcast promote {target} 2 --why TEXT` makes it the champion" in text
        assert "has used every known outcome" in text
        renewcast("promote", target, "2", "--why", "other settings", "--by", "Ada", home=home)
        assert json.loads((home / "champion.json").read_text(encoding="utf-8"))[target]["version"] == "2"
    changes = json.loads(renewcast("runs", "--json", home=home).stdout)["changes"]
    assert [(c["who"], c["why"]) for c in changes[-len(promoted) :]] == [("Ada", "other settings")] * len(promoted)
