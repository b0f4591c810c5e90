"""The limit on the rows of a fit keeps every account, every outcome and all weight."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.definitions.feature import Feature
from models.scorer.base import RENEWAL_FEATURE
from training.dataset import design_matrix
from training.dataset.design_matrix import Design, build_design
from training.dataset.row_limit import MOST_ROWS, MOST_SEARCH_ROWS, thin_rows

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
ACCOUNTS, WEEKS = 40, 40
CATALOGUE = {
    name: Feature(name, name.split(".")[0], "usage", name, "number", "", None, None, name, monotone=False)
    for name in (RENEWAL_FEATURE, "usage.signal")
}


def dates(numbers: list[int]) -> pd.Series:
    return pd.Series(pd.to_datetime(FIRST) + pd.to_timedelta(numbers, unit="D"))


@pytest.fixture(scope="module")
def design() -> Design:
    """Weekly snapshots of accounts; each has the outcome at its last dates, or never."""
    rng = np.random.default_rng(1)
    account, week = np.repeat(np.arange(ACCOUNTS), WEEKS), np.tile(np.arange(WEEKS), ACCOUNTS)
    frame = pd.DataFrame(
        {
            "account_id": [f"a{i}" for i in account],
            "as_of": pd.to_datetime(FIRST) + pd.to_timedelta(7 * week, unit="D"),
            RENEWAL_FEATURE: rng.integers(0, 365, len(account)).astype(np.float64),
            "usage.signal": rng.normal(size=len(account)),
        }
    )
    churns = (account % 4 == 0) & (week >= WEEKS - 12)
    return build_design(frame, {90: churns * 1.0, 30: (churns & (week >= WEEKS - 4)) * 1.0}, 90, 30, CATALOGUE)


def groups(design: Design) -> pd.Series:
    """The weight of each account, horizon and label."""
    keys = [pd.Series(each) for each in (design.accounts, design.ends - design.as_of, design.y)]
    return pd.Series(design.weight).groupby(keys).agg("sum").sort_index()


def test_rows_of_an_account_are_kept_at_even_distances() -> None:
    """Six dates of one account and label, of which two are to be kept: three dates apart, with three times the
    weight. An account with a single row keeps it."""
    accounts = np.array(["a"] * 6 + ["b"], dtype=object)
    as_of = dates([0, 7, 14, 21, 28, 35, 0])
    keep, factor = thin_rows(accounts, as_of, np.zeros((7, 1)), 3)
    kept = np.flatnonzero(keep[:6])
    assert kept.tolist() in ([0, 3], [1, 4], [2, 5])
    assert factor.tolist() == [3.0] * 6 + [1.0]
    assert keep[6]


@pytest.mark.parametrize("most", [1, 300, 1000])
def test_every_account_and_outcome_stays_at_the_same_weight(design: Design, most: int) -> None:
    fewer = design.at_most(most)
    assert len(fewer.y) < len(design.y)
    pd.testing.assert_series_equal(groups(fewer), groups(design), check_exact=False, rtol=1e-12)
    if most > len(groups(design)):
        assert 0.7 * most < len(fewer.y) <= most
    # All dates stay represented, because accounts keep different ones.
    if most == 300:
        assert len(set(fewer.as_of)) > 0.7 * len(set(design.as_of))


def test_fits_within_the_limit_are_unchanged(design: Design) -> None:
    assert design.at_most(len(design.y)) is design
    assert len(design.y) < min(MOST_ROWS, MOST_SEARCH_ROWS)


def test_members_and_searches_respect_the_limit(design: Design, monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = np.ones(len(design.y), dtype=bool)
    before = [design.search_rows(), *(design.member_rows(number, everyone) for number in range(4))]
    monkeypatch.setattr(design_matrix, "MOST_ROWS", 200)
    monkeypatch.setattr(design_matrix, "MOST_SEARCH_ROWS", 150)
    after = [design.search_rows(), *(design.member_rows(number, everyone) for number in range(4))]
    for unlimited, limited, most in zip(before, after, (150, *[200] * 4), strict=True):
        assert len(limited.y) < len(unlimited.y)
        assert len(limited.y) <= max(most, len(groups(unlimited)))
        assert limited.weight.sum() == pytest.approx(unlimited.weight.sum())
    # The rows that are predicted and calibrate the ensemble stay complete.
    assert len(design.search_weight) == design.search_mask.sum() == len(before[0].y)
    assert design.search_weight.tolist() == before[0].weight.tolist()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20), st.booleans()), min_size=1, max_size=60), st.integers(1, 70))
def test_the_order_of_rows_does_not_matter(rows: list[tuple[int, int, bool]], most: int) -> None:
    rows = sorted(set(rows))
    accounts = np.array([f"a{account}" for account, _, _ in rows], dtype=object)
    as_of, strata = dates([day for _, day, _ in rows]), np.array([[float(y)] for _, _, y in rows])
    keep, factor = thin_rows(accounts, as_of, strata, most)
    turned, factors = thin_rows(accounts[::-1], as_of[::-1].reset_index(drop=True), strata[::-1], most)
    assert keep.tolist() == turned[::-1].tolist()
    assert factor.tolist() == factors[::-1].tolist()
    assert factor[keep].sum() == pytest.approx(len(rows))


def test_thinned_rows_keep_what_they_are(design: Design) -> None:
    """Label, date and position of a kept row are those that it had."""
    fewer = design.at_most(300)
    numbered = replace(design, weight=np.arange(len(design.y), dtype=np.float64))
    keep, _ = thin_rows(
        design.accounts,
        design.as_of,
        np.column_stack([((design.ends - design.as_of) / pd.Timedelta(days=1)).to_numpy(), design.y]),
        300,
    )
    same = numbered.subset(keep)
    assert fewer.y.tolist() == same.y.tolist()
    assert fewer.row_index.tolist() == same.row_index.tolist()
    assert fewer.as_of.tolist() == same.as_of.tolist()
