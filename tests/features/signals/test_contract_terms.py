"""Overwritten contract terms reveal nothing about the past."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.kpi.cohort_retention import cohorts
from features.revenue.account_history import account_rows
from features.revenue.arr import facts, movements
from features.signals.signals import OpenSignals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.utils.dates import Grid

Rows = dict[str, list[dict[str, Any]]]

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
THROUGH = datetime(2027, 6, 1, tzinfo=UTC)
TERMS = ("arr", "seats", "plan", "usage_limit", "renewal_at")


def of(tables: Rows, through: datetime = THROUGH) -> OpenSignals:
    return read_signals(from_tables(arrow(tables), "a test"), through)


def arrow(tables: Rows) -> dict[str, Any]:
    import pyarrow as pa

    from features.contract.schema import TABLES

    types = {
        "string": pa.string(),
        "instant": pa.timestamp("us"),
        "float": pa.float64(),
        "int": pa.int64(),
        "bool": pa.bool_(),
    }
    results = {}
    for name, rows in tables.items():
        schema = pa.schema([(c.name, types[c.kind]) for c in TABLES[name].columns])
        results[name] = pa.Table.from_pylist(rows, schema)
    return results


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def overwritten(**more: Any) -> Rows:
    """One account with an overwritten row, and one with a complete history."""
    row = {
        "account_id": "a", "started_at": when("2024-03-01"), "arr": 1200.0, "seats": 10, "plan": "pro",
        "renewal_at": when("2027-09-01"), "term_started_at": when("2026-09-01"),
    }  # fmt: skip
    whole = {
        "account_id": "b",
        "started_at": when("2025-08-01"),
        "arr": 500.0,
        "seats": 5,
        "renewal_at": when("2026-08-01"),
    }
    return {
        "accounts": [{"account_id": each, "created_at": when("2024-01-01")} for each in "ab"],
        "subscriptions": [row | more, whole],
    }


instants = st.datetimes(datetime(2026, 7, 1), datetime(2027, 5, 1))
terms = st.fixed_dictionaries(
    {
        "term_started_at": instants,
        "arr": st.floats(0, 1e6),
        "seats": st.one_of(st.none(), st.integers(0, 500)),
        "plan": st.sampled_from([None, "basic", "pro", "enterprise"]),
        "usage_limit": st.one_of(st.none(), st.floats(0, 1e6)),
    }
)


@pytest.mark.slow
@given(terms, st.integers(0, 900), st.one_of(st.none(), instants), st.one_of(st.none(), instants))
@settings(max_examples=8)
def test_overwriting_a_term_later_does_not_change_earlier_features(
    other: dict[str, Any], days: int, ended: datetime | None, notice: datetime | None
) -> None:
    """If a term began at the date or later, only that the subscription was active is known at the date."""
    later = {
        **other, "renewal_at": other["term_started_at"] + pd.Timedelta(days=days).to_pytimedelta(),
        "ended_at": ended, "end_reason": "cancelled" if ended else None, "notice_at": notice,
    }  # fmt: skip
    expected, result = (_everything(of(rows)) for rows in (overwritten(), overwritten(**later)))
    for one, two in zip(expected, result, strict=True):
        pd.testing.assert_frame_equal(one, two)


def _everything(signals: OpenSignals) -> list[pd.DataFrame]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    try:
        frames = [
            snapshot(signals, Grid(datetime(2026, 6, 3, tzinfo=UTC), 28, 2)),
            facts(signals, AS_OF),
            movements(signals, start, AS_OF, known_at=AS_OF),
            pd.DataFrame([cohorts(signals, AS_OF)["whole"]]).drop(columns="ages"),
            pd.DataFrame(account_rows(signals, "a", start, AS_OF)["subscriptions"]),
        ]
        return frames
    finally:
        signals.close()


def test_an_account_with_unknown_terms_is_active_with_unknown_arr() -> None:
    signals = of(overwritten())
    result = facts(signals, AS_OF).set_index("account_id")
    assert np.isnan(result.loc["a", "arr"])
    assert np.isnan(result.loc["a", "seats"])
    assert result.loc["a", "plan"] is None
    assert result.loc["a", "subscriptions"] == 1
    assert pd.isna(result.loc["a", "renewal_at"])
    assert result.loc["b", "arr"] == 500.0
    after = facts(signals, datetime(2026, 10, 1, tzinfo=UTC)).set_index("account_id")
    assert after.loc["a", "arr"] == 1200.0
    assert after.loc["a", "renewal_at"] == pd.Timestamp("2027-09-01", tz="UTC")
    assert after.loc["a", "since"] == pd.Timestamp("2024-03-01", tz="UTC")
    moved = movements(signals, AS_OF, datetime(2026, 10, 1, tzinfo=UTC)).set_index("account_id").loc["a"]
    assert moved["active_start"]
    assert moved["active_end"]
    assert not moved["churned"]
    assert np.isnan(moved["arr_start"])
    assert moved["arr_end"] == 1200.0
    assert np.isnan(moved["expanded"])
    assert np.isnan(moved["contracted"])
    signals.close()


def _portfolio(overwritten: int, whole: int) -> Rows:
    """Accounts that began on one day: some renewed in the same row, the others in a new row; the first of these left
    after five months."""
    names = [f"a{i}" for i in range(overwritten + whole)]
    rows = []
    for i, name in enumerate(names):
        row = {"account_id": name, "started_at": when("2024-03-01"), "arr": 100.0}
        if i < overwritten:
            row |= {"term_started_at": when("2027-03-01"), "arr": 1000.0}
        elif i == overwritten:
            row |= {"ended_at": when("2024-08-01"), "end_reason": "cancelled"}
        rows.append(row)
    return {"accounts": [{"account_id": n, "created_at": when("2024-01-01")} for n in names], "subscriptions": rows}


@pytest.mark.parametrize(
    ("unknown", "whole", "start", "shares"),
    [
        (2, 2, None, [None] * 5),
        # One in a hundred and one is tolerated and left out.
        (1, 100, None, [1.0, 0.99, 0.99, 0.99, None]),
        (0, 2, 200.0, [1.0, 0.5, 0.5, 0.5, None]),
    ],
)
def test_cohorts_do_not_count_unknown_terms_as_zero(
    unknown: int, whole: int, start: float | None, shares: list[float | None]
) -> None:
    signals = of(_portfolio(unknown, whole))
    result = cohorts(signals, AS_OF)
    (cohort,) = result["cohorts"]
    why = f"the terms of {unknown} of {unknown + whole} accounts are unknown at their start: the source overwrites them"
    assert result["arr_unknown"] == (why if unknown else None)
    assert cohort["accounts"] == unknown + whole
    assert cohort["arr_start"] == start
    assert [age["arr"] for age in cohort["ages"]] == pytest.approx(shares)
    assert cohort["ages"][2]["logos"] == pytest.approx(1 - 1 / (unknown + whole))
    signals.close()


def test_a_term_that_begins_after_the_end_of_the_data_is_unknown() -> None:
    signals = of(overwritten(), AS_OF)
    rows = signals.tables["subscriptions"].to_pyarrow().to_pylist()
    (row,) = [each for each in rows if each["account_id"] == "a"]
    assert row["started_at"] == when("2024-03-01")
    assert row["ended_at"] is None
    assert all(row[name] is None for name in (*TERMS, "term_started_at"))
    signals.close()


def test_reading_split_subscriptions_again_changes_nothing() -> None:
    signals = of(overwritten(notice_at=when("2026-12-01"), ended_at=when("2027-03-01"), end_reason="cancelled"))
    once = signals.tables["subscriptions"].to_pyarrow()
    tables = arrow(overwritten()) | {"subscriptions": once}
    again = read_signals(from_tables(tables, "a test"), THROUGH, sound=True)
    order = [("account_id", "ascending"), ("started_at", "ascending")]
    assert again.tables["subscriptions"].to_pyarrow().sort_by(order) == once.sort_by(order)
    assert once.num_rows == 3
    signals.close()
    again.close()


@pytest.mark.parametrize(
    ("notice", "notice_at"), [("2026-06-30", "2026-06-30"), ("2026-07-01", None), ("2026-08-01", None)]
)
def test_notice_is_known_once_given(notice: str, notice_at: str | None) -> None:
    signals = of(overwritten(notice_at=when(notice), term_started_at=None, ended_at=when("2026-12-31")))
    result = facts(signals, AS_OF).set_index("account_id")
    expected = pd.NaT if notice_at is None else pd.Timestamp(notice_at, tz="UTC")
    assert result.loc["a", "notice_at"] is expected or result.loc["a", "notice_at"] == expected
    (row,) = account_rows(signals, "a", AS_OF, AS_OF)["subscriptions"]
    assert (row["notice_at"] or "")[:10] == (notice_at or "")
    assert row["ended_at"] is None
    signals.close()


def test_a_renewal_before_the_start_of_its_term_violates_the_contract() -> None:
    from features.errors import SignalsError

    with pytest.raises(SignalsError, match=r"renewal_at: an end before the start \(term_started_at\)"):
        of(overwritten(renewal_at=when("2026-08-01")))
