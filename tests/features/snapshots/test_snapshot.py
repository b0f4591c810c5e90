"""A snapshot uses only what was known before its date, and counts it correctly."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.catalogue.catalogue import CATALOGUE
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid, parse_instant

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
BASE: dict[str, list[dict[str, Any]]] = {
    "accounts": [{"account_id": a, "created_at": "2024-01-01"} for a in ("a", "b")],
    "subscriptions": [
        {"account_id": a, "started_at": "2024-01-01", "arr": 1200.0, "seats": 10, "renewal_at": "2027-01-01"}
        for a in ("a", "b")
    ],
}


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def _use(account: str, days_ago: float, user: str = "u1", late: float | None = None, **more: Any) -> dict[str, Any]:
    at = AS_OF - timedelta(days=days_ago)
    loaded = None if late is None else _iso(at + timedelta(days=late))
    return {"account_id": account, "occurred_at": _iso(at), "user_id": user, "feature": "f", "loaded_at": loaded, **more}


LONG_AGO = [_use("b", 900)]
"""An old row: the feed starts early enough to cover all windows."""


def _one(make_signals: Any, tables: dict[str, Any], as_of: datetime = AS_OF, account: str = "a") -> pd.Series:
    frame = snapshot(make_signals(BASE | tables), Grid.single(as_of))
    return frame.set_index("account_id").loc[account]


def _reference(rows: list[dict[str, Any]], as_of: datetime, days: int) -> dict[str, float]:
    """Expected counts, computed row by row from the data contract."""
    counted, users, events = set(), set(), 0
    quantity = 0.0
    for row in rows:
        identity = (row["occurred_at"], row["user_id"], row["feature"], row.get("quantity"))
        at = parse_instant(row["occurred_at"])
        loaded = parse_instant(row["loaded_at"]) if row.get("loaded_at") else at
        if row["account_id"] == "a" and as_of - timedelta(days=days) <= at < as_of and max(at, loaded) < as_of:
            if identity in counted:
                continue
            counted.add(identity)
            events += 1
            users.add(row["user_id"])
            quantity += 1.0 if row.get("quantity") is None else row["quantity"]
    return {"events": events, "users": len(users), "quantity": quantity}


_rows = st.lists(
    st.builds(
        _use,
        st.sampled_from(["a", "b"]),
        # Whole and fractional days, at the edges of windows and after as_of.
        st.sampled_from([-30, -1, 0, 0.25, 6.9, 7, 7.1, 27, 28, 28.5, 60, 90.9, 91, 92, 181, 182, 363, 364, 365]),
        st.sampled_from(["u1", "u2", "u3"]),
        st.one_of(st.none(), st.sampled_from([0, 0.5, 3, 40])),
        quantity=st.sampled_from([None, 0.1, 2.0, 3.3333]),
    ),
    max_size=25,
)
_quiet = settings(
    max_examples=12,
    # A snapshot takes half a second, so a failing example is not shrunk, which would take minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@_quiet
@given(_rows)
def test_counts_sums_and_distinct_users_equal_the_definition(make_signals: Any, rows: list[dict[str, Any]]) -> None:
    signals = make_signals(BASE | {"usage": LONG_AGO + rows}, "2027-01-01")
    grid = Grid(AS_OF - timedelta(days=14), 7, 5)
    frame = snapshot(signals, grid).set_index(["account_id", "as_of"])
    for as_of in grid.as_ofs:
        row = frame.loc[("a", pd.Timestamp(as_of))]
        for days in (7, 28, 91, 182, 364):
            assert row[f"usage.events_{days}d"] == _reference(rows, as_of, days)["events"]
        for days in (28, 91):
            assert row[f"usage.quantity_{days}d"] == pytest.approx(_reference(rows, as_of, days)["quantity"], abs=1e-9)
            users = _reference(rows, as_of, days)["users"]
            assert row[f"usage.active_users_{days}d"] == users


@pytest.mark.slow
@_quiet
@given(_rows, st.randoms(use_true_random=False))
def test_row_order_and_repeated_batches_change_nothing(
    make_signals: Any, rows: list[dict[str, Any]], rng: random.Random
) -> None:
    again = rows + rng.sample(rows, len(rows) // 2)
    rng.shuffle(again)
    grid = Grid(AS_OF - timedelta(days=7), 7, 2)
    plain = snapshot(make_signals(BASE | {"usage": LONG_AGO + rows}, "2027-01-01"), grid)
    mixed = snapshot(make_signals(BASE | {"usage": again + LONG_AGO}, "2027-01-01"), grid)
    pd.testing.assert_frame_equal(plain, mixed, check_exact=True)


FUTURE: dict[str, list[dict[str, Any]]] = {
    "usage": [_use("a", 0), _use("a", -1), _use("a", 5, late=5), _use("a", 5, "u9", late=30)],
    "engagement": [{"account_id": "a", "occurred_at": "2026-07-01", "kind": "qbr", "outcome": "attended"}],
    "support": [
        {"account_id": "a", "occurred_at": "2026-07-02", "ticket_id": "t9", "severity": "urgent", "escalated": True}
    ],
    "outcomes": [{"account_id": "a", "occurred_at": "2026-07-01", "kind": "nps", "value": 0.0}],
    "relationship": [
        {"account_id": "a", "contact_id": "c1", "occurred_at": "2026-07-01", "role": "champion", "event": "left"}
    ],
    "billing": [{"account_id": "a", "occurred_at": "2026-07-01", "kind": "payment_failed"}],
    "company": [{"account_id": "a", "occurred_at": "2026-07-01", "kind": "layoffs"}],
    "interventions": [{"account_id": "a", "occurred_at": "2026-07-01", "play": "executive_change"}],
    "subscriptions": [{"account_id": "a", "started_at": "2026-07-01", "arr": 900.0, "seats": 3, "renewal_at": "2026-08-01"}],
}
PAST: dict[str, list[dict[str, Any]]] = {
    "usage": [*LONG_AGO, _use("a", 3), _use("a", 10, "u2")],
    "engagement": [{"account_id": "a", "occurred_at": "2026-05-01", "kind": "qbr", "outcome": "no_show"}],
    "support": [
        {"account_id": "a", "occurred_at": "2026-05-01", "ticket_id": "t1", "severity": "low", "escalated": False}
    ],
    "outcomes": [{"account_id": "a", "occurred_at": "2026-05-01", "kind": "nps", "value": 9.0}],
    "relationship": [
        {"account_id": "a", "contact_id": "c1", "occurred_at": "2026-05-01", "role": "champion", "event": "joined"}
    ],
    "billing": [{"account_id": "a", "occurred_at": "2026-05-01", "kind": "invoice_paid"}],
    "company": [{"account_id": "a", "occurred_at": "2026-05-01", "kind": "hiring"}],
    "interventions": [{"account_id": "a", "occurred_at": "2026-05-01", "play": "check_in"}],
    "subscriptions": BASE["subscriptions"],
}


@pytest.mark.parametrize("table", sorted(FUTURE))
def test_rows_at_or_after_the_date_are_not_used(make_signals: Any, table: str) -> None:
    before = snapshot(make_signals(BASE | PAST, "2027-01-01"), Grid.single(AS_OF))
    later = PAST | {table: PAST[table] + FUTURE[table]}
    after = snapshot(make_signals(BASE | later, "2027-01-01"), Grid.single(AS_OF))
    pd.testing.assert_frame_equal(before, after, check_exact=True)


def test_columns_filled_in_later_are_known_from_then_on(make_signals: Any) -> None:
    ticket = {
        "account_id": "a", "ticket_id": "t1", "occurred_at": "2026-06-01", "resolved_at": "2026-06-20", "severity": "high",
        "csat": 2.0,
    }  # fmt: skip
    old = {"account_id": "b", "ticket_id": "t0", "occurred_at": "2024-01-05", "severity": "low"}
    before = _one(make_signals, {"support": [ticket, old]}, datetime(2026, 6, 20, tzinfo=UTC))
    after = _one(make_signals, {"support": [ticket, old]}, datetime(2026, 6, 21, tzinfo=UTC))
    assert (before["support.open_tickets"], after["support.open_tickets"]) == (1, 0)
    assert np.isnan(before["support.csat_182d"])
    assert after["support.csat_182d"] == 2.0
    assert after["support.resolution_hours_91d"] == 19 * 24


def test_a_champion_who_leaves_and_comes_back(make_signals: Any) -> None:
    rows = [
        {"account_id": "a", "contact_id": "c1", "role": "champion", "occurred_at": at, "event": event}
        for at, event in (("2026-01-01", "joined"), ("2026-03-01", "left"), ("2026-05-01", "joined"))
    ]
    frame = snapshot(make_signals(BASE | {"relationship": rows}), Grid(datetime(2026, 2, 1, tzinfo=UTC), 60, 3))
    assert frame.set_index("account_id").loc["a", "relationship.champions"].tolist() == [1, 0, 1]


def test_parallel_subscriptions_are_summed_and_a_renewal_replaces_one(make_signals: Any) -> None:
    subscriptions = [
        {"account_id": "a", "started_at": "2025-01-01", "ended_at": "2026-01-01", "arr": 100.0, "seats": 1,
         "renewal_at": "2026-01-01", "end_reason": "upgraded", "plan": "basic"},
        {"account_id": "a", "started_at": "2026-01-01", "arr": 150.0, "seats": 2, "renewal_at": "2027-01-01", "plan": "pro"},
        {"account_id": "a", "started_at": "2025-06-01", "arr": 50.0, "seats": 5, "renewal_at": "2026-06-01", "plan": "add"},
    ]  # fmt: skip
    tables = {"accounts": BASE["accounts"], "subscriptions": subscriptions}
    grid = Grid(datetime(2026, 1, 1, tzinfo=UTC), 1, 2)
    day, next_day = (row for _, row in snapshot(make_signals(tables, "2026-12-31"), grid).iterrows())
    # At the instant of the renewal neither the end nor the new start is known yet.
    assert (day["contract.arr"], next_day["contract.arr"]) == (150.0, 200.0)
    assert (day["contract.seats"], next_day["contract.seats"]) == (6, 7)
    assert (day["contract.plan"], next_day["contract.plan"]) == ("basic", "pro")
    assert day["contract.days_to_renewal"] == 0
    assert next_day["contract.days_to_renewal"] == 150


def test_an_account_is_active_after_its_start_until_its_end_is_known(make_signals: Any) -> None:
    subscriptions = [
        {"account_id": "a", "started_at": "2026-01-08", "ended_at": "2026-01-22", "arr": 1.0, "end_reason": "cancelled"}
    ]
    tables = {"accounts": BASE["accounts"], "subscriptions": subscriptions}
    frame = snapshot(make_signals(tables, "2026-06-01"), Grid(datetime(2026, 1, 8, tzinfo=UTC), 7, 4))
    assert [d.date().isoformat() for d in frame["as_of"]] == ["2026-01-15", "2026-01-22"]


def test_without_subscriptions_recent_orders_make_an_account_active(make_signals: Any) -> None:
    orders = [
        {"account_id": "a", "occurred_at": at, "amount": amount, "order_id": number, "product": product}
        for at, amount, number, product in (
            ("2026-01-10", 60.0, "1", "x"), ("2026-01-10", 40.0, "1", "y"), ("2026-03-01", 50.0, "2", "x"),
            ("2026-03-05", -50.0, "3", "x"),
        )
    ]  # fmt: skip
    orders.append({"account_id": "b", "occurred_at": "2025-01-01", "amount": 10.0, "order_id": "0", "product": "x"})
    tables = {"accounts": BASE["accounts"], "orders": orders}
    frame = snapshot(make_signals(tables, "2026-12-01"), Grid(datetime(2026, 4, 1, tzinfo=UTC), 60, 2))
    row = frame.iloc[0]
    assert frame["account_id"].tolist() == ["a"]
    assert (row["orders.count_91d"], row["orders.amount_91d"], row["orders.returns_182d"]) == (2, 100.0, 1)
    assert row["orders.products_91d"] == 2
    assert row["contract.arr"] == 100.0


def test_features_of_a_missing_or_short_table_are_unknown_not_zero(make_signals: Any) -> None:
    row = _one(make_signals, {"usage": [_use("a", 10), _use("b", 50)]})
    assert row["usage.events_28d"] == 1
    assert np.isnan(row["usage.events_91d"])
    assert all(np.isnan(row[n]) for n, f in CATALOGUE.items() if f.table == "support" and f.kind == "number")


def test_every_feature_has_its_column_dtype_and_order(make_signals: Any) -> None:
    frame = snapshot(make_signals(BASE | PAST), Grid.single(AS_OF))
    assert frame.columns.tolist() == ["account_id", "as_of", *CATALOGUE]
    assert str(frame["as_of"].dtype) == "datetime64[us, UTC]"
    assert all(frame[n].dtype == "float64" for n, f in CATALOGUE.items() if f.kind == "number")


def test_trends_compare_with_the_accounts_own_past(make_signals: Any) -> None:
    steady = [_use("a", d + 0.5) for d in range(0, 400, 7)]
    halved = [_use("b", d + 0.5) for d in range(0, 400, 7) if d >= 28 or d % 14 == 0]
    frame = snapshot(make_signals(BASE | {"usage": [*steady, *halved, *LONG_AGO]}), Grid.single(AS_OF)).set_index("account_id")
    assert frame.loc["a", "usage.events_trend_28d"] == pytest.approx(1.0)
    assert frame.loc["b", "usage.events_trend_28d"] == pytest.approx(0.5)


def test_single_date_and_grid_agree(make_signals: Any) -> None:
    signals = make_signals(BASE | PAST)
    grid = Grid.ending(AS_OF, AS_OF - timedelta(days=60), 7)
    whole = snapshot(signals, grid)
    alone = snapshot(signals, Grid.single(AS_OF))
    last = whole[whole["as_of"] == pd.Timestamp(AS_OF)].reset_index(drop=True)
    pd.testing.assert_frame_equal(last, alone, check_exact=True)
