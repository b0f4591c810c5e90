"""The runs that are read from MLflow's file are those that MLflow returns, and any other file is left to MLflow."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.artifacts.champion_pointer import ChampionEntry, ChampionPointer, write_pointer
from models.home import Home
from models.targets import Target
from training.registry import mlflow_tracking, runs
from training.registry.tracking_file import REVISION, TrackingFile

ROOT = Path(__file__).resolve().parents[3]
CHURN: Target = "churn"
LISTING = """
import sys
sys.argv = ["renewcast", "runs", "--json"]
import renewcast
try:
    renewcast.main()
finally:
    assert "json" in sys.modules and not {"ibis", "lightgbm", "mlflow", "numpy", "pandas", "sqlalchemy"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, list[str]]:
    """A home with two completed runs, a failed one and a deleted one, and the IDs of the first two, newest first."""
    home = Home(tmp_path_factory.mktemp("tracking").absolute())
    mlflow = mlflow_tracking.connect(home)
    client, ids = mlflow.MlflowClient(), []
    experiment = mlflow.get_experiment_by_name(mlflow_tracking.EXPERIMENT).experiment_id
    client.create_registered_model(mlflow_tracking.registered_model_name(CHURN))
    for number in range(4):
        run_id = client.create_run(experiment, start_time=1_700_000_000_000 + number).info.run_id
        ids.append(run_id)
        client.log_param(run_id, "horizon_days", str(90 + number))
        client.log_param(run_id, "data_through", "2026-09-30")
        client.log_metric(run_id, "churn/blend/roc_auc", 0.1 * 3 + number)
        client.log_metric(run_id, "churn/blend/undefined", float("nan"))
        client.set_tag(run_id, mlflow_tracking.version_tag(CHURN), str(number + 1))
        client.set_tag(run_id, mlflow_tracking.failed_gates_tag(CHURN), "skill,slope" if number else "")
        if number != 2:
            client.set_tag(run_id, mlflow_tracking.COMPLETED, "true")
        source = client.get_run(run_id).info.artifact_uri
        client.create_model_version(mlflow_tracking.registered_model_name(CHURN), source, run_id)
    client.delete_run(ids[3])
    return home, [ids[1], ids[0]]


def _promote(home: Home, version: str, run_id: str) -> ChampionPointer:
    entry = ChampionEntry(version=version, folder=f"bundles/churn/{version}-{run_id[:8]}")
    pointer = ChampionPointer(churn=entry, promoted_at=datetime(2026, 1, 1, tzinfo=UTC))
    write_pointer(home, pointer)
    return pointer


def test_the_file_says_what_mlflow_says(trained: tuple[Home, list[str]]) -> None:
    home, ids = trained
    for limit in (1, 5):
        read = runs._records_in_file(home, None, limit)
        assert read is not None
        assert [run.run_id for run in read] == ids[:limit]
        assert repr(read) == repr(runs._records_by_mlflow(home, limit)).replace("np.float64", "")


def test_the_file_is_read_only_if_the_alias_is_that_of_the_champion(trained: tuple[Home, list[str]]) -> None:
    home, (newest, first) = trained
    pointer = _promote(home, "1", first)
    assert runs._records_in_file(home, pointer, 5) is None
    listed = runs.completed_runs(home)
    assert runs._records_in_file(home, pointer, 5) is not None
    assert listed == runs.completed_runs(home)
    assert runs._records_in_file(home, _promote(home, "2", newest), 5) is None
    assert runs._records_in_file(home, _promote(home, "1", newest), 5) is None


def test_runs_are_listed_without_slow_imports(trained: tuple[Home, list[str]]) -> None:
    home, (newest, first) = trained
    _promote(home, "1", first)
    listed = runs.completed_runs(home)
    environment = os.environ | {"RENEWCAST_HOME": str(home.root)}
    command = [sys.executable, "-c", LISTING]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["runs"] == json.loads(json.dumps([run.as_dict() for run in listed]))
    assert [run.run_id for run in listed] == [newest, first]


def test_another_layout_is_left_to_mlflow(trained: tuple[Home, list[str]], tmp_path: Path) -> None:
    home, _ = trained
    copy = Home(tmp_path)
    copy.tracking_file.write_bytes(home.tracking_file.read_bytes())
    with TrackingFile.opened(copy) as file:
        assert file is not None, f"compare the tables of the pinned MLflow with those of revision {REVISION}"
    with closing(sqlite3.connect(copy.tracking_file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'another'")
    assert runs._records_in_file(copy, None, 5) is None
    copy.tracking_file.write_text("not a database of SQLite")
    assert runs._records_in_file(copy, None, 5) is None


def test_a_home_without_a_champion_and_without_a_store_has_no_runs(tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    assert runs.completed_runs(home) == []
    assert not home.root.exists()
