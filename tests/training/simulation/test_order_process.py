from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from training.simulation import true_probabilities_of
from training.simulation.calendar import day_number
from training.simulation.history import SimulatedHistory, simulate_history
from training.simulation.order_process import EXPANSION_FACTOR, Orders, draw_orders
from training.simulation.presets import PRESETS
from training.simulation.true_probabilities import HORIZON_DAYS, TrueProbabilities

WEEKS_BACK = 16


@pytest.fixture(scope="module")
def past() -> SimulatedHistory:
    return simulate_history(1_500, 60, 2, day_number(date(2026, 9, 30)), PRESETS["orders"])


@pytest.fixture(scope="module")
def orders(past: SimulatedHistory) -> Orders:
    return draw_orders(past)


@pytest.fixture(scope="module")
def truth(past: SimulatedHistory) -> TrueProbabilities:
    return true_probabilities_of(past, WEEKS_BACK, futures=60)


def _amounts(orders: Orders, start: int, accounts: int) -> np.ndarray:
    here = (orders.day >= start) & (orders.day < start + HORIZON_DAYS)
    return np.bincount(orders.account[here], orders.amount[here], minlength=accounts)


def test_true_probabilities_cover_the_accounts_with_a_recent_order(past: SimulatedHistory, orders: Orders, truth: TrueProbabilities) -> None:
    before = _amounts(orders, past.end - 7 * WEEKS_BACK - HORIZON_DAYS, len(past.traits))
    assert truth.account.tolist() == np.flatnonzero(before > 0).tolist()


def test_observed_silence_and_growth_match_the_true_probabilities(past: SimulatedHistory, orders: Orders, truth: TrueProbabilities) -> None:
    as_of, n = past.end - 7 * WEEKS_BACK, len(past.traits)
    after, before = _amounts(orders, as_of, n)[truth.account], _amounts(orders, as_of - HORIZON_DAYS, n)[truth.account]
    for p, happened in ((truth.churn, after == 0), (truth.expansion, after >= EXPANSION_FACTOR * before)):
        for rows in (p >= 0, p > np.quantile(p, 0.8)):
            noise = np.sqrt((p * (1 - p))[rows].sum() + 1)
            assert abs(happened[rows].sum() - p[rows].sum()) < 4 * noise


def test_an_account_that_left_never_orders_again(past: SimulatedHistory, orders: Orders, truth: TrueProbabilities) -> None:
    assert (orders.day <= past.left_on[orders.account]).all()
    left = past.after[-WEEKS_BACK - 1].left[truth.account]
    assert left.any()
    assert (truth.churn[left] == 1).all()
