"""A real service with two workers under a mixed load, while workers are killed, champions replaced and the store locked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.home import Home

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_nothing_accepted_is_lost_and_every_response_is_declared(own_home: Home, store: str) -> None:
    command = [sys.executable, "bench/load.py", "--seconds", "8", "--store", store, "--home", str(own_home.root)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=550)
    payload = json.loads(result.stdout[result.stdout.index("{") :])
    assert (payload["wrong"], payload["lost"], payload["exit code"]) == ([], [], 0)
    assert payload["befell"]["worker killed"] > 0
    assert payload["accepted"]["intervention"] > 0
    assert result.returncode == 0
