"""An interrupted run is recognized as not completed; a completed run leaves no marker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.home import Home
from training.registry import mlflow_tracking, run_completion
from training.registry.runs import completed_runs

# MLflow uses a deprecated SQLAlchemy call.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


class _Info:
    registered_model_version = "1"
    model_id = "m-1"


def _registered(home: Home, run: mlflow_tracking.Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As much of registering as needs no model."""

    def write(version: str) -> Path:
        folder = home.bundle_folder("churn", f"{version}-{run.run_id[:8]}")
        folder.mkdir(parents=True)
        assert not run_completion.is_completed(home, folder), "marked before the bundle is there"
        return folder

    monkeypatch.setattr(mlflow_tracking, "_signature", lambda *_: None)
    monkeypatch.setattr(run.mlflow.pyfunc, "log_model", lambda **_: _Info())
    nothing: dict[str, Any] = {}
    return run.register("churn", nothing, [], write).folder


def test_a_completed_run_leaves_no_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    with mlflow_tracking.run(home, "a training") as run:
        folder = _registered(home, run, monkeypatch)
    assert run_completion.is_completed(home, folder)
    assert [entry.name for entry in home.bundles.iterdir()] == ["churn"]


def test_a_run_interrupted_while_drawing_is_not_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, folders = Home(tmp_path), []

    def train() -> None:
        with mlflow_tracking.run(home, "a training") as run:
            folders.append(_registered(home, run, monkeypatch))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert completed_runs(home) == []
    assert not run_completion.is_completed(home, folders[0])


@pytest.mark.slow
def test_listing_runs_removes_the_marker_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    with mlflow_tracking.run(home, "a training") as run:
        folder = _registered(home, run, monkeypatch)
    run_completion.mark_started(home, run.run_id)
    assert [one.run_id for one in completed_runs(home)] == [run.run_id]
    assert run_completion.is_completed(home, folder)


def test_a_bundle_whose_folder_names_no_run_counts_as_completed(tmp_path: Path) -> None:
    assert run_completion.is_completed(Home(tmp_path), "bundles/churn/3")
