"""How wide an interval is beside what its calibrator leaves unknown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from training.evaluation.interval_width import UNEXPLAINED_SPREAD, true_probability_spread
from training.evaluation.reason_stability import ReasonStability


def _alike(drawn: float) -> ReasonStability:
    return ReasonStability(4, 100, 0.8, 0.6, 0.9, drawn)


@given(st.floats(0, 5), st.floats(0, 5))
def test_the_more_trainings_differ_the_wider(some: float, more: float) -> None:
    assert UNEXPLAINED_SPREAD <= true_probability_spread(_alike(some)) <= true_probability_spread(_alike(some + more))


def test_what_is_not_looked_at_adds_nothing() -> None:
    assert true_probability_spread(None) == true_probability_spread(_alike(0.0)) == UNEXPLAINED_SPREAD
