"""Spread of the true probability around the prediction."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from training.evaluation.interval_width import UNEXPLAINED_SPREAD, true_probability_spread

from training.evaluation.reason_stability import ReasonStability


def _same(width: float) -> ReasonStability:
    return ReasonStability(4, 100, 0.8, 0.6, 0.9, width)


@given(st.floats(0, 5), st.floats(0, 5))
def test_the_spread_grows_with_the_refits_spread(some: float, more: float) -> None:
    assert UNEXPLAINED_SPREAD <= true_probability_spread(_same(some)) <= true_probability_spread(_same(some + more))


def test_missing_refits_add_no_spread() -> None:
    assert true_probability_spread(None) == true_probability_spread(_same(0.0)) == UNEXPLAINED_SPREAD
