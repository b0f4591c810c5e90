"""The section on interventions: its effect of plays is that of the worklist."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from features.signals.signals import read_signals
from features.sources.base import from_tables
from features.utils.dates import parse_instant
from features.utils.periods import Quarter
from models.rules.intervention_effects import report_interventions
from models.rules.intervention_table import interventions_from_signals
from training.review.sections.interventions import intervention_outcomes
from training.review.window import Window

ACCOUNTS = 400
WINDOW = Window(Quarter(2026, 3), 90, 30, parse_instant("2026-10-01"))


def _is_held_out(n: int) -> bool:
    return n % 4 == 0


def _leaves(n: int) -> bool:
    """Of the held-out accounts 40% leave, of the treated ones 10%."""
    return n // 4 % 10 < (4 if _is_held_out(n) else 1)


def _tables(interventions: int = ACCOUNTS, trial: str | None = "spring") -> dict[str, list[dict[str, Any]]]:
    names = [f"a{n:03d}" for n in range(ACCOUNTS)]
    return {
        "accounts": [{"account_id": name, "created_at": "2025-01-01"} for name in names],
        "interventions": [
            {
                "account_id": names[n], "occurred_at": "2026-05-01", "play": "low_adoption", "held_out": _is_held_out(n), "trial": trial,
                "held_out_share": 0.25, "churn_probability": 0.1 + 0.001 * (n % 7),
                "closed_at": "2026-07-15" if n % 2 else None, "result": "saved" if n % 2 else None,
            }
            for n in range(interventions)
        ],
    }  # fmt: skip


def _contracts() -> list[dict[str, Any]]:
    return [
        {
            "account_id": f"a{n:03d}", "started_at": "2025-01-01", "arr": 1000.0 + 10 * n, "renewal_at": "2027-01-01",
            "ended_at": "2026-06-15" if _leaves(n) else None,
        }
        for n in range(ACCOUNTS)
    ]  # fmt: skip


@pytest.fixture
def review_data(to_arrow: Callable[..., pa.Table]) -> Callable[..., Any]:
    """Return a function from {table: rows} to review data."""

    def make(tables: dict[str, list[dict[str, Any]]]) -> Any:
        source = from_tables({name: to_arrow(name, rows) for name, rows in tables.items()}, "a test")
        return SimpleNamespace(signals=read_signals(source, WINDOW.data_through), window=WINDOW)

    return make


def test_the_effect_is_that_of_the_worklist(review_data: Callable[..., Any]) -> None:
    data = review_data(_tables() | {"subscriptions": _contracts()})
    section = intervention_outcomes(data)
    effect = report_interventions(interventions_from_signals(data.signals, WINDOW.data_through)).effect
    assert effect is not None
    assert (section.uplift.value, section.uplift.low, section.uplift.high) == (effect.uplift, effect.low, effect.high)
    assert section.uplift.value == pytest.approx(0.3, abs=0.02)
    assert (section.churn_treated.value, section.churn_held_out.value) == (pytest.approx(0.1), pytest.approx(0.4))
    assert (section.churn_treated.events, section.churn_held_out.events, section.uplift.events) == (30, 40, 70)
    assert section.words == (
        "treated accounts churned less often than held-out accounts; the reduction is adjusted for the churn "
        "probability and the ARR at the assignment"
    )


def test_too_few_accounts_give_no_effect_and_the_reason_of_the_worklist(review_data: Callable[..., Any]) -> None:
    data = review_data(_tables(interventions=40) | {"subscriptions": _contracts()})
    section = intervention_outcomes(data)
    report = report_interventions(interventions_from_signals(data.signals, WINDOW.data_through))
    assert section.uplift.value is None
    assert section.words == f"the effect of plays is not measured: {report.why_no_effect}"
    assert "10 held-out and 30 treated accounts" in section.words
    assert section.churn_held_out.value == pytest.approx(0.4)


def test_without_contracts_the_outcome_is_that_of_the_labels(review_data: Callable[..., Any]) -> None:
    days = [f"{year}-{month:02d}-10" for year, months in ((2025, range(1, 13)), (2026, range(1, 10))) for month in months]
    orders = [
        {"account_id": f"a{n:03d}", "occurred_at": day, "amount": 100.0}
        for n in range(ACCOUNTS) for day in days if not (_leaves(n) and day >= "2026-05-01")
    ]  # fmt: skip
    section = intervention_outcomes(review_data(_tables() | {"orders": orders}))
    assert section.uplift.value == pytest.approx(0.3, abs=0.02)
    assert section.churn_held_out.events == 40
