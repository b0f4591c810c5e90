"""A silence is compared with the feed's own pauses."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from features.feed_health.silences import MIN_PATIENCE_DAYS, Silence, day_of, patience_days, silences

DAILY, WEEKLY, YEARLY = np.arange(0, 700), np.arange(0, 700, 7), np.arange(0, 4000, 365)


def test_a_weekly_feed_may_be_silent_for_three_weeks_and_a_yearly_one_for_three_years() -> None:
    assert patience_days(DAILY) == MIN_PATIENCE_DAYS
    assert patience_days(WEEKLY) == 21
    assert patience_days(YEARLY) == 3 * 365


@pytest.mark.parametrize("days", [[], [5], [5, 6]])
def test_too_few_rows_for_a_rhythm_use_the_minimum(days: list[int]) -> None:
    assert patience_days(np.array(days, dtype=np.int64)) == MIN_PATIENCE_DAYS


def test_weekends_are_part_of_the_rhythm() -> None:
    weekdays = DAILY[DAILY % 7 < 5]
    assert silences(weekdays) == ()
    assert patience_days(weekdays) == MIN_PATIENCE_DAYS


def test_the_latest_rhythm_counts() -> None:
    thin_then_dense = np.concatenate([np.arange(0, 900, 90), np.arange(900, 1000)])
    assert patience_days(thin_then_dense) == MIN_PATIENCE_DAYS


def test_a_gap_has_a_first_and_a_last_day() -> None:
    holed = DAILY[(DAILY < 100) | (DAILY > 131)]
    assert silences(holed) == (Silence(day_of(100), day_of(131)),)
    assert silences(holed)[0].days == 32


@pytest.mark.parametrize("days", [DAILY, WEEKLY, YEARLY])
def test_a_steady_feed_has_no_gap(days: np.ndarray) -> None:
    assert silences(days) == ()


def test_sparse_beginnings_are_not_gaps() -> None:
    assert silences(np.concatenate([[0, 250, 400, 480], np.arange(500, 900)])) == ()
    assert silences(np.concatenate([np.arange(0, 400), np.arange(400, 900, 60)])) == ()


def test_random_rows_rarely_have_a_gap() -> None:
    n_gaps = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        n_gaps += len(silences(np.unique(np.cumsum(rng.exponential(9, 200)).astype(np.int64))))
    assert n_gaps <= 2


def test_a_day_is_counted_from_1970() -> None:
    assert day_of(0) == date(1970, 1, 1)
    assert day_of(19_782) == date(2024, 2, 29)
