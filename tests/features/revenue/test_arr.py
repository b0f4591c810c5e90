"""ARR facts and movements agree with snapshots and labels, add up, and use nothing known later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.errors import BadRequest
from features.revenue import arr
from features.revenue.arr import facts, movements
from features.signals.signals import OpenSignals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.utils.dates import Grid
from training.dataset.labels import label

Make = Callable[..., OpenSignals]
START, END = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
AMOUNTS = ["churned", "contracted", "expanded", "in_grace", "new", "returned", "renewed_late"]


def _account(name: str, **more: Any) -> dict[str, Any]:
    return {"account_id": name, "created_at": "2025-01-01", **more}


def _signals(make: Make, subscriptions: list[dict[str, Any]], through: str = "2026-12-01") -> OpenSignals:
    names = sorted({row["account_id"] for row in subscriptions})
    return make({"accounts": [_account(n) for n in names], "subscriptions": subscriptions}, through)


def _moves(signals: OpenSignals, **more: Any) -> dict[str, dict[str, Any]]:
    frame = movements(signals, START, END, **more)
    return {row["account_id"]: row for row in frame.to_dict("records")}


def _adds_up(frame: pd.DataFrame) -> bool:
    gained = frame["expanded"] + frame["new"] + frame["returned"] + frame["renewed_late"]
    lost = frame["contracted"] + frame["churned"] + frame["in_grace"]
    return bool(np.allclose(frame["arr_start"] + gained - lost, frame["arr_end"]))


def test_facts_use_nothing_known_later(make_signals: Make) -> None:
    signals = _signals(
        make_signals,
        [
            {"account_id": "a", "started_at": "2025-01-01", "ended_at": "2026-07-01", "end_reason": "renewed", "arr": 100.0, "seats": 3, "plan": "s", "renewal_at": "2026-07-01"},
            {"account_id": "a", "started_at": "2026-01-01", "arr": 50.0, "seats": None, "plan": "l", "renewal_at": "2026-06-01"},
            {"account_id": "a", "started_at": "2026-07-01", "arr": 120.0, "seats": 4, "plan": "s"},
            {"account_id": "b", "started_at": "2025-01-01", "ended_at": "2026-06-30", "arr": 9.0},
        ],
    )
    (row,) = facts(signals, END).to_dict("records")
    assert (row["account_id"], row["arr"], row["seats"], row["plan"], row["subscriptions"]) == ("a", 150.0, 3.0, "s", 2.0)
    assert row["renewal_at"] == pd.Timestamp("2026-06-01", tz="UTC"), "the earliest, although it has passed without a renewal"
    assert row["since"] == pd.Timestamp("2025-01-01", tz="UTC")
    assert row["csm"] is None
    later = facts(signals, END + timedelta(seconds=1)).to_dict("records")
    assert [(r["account_id"], r["arr"]) for r in later] == [("a", 170.0)]


@pytest.mark.parametrize("contractual", [True, False])
def test_facts_equal_the_snapshot(portfolios: Any, contractual: bool) -> None:
    at = datetime(2025, 6, 1, tzinfo=UTC)
    tables = portfolios.portfolio(contractual=contractual)
    signals = read_signals(from_tables({n: tables[n] for n in ("accounts", "subscriptions", "orders") if n in tables}, "a test"))
    own = Catalogue(tuple(f for f in CATALOGUE.values() if f.name.startswith("contract.") and f.own_past is None))
    result, frame = facts(signals, at), snapshot(signals, Grid.single(at), catalogue=own)
    assert result["account_id"].tolist() == frame["account_id"].tolist()
    np.testing.assert_array_equal(result["arr"], frame["contract.arr"])
    np.testing.assert_array_equal(result["seats"], frame["contract.seats"])
    np.testing.assert_array_equal(result["subscriptions"], frame["contract.products"])
    days = (result["renewal_at"] - at) / timedelta(days=1)
    np.testing.assert_allclose(days, frame["contract.days_to_renewal"], atol=1e-4)
    assert result["plan"].tolist() == frame["contract.plan"].tolist()


def test_each_kind_of_movement(make_signals: Make) -> None:
    before, removed = {"started_at": "2025-01-01", "arr": 100.0}, {"ended_at": "2026-05-01", "end_reason": "cancelled"}
    again = {"started_at": "2026-05-20", "arr": 130.0, "plan": "x"}
    result = _moves(
        _signals(
            make_signals,
            [
                {"account_id": "stays", **before},
                {"account_id": "left", **before, **removed},
                {"account_id": "unpaid", **before, **removed, "end_reason": "nonpayment"},
                {"account_id": "late", **before, **removed},
                {"account_id": "late", **again},
                {"account_id": "back", **before, **removed},
                {"account_id": "back", **again, "started_at": "2026-06-20"},
                {"account_id": "new", **again},
                {"account_id": "adds", **before},
                {"account_id": "adds", **again, "arr": 5.0},
                {"account_id": "less", **before, "ended_at": "2026-05-01", "end_reason": "downgraded"},
                {"account_id": "less", "started_at": "2026-05-01", "arr": 60.0},
                {"account_id": "over", **before, "ended_at": "2026-03-20"},
                {"account_id": "over", "started_at": "2026-04-10", "arr": 90.0},
                {"account_id": "open", **before, "ended_at": "2026-06-15", "end_reason": "nonpayment"},
                {"account_id": "later", **before, "ended_at": "2026-06-15"},
                {"account_id": "later", **before, "started_at": "2026-07-10", "arr": 100.0},
                {"account_id": "gone_before", **before, "ended_at": "2026-02-01"},
            ],
        )
    )
    assert "gone_before" not in result
    moved = {name: {a: row[a] for a in AMOUNTS if row[a]} for name, row in result.items()}
    assert moved == {
        "stays": {}, "left": {"churned": 100.0}, "unpaid": {"churned": 100.0}, "late": {"expanded": 30.0},
        "back": {"churned": 100.0, "returned": 130.0}, "new": {"new": 130.0}, "adds": {"expanded": 5.0},
        "less": {"contracted": 40.0}, "over": {"renewed_late": 90.0}, "open": {"in_grace": 100.0}, "later": {"in_grace": 100.0},
    }  # fmt: skip
    assert (result["left"]["kind"], result["left"]["reason"], result["unpaid"]["kind"]) == ("voluntary", "cancelled", "involuntary")
    assert (result["adds"]["growth"], result["late"]["growth"], result["less"]["growth"]) == ("cross_sell", "tier", None)
    assert (result["open"]["pending"], result["open"]["kind"], result["open"]["reason"]) == (True, None, "nonpayment")
    assert result["left"]["left_at"] == pd.Timestamp("2026-05-01", tz="UTC")
    assert pd.isna(result["stays"]["left_at"])


def test_churn_is_pending_until_the_grace_period_ends(make_signals: Make) -> None:
    signals = _signals(
        make_signals, [{"account_id": "a", "started_at": "2025-01-01", "ended_at": "2026-06-15", "arr": 100.0}]
    )
    for available, pending in (("2026-07-01", True), ("2026-07-15", True), ("2026-07-15T00:00:01", False)):
        (row,) = _moves(signals, known_at=datetime.fromisoformat(available).replace(tzinfo=UTC)).values()
        assert (row["pending"], row["churned"], row["in_grace"]) == (pending, 0.0 if pending else 100.0, 100.0 if pending else 0.0)


def test_movements_add_up_and_agree_with_facts_and_labels(make_signals: Make) -> None:
    rng, rows = np.random.default_rng(3), []
    for _ in range(900):
        begun = START + timedelta(days=int(rng.integers(-200, 150)))
        ended = {"ended_at": (begun + timedelta(days=int(rng.integers(1, 200)))).isoformat()}
        why = {"end_reason": str(rng.choice(["cancelled", "nonpayment"]))}
        more = {**ended, **why} if rng.random() < 0.7 else {}
        rows.append({"account_id": f"a{rng.integers(0, 300):03}", "started_at": begun.isoformat(), "arr": 10.0 * int(rng.integers(0, 4)), **more})
    through = END + timedelta(days=90)
    signals = _signals(make_signals, rows, through.isoformat())
    moved, at_end = movements(signals, START, END, known_at=through), movements(signals, START, END)
    assert all((moved[amount] > 0).any() for amount in AMOUNTS), "every kind of movement occurs"
    assert at_end["pending"].sum() > 5
    assert not moved["pending"].any()
    assert _adds_up(moved)
    assert _adds_up(at_end)
    for instant, which in ((START, "start"), (END, "end")):
        arr = facts(signals, instant).set_index("account_id")["arr"]
        there = moved[moved[f"active_{which}"]].set_index("account_id")[f"arr_{which}"]
        pd.testing.assert_series_equal(arr, there, check_names=False)
    lost = moved[moved["active_start"]].reset_index(drop=True)
    labels = label(signals, lost[["account_id"]].assign(as_of=START), horizon_days=(END - START).days)
    assert (labels["churn"] == 1).tolist() == lost["kind"].notna().tolist()
    assert labels["churn_kind"].tolist() == lost["kind"].tolist()
    sure = at_end[~at_end["pending"]].set_index("account_id")["churned"]
    assert (sure == moved.set_index("account_id")["churned"][sure.index]).all(), "a certain churn stays certain"


def test_without_contracts_orders_define_arr(make_signals: Make) -> None:
    def order(account: str, at: str, amount: float, **more: Any) -> dict[str, Any]:
        return {"account_id": account, "occurred_at": at, "amount": amount, "loaded_at": None, **more}

    signals = make_signals(
        {
            "accounts": [_account(n) for n in ("goes", "grows", "new", "back")],
            "orders": [
                order("goes", "2026-02-01", 10.0), order("grows", "2026-02-01", 10.0), order("grows", "2026-06-01", 5.0),
                order("grows", "2026-06-02", 7.0, loaded_at="2026-07-05"), order("new", "2026-05-01", 3.0),
                order("back", "2025-06-01", 8.0), order("back", "2026-06-01", 2.0),
            ],
        },
        "2026-12-01",
    )  # fmt: skip
    result = facts(signals, END).set_index("account_id")
    assert result["arr"].to_dict() == {"grows": 15.0, "new": 3.0, "back": 2.0}, "the late row was not known"
    assert result[["seats", "subscriptions", "renewal_at", "plan"]].isna().all(axis=None)
    moved = _moves(signals)
    assert {n: {a: r[a] for a in AMOUNTS if r[a]} for n, r in moved.items()} == {
        "goes": {"churned": 10.0}, "grows": {"expanded": 5.0}, "new": {"new": 3.0}, "back": {"returned": 2.0},
    }  # fmt: skip
    assert moved["goes"]["left_at"] == pd.Timestamp("2026-05-02", tz="UTC")
    assert (moved["goes"]["kind"], moved["goes"]["reason"]) == ("voluntary", None)
    assert _adds_up(movements(signals, START, END))


def test_the_movements_of_a_period_are_computed_once(make_signals: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    table = [{"account_id": "a", "created_at": "2025-01-01"}]
    term = {"account_id": "a", "started_at": "2025-01-01", "arr": 100.0}
    signals = make_signals({"accounts": table, "subscriptions": [term]}, "2026-07-01")
    queries: list[object] = []
    collect = arr.collect
    monkeypatch.setattr(arr, "collect", lambda *arguments: queries.append(arguments) or collect(*arguments))
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    first = movements(signals, start, end)
    changed = movements(signals, start, end, known_at=end)
    changed["arr_start"] = 0.0
    pd.testing.assert_frame_equal(movements(signals, start, end), first)
    assert (len(first), len(queries)) == (1, 1)
    movements(signals, start, end, active_days=30)
    assert len(queries) == 2


def test_an_empty_period_is_refused(make_signals: Make) -> None:
    signals = _signals(make_signals, [{"account_id": "a", "started_at": "2025-01-01", "arr": 1.0}])
    for span in ((END, START, None), (START, START, None), (START, END, START)):
        with pytest.raises(BadRequest, match="a period from"):
            movements(signals, span[0], span[1], known_at=span[2])
