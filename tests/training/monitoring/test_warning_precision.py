"""What followed the early warnings, in tables that can be counted by hand.

A weekly date a character, an account a line: for warnings, ! is risk and . is none; for outcomes, 1 is a churn within
the horizon, 0 none, and - not active.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import CATALOGUE
from features.errors import InsufficientData
from features.signals.signals import read_signals
from features.sources.base import from_tables
from models.peer_groups.rule_files import parse_rules
from models.rules.early_warnings import WarningsFile
from training.evaluation.comparison import json_safe
from training.monitoring.warning_precision import (
    MATURED_WEEKS,
    WarningPrecision,
    measure_episodes,
    measure_warnings,
    past_dates,
    warnings_at_risk,
)

FIRST = datetime(2025, 1, 6, tzinfo=UTC)
RULES = """
version = "1"
renewal_window_days = 90
[unusual]
feature = "usage.events_7d"
weeks = 4
minimum_weeks = 4
deviations = 3.5
severity = "medium"
cause = "low_engagement"
cause_of_increase = "use_increase"
[[warnings]]
code = "late"
says = "late"
severity = "high"
cause = "payment_failure"
all = [{ feature = "billing.failed_28d", at_least = 1 }]
[[warnings]]
code = "falling"
says = "falling"
severity = "high"
cause = "low_engagement"
noisy = true
all = [{ feature = "usage.weeks_falling", at_least = 3 }]
"""


def _weeks(number: int) -> list[pd.Timestamp]:
    return [pd.Timestamp(FIRST + timedelta(weeks=week)) for week in range(number)]


def _cells(lines: str, skip: str) -> list[tuple[str, pd.Timestamp, str]]:
    cells = [
        (f"a{account}", date, mark)
        for account, line in enumerate(lines.split())
        for date, mark in zip(_weeks(len(line)), line, strict=True)
    ]
    return [cell for cell in cells if cell[2] not in skip]


def _measure(
    warnings: dict[str, str], outcomes: str, interventions: dict[str, int] | None = None, horizon: int = 14
) -> WarningPrecision:
    """Interventions are given by account and day."""
    labels = pd.DataFrame(_cells(outcomes, "-"), columns=["account_id", "as_of", "churn"]).astype({"churn": float})
    found = [(account, date, code) for code, lines in warnings.items() for account, date, _ in _cells(lines, ".")]
    at_risk = pd.DataFrame(found, columns=["account_id", "as_of", "code"]).astype({"as_of": labels["as_of"].dtype})
    began = [(account, FIRST + timedelta(days=day)) for account, day in (interventions or {}).items()]
    acted = pd.DataFrame(began, columns=["account_id", "occurred_at"])
    acted["occurred_at"] = pd.to_datetime(acted["occurred_at"], utc=True)
    return measure_episodes(labels, at_risk, acted, _weeks(len(outcomes.split()[0])), horizon)


def test_each_episode_has_one_outcome() -> None:
    result = _measure(
        {
            # Under way at the first date; two episodes; one; one that ends before the churn is near; never.
            "late": "!!..  .!.!  .!!!  .!..  ....",
            "falling": "....  .!!!  ....  ....  ....",
        },
        "0000  0000  0011  0000  0011",
        # Within 14 days of the begin of a1's first episode (day 7) and of its second one (day 21), but not of a3's.
        {"a1": 20, "a3": 21},
    )
    late, falling = result.by_code
    assert (late.code, late.episodes, late.accounts, late.churned, late.stayed) == ("late", 4, 3, 0, 4)
    assert (late.stayed_after_intervention, late.stayed_without_intervention) == (1, 3)
    assert (falling.episodes, falling.stayed_after_intervention) == (1, 1)
    total = result.total
    assert (total.episodes, total.accounts, total.stayed_after_intervention) == (5, 3, 2)
    # a2 and a4 churn; only a2 has a warning at a date before which is within the horizon.
    assert (result.churned_accounts, total.churned_accounts_warned, total.recall) == (2, 1, 0.5)
    assert (late.recall, falling.recall) == (0.5, 0.0)
    # Of 15 account-dates after the first date, 7 have no warning; two of a4's are followed by a churn.
    assert (result.rows, result.rows_without_warning) == (15, 7)
    assert result.churn_rate_without_warning[0] == 2 / 7
    assert (result.first, result.last, result.dates) == (FIRST + timedelta(weeks=1), FIRST + timedelta(weeks=3), 3)


def test_a_churn_counts_even_after_an_intervention() -> None:
    total = _measure({"late": ".!"}, "01", {"a0": 8}).total
    assert (total.churned, total.stayed, total.stayed_after_intervention) == (1, 0, 0)
    assert total.churn_rate[0] == 1.0


def test_the_interval_needs_accounts_of_either_outcome() -> None:
    few = _measure({"late": ".! " * 8}, "00 " * 4 + "01 " * 4)
    assert np.isnan(few.total.churn_rate[1])
    enough = _measure({"late": ".! " * 40}, "00 " * 30 + "01 " * 10)
    rate, low, high = enough.total.churn_rate
    # Each account has one episode, so the interval is close to the binomial one.
    assert rate == 0.25
    assert (low, high) == (pytest.approx(0.25 - 0.134, abs=0.03), pytest.approx(0.25 + 0.134, abs=0.03))


def test_without_interventions_the_summary_says_so() -> None:
    result = _measure({"late": ".!"}, "00")
    assert (result.has_interventions, result.total.stayed_after_intervention) == (False, None)
    assert "1 early warning for 1 account: 0 churned within 14 days (0.0%), 1 stayed" in result.summary
    assert "no interventions are recorded" in result.summary[-1]
    # An intervention long after the dates is none of this period.
    assert not _measure({"late": ".!"}, "00", {"a0": 60}).has_interventions


def test_without_warnings_only_the_churn_rate_is_left() -> None:
    result = _measure({}, "000 001", {"a0": 8})
    assert (result.total.episodes, result.by_code, result.churned_accounts, result.total.recall) == (0, (), 1, 0.0)
    assert result.summary[0] == (
        "no early warning began at these dates; churn rate of the 4 of 4 account-dates without a warning: 25.0%"
    )
    assert json.loads(json.dumps(json_safe(result.as_dict())))["total"]["churn_rate"] == [None] * 3


def test_noisy_signs_count_once_they_are_confirmed_and_unusual_usage_after_weeks() -> None:
    dates = _weeks(7)
    columns = {
        "billing.failed_28d": [0, 1, 1, 0, 0, 0, 0],
        "usage.weeks_falling": [3, 0, 3, 3, 0, 3, 0],
        "usage.events_7d": [100, 101, 99, 100, 100, 10, 10],
    }
    frame = pd.DataFrame({"account_id": "a", "as_of": dates, "contract.arr": 1e4, "contract.days_to_renewal": 50.0} | columns)
    found = warnings_at_risk(frame, parse_rules(RULES, "warnings.toml", WarningsFile), past_dates(frame))
    pairs = {(code, dates.index(date)) for code, date in zip(found["code"], found["as_of"], strict=True)}
    assert pairs == {("late", 1), ("late", 2), ("falling", 3), ("use_unusually_low", 6)}


def test_only_the_newest_dates_are_assessed() -> None:
    frame = pd.DataFrame({"as_of": _weeks(60)})
    assert past_dates(frame) == _weeks(60)[-MATURED_WEEKS - 1 :]
    with pytest.raises(InsufficientData, match="1 weekly date with a known outcome"):
        past_dates(frame[:2])


def _at(week: float) -> str:
    return (FIRST + timedelta(weeks=week)).isoformat()


def _failures(names: list[str], week: float) -> list[dict[str, Any]]:
    return [{"account_id": name, "occurred_at": _at(week), "kind": "payment_failed"} for name in names]


@pytest.fixture
def measure(to_arrow: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that measures the warnings of 60 weeks of signals, as JSON.

    Of 12 accounts, the payments of a0, a3, a6 and a9 fail in week 30, of the last three again in week 40, and of a2 in
    week 50. a0 leaves soon after week 31 and a1 in week 45. In week 32, an intervention begins for a3, and a6 is held out.
    """
    (tmp_path / "warnings.toml").write_text(RULES, encoding="utf-8")
    monkeypatch.setenv("RENEWCAST_RULES", str(tmp_path))
    names = [f"a{i}" for i in range(12)]

    def run(contracts: bool = True, billing: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        # The first rows of the feeds are early, so that the dates are not limited by their start.
        paid = {"account_id": "a9", "occurred_at": _at(1), "kind": "invoice_paid"}
        failed = _failures(names[::3], 30.5) + _failures(names[3::3], 40.5) + _failures(["a2"], 50.5)
        plays = [("a9", 1, False), ("a3", 32, False), ("a6", 32, True)]
        rows: dict[str, list[dict[str, Any]]] = {
            "accounts": [{"account_id": name, "created_at": _at(0)} for name in names],
            "billing": [paid, *failed, *billing],
            "interventions": [
                {"account_id": name, "occurred_at": _at(week), "play": "call", "held_out": held_out}
                for name, week, held_out in plays
            ],
        }
        ends = {"a0": 31.5, "a1": 45}
        if contracts:
            rows["subscriptions"] = [
                {"account_id": name, "started_at": _at(0), "ended_at": _at(ends[name]) if name in ends else None, "arr": 1e4}
                for name in names
            ]
        else:
            rows["orders"] = [
                {"account_id": name, "occurred_at": _at(week), "amount": 10.0}
                for name in names
                for week in range(0, int(ends.get(name, 60)), 2)
            ]
        tables = {name: to_arrow(name, each) for name, each in rows.items()}
        signals = read_signals(from_tables(tables, "a test"), FIRST + timedelta(weeks=60))
        try:
            return dict(json.loads(json.dumps(json_safe(measure_warnings(signals, 28, 14, CATALOGUE).as_dict()))))
        finally:
            signals.close()

    return run


def test_later_rows_do_not_change_an_episode(measure: Callable[..., dict[str, Any]]) -> None:
    result = measure()
    assert result["last"] == _at(54)[:10]
    (failed,) = result["by_code"]
    assert (failed["code"], failed["episodes"], failed["accounts"], failed["churned"]) == ("late", 8, 5, 1)
    assert (failed["stayed_after_intervention"], failed["stayed_without_intervention"]) == (1, 6)
    # From the newest date whose outcome is known.
    assert measure(billing=_failures(["a4", "a5"], 54)) == result


def test_orders_without_contracts_have_outcomes_as_well(measure: Callable[..., dict[str, Any]]) -> None:
    result = measure(contracts=False)
    (failed,) = result["by_code"]
    assert (failed["episodes"], failed["churned"]) == (8, 1)
    # There is no grace period.
    assert result["last"] == _at(56)[:10]
