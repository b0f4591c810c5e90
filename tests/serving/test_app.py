"""The application."""

from __future__ import annotations

from pathlib import Path

from models.home import Home
from serving.app import create_app


def test_making_the_application_touches_nothing(tmp_path: Path) -> None:
    create_app(Home(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_an_answer_does_not_wait_for_the_callers_acknowledgement() -> None:
    with app_module._listen("127.0.0.1", 0) as listening:
        # What asyncio looks at before it turns Nagle's algorithm off.
        assert listening.proto == socket.IPPROTO_TCP
