"""The table of a training run fits a terminal and says each figure with its interval."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from training.judge import Metric, Row
from training.report import COLUMNS, _table


def _row(candidate: str, value: float, low: float, high: float) -> Row:
    return Row(candidate, tuple(Metric(name, value, low, high, "") for name in COLUMNS))


def test_it_fits_eighty_columns() -> None:
    nan = float("nan")
    rows = [_row("base_rate", 0.5, 0.5, 0.5), _row("logistic_regression", 0.781, 0.75, 0.82), _row("lightgbm", -0.051, -0.13, 0.15), _row("health_score", nan, nan, nan)]
    candidate: Any = SimpleNamespace(judgement=SimpleNamespace(rows=rows))
    console = Console(file=io.StringIO(), width=76)
    console.print(_table(candidate))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(heading in text for heading in COLUMNS.values())
    assert "0.781" in text
    assert "0.75–0.82" in text
    assert "-0.13–0.15" in text
    assert "nan" not in text
    assert max(map(len, text.splitlines())) <= 76
