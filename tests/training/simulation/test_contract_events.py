import numpy as np
import pytest

from training.simulation.churn_propensity import ChurnPropensity
from training.simulation.contract_events import ContractEvent, ContractWeek, apply_event, contract_odds, draw_event
from training.simulation.history import SimulatedHistory
from training.simulation.latent_dynamics import simulate_week
from training.simulation.latent_state import LatentState
from training.simulation.random_streams import random_stream


@pytest.fixture(scope="module")
def last(history: SimulatedHistory) -> tuple[LatentState, ContractWeek]:
    """The state in the week after the history, and its possible contract events."""
    state, _, propensity = simulate_week(history.traits, history.after[-1], history.end, random_stream(0, "next week"))
    return state, contract_odds(history.traits, state, propensity, history.end, random_stream(0, "its contracts"))


def test_odds_are_probabilities_with_a_sum_of_at_most_one(last: tuple[LatentState, ContractWeek]) -> None:
    state, week = last
    assert week.odds.min() >= 0.0
    assert week.odds.sum(axis=0).max() <= 1.0 + 1e-12
    np.testing.assert_allclose(week.odds.sum(axis=0)[week.due], 1.0)
    assert week.odds[:, state.left].max() == 0.0


def test_events_are_drawn_with_their_probabilities(last: tuple[LatentState, ContractWeek]) -> None:
    _, week = last
    n = week.odds.shape[1]
    coins = np.random.default_rng(0)
    kinds = np.stack([draw_event(week, coins.random(n)) for _ in range(400)])
    for event in list(ContractEvent)[:-1]:
        expected = week.odds[event].sum()
        assert abs((kinds == event).sum() / 400 - expected) <= 5 * np.sqrt(max(expected, 0.01) / 400), event.name


def test_churn_propensity_matters_most_at_the_end_of_the_term(history: SimulatedHistory) -> None:
    traits, state = history.traits, history.after[-1]

    def churn(total: float) -> tuple[np.ndarray, np.ndarray]:
        log_odds = np.full(len(state), total)
        propensity = ChurnPropensity(log_odds, log_odds, np.zeros(len(state), dtype=np.int64))
        week = contract_odds(traits, state, propensity, history.end, random_stream(0, "contracts"))
        return week.churn, week.due

    low, due = churn(-1.0)
    high, _ = churn(1.0)
    may_leave = state.running & (traits.term > 1)
    assert (high[may_leave] > low[may_leave]).all()
    assert high[due & (traits.term > 1)].mean() > 20 * high[~due & may_leave].mean()


@pytest.mark.parametrize("event", [ContractEvent.SEATS, ContractEvent.TIER, ContractEvent.CROSS_SELL])
def test_an_expansion_reaches_the_threshold_of_five_percent(last: tuple[LatentState, ContractWeek], event: ContractEvent, history: SimulatedHistory) -> None:
    state, week = last
    may = (week.odds[event] > 0) & state.running
    after = apply_event(history.traits, state, week, np.where(may, event, ContractEvent.NOTHING))
    assert may.any()
    assert (after.arr[may] >= 1.05 * state.arr[may]).all()


def test_a_canceled_contract_ends_and_a_lapsed_one_resumes_within_the_grace_period(last: tuple[LatentState, ContractWeek], history: SimulatedHistory) -> None:
    state, week = last
    lapsed = apply_event(history.traits, state, week, np.full(len(state), ContractEvent.LAPSE))
    assert not lapsed.running.any()
    assert (lapsed.resume_day - week.day < 30).all()
    canceled = apply_event(history.traits, state, week, np.full(len(state), ContractEvent.CANCEL))
    assert not canceled.running.any()
    assert canceled.left.all()
