"""Review rows are split by time without overlap, and each churn counts once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.errors import BadRequest
from training.review.labelled_rows import ReviewRows, later_rows_mask, overlap_weights, thin_dates

DAYS = pd.date_range("2026-01-05", periods=30, freq="7D", tz="UTC")


def rows(**changed: Any) -> ReviewRows:
    """Build rows of one account on thirty Mondays, with windows of six weeks and ten later dates."""
    n = len(DAYS)
    columns: dict[str, Any] = {
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
    return ReviewRows(**(columns | changed))


def test_no_label_window_of_an_earlier_row_reaches_a_later_date() -> None:
    result = rows()
    assert np.flatnonzero(result.judged_on).tolist() == list(range(20, 30))
    # The label window of a row six weeks before the first later date ends on that date.
    assert np.flatnonzero(result.earlier).tolist() == list(range(15))
    assert (result.as_of[result.earlier] + result.window).max() <= result.as_of[result.later].min()


def test_rows_without_score_or_outcome_are_in_neither_part() -> None:
    score, churned = np.full(30, 50.0), np.zeros(30)
    score[0], churned[29] = np.nan, np.nan
    result = rows(score=score, churned=churned)
    assert not result.earlier[0]
    assert not result.judged_on[29]


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
def test_an_invalid_column_is_named(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        rows(**changed)


def test_a_subset_keeps_its_later_rows() -> None:
    result = rows().only(np.arange(30) % 2 == 0)
    assert len(result) == 15
    assert result.later.sum() == 5


def test_the_later_part_has_its_share_of_the_churns() -> None:
    """Account n leaves after 20 n days."""
    keys = [(f"a{i}", day, float(day + pd.Timedelta(days=28) >= DAYS[0] + pd.Timedelta(days=20 * i))) for i in range(1, 10) for day in DAYS if day < DAYS[0] + pd.Timedelta(days=20 * i)]
    account, day, churned = (pd.Series(column) for column in zip(*keys, strict=True))
    mask = later_rows_mask(day, churned.to_numpy(), account.to_numpy(dtype=object), 42)
    first = day[mask].min()
    has_churned = churned == 1
    after, before = account[has_churned & mask].nunique(), account[has_churned & (day + pd.Timedelta(days=42) <= first)].nunique()
    assert (day[~mask] < first).all()
    assert 0.15 <= after / (after + before) <= 0.45


def test_without_churns_no_row_is_later() -> None:
    assert not later_rows_mask(pd.Series(DAYS), np.zeros(30), np.full(30, "a", dtype=object), 42).any()


def test_rows_of_one_churn_count_as_one() -> None:
    weight = overlap_weights(np.full(30, "a"), pd.Series(DAYS), 28)
    assert weight == pytest.approx(np.full(30, 0.25))


def test_rows_further_apart_than_the_horizon_have_full_weight() -> None:
    assert overlap_weights(["a", "a", "b"], pd.Series(DAYS[[0, 10, 0]]), 28).tolist() == [1.0, 1.0, 1.0]


def test_a_duplicated_row_counts_once() -> None:
    accounts, days = ["a", "a", "b", "b"], pd.Series(DAYS[[0, 1, 0, 1]])
    once = overlap_weights(accounts, days, 28)
    twice = overlap_weights(accounts * 2, pd.concat([days, days], ignore_index=True), 28)
    assert twice == pytest.approx(np.tile(once / 2, 2))


def test_thinning_keeps_whole_dates_and_the_newest() -> None:
    result = rows()
    mask = thin_dates(result, result.labelled, 10)
    assert np.flatnonzero(mask).tolist() == list(range(2, 30, 3))
    assert thin_dates(result, result.labelled, 30).sum() == 30
