"""Calls to this machine bypass proxies."""

from __future__ import annotations

import http.server
import threading
import urllib.request
from pathlib import Path

import pytest
import requests.utils

from features.utils.proxies import bypass_proxies_locally

DEAD = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure a proxy that does not answer, in every spelling, and no exceptions."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, DEAD)
        monkeypatch.setenv(name.lower(), DEAD)
    for name in ("NO_PROXY", "no_proxy"):
        # Set first, so that the end of the test removes what is added.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_libraries_reach_this_machine_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "internal.example")
    bypass_proxies_locally()
    bypass_proxies_locally()
    for host in ("127.0.0.1", "localhost", "internal.example"):
        assert urllib.request.proxy_bypass(host), host
        assert requests.utils.should_bypass_proxies(f"http://{host}:5000/", None), host
    assert not urllib.request.proxy_bypass("example.org")


def test_the_readiness_check_of_a_background_service_bypasses_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from serving.cli import demo_process

    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            port = server.server_address[1]
            # The service itself is replaced: a process that keeps running, and a server that answers.
            monkeypatch.setattr(demo_process.socket.socket, "connect_ex", lambda *_: 1)
            monkeypatch.setattr(demo_process, "PATIENCE_SECONDS", 1)
            monkeypatch.setattr(demo_process.subprocess, "Popen", lambda *_, **__: _Running())
            assert demo_process.start(tmp_path, port) == f"http://127.0.0.1:{port}"
        finally:
            server.shutdown()
            thread.join()


class _Running:
    pid = 0

    def poll(self) -> None:
        return None
