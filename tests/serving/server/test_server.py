"""A real process serves, does not load heavy libraries, and stops on a signal."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from features.errors import BadRequest
from models.home import Home
from serving.server import server
from serving.server.server import print_address, run_server

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from pathlib import Path
from models.home import Home
import serving.scoring.score_portfolio, serving.scoring.score_payload
from serving.server.server import run_server
run_server("127.0.0.1", 0, Home(Path(sys.argv[1])))
print(sorted({name.partition(".")[0] for name in sys.modules} & {"mlflow", "shap", "optuna", "training"}))
"""


def _ask(port: int, path: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"http://127.0.0.1:{port}{path}", data, {"content-type": "application/json"})
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_process_serves_and_stops_on_a_signal(scored_home: Any) -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(scored_home.home.root)]
    local = os.environ | {"RENEWCAST_OPEN_LOCALLY": "true"}
    with subprocess.Popen(command, cwd=ROOT, env=local, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = json.loads(process.stderr.readline())["port"]
            path = "/v1/accounts/a05/prediction"
            status, result = _ask(port, path)
            assert (status, result["account_id"]) == (200, "a05")
            with ThreadPoolExecutor(16) as pool:
                answers = list(pool.map(lambda _: _ask(port, path), range(64)))
            assert all(answer == (200, result) for answer in answers)
            assert _ask(port, "/v1/predictions", {"account_id": "a05"}) == (200, result)
            assert _ask(port, "/v1/accounts/a999-secret/prediction")[0] == 404
            process.send_signal(signal.SIGTERM)
            out, log = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, log
    assert out.strip() == "[]", "imported by what serves"
    lines = [json.loads(line) for line in log.splitlines()]
    assert lines[-1]["event"] == "stopped"
    assert "a999-secret" not in log
    assert "a05" not in log


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_in_use_gives_one_message(tmp_path: Path, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        with pytest.raises(BadRequest, match=rf"(?s)cannot listen on {host}, port {port}: .*in use.*--port"):
            run_server(host, port, Home(tmp_path))


@pytest.mark.parametrize(("host", "port"), [("no such host", 8000), ("192.0.2.1", 8000), ("127.0.0.1", 70_000), ("", -1)])
def test_an_unavailable_address_gives_one_message(tmp_path: Path, host: str, port: int) -> None:
    with pytest.raises(BadRequest, match="cannot listen on"):
        run_server(host, port, Home(tmp_path))


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("localhost", False), ("::1", False), ("0.0.0.0", True)])
def test_an_address_on_the_network_gives_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, host: str, warned: bool
) -> None:
    monkeypatch.setattr(server._Server, "run", lambda *_, **__: None)
    monkeypatch.setattr(server.json_logs, "log_to_stderr", lambda: None)
    monkeypatch.setattr(server, "_listen", lambda *_: socket.create_server(("127.0.0.1", 0)))
    caplog.set_level(logging.INFO)
    run_server(host, 0, Home(tmp_path))
    assert ("open_to_the_network" in caplog.text) is warned


@pytest.mark.parametrize(
    ("host", "where", "address"),
    [
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:8000/"),
        ("localhost", "localhost", "http://localhost:8000/"),
        ("::1", "::1", "http://[::1]:8000/"),
        ("0.0.0.0", "all addresses of this machine", "http://localhost:8000/"),
        ("::", "all addresses of this machine", "http://localhost:8000/"),
    ],
)
def test_a_terminal_gets_a_line_with_the_address_to_open(
    host: str, where: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    print_address(host, 8000, stream)
    assert stream.getvalue() == "", "a pipe gets only the logs"
    monkeypatch.setattr(stream, "isatty", lambda: True)
    print_address(host, 8000, stream)
    assert stream.getvalue() == f"Renewcast listens on {where}, port 8000. Open {address} in a browser. Ctrl+C stops it.\n"


def test_a_response_does_not_wait_for_an_acknowledgment() -> None:
    with server._listen("127.0.0.1", 0) as listening:
        # What asyncio looks at before it turns Nagle's algorithm off.
        assert listening.proto == socket.IPPROTO_TCP
