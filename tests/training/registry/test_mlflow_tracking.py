"""A store that one home opens is not taken for the user's choice by the next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.home import Home, home_at
from training.registry import mlflow_tracking

# MLflow uses a deprecated SQLAlchemy call.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


def _addresses() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_") and name.endswith(("_URI", "_ID"))}


def test_a_connection_leaves_the_users_choice_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before, home = _addresses(), Home(tmp_path / "first").ensure()
    assert mlflow_tracking.connect(home).get_tracking_uri() == home.tracking_uri
    assert _addresses() == before
    assert home_at(tmp_path / "second").mlflow_uri is None


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows takes no such file names")
def test_runs_and_their_files_are_in_a_home_with_an_odd_name(tmp_path: Path) -> None:
    home = Home(tmp_path / "50%20 #?'ä").ensure()
    with mlflow_tracking.run(home, "training") as run:
        run.mlflow.log_text("text", "file.txt", run_id=run.run_id)
        uri = run.mlflow.get_run(run.run_id).info.artifact_uri
        assert run.mlflow.artifacts.load_text(f"{uri}/file.txt") == "text"
    assert list(tmp_path.iterdir()) == [home.root]
    assert {path.name for path in home.root.iterdir()} == {"mlflow.db", "mlartifacts"}
    assert [path.name for path in home.artifacts.rglob("*.txt")] == ["file.txt"]


@pytest.mark.slow
def test_two_homes_in_one_process_keep_their_own_runs(tmp_path: Path) -> None:
    for name in ("first", "second", "first"):
        home = home_at(tmp_path / name).ensure()
        with mlflow_tracking.run(home, f"training of {name}"):
            pass
    names = {
        home: [run.info.run_name for run in mlflow_tracking.connect(home_at(tmp_path / home)).search_runs(output_format="list")]
        for home in ("first", "second")
    }
    assert names == {"first": ["training of first"] * 2, "second": ["training of second"]}
