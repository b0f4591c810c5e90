import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.peer_groups.percentiles import midrank, midrank_by_group, percentile_among_comparable

whole = st.lists(st.integers(-5, 5), min_size=1, max_size=40)


def test_midranks_equal_a_manual_calculation() -> None:
    # Of five values, each counts those below it plus half of the equal ones, itself included.
    percentiles = midrank([10.0, 20.0, 20.0, 30.0, np.nan, 40.0])
    np.testing.assert_allclose(percentiles, [10.0, 40.0, 40.0, 70.0, np.nan, 90.0])


@given(whole, st.randoms(use_true_random=False))
def test_the_order_of_the_accounts_does_not_matter(values: list[int], random: object) -> None:
    order = np.argsort([random.random() for _ in values])
    x = np.array(values, dtype=float)
    np.testing.assert_array_equal(midrank(x)[order], midrank(x[order]))


@given(whole, st.sampled_from([0.001, 2.0, 1e6]))
def test_the_unit_does_not_matter(values: list[int], unit: float) -> None:
    x = np.array(values, dtype=float)
    np.testing.assert_array_equal(midrank(x * unit), midrank(x))


@given(whole)
def test_repeating_every_account_does_not_matter(values: list[int]) -> None:
    x = np.array(values, dtype=float)
    np.testing.assert_allclose(midrank(np.concatenate([x, x]))[: len(x)], midrank(x), rtol=0, atol=1e-12)


def test_groups_are_separate_and_rows_without_a_group_have_no_percentile() -> None:
    percentile, counts = midrank_by_group([1.0, 2.0, 7.0, 9.0], np.array([0, 0, 5, -1]))
    np.testing.assert_array_equal(percentile, [25.0, 75.0, 50.0, np.nan])
    assert counts.tolist() == [2, 2, 1, 0]


def test_a_small_segment_is_compared_with_the_whole_portfolio() -> None:
    # 20 accounts of segment 0 with values 0 to 19; three of segment 1 above them all.
    values = np.concatenate([np.arange(20.0), [100.0, 101.0, 102.0]])
    segment = np.array([0] * 20 + [1] * 3)
    percentiles = percentile_among_comparable(values, np.zeros(23, dtype=np.int64), segment)
    assert percentiles[19] == pytest.approx(97.5)  # the best of its 20
    assert percentiles[20] == pytest.approx(100 * 20.5 / 23)  # 21st of all 23


def test_dates_are_never_mixed() -> None:
    values = np.array([1.0, 2.0, 30.0, 40.0])
    percentiles = percentile_among_comparable(values, np.array([0, 0, 1, 1]), np.array([-1, -1, -1, -1]))
    assert percentiles.tolist() == [25.0, 75.0, 25.0, 75.0]
