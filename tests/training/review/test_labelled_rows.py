"""What a review judges on is divided by time, with nothing shared, and a churn counts once however often it is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.errors import BadRequest
from training.review.labelled_rows import ReviewRows, later_rows_mask, overlap_weights, thin_dates

DAYS = pd.date_range("2026-01-05", periods=30, freq="7D", tz="UTC")


def rows(**changed: Any) -> ReviewRows:
    """One account seen on thirty Mondays; windows are six weeks long, the last ten dates come later."""
    n = len(DAYS)
    given: dict[str, Any] = {
        "points": pd.DataFrame({"usage": np.full(n, 50.0), "support": np.full(n, np.nan)}),
        "score": np.full(n, 50.0),
        "band": np.full(n, "yellow", dtype=object),
        "churned": np.zeros(n),
        "accounts": np.full(n, "a", dtype=object),
        "as_of": pd.Series(DAYS),
        "later": np.arange(n) >= 20,
        "horizon_days": 28,
        "grace_days": 14,
    }
    return ReviewRows(**(given | changed))


def test_no_label_window_of_an_earlier_row_reaches_a_later_date() -> None:
    found = rows()
    assert np.flatnonzero(found.judged_on).tolist() == list(range(20, 30))
    # 6 weeks before the first later date, its windows have just ended.
    assert np.flatnonzero(found.earlier).tolist() == list(range(15))
    assert (found.as_of[found.earlier] + found.window).max() <= found.as_of[found.later].min()


def test_rows_without_score_or_outcome_are_in_neither_part() -> None:
    score, churned = np.full(30, 50.0), np.zeros(30)
    score[0], churned[29] = np.nan, np.nan
    found = rows(score=score, churned=churned)
    assert not found.earlier[0]
    assert not found.judged_on[29]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"score": np.zeros(29)}, "score"),
        ({"score": np.full(30, 101.0)}, "score"),
        ({"points": pd.DataFrame({"usage": np.full(30, -1.0)})}, "points of usage"),
        ({"model": np.full(30, 1.5)}, "model"),
        ({"churned": np.full(30, 0.5)}, "churned"),
        ({"as_of": pd.Series(DAYS.tz_localize(None))}, "as_of"),
        ({"later": np.arange(30)}, "later"),
        ({"later": np.arange(30) == 20}, "later"),
        ({"horizon_days": 0}, "horizon"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        rows(**changed)


def test_some_of_the_rows_are_rows() -> None:
    found = rows().only(np.arange(30) % 2 == 0)
    assert len(found) == 15
    assert found.later.sum() == 5


def test_the_later_part_holds_its_share_of_the_churns() -> None:
    """Ten accounts, the n-th leaves after n months."""
    keys = [(f"a{i}", day, float(day + pd.Timedelta(days=28) >= DAYS[0] + pd.Timedelta(days=20 * i))) for i in range(1, 10) for day in DAYS if day < DAYS[0] + pd.Timedelta(days=20 * i)]
    account, day, churned = (pd.Series(column) for column in zip(*keys, strict=True))
    mask = later_rows_mask(day, churned.to_numpy(), account.to_numpy(dtype=object), 42)
    first = day[mask].min()
    gone = churned == 1
    after, before = account[gone & mask].nunique(), account[gone & (day + pd.Timedelta(days=42) <= first)].nunique()
    assert (day[~mask] < first).all()
    assert 0.15 <= after / (after + before) <= 0.45


def test_without_churns_nothing_comes_later() -> None:
    assert not later_rows_mask(pd.Series(DAYS), np.zeros(30), np.full(30, "a", dtype=object), 42).any()


def test_the_rows_that_see_one_churn_count_as_one() -> None:
    weight = overlap_weights(np.full(30, "a"), pd.Series(DAYS), 28)
    assert weight == pytest.approx(np.full(30, 0.25))


def test_rows_further_apart_than_the_horizon_count_fully() -> None:
    assert overlap_weights(["a", "a", "b"], pd.Series(DAYS[[0, 10, 0]]), 28).tolist() == [1.0, 1.0, 1.0]


def test_a_row_given_twice_counts_as_one() -> None:
    accounts, days = ["a", "a", "b", "b"], pd.Series(DAYS[[0, 1, 0, 1]])
    once = overlap_weights(accounts, days, 28)
    twice = overlap_weights(accounts * 2, pd.concat([days, days], ignore_index=True), 28)
    assert twice == pytest.approx(np.tile(once / 2, 2))


def test_thinning_keeps_whole_dates_and_the_newest() -> None:
    found = rows()
    kept = thin_dates(found, found.labelled, 10)
    assert np.flatnonzero(kept).tolist() == list(range(2, 30, 3))
    assert thin_dates(found, found.labelled, 30).sum() == 30
