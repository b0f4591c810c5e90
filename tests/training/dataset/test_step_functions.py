"""Step functions agree with an instant-by-instant reference."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.dataset.step_functions import StepFunctions, Timeline, from_fixed_point, to_fixed_point

changes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(-9, 9)), min_size=1, max_size=25)
instants = st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 13), st.integers(1, 9)), min_size=1, max_size=12)


@given(changes, instants)
def test_values_and_extremes(changes: list[tuple[int, int, int]], queries: list[tuple[int, int, int]]) -> None:
    codes, times, by = (np.array(column, dtype=np.int64) for column in zip(*changes, strict=True))
    account, start, length = (np.array(column, dtype=np.int64) for column in zip(*queries, strict=True))
    steps = StepFunctions(codes, times, by)

    def value(code: int, time: int) -> int:
        return sum(b for c, t, b in changes if c == code and t <= time)

    assert steps.at(account, start).tolist() == [value(c, t) for c, t, _ in queries]
    assert steps.before(account, start).tolist() == [value(c, t - 1) for c, t, _ in queries]
    extremes = steps.extremes(account, start, start + length)
    for i, (c, t, n) in enumerate(queries):
        first = min((when for code, when, _ in changes if code == c), default=99)
        values = [value(c, when) for when in range(max(t, first), t + n)]
        assert extremes.has_value[i] == bool(values)
        if values:
            assert (extremes.lowest[i], extremes.highest[i]) == (min(values), max(values))


def test_levels_can_be_excluded() -> None:
    """0 from day 1, 7 from day 2, 3 from day 5: without the 7 the highest is 3."""
    steps = StepFunctions(np.zeros(3, np.int64), np.array([1, 2, 5]), np.array([0, 7, -4]))
    one = np.zeros(1, np.int64)
    extremes = steps.extremes(one, one + 1, one + 9, only=steps.values != 7)
    assert (extremes.lowest[0], extremes.highest[0]) == (0, 3)
    nothing = steps.extremes(one, one + 2, one + 5, only=steps.values != 7)
    assert not nothing.has_value[0]


def test_functions_without_changes_are_zero() -> None:
    none, one = np.empty(0, np.int64), np.zeros(1, np.int64)
    steps = StepFunctions(none, none, none)
    assert steps.at(one, one).tolist() == [0]
    assert not steps.extremes(one, one, one + 5).has_value[0]
    assert Timeline(none, none).count(one, one, including=True).tolist() == [0]


def test_sums_of_money_do_not_depend_on_their_order() -> None:
    cents = [0.1, 0.2, 0.3, 1e6, -1e6, 33.33]
    assert to_fixed_point(cents).sum() == to_fixed_point(cents[::-1]).sum() == to_fixed_point([33.93])[0]
    assert from_fixed_point(to_fixed_point([12.34]))[0] == 12.34
