"""The split separates training, calibration and test in time for any history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from training.dataset.time_split import (
    LONGEST_SLICE,
    MINIMUM_CALIBRATION_DAYS,
    MINIMUM_TEST_DAYS,
    MINIMUM_TRAIN_DAYS,
    TimeSplit,
    require_purged,
    row_weight,
    split_dates,
    step_days,
)

from features.errors import BadRequest, InsufficientData

FIRST = datetime(2023, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def weekly(weeks: int, every: int = 7) -> list[datetime]:
    return [FIRST + i * every * DAY for i in range(weeks)]


def spans(parts: TimeSplit) -> list[int]:
    return [(part[-1] - part[0]).days for part in parts.slices().values()]


@given(
    days=st.integers(100, 2_500),
    every=st.integers(1, 60),
    horizon=st.integers(1, 180),
    grace=st.integers(0, 60),
)
@example(days=450, every=57, horizon=1, grace=57)
def test_slices_never_share_a_label_window(days: int, every: int, horizon: int, grace: int) -> None:
    """Either the history is refused, with the days that are missing, or every promise of the split holds."""
    as_ofs = weekly(days // every + 1, every)
    through = FIRST + days * DAY
    gap = (horizon + grace) * DAY
    try:
        parts = split_dates(as_ofs, horizon, grace, through)
    except InsufficientData as refused:
        lacking = int(refused.missing[0].split()[0])
        assert lacking > 0
        # With that much more (and a step, to reach the grid again) it is accepted.
        longer = days + lacking + every
        split_dates(weekly(longer // every + 1, every), horizon, grace, FIRST + longer * DAY)
        return
    assert parts.train[-1] + gap <= parts.calibration[0]
    assert parts.calibration[-1] + gap <= parts.test[0]
    assert parts.test[-1] + gap <= through
    assert parts.test[-1] == max(t for t in as_ofs if t + gap <= through)
    minimum = (MINIMUM_TRAIN_DAYS, MINIMUM_CALIBRATION_DAYS, MINIMUM_TEST_DAYS)
    assert all(span >= least for span, least in zip(spans(parts), minimum, strict=True))
    final = parts.final()
    assert final.train[-1] + gap <= final.calibration[0] == parts.test[0]
    assert set(parts.train) <= set(final.train)
    assert not final.test


def test_two_years_of_weekly_dates() -> None:
    """With H + G = 120 days: 728 days of snapshots leave about 368: 15% for each later slice."""
    parts = split_dates(weekly(105), 90, 30, FIRST + 728 * DAY)
    train, calibration, test = spans(parts)
    assert (parts.train[0], parts.test[-1]) == (FIRST, FIRST + 602 * DAY)
    assert (train, calibration, test) == (238, 56, 56)
    assert len(parts.final().train) > 1.4 * len(parts.train)


def test_extra_history_goes_to_training() -> None:
    train, calibration, test = spans(split_dates(weekly(400), 90, 30, FIRST + 2_800 * DAY))
    assert train > 2_000
    assert calibration == test <= LONGEST_SLICE.days + 6


def test_dates_may_be_unsorted_and_repeated() -> None:
    through = FIRST + 728 * DAY
    assert split_dates(weekly(105)[::-1] * 2, 90, 30, through) == split_dates(weekly(105), 90, 30, through)


def test_four_months_are_refused() -> None:
    with pytest.raises(InsufficientData, match=r"358 more days of history .* take 484 days") as refused:
        split_dates(weekly(18), 90, 30, FIRST + 126 * DAY)
    assert refused.value.cure
    with pytest.raises(InsufficientData):
        split_dates([], 90, 30, FIRST)


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(BadRequest):
        split_dates(weekly(105), 0, 30, FIRST + 728 * DAY)


def test_a_leaking_split_cannot_be_constructed() -> None:
    a, b, c = FIRST, FIRST + 119 * DAY, FIRST + 400 * DAY
    with pytest.raises(ValueError, match="reach into"):
        TimeSplit((a,), (b,), (c,), (a, b, c), 120)
    with pytest.raises(ValueError, match="ascend"):
        TimeSplit((c, a), (b,), (), (a, b, c), 1)
    with pytest.raises(ValueError, match="without"):
        TimeSplit((), (b,), (c,), (b, c), 1)


def test_mask_finds_the_rows_of_a_slice() -> None:
    parts = split_dates(weekly(105), 90, 30, FIRST + 728 * DAY)
    as_of = pd.Series(pd.DatetimeIndex(weekly(105) * 2).as_unit("us"))
    masks = [parts.mask(name, as_of) for name in parts.slices()]
    assert [int(m.sum()) for m in masks] == [2 * len(part) for part in parts.slices().values()]
    assert not (masks[0] & masks[1]).any()
    assert not (masks[1] & masks[2]).any()
    assert as_of[masks[2]].min() == parts.test[0]


def test_overlapping_rows_weigh_their_unshared_part() -> None:
    assert row_weight(7, 90) == pytest.approx(7 / 90)
    assert row_weight(90, 90) == row_weight(365, 90) == 1
    assert step_days(weekly(5)) == 7
    assert row_weight(step_days([FIRST]), 90) == 1


def test_an_unpurged_label_window_raises() -> None:
    """Asserted of the rows themselves, whatever made them."""
    ends = pd.Series([FIRST, FIRST + 30 * DAY])
    require_purged(ends, FIRST + 30 * DAY)
    require_purged(ends[:0], FIRST)
    with pytest.raises(ValueError, match="reach into the slice"):
        require_purged(ends, FIRST + 30 * DAY - timedelta(seconds=1))
