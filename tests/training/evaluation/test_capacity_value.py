"""Value of a ranking for a team with limited capacity."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from training.evaluation.capacity_value import RANDOM, CapacityCapture, capacity_capture, capacity_value
from training.evaluation.test_predictions import ScoredTestRows

MakeRows = Callable[..., ScoredTestRows]
DATES = 4


def _by_name(result: tuple[CapacityCapture, ...]) -> dict[str, CapacityCapture]:
    return {one.candidate: one for one in result}


def test_a_perfect_ranking_uses_the_whole_capacity(evaluation_rows: MakeRows) -> None:
    y = evaluation_rows().y
    candidates = {w.candidate: w for w in capacity_value(evaluation_rows(best=y, none=np.full(len(y), 0.2)), 10, 0.5, 3.0)}
    per_date = y.reshape(DATES, -1).sum(axis=1)
    assert candidates["best"].caught[0] == pytest.approx(np.minimum(per_date, 10).sum() / per_date.sum())
    assert candidates["best"].saves[0] == pytest.approx(0.5 * np.minimum(per_date, 10).mean())
    # Equal probabilities share the team's time, as no ranking at all does: a tenth of it for a tenth of the accounts.
    for name in ("none", RANDOM):
        assert candidates[name].caught[0] == pytest.approx(0.1)
        assert candidates[name].caught_arr[0] == pytest.approx(0.1)
    assert candidates["best"].cost == 30.0


def test_lift_of_a_small_example() -> None:
    """Two dates of four accounts and a team for two: it sees both outcomes of the first date and one of the two of the
    second. At random it would see half of the four, so its lift is three over two."""
    y = np.array([1, 1, 0, 0, 1, 0, 0, 1], dtype=float)
    p = np.array([9, 8, 2, 1, 9, 8, 2, 1]) / 10
    dates = pd.Series(pd.to_datetime(["2026-01-05"] * 4 + ["2026-01-12"] * 4, utc=True))
    accounts = np.array([*"abcd", *"abcd"], dtype=object)
    rows = ScoredTestRows(accounts, dates, np.full(8, "all", dtype=object), y, np.ones(8), {"model": p}, np.full(8, 0.5), y > 1)
    candidates = _by_name(capacity_capture(rows, 2))
    assert candidates["model"].caught[0] == pytest.approx(3 / 4)
    assert candidates["model"].lift[0] == pytest.approx(3 / 2)
    assert candidates[RANDOM].caught[0] == pytest.approx(1 / 2)


def test_lift_is_relative_to_a_random_ranking(evaluation_rows: MakeRows) -> None:
    y = evaluation_rows().y
    noisy = y + np.random.default_rng(1).normal(0, 1, len(y))
    candidates = _by_name(capacity_capture(evaluation_rows(best=y, noisy=noisy, worst=1 - y, none=np.full(len(y), 0.2)), 10))
    for one in candidates.values():
        assert one.lift[0] == pytest.approx(one.caught[0] / candidates[RANDOM].caught[0])
        assert one.lift[1] <= one.lift[0] + 1e-9
        assert one.lift[0] <= one.lift[2] + 1e-9
    assert candidates["best"].lift[0] > candidates["noisy"].lift[0] > 1 > candidates["worst"].lift[0] == 0
    # No ranking has no luck in any resample: a lift of one is one, not about one.
    for name in ("none", RANDOM):
        assert candidates[name].lift == pytest.approx((1.0, 1.0, 1.0))


def test_full_capacity_needs_no_ranking(evaluation_rows: MakeRows) -> None:
    for w in capacity_value(evaluation_rows(worst=1 - evaluation_rows().y), 105, 1.0, 0.0):
        assert w.caught == w.caught_arr == w.lift == (1.0, 1.0, 1.0)


def test_the_lead_of_the_model_is_the_difference_of_the_shares(evaluation_rows: MakeRows) -> None:
    y = evaluation_rows().y
    rows = evaluation_rows(model=y, other=np.full(len(y), 0.2))
    candidates = _by_name(capacity_capture(rows, 2, subject="model"))
    assert candidates["model"].arr_lead == (0.0, 0.0, 0.0)
    for name in ("other", RANDOM):
        value, low, high = candidates[name].arr_lead
        assert value == pytest.approx(candidates["model"].caught_arr[0] - candidates[name].caught_arr[0])
        assert low <= value <= high
    assert np.isnan(_by_name(capacity_capture(rows, 2))["other"].arr_lead).all()


def test_arr_is_counted_per_account(evaluation_rows: MakeRows) -> None:
    """Ranking by size covers most of the ARR and few of the accounts."""
    data = evaluation_rows(size=np.where(evaluation_rows().segment == "big", 0.9, 0.1))
    size = next(w for w in capacity_value(data, 25, 1.0, 0.0) if w.candidate == "size")
    assert size.caught_arr[0] > 0.9 > 0.4 > size.caught[0]


def test_segments_share_one_capacity(evaluation_rows: MakeRows) -> None:
    """Who ranks by size leaves the small ones no time: the capacity is not dealt out by segment."""
    data = evaluation_rows(size=np.where(evaluation_rows().segment == "big", 0.9, 0.1))
    big, small = (_by_name(capacity_capture(data, 25, within=data.segment == name))["size"] for name in ("big", "small"))
    assert big.caught[0] == pytest.approx(1.0)
    assert big.lift[0] == pytest.approx(4.0)
    assert small.caught[0] == small.lift[0] == 0.0


def test_the_segments_add_up_to_the_whole(evaluation_rows: MakeRows) -> None:
    data = evaluation_rows(p=np.random.default_rng(2).random(400))
    whole = _by_name(capacity_capture(data, 25))["p"].caught[0] * data.y.sum()
    parts = 0.0
    for name in ("big", "small"):
        rows = data.segment == name
        parts += _by_name(capacity_capture(data, 25, within=rows))["p"].caught[0] * data.y[rows].sum()
    assert parts == pytest.approx(whole)


def test_metrics_are_undefined_without_outcomes(evaluation_rows: MakeRows) -> None:
    for one in capacity_capture(evaluation_rows(y=np.zeros(400), p=np.linspace(0, 1, 400)), 10):
        assert one.as_dict()["lift"] == one.as_dict()["caught"] == [None, None, None]
