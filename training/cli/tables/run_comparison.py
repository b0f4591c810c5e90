"""Terminal output of `renewcast runs --compare`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from features.utils.console import Table
from features.utils.formatting import UNKNOWN, interval_text, number
from training.evaluation.baselines import BLEND
from training.evaluation.headline_metrics import HEADLINE
from training.evaluation.test_predictions import MetricEstimate
from training.registry.run_comparison import RunComparison, TargetComparison, judged_candidate, newest_snapshot
from training.registry.stored_models import StoredModel


def print_comparison(comparison: RunComparison, console: Console) -> None:
    """Print two models of each target side by side.

    Parameters
    ----------
    comparison : the comparison.
    console : the terminal.
    """
    console.print(f"A is {comparison.a}, B is {comparison.b}")
    for target, each in comparison.targets.items():
        console.print()
        console.print(_models(target, each))
        console.print()
        console.print(_figures(each))
        console.print(Text(each.words, style="bold"))
        if each.settings:
            console.print()
            console.print(_settings(each))
        else:
            console.print("no setting differs")
    for note in comparison.notes:
        console.print(note)


def _models(target: str, comparison: TargetComparison) -> Table:
    table = Table("", "A", "B", title=target)
    facts = [dict(_facts(model)) for model in (comparison.a, comparison.b)]
    for name in facts[0]:
        table.add_row(name, *(fact[name] for fact in facts))
    return table


def _facts(model: StoredModel) -> Iterator[tuple[str, str]]:
    judgement: dict[str, Any] = model.report.get("judgement", {})
    size = judgement.get("size", {})
    origins = model.report.get("origins", ())
    yield "version", f"{model.version} (champion)" if model.champion else model.version
    yield "model", _title(judged_candidate(model))
    yield "run", model.run_id[:8]
    yield "trained", f"{model.began:%Y-%m-%d %H:%M}"
    yield "data through", model.data_through[:10] or UNKNOWN
    yield "newest snapshot", (newest_snapshot(model) or UNKNOWN)[:10]
    yield "backtest from", str(next(iter(origins), UNKNOWN))[:10]
    yield "backtest rows", number(size.get("rows"))
    yield "accounts", number(size.get("accounts"))
    yield "with outcome", number(size.get("accounts_with_outcome"))
    yield "grade", str(judgement.get("grade", UNKNOWN))
    yield (
        "gates",
        "not passed: " + ", ".join(name.replace("_", " ") for name in model.failed) if model.failed else "all passed",
    )


def _title(candidate: str) -> str:
    return "ensemble" if candidate == BLEND else candidate


def _figures(comparison: TargetComparison) -> Table:
    table = Table("", gap=3)
    for heading in ("A", "B", "B minus A"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, heading in HEADLINE.items():
        figures = [comparison.figure(model, name) for model in (comparison.a, comparison.b)]
        figures.append(comparison.difference(name))
        table.add_row(heading, *(number(figure[0], 3) for figure in figures))
        if any(math.isfinite(figure[1]) for figure in figures):
            table.add_row("", *(Text(_interval(figure), style="dim") for figure in figures))
    return table


def _interval(figure: MetricEstimate) -> str:
    return interval_text(figure[1], figure[2], 3) if math.isfinite(figure[1]) else ""


def _settings(comparison: TargetComparison) -> Table:
    table = Table("setting that differs", "A", "B")
    for name, values in comparison.settings.items():
        table.add_row(name, *(_setting(value) for value in values))
    return table


def _setting(value: object) -> str:
    if value is None:
        return "not set"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
