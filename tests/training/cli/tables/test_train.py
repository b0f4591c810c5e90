"""The table of a training run fits a terminal and shows each metric with its interval."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from training.cli.tables.train import (
    COLUMNS,
    TABLES,
    _capacity,
    _gate,
    _more,
    _renewals,
    _standing,
    _table,
    _why_not,
    print_report,
)
from training.evaluation.by_horizon import not_evaluated
from training.evaluation.comparison import ComparisonRow, Metric
from training.evaluation.promotion_gates import Gate
from training.evaluation.reason_stability import ReasonStability
from training.leakage.report import LeakFinding, LeakReport
from training.pipeline.candidate import Candidate
from training.pipeline.report import RegisteredModel
from training.renewals.candidate import RenewalCandidate, StageCandidate


def _row(candidate: str, value: float, low: float, high: float) -> ComparisonRow:
    return ComparisonRow(candidate, tuple(Metric(name, value, low, high, "") for name in COLUMNS))


_SIGNED = ComparisonRow(
    "lightgbm",
    tuple(Metric(n, -0.051, -2.13, 2.15, "") if n in ("brier_skill", "calibration_slope") else Metric(n, 0.5, 0.25, 0.75, "") for n in COLUMNS),
)


def test_the_table_fits_eighty_columns() -> None:
    nan = float("nan")
    rows = [_row("base_rate", 0.5, 0.5, 0.5), _row("logistic_regression", 0.781, 0.75, 0.82), _SIGNED, _row("health_score", nan, nan, nan)]
    candidate: Any = SimpleNamespace(judgement=SimpleNamespace(rows=rows), subject="blend")
    console = Console(file=io.StringIO(), width=76)
    for metrics in TABLES:
        console.print(_table(candidate, metrics))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(heading in text for heading in COLUMNS.values())
    assert "0.78 (0.75 to 0.82)" in text
    assert "−0.051 (−2.13 to 2.15)" in text
    assert "−0.05 (−2.13 to 2.15)" in text
    assert "-" not in text
    assert "nan" not in text
    assert max(map(len, text.splitlines())) <= 76


def test_a_long_name_of_a_candidate_is_not_cut() -> None:
    rows = [_row("adoption-engagement-business-relationship", 0.665, 0.52, 0.8), _row("renewal_due", 0.7, 0.6, 0.8)]
    console = Console(file=io.StringIO(), width=76)
    console.print(_table(cast("Any", SimpleNamespace(judgement=SimpleNamespace(rows=rows), subject="blend")), TABLES[0]))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    names = [line[:12].strip() for line in text.splitlines()]
    assert [name for name in names if name] == ["adoption-", "engagement-", "business-", "relationship", "rate by", "renewal due"]
    assert max(map(len, text.splitlines())) <= 76


def test_leak_notes_and_feed_problems_are_printed() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    note = LeakFinding("arrival", "billing", "billing: 400 rows are dated before a churn", "note", "churn")
    leaks = LeakReport("a test", at, "0" * 12, 200, (at,), (), (note,), (), 3.0)
    feeds = SimpleNamespace(troubles=lambda: ["usage.minutes rose 60-fold in the week of 2026-01-05"])
    report: Any = SimpleNamespace(facts={}, leaks=leaks, feeds=feeds, renewals=None)
    console = Console(file=io.StringIO(), width=76)
    print_report(report, console)
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "leak check: no leak found: snapshots of 200 accounts at 1 date do not change with later data" in text
    assert "note billing: 400 rows" in text
    assert "feed usage.minutes rose 60-fold" in text
    assert "`renewcast check` shows how" in text


def _model(*gates: Gate) -> RegisteredModel:
    candidate = Candidate(
        enough=cast("Any", SimpleNamespace(target="churn")),
        gates=gates,
        **dict.fromkeys(
            (
                "judgement", "tested", "by_horizon", "due", "by_segment", "work", "final", "explainer", "stability", "by_renewal",
            ),
            cast("Any", None),
        ),
    )
    return RegisteredModel(candidate, "4", Path("churn/4"), cast("Any", None), "run", "")


def test_a_failed_gate_shows_value_and_limit() -> None:
    state, name, words = _gate(Gate("calibration_slope", False, 0.312, 0.6, "its probabilities are too extreme"))
    assert ("failed" in state, name) == (True, "calibration_slope")
    assert words.plain == "its probabilities are too extreme (0.312, limit 0.6)"
    assert _gate(Gate("no_leak", True, 0.0, 0.0, "no feature sees the future"))[2].plain == "no feature sees the future"


def test_a_model_not_promoted_shows_reason_and_next_step() -> None:
    slope = Gate("calibration_slope", False, 0.3, 0.6, "too extreme")
    open_ = Gate("no_loss_to_champion", False, None, 0.0, "it could not be compared with the champion, version 3: no news")
    failed, color = _standing(_model(slope, open_))
    assert "failed gates: calibration_slope" in failed
    assert "renewcast promote" not in failed
    assert color == "red"
    requested, color = _standing(_model(open_))
    assert "version 4 is registered; it could not be compared with the champion, version 3: no news" in requested
    assert "`renewcast promote churn 4 --why TEXT` makes it the champion" in requested
    assert color == "yellow"
    passed = Gate("no_leak", True, 0.0, 0.0, "no feature sees the future")
    assert _standing(_model(passed))[0] == "version 4 is now the champion"


def test_a_target_with_a_leak_shows_the_fix() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    leak = LeakFinding("separation", "account.industry", "account.industry alone separates churn", "failure", "churn")
    leaks = LeakReport("a test", at, "0" * 12, 200, (at,), (), (leak,), (), 3.0)
    facts = {target: SimpleNamespace(missing=()) for target in ("churn", "expansion")}
    report: Any = SimpleNamespace(facts=facts, leaks=leaks)
    result = _why_not(report, "churn")
    assert result[0] == "leak: account.industry alone separates churn"
    assert "remove the column behind that feature from the source" in result[1]
    assert _why_not(report, "expansion") == []


def test_reasons_due_accounts_and_horizons_are_summarized() -> None:
    due = SimpleNamespace(subject="blend", rows=[_row("renewal_due", 0.5, 0.4, 0.6), _row("blend", 0.712, 0.65, 0.78)])
    candidate: Any = SimpleNamespace(
        subject="blend",
        work=(),
        stability=ReasonStability(members=5, accounts=200, same_first=0.6, overlap=0.7, given=2.4, at_least_two=0.83),
        due=due,
        by_horizon=(not_evaluated(180, "too short a history"),),
    )
    assert _more(candidate) == [
        "83% of accounts have at least two reasons on which most of the 5 models of the ensemble agree",
        "among accounts with a renewal within the horizon, the ROC AUC is 0.71, 0.50 by the renewal date alone",
        "180 days: not evaluated (too short a history)",
    ]
    candidate.due = None
    assert len(_more(candidate)) == 2


def _work(candidate: str, accounts: float, arr: tuple[float, float, float], lead: tuple[float, float, float]) -> Any:
    return SimpleNamespace(candidate=candidate, capacity=20, caught=(accounts, 0.4, 0.7), caught_arr=arr, arr_lead=lead)


@pytest.mark.parametrize(
    ("lead", "words"),
    [
        ((-0.13, -0.3, 0.04), "the difference between model and health score can be chance: −13 percentage points, 95% interval −30 to +4"),
        ((0.3, 0.1, 0.5), "the model covers more of this ARR than the health score: +30 percentage points, 95% interval +10 to +50"),
        ((-0.3, -0.5, -0.1), "the model covers less of this ARR than the health score: −30 percentage points, 95% interval −50 to −10"),
    ],
)
def test_the_ranking_is_compared_with_the_health_score(lead: tuple[float, float, float], words: str) -> None:
    nan = float("nan")
    work = (
        _work("blend", 0.6, (0.13, 0.05, 0.3), (0.0, 0.0, 0.0)),
        _work("health_score", 0.5, (0.26, 0.1, 0.5), lead),
        _work("random", 0.1, (0.12, 0.12, 0.12), (nan, nan, nan)),
    )
    console = Console(file=io.StringIO(), width=76)
    for part in _capacity(cast("Any", SimpleNamespace(work=work, subject="blend", target="churn"))):
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= 76
    text = " ".join(text.split())
    assert "the 20 accounts ranked highest of accounts that churned of their ARR" in text
    assert "by the model 60% (40% to 70%) 13% (5% to 30%) by health score 50% (40% to 70%) 26% (10% to 50%)" in text
    assert words in text


def test_the_renewal_model_is_shown_with_its_rivals_or_with_the_reason() -> None:
    judgement: Any = SimpleNamespace(rows=[_row("derivation", 0.701, 0.6, 0.8)])
    stage = StageCandidate("lost", 400, 52, "log loss may be worse", judgement)
    console = Console(file=io.StringIO(), width=90)
    for candidate in (RenewalCandidate((stage,), "log loss may be worse"), RenewalCandidate((stage,), "")):
        console.print(_renewals(candidate))
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "no renewal model: log loss may be worse" in text
    assert text.count("no renewal model: log loss may be worse") == 1
    assert text.count("log loss may be worse") == 2, "not again in the row of the stage"
    assert "52 of 400 renewals lost" in text
    assert "ROC AUC 0.701" in text
    assert "the renewal model forecasts renewals 30 to 120 days ahead" in text
