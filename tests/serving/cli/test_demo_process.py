"""A service that is left running answers, says where it is, and goes when it is stopped."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from features.errors import HomeError
from models.home import Home
from serving.cli import demo_process

START = "import sys; from pathlib import Path; from serving.cli.demo_process import start; print(start(Path(sys.argv[1]), int(sys.argv[2])))"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.slow
def test_the_service_answers_until_it_is_stopped(own_home: Home, port: int) -> None:
    place, environment = own_home.root, os.environ | {"RENEWCAST_HOME": str(own_home.root)}
    command = [sys.executable, "-c", START, str(place), str(port)]
    url = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=90).stdout.strip()
    try:
        with urlopen(f"{url}/v1/accounts/a05/prediction") as answer:
            assert json.load(answer)["account_id"] == "a05"
        with pytest.raises(HomeError, match=f"port {port} is already in use"):
            demo_process.start(place, port)
    finally:
        demo_process.stop(place)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and _answers(url):
        time.sleep(0.1)
    assert not _answers(url)
    assert not (place / "serve.pid").exists()
    # Stopping a service that no longer runs is not an error.
    demo_process.stop(place)


def _answers(url: str) -> bool:
    try:
        urlopen(f"{url}/livez", timeout=5).close()
    except (URLError, ConnectionError):
        return False
    return True
