import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from features.utils.arrays import Bools
from training.simulation.contract_events import apply_event, contract_odds, draw_event
from training.simulation.history import SimulatedHistory
from training.simulation.latent_dynamics import simulate_week
from training.simulation.random_streams import random_stream
from training.simulation.subscription_periods import OPEN
from training.simulation.true_probabilities import EXPANSION_FACTOR, HORIZON_DAYS, TrueProbabilities, true_probabilities

WEEKS_BACK = 18


@pytest.fixture(scope="module")
def result(history: SimulatedHistory) -> TrueProbabilities:
    as_of = history.end - 7 * WEEKS_BACK
    return true_probabilities(history.traits, history.after[-WEEKS_BACK - 1], as_of, random_stream(1, "truth"), futures=100)


def _observed_outcomes(history: SimulatedHistory) -> tuple[Bools, Bools]:
    """Masks of the accounts that churned and expanded in the 90 days, from the rows."""
    rows, n = history.subscriptions, len(history.traits)
    as_of = history.end - 7 * WEEKS_BACK
    ended = np.where(rows.ended == OPEN, 1 << 40, rows.ended)

    def arr(day: int) -> np.ndarray:
        runs = (rows.started <= day) & (ended > day)
        return np.bincount(rows.account[runs], rows.arr[runs], minlength=n)

    most = np.max([arr(day) for day in range(as_of, as_of + HORIZON_DAYS)], axis=0)
    left_on = history.left_on
    return (left_on >= as_of) & (left_on < as_of + HORIZON_DAYS), most >= EXPANSION_FACTOR * arr(as_of - 1)


def test_true_probabilities_cover_exactly_the_active_accounts(history: SimulatedHistory, result: TrueProbabilities) -> None:
    assert result.account.tolist() == np.flatnonzero(history.after[-WEEKS_BACK - 1].running).tolist()
    for p in (result.churn, result.expansion):
        assert ((p >= 0) & (p <= 1)).all()


def test_observed_rates_match_the_true_probabilities(history: SimulatedHistory, result: TrueProbabilities) -> None:
    for p, happened in zip((result.churn, result.expansion), _observed_outcomes(history), strict=True):
        y = happened[result.account]
        noise = np.sqrt((p * (1 - p)).sum())
        assert abs(y.sum() - p.sum()) < 4 * noise
        likely = p > np.quantile(p, 0.9)
        assert abs(y[likely].sum() - p[likely].sum()) < 4 * np.sqrt((p * (1 - p))[likely].sum())


def test_true_probabilities_separate_accounts_without_being_certain(history: SimulatedHistory, result: TrueProbabilities) -> None:
    for p, happened in zip((result.churn, result.expansion), _observed_outcomes(history), strict=True):
        y = happened[result.account]
        base = y.mean()
        assert ((p - y) ** 2).mean() < 0.95 * base * (1 - base)
        assert 0.75 < roc_auc_score(y, p) < 0.97


def test_the_standard_error_is_small_compared_with_the_spread(result: TrueProbabilities) -> None:
    # A hundred futures here; a simulation uses four times as many.
    assert result.churn_error.mean() < 0.1 * result.churn.std()
    assert result.expansion_error.mean() < 0.1 * result.expansion.std()


def test_averaging_probabilities_agrees_with_drawing_outcomes(history: SimulatedHistory, result: TrueProbabilities) -> None:
    as_of, times = history.end - 7 * WEEKS_BACK, 60
    rows = np.tile(result.account, times)
    traits, state = history.traits.take(rows), history.after[-WEEKS_BACK - 1].take(rows)
    rng = random_stream(2, "coins")
    goal = EXPANSION_FACTOR * state.arr
    churned, expanded = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    for day in range(as_of, as_of + HORIZON_DAYS, 7):
        state, _, propensity = simulate_week(traits, state, day, rng)
        week = contract_odds(traits, state, propensity, day, rng)
        before = state
        state = apply_event(traits, state, week, draw_event(week, rng.random(len(rows))))
        inside = week.day < as_of + HORIZON_DAYS
        churned |= state.left & ~before.left & inside
        expanded |= state.running & inside & (state.arr >= goal)
    for tossed, p, error in (
        (churned, result.churn, result.churn_error),
        (expanded, result.expansion, result.expansion_error),
    ):
        shares = tossed.reshape(times, -1).mean(axis=0)
        sigma = np.sqrt((shares * (1 - shares)).sum() / times + (error**2).sum())
        assert abs(shares.sum() - p.sum()) < 4 * sigma
        assert np.corrcoef(shares, p)[0, 1] > 0.9


def test_churn_is_most_likely_if_the_term_ends_within_the_horizon(history: SimulatedHistory, result: TrueProbabilities) -> None:
    state = history.after[-WEEKS_BACK - 1]
    days = (history.traits.renewal_day(state.terms) - (history.end - 7 * WEEKS_BACK))[result.account]
    yearly = (history.traits.term > 1)[result.account]
    assert result.churn[yearly & (days < 80)].mean() > 5 * result.churn[yearly & (days > 100)].mean()
