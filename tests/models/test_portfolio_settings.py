"""The settings of a portfolio that its home stores, and the command that sets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from features.errors import HomeError
from models.home import Home
from models.portfolio_settings import PortfolioSettings, read_portfolio_settings, store_portfolio_settings

ROOT = Path(__file__).parents[2]


def home_command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("RENEWCAST_CURRENCY", "RENEWCAST_DATE_ORDER")}
    command = [sys.executable, "-m", "renewcast", "home", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment | {"RENEWCAST_HOME": str(home)})


def test_a_home_stores_the_settings_and_nothing_by_default(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert read_portfolio_settings(home) == PortfolioSettings()
    settings = PortfolioSettings(currency="CHF", date_order="ymd")
    store_portfolio_settings(home, settings)
    assert read_portfolio_settings(home.require_own()) == settings


@pytest.mark.parametrize("content", ["", "[]", '{"currency": "EURO"}', '{"date_order": "ydm"}', '{"color": "red"}'])
def test_a_broken_file_is_refused_with_its_cure(tmp_path: Path, content: str) -> None:
    home = Home(tmp_path).ensure()
    home.settings_file.write_text(content)
    with pytest.raises(HomeError, match=r"settings\.json is not valid") as refusal:
        read_portfolio_settings(home)
    assert "renewcast home --currency" in str(refusal.value)


def test_the_command_stores_shows_and_removes_settings(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "currency: EUR; order of dates: mdy" in home_command(home, "--currency", "eur", "--date-order", "MDY").stdout
    refused = home_command(home, "--currency", "EURO")
    assert (refused.returncode, "a setting cannot be used" in refused.stderr, "EURO" in refused.stderr) == (2, True, False)
    assert (home / "settings.json").stat().st_mode & 0o077 == 0
    assert home_command(home, "--currency", "none").returncode == 0
    shown = json.loads(home_command(home, "--json").stdout)
    assert shown["settings"] == {"currency": None, "date_order": "mdy"}
