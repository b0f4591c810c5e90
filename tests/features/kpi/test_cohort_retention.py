"""Cohorts: Kaplan-Meier by hand, accounts within the grace period are not lost, and ARR of accounts observed long enough."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from features.kpi.cohort_retention import AGES, cohorts, survival
from features.signals.signals import OpenSignals

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
Make = Callable[..., OpenSignals]


def _retention(make: Make, rows: list[dict[str, Any]], table: str = "subscriptions") -> dict[str, Any]:
    names = sorted({row["account_id"] for row in rows})
    accounts = [{"account_id": name, "created_at": "2020-01-01"} for name in names]
    return cohorts(make({"accounts": accounts, table: rows}, "2026-12-01"), AS_OF)


def _ages(cohort: dict[str, Any], name: str) -> list[Any]:
    return [age[name] for age in cohort["ages"]]


def test_kaplan_and_meier_by_hand() -> None:
    days, lost = np.array([10.0, 20.0, 20.0, 30.0, 40.0]), np.array([True, True, False, True, False])
    share, low, high = survival(days, lost, np.array([5.0, 10.0, 20.0, 35.0, 40.0, 41.0]))
    # 4 of 5 remain; then 3 of 4; then 1 of 2.
    np.testing.assert_allclose(share, [1.0, 0.8, 0.8 * 0.75, 0.8 * 0.75 * 0.5, 0.3, np.nan])
    assert (low[1:5] < share[1:5]).all()
    assert (share[1:5] < high[1:5]).all()


def test_without_censoring_it_is_the_plain_share() -> None:
    days = np.arange(1.0, 101.0)
    share, _, _ = survival(days, np.ones(100, dtype=bool), np.array([25.0, 60.0]))
    np.testing.assert_allclose(share, [0.75, 0.4])


def test_it_recovers_the_simulated_hazard() -> None:
    rng = np.random.default_rng(5)
    life, observed = rng.exponential(400.0, 5_000), rng.uniform(100.0, 1_500.0, 5_000)
    share, low, high = survival(np.minimum(life, observed), life <= observed, np.array([200.0, 800.0]))
    np.testing.assert_allclose(share, np.exp([-0.5, -2.0]), atol=0.02)
    assert ((high - low) < 0.03).all()


def test_no_lost_account_and_no_account() -> None:
    at = np.array([50.0, 150.0])
    np.testing.assert_array_equal(survival(np.array([100.0]), np.array([False]), at)[0], [1.0, np.nan])
    assert np.isnan(survival(np.array([]), np.array([], dtype=bool), at)[0]).all()


def test_cohorts_by_quarter_of_the_first_start(make_signals: Make) -> None:
    result = _retention(
        make_signals,
        [
            {"account_id": "a", "started_at": "2025-01-10", "arr": 100.0, "ended_at": "2025-08-01", "end_reason": "upgraded"},
            {"account_id": "a", "started_at": "2025-08-01", "arr": 150.0},
            {"account_id": "b", "started_at": "2025-03-01", "arr": 50.0, "ended_at": "2025-07-15", "end_reason": "cancelled"},
            {"account_id": "b", "started_at": "2026-01-01", "arr": 70.0},
            {"account_id": "c", "started_at": "2025-05-01", "arr": 80.0, "ended_at": "2026-06-20", "end_reason": "cancelled"},
            {"account_id": "d", "started_at": "2026-07-01", "arr": 80.0},
        ],
    )
    first, second = result["cohorts"]
    assert (first["cohort"], first["accounts"], first["lost"], first["arr_start"]) == ("2025Q1", 2, 1, 150.0)
    assert AGES[:3] == (3, 6, 12)
    assert _ages(first, "logos")[:4] == [1.0, 0.5, 0.5, None], "b left after four and a half months; a return does not count"
    assert _ages(first, "arr")[:4] == [1.0, 100 / 150, 1.0, None]
    assert _ages(first, "at_risk")[:4] == [2, 1, 1, 0]
    assert (second["cohort"], second["lost"]) == ("2025Q2", 0), "the grace period of c has not ended"
    assert _ages(second, "logos")[:3] == [1.0, 1.0, 1.0]
    assert (result["whole"]["accounts"], result["whole"]["lost"]) == (3, 1)


def test_without_contracts_inactivity_is_a_loss_and_arr_is_unknown(make_signals: Make) -> None:
    def order(account: str, at: str) -> dict[str, Any]:
        return {"account_id": account, "occurred_at": at, "amount": 5.0}

    result = _retention(
        make_signals,
        [order("a", "2025-01-05"), order("a", "2025-03-01"), order("a", "2025-12-01"), *(order("b", f"2025-{m:02}-03") for m in range(1, 13)), order("b", "2026-02-01"), order("b", "2026-04-20"), order("b", "2026-06-20")],
        "orders",
    )  # fmt: skip
    (cohort,) = result["cohorts"]
    assert (cohort["lost"], cohort["arr_start"], set(_ages(cohort, "arr"))) == (1, None, {None})
    assert _ages(cohort, "logos")[:3] == [1.0, 0.5, 0.5], "a is lost ninety days after its order of March"
