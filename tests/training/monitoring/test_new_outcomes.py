"""New outcomes since training, in tables that can be counted by hand.

A date every 28 days, an account a line: 1 it happens within the window, 0 it does not, - not active then, ? not known.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.signals.signals import OpenSignals
from training.monitoring.new_outcomes import EVERY_DAYS, count_outcomes, new_outcome_share

FIRST = datetime(2025, 1, 1, tzinfo=UTC)


def _labels(table: str) -> pd.DataFrame:
    rows = []
    for account, line in enumerate(table.split()):
        for i, mark in enumerate(line):
            if mark != "-":
                as_of = FIRST + i * timedelta(days=EVERY_DAYS)
                rows.append((f"a{account}", as_of, np.nan if mark == "?" else float(mark)))
    return pd.DataFrame(rows, columns=["account_id", "as_of", "churn"])


@pytest.mark.parametrize(
    ("table", "upto", "count"),
    [
        ("00000", 4, 0),
        ("00111", 4, 1),  # one outcome, visible at three dates
        ("00111", 2, 1),
        ("00111", 1, 0),
        ("01100 00110", 4, 2),
        ("01100 00110", 1, 1),
        ("10011", 4, 2),  # the same account twice
        ("11--1", 4, 2),  # left, came back, left again
        ("001??", 4, 1),
    ],
)
def test_an_outcome_counts_once(table: str, upto: int, count: int) -> None:
    assert count_outcomes(_labels(table), "churn", EVERY_DAYS, FIRST + upto * timedelta(days=EVERY_DAYS)) == count


def _manifest(trained: datetime) -> Any:
    names = {"target": "churn", "horizon_days": 90, "grace_days": 30, "trained_through": trained.replace(tzinfo=UTC)}
    return type("Manifest", (), names)


def test_outcomes_that_straddle_the_training_are_new(
    make_signals: Callable[..., OpenSignals],
) -> None:
    """Of 60 accounts one leaves every 20 days, from day 200 on; training read what was before day 600, and there are
    signals up to day 800. A leave can be known 30 days after it."""
    first = datetime(2024, 1, 1)
    leave = [200 + 20 * i for i in range(60)]
    rows: list[dict[str, Any]] = [
        {"account_id": f"a{i}", "started_at": first, "arr": 1e3}
        | ({"ended_at": first + timedelta(days=day)} if day < 800 else {})
        for i, day in enumerate(leave)
    ]
    signals = make_signals(first + timedelta(days=800), subscriptions=rows)
    share = new_outcome_share(signals, _manifest(first + timedelta(days=600)))
    # Windows close 120 days after their date, and dates are 28 days apart: a churn becomes known 30 to 58 days later.
    by_hand = [
        [sum(day + wait <= through for day in leave) for wait in (30, 58)] for through in (600, 800)
    ]
    then, now = by_hand
    assert (now[1] - then[0]) / then[0] <= share <= (now[0] - then[1]) / then[1]
    assert share == pytest.approx(10 / 18, abs=0.2)


def test_without_new_outcomes_the_share_is_zero(make_signals: Callable[..., OpenSignals]) -> None:
    first = datetime(2024, 1, 1)
    rows = [
        {"account_id": f"a{i}", "started_at": first, "ended_at": first + timedelta(days=200 + 10 * i), "arr": 1e3}
        for i in range(20)
    ]
    signals = make_signals(first + timedelta(days=600), subscriptions=rows)
    assert new_outcome_share(signals, _manifest(first + timedelta(days=600))) == 0
