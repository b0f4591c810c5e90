"""A client generated from /openapi-3.0.json calls a running service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.home import Home

ROOT = Path(__file__).parents[2]
PINS = Path(__file__).with_name("requirements-client.txt")
CALLS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from renewcast_client import Client
from renewcast_client.api.predictions import get_prediction
from renewcast_client.api.records import record_intervention
from renewcast_client.api.published import list_predictions
from renewcast_client.models import InterventionRequest

client = Client(base_url=sys.argv[2], raise_on_unexpected_status=True)
one = get_prediction.sync("a05", client=client)
kept = record_intervention.sync(client=client, body=InterventionRequest(account_id="a05", occurred_at="2026-06-30", play="executive_change"))
page = list_predictions.sync(client=client, limit=5)
print(json.dumps([one.to_dict(), kept.to_dict(), page.to_dict()]))
"""


@pytest.mark.slow
def test_a_generated_client_calls_the_service(client: TestClient, own_home: Home, tmp_path: Path, environment: Any) -> None:
    python = environment(PINS)
    (tmp_path / "openapi.json").write_bytes(client.get("/openapi-3.0.json").content)
    (tmp_path / "config.yml").write_text("package_name_override: renewcast_client\npost_hooks: []\n")
    generation = subprocess.run(
        [python, "-m", "openapi_python_client", "generate", "--path", "openapi.json", "--config", "config.yml", "--meta", "none",
         "--output-path", "renewcast_client"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert generation.returncode == 0, generation.stdout + generation.stderr
    assert "Error" not in generation.stdout
    local = os.environ | {"RENEWCAST_HOME": str(own_home.root), "RENEWCAST_OPEN_LOCALLY": "true"}
    serve = [sys.executable, "-m", "renewcast", "serve", "--port", "0"]
    with subprocess.Popen(serve, cwd=ROOT, env=local, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = json.loads(process.stderr.readline())["port"]
            calls = [python, "-c", CALLS, str(tmp_path), f"http://127.0.0.1:{port}"]
            result = subprocess.run(calls, capture_output=True, text=True, check=False, timeout=120)
        finally:
            process.terminate()
            process.communicate(timeout=60)
    assert result.returncode == 0, result.stderr
    one, stored, page = json.loads(result.stdout)
    assert (one["account_id"], one["churn"]["status"]) == ("a05", "scored")
    assert stored["id"].startswith("int_")
    assert page["data"] == []
