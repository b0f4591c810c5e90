"""Inner folds share no account, evaluate on later dates, and do not depend on the order of the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.utils.arrays import Floats
from training.dataset.inner_folds import (
    SEARCH_STEP_DAYS,
    balanced_folds,
    date_offsets,
    later_folds,
    search_date_mask,
)

Portfolio = tuple[pd.DataFrame, Floats]


def test_folds_share_no_account_and_hold_out_later_rows(small_portfolio: Portfolio) -> None:
    frame, y = small_portfolio
    accounts = frame["account_id"].to_numpy(dtype=object)
    folds = later_folds(accounts, frame["as_of"], y)
    assert len(folds) == 3
    middle = frame["as_of"].sort_values().iloc[len(frame) // 2]
    for fold in folds:
        assert not set(accounts[fold.fit]) & set(accounts[fold.held_out])
        assert frame["as_of"][fold.held_out].min() >= middle
    counts = np.sum([fold.held_out for fold in folds], axis=0)
    assert counts.tolist() == (frame["as_of"] >= middle).astype(int).tolist()


def test_the_fold_of_an_account_is_fixed(small_portfolio: Portfolio) -> None:
    frame, y = small_portfolio
    order = np.random.default_rng(0).permutation(len(frame))[:2_000]
    part = frame.iloc[order].reset_index(drop=True)
    whole = later_folds(frame["account_id"].to_numpy(dtype=object), frame["as_of"], y)
    again = later_folds(part["account_id"].to_numpy(dtype=object), part["as_of"], y[order])
    for before, after in zip(whole, again, strict=True):
        assert set(part["account_id"][after.fit]) <= set(frame["account_id"][before.fit])


def test_folds_of_one_class_are_left_out(small_portfolio: Portfolio) -> None:
    frame, y = small_portfolio
    assert later_folds(frame["account_id"].to_numpy(dtype=object), frame["as_of"], np.zeros_like(y)) == ()


def test_search_dates_are_four_weeks_apart_and_include_the_newest() -> None:
    weekly = pd.Series(pd.date_range("2024-01-01", periods=10, freq="7D", tz="UTC").repeat(2))
    dates = weekly[search_date_mask(weekly)].unique()
    assert dates.max() == weekly.max()
    assert set(np.diff(dates) / pd.Timedelta(days=1)) == {SEARCH_STEP_DAYS}
    monthly = pd.Series(pd.date_range("2024-01-01", periods=10, freq="30D", tz="UTC"))
    assert search_date_mask(monthly).all()
    assert search_date_mask(monthly[:1]).all()


@pytest.mark.parametrize("folds", [2, 5])
def test_balanced_folds_differ_by_one_account(small_portfolio: Portfolio, folds: int) -> None:
    """Whatever the ids are and however the rows are ordered."""
    accounts = small_portfolio[0]["account_id"].to_numpy(dtype=object)
    fold = balanced_folds(accounts, folds)
    of_account = dict(zip(accounts, fold, strict=True))
    assert [of_account[name] for name in accounts] == fold.tolist()
    sizes = np.bincount(list(of_account.values()), minlength=folds)
    assert len(sizes) == folds
    assert sizes.max() - sizes.min() <= 1
    order = np.random.default_rng(0).permutation(len(accounts))
    assert balanced_folds(accounts[order], folds).tolist() == fold[order].tolist()


def test_offsets_divide_the_dates_into_interleaved_sets() -> None:
    """The first set has the dates of the search, the newest one among them."""
    weekly = pd.Series(pd.date_range("2024-01-01", periods=10, freq="7D", tz="UTC").repeat(2))
    offsets, sets = date_offsets(weekly)
    assert sets == 4
    assert set(offsets) == set(range(sets))
    assert ((offsets == 0) == search_date_mask(weekly)).all()
    for number in range(sets):
        assert set(np.diff(weekly[offsets == number].unique()) / pd.Timedelta(days=1)) == {SEARCH_STEP_DAYS}
    monthly = pd.Series(pd.date_range("2024-01-01", periods=10, freq="30D", tz="UTC"))
    assert date_offsets(monthly)[1] == 1
