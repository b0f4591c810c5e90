"""Every origin of a backtest has enough history, and no label window of training reaches into its predictions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.errors import BadRequest, InsufficientData
from training.dataset.origins import (
    LONGEST_STEP,
    MINIMUM_TEST_DAYS,
    MINIMUM_TRAIN_DAYS,
    MOST_ORIGINS,
    Origins,
    choose_origins,
    require_purged,
    row_weight,
    step_days,
)

FIRST = datetime(2023, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def grid(dates: int, every: int = 7) -> list[datetime]:
    return [FIRST + i * every * DAY for i in range(dates)]


def span(dates: tuple[datetime, ...]) -> int:
    return (dates[-1] - dates[0]).days


@given(
    days=st.integers(100, 2_500),
    every=st.integers(1, 60),
    horizon=st.integers(1, 180),
    grace=st.integers(0, 60),
    not_before=st.none() | st.integers(0, 1_000),
)
@example(days=450, every=57, horizon=1, grace=57, not_before=None)
def test_no_label_window_reaches_into_the_predictions(
    days: int, every: int, horizon: int, grace: int, not_before: int | None
) -> None:
    """Either the history is refused, with the days that are missing, or every property of the origins holds."""
    as_ofs = grid(days // every + 1, every)
    through, gap = FIRST + days * DAY, (horizon + grace) * DAY
    earliest = None if not_before is None else FIRST + not_before * DAY
    try:
        origins = choose_origins(as_ofs, horizon, grace, through, earliest)
    except InsufficientData as refused:
        lacking = int(refused.missing[0].split()[0])
        assert lacking > 0
        if earliest is None:
            # With that much more history (and a step, to reach the grid again) it is accepted.
            longer = days + lacking + every
            choose_origins(grid(longer // every + 1, every), horizon, grace, FIRST + longer * DAY)
        return
    assert origins.labelled == tuple(t for t in as_ofs if t + gap <= through)
    for origin in origins.dates:
        assert origins.train(origin)[-1] + gap <= origin <= origins.predicted(origin)[0]
        assert earliest is None or origin >= earliest
    # Every date from the first origin on is predicted once.
    predicted = [t for origin in origins.dates for t in origins.predicted(origin)]
    assert tuple(predicted) == origins.predicted() == tuple(t for t in origins.labelled if t >= origins.first)
    assert span(origins.train(origins.first)) >= MINIMUM_TRAIN_DAYS
    assert span(origins.predicted()) >= MINIMUM_TEST_DAYS
    assert len(origins.dates) <= MOST_ORIGINS
    # A model is never older than a quarter, or the next date of the grid.
    assert all(span(origins.predicted(origin)) <= LONGEST_STEP.days + every for origin in origins.dates)


def test_two_years_of_weekly_dates() -> None:
    """With H + G = 120 days, the first model learns from eight weeks, and the last from all but the newest months."""
    origins = choose_origins(grid(105), 90, 30, FIRST + 728 * DAY)
    assert origins.labelled[-1] == FIRST + 602 * DAY
    assert [(origin - FIRST).days for origin in origins.dates] == [182, 266, 350, 434, 518]
    assert [span(origins.train(origin)) for origin in origins.dates] == [56, 140, 224, 308, 392]
    assert all(span(origins.predicted(origin)) >= 77 for origin in origins.dates)


def test_eighteen_months_are_enough() -> None:
    """No history is set aside: the oldest origin follows the first eight weeks and their label windows."""
    origins = choose_origins(grid(79), 90, 30, FIRST + 546 * DAY)
    assert len(origins.dates) == MOST_ORIGINS
    assert span(origins.labelled) == 420


def test_extra_history_goes_to_training() -> None:
    origins = choose_origins(grid(400), 90, 30, FIRST + 2_800 * DAY)
    assert span(origins.train(origins.first)) > 2_000
    assert span(origins.predicted()) <= MOST_ORIGINS * LONGEST_STEP.days


def test_the_backtest_can_start_later() -> None:
    """For example because there are too few outcomes to learn from before."""
    earliest = FIRST + 400 * DAY
    origins = choose_origins(grid(105), 90, 30, FIRST + 728 * DAY, earliest)
    assert origins.first == FIRST + 406 * DAY
    assert len(origins.dates) == MOST_ORIGINS
    with pytest.raises(InsufficientData):
        choose_origins(grid(105), 90, 30, FIRST + 728 * DAY, FIRST + 600 * DAY)


def test_dates_may_be_unsorted_and_repeated() -> None:
    through = FIRST + 728 * DAY
    assert choose_origins(grid(105)[::-1] * 2, 90, 30, through) == choose_origins(grid(105), 90, 30, through)


def test_four_months_are_refused() -> None:
    with pytest.raises(InsufficientData, match=r"210 more days of history .* take 330 days") as refused:
        choose_origins(grid(18), 90, 30, FIRST + 126 * DAY)
    assert refused.value.cure
    with pytest.raises(InsufficientData):
        choose_origins([], 90, 30, FIRST)


@pytest.mark.parametrize(("horizon", "grace"), [(0, 30), (90, -1)])
def test_invalid_arguments_are_refused(horizon: int, grace: int) -> None:
    with pytest.raises(BadRequest):
        choose_origins(grid(105), horizon, grace, FIRST + 728 * DAY)


def test_origins_without_training_or_predictions_cannot_be_constructed() -> None:
    a, b, c = FIRST, FIRST + 120 * DAY, FIRST + 240 * DAY
    assert Origins((b, c), (a, b, c), 120).train(b) == (a,)
    with pytest.raises(ValueError, match="without training dates"):
        Origins((b,), (a, b, c), 121)
    with pytest.raises(ValueError, match="dates to predict"):
        Origins((b, c), (a, b), 120)
    with pytest.raises(ValueError, match="ascend"):
        Origins((c, b), (a, b, c), 120)
    with pytest.raises(ValueError, match="at least one"):
        Origins((), (a, b, c), 120)


def test_mask_finds_the_predicted_rows() -> None:
    origins = choose_origins(grid(105), 90, 30, FIRST + 728 * DAY)
    as_of = pd.Series(pd.DatetimeIndex(grid(105) * 2).as_unit("us"))
    mask = origins.predicted_mask(as_of)
    assert mask.sum() == 2 * len(origins.predicted())
    assert as_of[mask].min() == origins.first
    assert as_of[mask].max() == origins.labelled[-1]


def test_overlapping_rows_weigh_their_unshared_part() -> None:
    assert row_weight(7, 90) == pytest.approx(7 / 90)
    assert row_weight(90, 90) == row_weight(365, 90) == 1
    assert step_days(grid(5)) == 7
    assert row_weight(step_days([FIRST]), 90) == 1


def test_an_unpurged_label_window_raises() -> None:
    """Checked on the rows themselves, whatever selected them."""
    ends = pd.Series([FIRST, FIRST + 30 * DAY])
    require_purged(ends, FIRST + 30 * DAY)
    require_purged(ends[:0], FIRST)
    with pytest.raises(ValueError, match="reach into the predictions"):
        require_purged(ends, FIRST + 30 * DAY - timedelta(seconds=1))
