"""Features that separate the outcomes alone are reported; features that are only good are not."""

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
    features = find_separating_features(frame.assign(**{"usage.it": values, "usage.good": frame["good"]}), frame["churn"], catalogue, "churn")
    assert features.lacking == ""
    assert (features.accounts_with, features.accounts_without) == (CHURNING, ACCOUNTS - CHURNING)
    assert all(f.subject == "usage.it" and f.target == "churn" for f in features.findings)
    assert len(features.findings) <= 1
    return [(f.severity, f.words) for f in features.findings]


def test_a_good_feature_is_no_leak(rows: pd.DataFrame) -> None:
    assert named(rows, np.nan) == []
    assert named(rows, 0.0) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_a_separating_number_is_reported(rows: pd.DataFrame, sign: int) -> None:
    ((severity, words),) = named(rows, sign * (rows["churn"] + 0.01 * rows["good"]))
    assert severity == "failure"
    assert words.startswith("usage.it alone separates churn from the other snapshots (AUC 1.000)")


def test_an_overwritten_number_is_reported(rows: pd.DataFrame) -> None:
    ((severity, words),) = named(rows, np.where(rows["ever"], -1.0, 100.0 + rows["good"]))
    assert severity == "failure"
    assert "the accounts without it (AUC 1.000)" in words


@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_feature_known_for_one_outcome_only_is_reported(rows: pd.DataFrame, kind: Any) -> None:
    share = np.random.default_rng(1).random(len(rows))
    has_value = np.where(rows["ever"], share < 0.97, share < 0.02)
    filled: Any = np.where(has_value, 3.0, np.nan) if kind == "number" else np.where(has_value, "SECRET", None)
    ((severity, words),) = named(rows, filled, kind)
    assert severity == "failure"
    assert "is known for" in words
    assert "SECRET" not in words


def test_a_half_filled_feature_is_a_note(rows: pd.DataFrame) -> None:
    share = np.random.default_rng(1).random(len(rows))
    result = named(rows, np.where(np.where(rows["ever"], share < 0.6, share < 0.01), 3.0, np.nan))
    assert [severity for severity, _ in result] == ["note"]


def test_a_separating_category_is_reported_without_its_value(rows: pd.DataFrame) -> None:
    ((severity, words),) = named(rows, np.where(rows["ever"], "SECRET", "x"), "category")
    assert severity == "failure"
    assert "SECRET" not in words


def test_common_pure_categories_are_leaks_and_rare_ones_notes(rows: pd.DataFrame) -> None:
    number = rows["account_id"].str[1:].astype(int)
    other = np.where(number % 2 == 0, "x", "y")
    assert [s for s, _ in named(rows, np.where(number < 20, "left", other), "category")] == ["failure"]
    assert [s for s, _ in named(rows, np.where(number < 12, "left", other), "category")] == ["note"]
    assert named(rows, np.where(number < 9, "left", other), "category") == []


def test_a_category_per_account_is_no_leak(rows: pd.DataFrame) -> None:
    assert named(rows, rows["account_id"].to_numpy(dtype=object), "category") == []


def test_too_few_accounts_are_not_checked(rows: pd.DataFrame) -> None:
    few = rows[~rows["ever"] | (rows["account_id"] < f"a{MINIMUM_ACCOUNTS - 1:02}")].reset_index(drop=True)
    result = few.assign(**{"usage.it": few["churn"]})
    features = find_separating_features(result, few["churn"], Catalogue((feature("usage.it"),)), "churn")
    assert features.findings == ()
    assert features.lacking.startswith(f"{MINIMUM_ACCOUNTS - 1} accounts with churn and 50 without")


def test_rows_with_unknown_outcomes_are_left_out(rows: pd.DataFrame) -> None:
    unknown = rows.assign(churn=np.nan)
    both = pd.concat([rows, unknown.assign(account_id="z" + rows["account_id"])], ignore_index=True)
    assert named(both, 0.0) == []


def test_close_dates_and_extra_accounts_are_sampled(rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    daily = pd.concat([rows.assign(as_of=rows["as_of"] + pd.Timedelta(days=d)) for d in range(3)], ignore_index=True)
    catalogue = Catalogue((feature("usage.good"),))
    frame = daily.assign(**{"usage.good": daily["good"]})
    assert find_separating_features(frame, frame["churn"], catalogue, "churn").rows == len(rows)
    monkeypatch.setattr("training.leakage.target_leakage.MAXIMUM_ROWS", len(rows) // 2)
    assert 0.3 * len(rows) < find_separating_features(frame, frame["churn"], catalogue, "churn").rows < 0.7 * len(rows)
