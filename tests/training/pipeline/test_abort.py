"""Targets that a leak aborts, and the fix that the error suggests."""

from __future__ import annotations

from datetime import UTC, datetime

from models.targets import TARGETS
from training.leakage.report import LeakFinding, LeakReport
from training.pipeline.abort import fix_for, leak_free_targets

AT = datetime(2026, 3, 1, tzinfo=UTC)
REBUILT = LeakFinding("future dropped", "usage.leaky", "usage.leaky changes when everything at or after its date is taken away")
TELLS = LeakFinding("separation", "account.industry", "account.industry alone separates churn", target="churn")
NOTE = LeakFinding("arrival", "billing", "billing: 400 rows are dated before a churn", "note", "churn")


def report(*findings: LeakFinding) -> LeakReport:
    return LeakReport("a test", AT, "0" * 12, 200, (AT,), (), findings, (), 3.0)


def test_a_note_aborts_no_target() -> None:
    assert leak_free_targets(TARGETS, report(NOTE)) == list(TARGETS)


def test_a_feature_that_reveals_an_outcome_aborts_that_target() -> None:
    assert leak_free_targets(TARGETS, report(TELLS, NOTE)) == ["expansion"]
    assert leak_free_targets(["churn"], report(TELLS)) == []


def test_a_snapshot_that_changes_aborts_both_targets() -> None:
    assert leak_free_targets(TARGETS, report(REBUILT)) == []


def test_the_fix_matches_the_leak() -> None:
    assert "looks past its as_of" in fix_for(report(REBUILT))
    assert "from the source" not in fix_for(report(REBUILT))
    assert "from the source" in fix_for(report(TELLS), "churn")
    assert fix_for(report(REBUILT, REBUILT)).count("looks past its as_of") == 1
    assert all("renewcast leakcheck" in fix_for(report(leak)) for leak in (REBUILT, TELLS))
