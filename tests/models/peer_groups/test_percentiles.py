import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.peer_groups.percentiles import midrank, midrank_by_group, percentile_among_comparable

whole = st.lists(st.integers(-5, 5), min_size=1, max_size=40)


def test_by_hand() -> None:
    # Of five known: two below and itself half; the two equal ones share their middle.
    found = midrank([10.0, 20.0, 20.0, 30.0, np.nan, 40.0])
    np.testing.assert_allclose(found, [10.0, 40.0, 40.0, 70.0, np.nan, 90.0])


@given(whole, st.randoms(use_true_random=False))
def test_the_order_of_the_accounts_does_not_matter(values: list[int], random: object) -> None:
    order = np.argsort([random.random() for _ in values])
    x = np.array(values, dtype=float)
    np.testing.assert_array_equal(midrank(x)[order], midrank(x[order]))


@given(whole, st.sampled_from([0.001, 2.0, 1e6]))
def test_neither_does_the_unit(values: list[int], unit: float) -> None:
    x = np.array(values, dtype=float)
    np.testing.assert_array_equal(midrank(x * unit), midrank(x))


@given(whole)
def test_nor_does_taking_everyone_twice(values: list[int]) -> None:
    x = np.array(values, dtype=float)
    np.testing.assert_allclose(midrank(np.concatenate([x, x]))[: len(x)], midrank(x), rtol=0, atol=1e-12)


def test_groups_are_apart_and_rows_without_a_group_have_no_place() -> None:
    percentile, known = midrank_by_group([1.0, 2.0, 7.0, 9.0], np.array([0, 0, 5, -1]))
    np.testing.assert_array_equal(percentile, [25.0, 75.0, 50.0, np.nan])
    assert known.tolist() == [2, 2, 1, 0]


def test_a_small_segment_is_compared_with_the_whole_portfolio() -> None:
    # 20 accounts of segment 0 with values 0 to 19; three of segment 1 above them all.
    values = np.concatenate([np.arange(20.0), [100.0, 101.0, 102.0]])
    segment = np.array([0] * 20 + [1] * 3)
    found = percentile_among_comparable(values, np.zeros(23, dtype=np.int64), segment)
    assert found[19] == pytest.approx(97.5)  # the best of its 20
    assert found[20] == pytest.approx(100 * 20.5 / 23)  # 21st of all 23


def test_dates_are_never_mixed() -> None:
    values = np.array([1.0, 2.0, 30.0, 40.0])
    found = percentile_among_comparable(values, np.array([0, 0, 1, 1]), np.array([-1, -1, -1, -1]))
    assert found.tolist() == [25.0, 75.0, 25.0, 75.0]
