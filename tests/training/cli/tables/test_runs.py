"""Runs and changes of champion fit a terminal of eighty columns, nothing cut off."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from models.artifacts.champion_pointer import ChampionChange, ChampionEntry
from training.cli.tables.runs import print_runs
from training.registry.runs import CompletedRun, TargetOutcome

AT = datetime(2026, 10, 1, 8, 30, tzinfo=UTC)
FIGURES = {"roc_auc": 0.8123, "brier_skill": 0.101, "calibration_slope": 0.55}


def _printed(runs: list[CompletedRun], changes: list[ChampionChange]) -> str:
    out = StringIO()
    print_runs(runs, changes, Console(file=out, width=80, highlight=False))
    return out.getvalue()


def test_runs_and_changes_are_printed() -> None:
    outcomes = {
        "churn": TargetOutcome("12", True, (), FIGURES),
        "expansion": TargetOutcome("9", False, ("calibration_slope", "beats_base_rate"), FIGURES),
    }
    run = CompletedRun("0123456789abcdef", AT, "2026-09-30", "90", outcomes)  # type: ignore[arg-type]
    pointed = ChampionEntry(version="12", folder="bundles/churn/12-01234567")
    change = ChampionChange(at=AT, what="rolled_back", target="churn", champion=pointed, who="Ada", why="the other one failed in May")
    result = _printed([run], [change])
    for words in ("01234567", "2026-10-01", "2026-09-30", "12 *", "0.812", "0.550", "all passed", "2 failed"):
        assert words in result
    assert "expansion 9 was not promoted; not passed: calibration slope, beats base rate" in result
    for words in ("2026-10-01 08:30", "rolled back", "Ada", "failed in May"):
        assert words in result
    assert "…" not in result
    assert max(map(len, result.splitlines())) <= 80


def test_no_runs_has_a_message() -> None:
    assert "No training has been completed yet." in _printed([], [])
