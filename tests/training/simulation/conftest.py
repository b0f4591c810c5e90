"""A small portfolio as files and a larger history in memory, shared by the tests of the simulator."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from training.simulation import SimulationSummary, simulate
from training.simulation.calendar import day_number
from training.simulation.history import SimulatedHistory, simulate_history

END = date(2026, 9, 30)


@pytest.fixture(scope="session")
def shares() -> list[float]:
    """The progress reported while ``summary`` was simulated."""
    return []


@pytest.fixture(scope="session")
def summary(tmp_path_factory: pytest.TempPathFactory, shares: list[float]) -> SimulationSummary:
    out = tmp_path_factory.mktemp("simulation") / "signals"
    return simulate(out, accounts=80, weeks=60, seed=3, end=END, progress=lambda share, what: shares.append(share))


@pytest.fixture(scope="session")
def tables(summary: SimulationSummary) -> dict[str, pd.DataFrame]:
    result = {file.stem: pd.read_parquet(file) for file in Path(summary.folder).iterdir()}
    return result | {"truth": pd.read_parquet(summary.truth)}


@pytest.fixture(scope="session")
def history() -> SimulatedHistory:
    return simulate_history(1200, 60, seed=1, end=day_number(END))
