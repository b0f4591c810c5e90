"""Conditions: every bound at its edge, and results that are unknown only if an unknown value decides them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.rules.conditions import FALSE, TRUE, UNKNOWN, ConditionGroup, FeatureCondition, all_true, any_true

FRAME = pd.DataFrame({"a": [0.9, 1.0, 1.1, np.nan]})


@pytest.mark.parametrize(
    ("bound", "holds"),
    [
        ({"at_least": 1.0}, [FALSE, TRUE, TRUE, UNKNOWN]),
        ({"at_most": 1.0}, [TRUE, TRUE, FALSE, UNKNOWN]),
        ({"above": 1.0}, [FALSE, FALSE, TRUE, UNKNOWN]),
        ({"below": 1.0}, [TRUE, FALSE, FALSE, UNKNOWN]),
    ],
)
def test_each_bound_at_its_edge(bound: dict[str, float], holds: list[int]) -> None:
    assert FeatureCondition(feature="a", **bound).states(FRAME).tolist() == holds
    assert FeatureCondition(feature="absent", **bound).states(FRAME).tolist() == [UNKNOWN] * 4


def test_a_percentile_bound_compares_with_comparable_accounts() -> None:
    condition = FeatureCondition(feature="a", percentile_below=20)
    assert condition.states(FRAME, lambda name: np.array([10.0, 20.0, 30.0, np.nan])).tolist() == [TRUE, FALSE, FALSE, UNKNOWN]
    assert condition.states(FRAME).tolist() == [UNKNOWN] * 4


@pytest.mark.parametrize("bounds", [{}, {"above": 1.0, "below": 2.0}, {"above": float("nan")}])
def test_exactly_one_valid_bound_is_required(bounds: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        FeatureCondition(feature="a", **bounds)


def test_at_least_one_condition_is_required() -> None:
    with pytest.raises(ValidationError, match="at least one condition"):
        ConditionGroup()


@given(st.lists(st.sampled_from([TRUE, FALSE, UNKNOWN]), min_size=1, max_size=4))
def test_a_result_is_unknown_only_if_an_unknown_decides_it(states: list[np.int8]) -> None:
    """Kleene's logic: the result is definite if every way to fill in the unknowns gives the same."""
    fillings = [[]]
    for state in states:
        fillings = [[*f, s] for f in fillings for s in ((TRUE, FALSE) if state == UNKNOWN else (state,))]
    columns = [np.array([s]) for s in states]
    for combine, truth in ((all_true, all), (any_true, any)):
        answers = {truth(s == TRUE for s in filling) for filling in fillings}
        expected = UNKNOWN if len(answers) > 1 else TRUE if answers.pop() else FALSE
        assert combine(columns)[0] == expected
