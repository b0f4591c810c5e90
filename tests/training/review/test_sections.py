"""The sections of the review, on tables small enough to check by hand."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.signals.signals import read_signals
from features.sources.base import from_tables
from training.review.figure import AccountResamples
from training.review.hindsight import hindsight
from training.review.sections.band_migration import ABSENT, band_migration
from training.review.sections.by_band import outcome_by_band
from training.review.sections.by_contract import contract_rows
from training.review.sections.by_segment import segment_rows
from training.review.sections.lead_time import lead_time

NAN = float("nan")
#  account, date, band, score, ARR, churned
TABLE = [
    ("a", "2026-04-07", "red", 30.0, 100.0, 1.0),
    ("b", "2026-04-07", "red", 35.0, 300.0, 0.0),
    ("c", "2026-04-07", "yellow", 50.0, 100.0, 1.0),
    ("d", "2026-04-07", "yellow", 55.0, 100.0, 0.0),
    ("e", "2026-04-07", "yellow", 60.0, 100.0, 0.0),
    ("f", "2026-04-07", "green", 80.0, 100.0, 0.0),
    ("g", "2026-04-07", "green", 90.0, 100.0, 0.0),
    ("h", "2026-04-07", "green", 95.0, 100.0, NAN),
]
Gathered = Callable[..., Any]


def test_churn_by_band(gathered: Gathered) -> None:
    result = outcome_by_band(gathered(TABLE), "churn")
    #          accounts  ARR  events  rate  lift             captured
    # red             2  400       1   1/2  1/2 over 2/7 = 1.75    1/2
    # yellow          3  300       1   1/3  1.1667                 1
    # green           2  200       0     0  0                      1   (h is censored and not counted)
    assert [(r.band, r.accounts, r.arr, r.rate.events) for r in result.bands] == [
        ("red", 2, 400.0, 1), ("yellow", 3, 300.0, 1), ("green", 2, 200.0, 0)
    ]  # fmt: skip
    assert [r.rate.value for r in result.bands] == pytest.approx([1 / 2, 1 / 3, 0])
    assert [r.lift.value for r in result.bands] == pytest.approx([7 / 4, 7 / 6, 0])
    assert [r.captured.value for r in result.bands] == pytest.approx([1 / 2, 1, 1])
    assert result.overall.value == pytest.approx(2 / 7)
    assert result.overall.events == 2


def test_expansion_starts_with_the_best_band(gathered: Gathered) -> None:
    result = outcome_by_band(gathered(TABLE), "expansion")
    assert [r.band for r in result.bands] == ["green", "yellow", "red"]
    assert result.bands[-1].captured.value == pytest.approx(1)


def test_a_figure_without_spread_has_no_interval(gathered: Gathered) -> None:
    green = outcome_by_band(gathered(TABLE), "churn").bands[-1]
    assert (green.rate.value, green.rate.low, green.rate.high) == (0.0, None, None)


def test_a_ratio_of_zeros_is_null() -> None:
    result = AccountResamples(np.array(["a", "b"], dtype=object)).ratio([0, 0], [0, 0], 0)
    assert (result.value, result.low, result.high, result.events) == (None, None, None, 0)


def test_without_accounts_a_ratio_is_null() -> None:
    result = AccountResamples(np.array([], dtype=object))
    assert (result.account_count(np.array([], dtype=bool)), result.ratio([], [], 0).value) == (0, None)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), min_size=2, max_size=40))
def test_a_share_has_a_valid_interval_and_does_not_depend_on_row_order(rows: list[tuple[str, bool]]) -> None:
    def share(pairs: list[tuple[str, bool]]) -> Any:
        accounts = np.array([account for account, _ in pairs], dtype=object)
        return AccountResamples(accounts).ratio([churns for _, churns in pairs], np.ones(len(pairs)), 1)

    result = share(rows)
    assert result == share(rows[::-1])
    if result.low is not None:
        assert 0 <= result.low <= result.high <= 1


def test_lead_time_reads_the_last_score_before(gathered: Gathered) -> None:
    days = ["2026-06-02", "2026-06-30", "2026-07-07"]
    rows = [("a", day, band, score, 1.0, 1.0) for day, band, score in zip(days, ("green", "yellow", "red"), (80.0, 60.0, 20.0), strict=True)]
    rows += [("b", day, "green", 90.0, 1.0, 0.0) for day in days]
    churns = pd.DataFrame(
        {"account_id": ["a"], "churned_at": pd.to_datetime(["2026-08-06T12:00"], utc=True), "involuntary": [True]}
    )
    result = lead_time(gathered(rows, churned_at=churns))
    assert (result.churned, result.involuntary) == (1, 1)
    # 30 days before is 07-07 noon: the score of that day. 60 before is 06-07: that of 06-02. 90 before: none within a week.
    assert [(b.days, b.accounts, b.score.value) for b in result.before] == [(30, 1, 20.0), (60, 1, 80.0), (90, 0, None), (120, 0, None)]
    assert result.before[0].red.value == 1.0
    assert result.stayed_score.value == 90.0


def test_a_churn_confirmed_outside_the_quarter_is_not_counted(gathered: Gathered) -> None:
    # Confirmed 30 days later: on 07-01 it belongs to the quarter before, on 10-01 to this one.
    for day, counted in (("2026-06-01", 0), ("2026-06-02", 1), ("2026-09-01", 1), ("2026-09-02", 0)):
        churns = pd.DataFrame({"account_id": ["a"], "churned_at": pd.to_datetime([day], utc=True), "involuntary": [False]})
        assert lead_time(gathered(TABLE, churned_at=churns)).churned == counted


class AllRed:
    """A rubric that puts every account in the red band."""

    def score(self, frame: pd.DataFrame) -> Any:
        return SimpleNamespace(band=pd.Series(["red"] * len(frame)))


def test_hindsight_counts_the_churns_of_the_quarter_as_the_lead_time_does(gathered: Gathered) -> None:
    rows = [("a", "2026-04-07", "red", 30.0, 1.0, 1.0), ("b", "2026-04-07", "green", 90.0, 1.0, 1.0), ("d", "2026-09-29", "green", 90.0, 1.0, NAN)]
    at = pd.to_datetime(["2026-07-08", "2026-07-08", "2026-07-08", "2026-12-01"], utc=True)
    churns = pd.DataFrame({"account_id": ["a", "b", "c", "d"], "churned_at": at, "involuntary": False})
    data = gathered(rows, churned_at=churns, frame=pd.DataFrame(index=range(3)))
    result = hindsight(data, None)
    assert (result.churned, result.known, result.red, result.red_proposed) == (3, 2, 1, None)
    assert result.churned == lead_time(data).churned
    assert result.words == "1 of the 3 accounts with a churn confirmed in the quarter were red 90 days before they left (1 had no score on that day)."
    changed = hindsight(data, AllRed())  # type: ignore[arg-type]
    assert changed.red_proposed == 2
    assert ". With the proposed changes, 2 would have been red. Red accounts on the newest date: 0 now, 1 with the proposed changes." in changed.words


def test_hindsight_without_a_churn(gathered: Gathered) -> None:
    assert hindsight(gathered(TABLE), None).words == "No churn was confirmed in the quarter."


def test_moves_include_new_and_lost_accounts(gathered: Gathered) -> None:
    rows = [
        ("a", "2026-06-30", "green", 80.0, 10.0, 0.0),
        ("b", "2026-06-30", "red", 20.0, 20.0, 1.0),
        ("a", "2026-09-29", "yellow", 60.0, 12.0, NAN),
        ("c", "2026-09-29", "green", 90.0, 5.0, NAN),
    ]
    result = band_migration(gathered(rows))
    assert [(m.before, m.after, m.accounts, m.arr) for m in result.moves] == [
        ("red", ABSENT, 1, 20.0), ("green", "yellow", 1, 12.0), (ABSENT, "green", 1, 5.0)
    ]  # fmt: skip


def test_a_path_starts_a_quarter_earlier(gathered: Gathered) -> None:
    names = [f"n{i}" for i in range(10)]
    rows = [(n, "2026-01-06", "green", 80.0, 1.0, 0.0) for n in names]
    rows += [(n, "2026-04-07", "red", 20.0, 1.0, float(i < 4)) for i, n in enumerate(names)]
    data = gathered(rows)
    data.judged = (data.as_of >= pd.Timestamp("2026-04-01", tz="UTC")).to_numpy()
    (path,) = band_migration(data).paths
    assert (path.before, path.after, path.accounts, path.rate.value, path.rate.events) == ("green", "red", 10, 0.4, 4)


def test_a_segment_with_too_few_outcomes_has_no_rate(gathered: Gathered) -> None:
    few = [(f"f{i}", "2026-04-07", "green", 80.0, 200_000.0, float(i < 9)) for i in range(30)]
    many = [(f"m{i}", "2026-04-07", "red" if i < 12 else "green", 30.0 if i < 12 else 80.0, 50_000.0, float(i < 12)) for i in range(30)]
    data = gathered(few + many)
    data.segment = np.array(["enterprise"] * 30 + ["mid-market"] * 30, dtype=object)
    result = {row.segment: row for row in segment_rows(data)}
    assert (result["enterprise"].enough, result["enterprise"].rate.value, result["enterprise"].accounts_with_churn) == (False, None, 9)
    assert result["mid-market"].rate.value == pytest.approx(0.4)
    assert result["mid-market"].auc.value == pytest.approx(1.0)


def test_groups_by_notice_status_company_and_product(gathered: Gathered, to_arrow: Any) -> None:
    day = "2026-04-07"
    accounts = [{"account_id": name, "created_at": "2025-01-01", "parent_id": {"b": "a"}.get(name)} for name in "abcd"]
    subscriptions = [
        {"account_id": name, "started_at": "2025-01-01", "arr": 1.0, "product": product}
        for name, product in (("a", "core"), ("a", "plus"), ("b", "core"), ("c", "core"))
    ]
    # The product is held only after the date.
    subscriptions.append({"account_id": "d", "started_at": "2026-05-01", "arr": 1.0, "product": "plus"})
    tables = {"accounts": accounts, "subscriptions": subscriptions}
    signals = read_signals(from_tables({name: to_arrow(name, rows) for name, rows in tables.items()}, "a test"))
    frame = pd.DataFrame({"contract.notice_given": [1, 0, 0, 0], "contract.past_due": [0, 0, 1, 0]}, dtype=float)
    data = gathered([(name, day, "green", 80.0, 1.0, float(name == "a")) for name in "abcd"], frame=frame, signals=signals)
    found = {row.segment: (row.accounts, row.accounts_with_churn) for row in contract_rows(data)}
    signals.close()
    assert found == {
        "notice given": (1, 1),
        "no notice": (3, 0),
        "past due": (1, 0),
        "company with several accounts": (2, 1),
        "single account": (2, 0),
        "product core": (3, 1),
        "product plus": (1, 1),
    }


def test_a_source_without_such_columns_has_no_groups(gathered: Gathered, to_arrow: Any) -> None:
    tables = {
        "accounts": [{"account_id": "a", "created_at": "2025-01-01"}],
        "subscriptions": [{"account_id": "a", "started_at": "2025-01-01", "arr": 1.0}],
    }
    signals = read_signals(from_tables({name: to_arrow(name, rows) for name, rows in tables.items()}, "a test"))
    data = gathered([("a", "2026-04-07", "green", 80.0, 1.0, 0.0)], frame=pd.DataFrame({"as_of": [0]}), signals=signals)
    assert contract_rows(data) == ()
    signals.close()
