"""A feature that tells the outcome alone is named, whichever way it does; one that is merely good is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import Catalogue
from features.definitions.feature import Feature
from training.leakage.target_leakage import MINIMUM_ACCOUNTS, find_separating_features

DATES = pd.date_range("2025-01-01", periods=10, freq="28D", tz="UTC").as_unit("us")
ACCOUNTS, CHURNING = 80, 30


def feature(name: str, kind: Any = "number") -> Feature:
    return Feature(name, "usage", "usage", name, kind, "", None, None, name)


@pytest.fixture
def rows() -> pd.DataFrame:
    """Eighty accounts on ten dates; thirty of them churn after one of the last, and are gone then."""
    rng = np.random.default_rng(0)
    account, date = np.divmod(np.arange(ACCOUNTS * len(DATES)), len(DATES))
    last = np.where(account < CHURNING, 5 + account % 5, len(DATES))
    frame = pd.DataFrame({"account_id": [f"a{i:02}" for i in account], "as_of": DATES[date]})
    frame["churn"] = (date == last).astype(float)
    frame["good"] = frame["churn"] + rng.normal(0, 0.6, len(frame))
    frame["ever"] = account < CHURNING
    return frame[date <= last].reset_index(drop=True)


def named(frame: pd.DataFrame, values: Any, kind: Any = "number") -> list[tuple[str, str]]:
    catalogue = Catalogue((feature("usage.it", kind), feature("usage.good")))
    found = find_separating_features(frame.assign(**{"usage.it": values, "usage.good": frame["good"]}), frame["churn"], catalogue, "churn")
    assert found.lacking == ""
    assert (found.accounts_with, found.accounts_without) == (CHURNING, ACCOUNTS - CHURNING)
    assert all(f.subject == "usage.it" and f.target == "churn" for f in found.findings)
    assert len(found.findings) <= 1
    return [(f.severity, f.words) for f in found.findings]


def test_a_good_feature_is_no_leak(rows: pd.DataFrame) -> None:
    assert named(rows, np.nan) == []
    assert named(rows, 0.0) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_that_ranks_the_classes_is_named(rows: pd.DataFrame, sign: int) -> None:
    ((severity, words),) = named(rows, sign * (rows["churn"] + 0.01 * rows["good"]))
    assert severity == "failure"
    assert words.startswith("usage.it alone separates churn from the other snapshots (AUC 1.000)")


def test_a_number_written_over_an_account_after_its_end_is_named_though_it_stood_there_before(rows: pd.DataFrame) -> None:
    ((severity, words),) = named(rows, np.where(rows["ever"], -1.0, 100.0 + rows["good"]))
    assert severity == "failure"
    assert "the accounts without it (AUC 1.000)" in words


@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_feature_that_is_filled_in_for_one_outcome_only_is_named(rows: pd.DataFrame, kind: Any) -> None:
    share = np.random.default_rng(1).random(len(rows))
    known = np.where(rows["ever"], share < 0.97, share < 0.02)
    filled: Any = np.where(known, 3.0, np.nan) if kind == "number" else np.where(known, "SECRET", None)
    ((severity, words),) = named(rows, filled, kind)
    assert severity == "failure"
    assert "is known for" in words
    assert "SECRET" not in words


def test_half_filled_in_is_only_told_of(rows: pd.DataFrame) -> None:
    share = np.random.default_rng(1).random(len(rows))
    found = named(rows, np.where(np.where(rows["ever"], share < 0.6, share < 0.01), 3.0, np.nan))
    assert [severity for severity, _ in found] == ["note"]


def test_a_category_of_those_that_churn_is_named_and_its_value_is_not(rows: pd.DataFrame) -> None:
    ((severity, words),) = named(rows, np.where(rows["ever"], "SECRET", "x"), "category")
    assert severity == "failure"
    assert "SECRET" not in words


def test_a_category_of_most_of_them_is_a_leak_and_of_some_may_be_chance(rows: pd.DataFrame) -> None:
    number = rows["account_id"].str[1:].astype(int)
    other = np.where(number % 2 == 0, "x", "y")
    assert [s for s, _ in named(rows, np.where(number < 20, "left", other), "category")] == ["failure"]
    assert [s for s, _ in named(rows, np.where(number < 12, "left", other), "category")] == ["note"]
    assert named(rows, np.where(number < 9, "left", other), "category") == []


def test_a_category_of_its_own_for_each_account_tells_nothing_about_others(rows: pd.DataFrame) -> None:
    assert named(rows, rows["account_id"].to_numpy(dtype=object), "category") == []


def test_too_few_accounts_are_not_looked_at(rows: pd.DataFrame) -> None:
    few = rows[~rows["ever"] | (rows["account_id"] < f"a{MINIMUM_ACCOUNTS - 1:02}")].reset_index(drop=True)
    told = few.assign(**{"usage.it": few["churn"]})
    found = find_separating_features(told, few["churn"], Catalogue((feature("usage.it"),)), "churn")
    assert found.findings == ()
    assert found.lacking.startswith(f"{MINIMUM_ACCOUNTS - 1} accounts with churn and 50 without")


def test_unknown_outcomes_are_left_out(rows: pd.DataFrame) -> None:
    unknown = rows.assign(churn=np.nan)
    both = pd.concat([rows, unknown.assign(account_id="z" + rows["account_id"])], ignore_index=True)
    assert named(both, 0.0) == []


def test_dates_close_together_and_more_accounts_than_needed_are_thinned_out(rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    daily = pd.concat([rows.assign(as_of=rows["as_of"] + pd.Timedelta(days=d)) for d in range(3)], ignore_index=True)
    catalogue = Catalogue((feature("usage.good"),))
    frame = daily.assign(**{"usage.good": daily["good"]})
    assert find_separating_features(frame, frame["churn"], catalogue, "churn").rows == len(rows)
    monkeypatch.setattr("training.leakage.target_leakage.MAXIMUM_ROWS", len(rows) // 2)
    assert 0.3 * len(rows) < find_separating_features(frame, frame["churn"], catalogue, "churn").rows < 0.7 * len(rows)
