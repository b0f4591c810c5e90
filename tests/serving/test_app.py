"""The application."""

from __future__ import annotations

from pathlib import Path

from models.home import Home
from serving.app import create_app


def test_making_the_application_touches_nothing(tmp_path: Path) -> None:
    create_app(Home(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
