"""Coverage of columns: filled share, first filled day, and whether values stopped."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from features.contract.schema import TABLES
from features.feed_health.column_coverage import column_health

FIRST = (date(2025, 1, 1) - date(1970, 1, 1)).days
MINUTES, USER, RESULT = TABLES["usage"]["minutes"], TABLES["usage"]["user_id"], TABLES["interventions"]["result"]


def _days(name: str, filled: list[int], values: list[int] | None = None) -> pd.DataFrame:
    """Return ten rows per day from 2025-01-01 on, with the given numbers of filled rows."""
    days = FIRST + np.arange(len(filled))
    more = {} if values is None else {f"values_{name}": values}
    return pd.DataFrame({"day": days, "rows": 10, f"filled_{name}": filled, **more})


def test_the_missing_share_counts_rows() -> None:
    health = column_health(USER, _days("user_id", [10, 5, 0, 5]), True)
    assert health.missing_share == pytest.approx(0.5)
    assert health.trouble == health.note == ""


def test_a_missing_column_is_missing_in_all_rows() -> None:
    health = column_health(USER, pd.DataFrame({"day": [FIRST], "rows": [10]}), False)
    assert (health.given, health.missing_share) == (False, 1.0)


def test_without_rows_there_are_no_messages() -> None:
    assert column_health(USER, pd.DataFrame({"day": [], "rows": []}), True).missing_share == 1.0


def test_a_column_added_later_reports_its_first_day() -> None:
    health = column_health(MINUTES, _days("minutes", [0] * 59 + [10] * 30, [0] * 59 + [10] * 30), True)
    assert health.note == "filled only since 2025-03-01"
    assert health.as_dict()["filled_since"] == "2025-03-01"


def test_a_column_whose_values_stopped_is_a_problem() -> None:
    filled = [10] * 31 + [0] * 30
    assert column_health(USER, _days("user_id", filled), True).trouble == "not filled since 2025-01-31, although rows continued"


def test_a_number_that_becomes_zero_is_a_problem() -> None:
    health = column_health(MINUTES, _days("minutes", [10] * 61, [10] * 31 + [0] * 30), True)
    assert health.trouble == "no value above zero since 2025-01-31, although rows continued"
    assert health.missing_share == 0


def test_columns_filled_in_later_are_never_a_problem() -> None:
    assert column_health(RESULT, _days("result", [10] * 31 + [0] * 30), True).trouble == ""
