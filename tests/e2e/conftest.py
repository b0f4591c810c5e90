"""One simulated portfolio, trained and scored once through the real command line, for all that follows from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCORED_AT = "2026-09-30"
OWN_FEATURES = Path(__file__).resolve().parents[2] / "notebooks" / "examples" / "own-features.toml"
QUICK = "every_days = 14\ntrials = 1\nresamples = 100\nrefits = 2\n"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class World:
    """Where the end-to-end run has put things."""

    signals: Path
    truth: Path
    home: Path
    report: dict[str, Any]
    scores: Path
    own_features: Path


@pytest.fixture(scope="session")
def renewcast() -> Command:
    """Run `renewcast …` as a user does: another process, a home of its own, features of the company's own."""

    def run(
        *arguments: str | Path, home: Path, expect: int = 0, features: Path = OWN_FEATURES
    ) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("RENEWCAST_", "MLFLOW_"))}
        done = subprocess.run(
            [sys.executable, "-m", "renewcast", *map(str, arguments)],
            env=environment | {"RENEWCAST_HOME": str(home), "RENEWCAST_FEATURES": str(features)},
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == expect, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def world(renewcast: Command, tmp_path_factory: pytest.TempPathFactory) -> World:
    place = tmp_path_factory.mktemp("world")
    home, signals, scores = place / "home", place / "signals", place / "scores.csv"
    renewcast("simulate", signals, "--accounts", "400", "--weeks", "104", "--seed", "1", home=home)
    (place / "quick.toml").write_text(QUICK)
    done = renewcast("train", signals, "--config", place / "quick.toml", "--json", home=home)
    renewcast("score", signals, "--as-of", SCORED_AT, "--out", scores, home=home)
    return World(signals, place / "truth.parquet", home, json.loads(done.stdout), scores, OWN_FEATURES)
