"""A service runs with only the packages of requirements-serving.txt, without libraries for training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.home import Home

ROOT = Path(__file__).parents[2]
ABSENT = ("mlflow", "shap", "sklearn", "matplotlib", "optuna")
ASKS = """
import json, sys
from urllib.request import Request, urlopen
url, body = sys.argv[1], json.loads(sys.argv[2])
with urlopen(url + "/v1/accounts/a05/prediction") as answer:
    known = json.load(answer)
with urlopen(Request(url + "/v1/predictions", json.dumps(body).encode(), {"content-type": "application/json"})) as answer:
    fresh = json.load(answer)
print(json.dumps([known, fresh]))
"""


@pytest.mark.slow
def test_it_serves_explained_predictions_with_minimal_packages(
    own_home: Home, tmp_path: Path, body_of: Any, environment: Any
) -> None:
    python = environment(ROOT / "requirements-serving.txt")
    look = f"from importlib.util import find_spec; print([name for name in {ABSENT} if find_spec(name)])"
    assert subprocess.run([python, "-c", look], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    settings = {"RENEWCAST_HOME": str(own_home.root), "RENEWCAST_OPEN_LOCALLY": "true", "PATH": ""}
    command = [python, "-m", "renewcast", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=settings, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = json.loads(process.stderr.readline())["port"]
            client_command = [sys.executable, "-c", ASKS, f"http://127.0.0.1:{port}", json.dumps(body_of("a05"))]
            available, fresh = json.loads(subprocess.run(client_command, capture_output=True, text=True, check=True, timeout=120).stdout)
        finally:
            process.terminate()
            _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert available["churn"]["status"] == "scored"
    assert available["reasons"]
    assert fresh["churn"]["probability"] == pytest.approx(available["churn"]["probability"])
