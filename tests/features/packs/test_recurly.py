"""The Recurly pack against figures computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

TERMS = ("started_at", "ended_at", "arr", "end_reason", "status")
ACCOUNT = """
id, code, company, created_at, updated_at, deleted_at, email
a1, acme, Old name, 2023-12-20, 2024-01-01, , ann@acme.example
a1, acme, Acme, 2023-12-20, 2024-02-01, , ann@acme.example
"""
PLAN = """
id, updated_at, name, code, interval_unit, interval_length
month, 2023-01-01, Pro, pro, months, 1
year, 2023-01-01, Pro yearly, pro-y, months, 12
week, 2023-01-01, Weekly, w, days, 7
"""
VERSION = (
    "id, account_id, plan_id, state, activated_at, updated_at, canceled_at, expires_at, current_period_started_at, current_period_ends_at, "
    "current_term_started_at, current_term_ends_at, trial_ends_at, paused_at, currency, unit_amount, quantity, add_ons_total, subtotal, expiration_reason"
)
LINE = "id, updated_at, subscription_id, plan_id, type, origin, state, currency, quantity, unit_amount, subtotal, proration_rate, refund, start_date, end_date"


def _version(**values: str) -> str:
    row = {
        "id": "s1", "account_id": "a1", "plan_id": "month", "state": "active", "activated_at": "2024-01-01", "updated_at": "2024-03-01",
        "current_period_started_at": "2024-03-01", "current_period_ends_at": "2024-04-01", "currency": "usd",
        "unit_amount": "10", "quantity": "3", "add_ons_total": "5", "subtotal": "35",
    } | values
    return ", ".join(row.get(name.strip(), "") for name in VERSION.split(","))


def _tables(*versions: str, lines: tuple[str, ...] = ()) -> dict[str, str]:
    tables = {"account_history": ACCOUNT, "plan_history": PLAN, "subscription_history": "\n".join([VERSION, *versions])}
    return tables | ({"line_item_history": "\n".join([LINE, *lines])} if lines else {})


LINES = (
    "l1, 2024-01-01, s1, month, charge, plan, invoiced, usd, 2, 10, 20, , false, 2024-01-01, 2024-02-01",
    "l2, 2024-01-01, s1, month, charge, add_on, invoiced, usd, 1, 5, 5, , false, 2024-01-01, 2024-02-01",
    "l3, 2024-01-01, s1, month, charge, setup_fee, invoiced, usd, 1, 500, 500, , false, 2024-01-01, 2024-02-01",
    "l4, 2024-02-01, s1, month, charge, plan, invoiced, usd, 3, 10, 30, , false, 2024-02-01, 2024-03-01",
    "l5, 2024-02-01, s1, month, charge, add_on, invoiced, usd, 1, 5, 5, , false, 2024-02-01, 2024-03-01",
    "l6, 2024-03-01, s1, month, charge, plan, invoiced, usd, 3, 10, 30, , false, 2024-03-01, 2024-04-01",
    "l7, 2024-03-01, s1, month, charge, add_on, invoiced, usd, 1, 5, 5, , false, 2024-03-01, 2024-04-01",
    "l7, 2024-03-01, s1, month, credit, credit, invoiced, usd, 1, -9, -9, , false, 2024-03-02, 2024-04-01",
)


def test_the_sample_export_has_the_arr_that_was_computed_by_hand(run_export: Callable[..., Any]) -> None:
    run = run_export("recurly", "recurly")
    running = run["subscriptions"][run["subscriptions"].ended_at.isna()]
    # Latest versions: 5,596 and 99 a month; the second one has two versions.
    assert sorted(running.arr) == [1188.0, 67_152.0]
    assert sorted(running.renewal_at.astype(str)) == ["2022-08-20 09:31:52", "2022-09-11 08:20:38"]
    assert len(run["accounts"]) == 4
    # The last sync of an account.
    assert str(run.connection.execute(run.queries.data_through).fetchone()[0]) == "2022-08-30 08:23:24"
    assert run.stated("beyond the latest").startswith("1 version")
    assert len(run["subscriptions"][run["subscriptions"].end_reason == "cancelled"]) == 2


def test_periods_come_from_recurring_charges_and_from_versions(run_pack: Callable[..., Any]) -> None:
    run = run_pack("recurly", _tables(_version(), lines=LINES))
    # 25.00, then 35.00 a month: 300 and 420 a year.
    assert run.rows("subscriptions", *TERMS, "seats", "renewal_at") == [
        ("2024-01-01", "2024-02-01", 300.0, "upgraded", "active", 2, "2024-02-01"),
        ("2024-02-01", "2024-03-01", 420.0, "renewed", "active", 3, "2024-03-01"),
        ("2024-03-01", None, 420.0, None, "active", 3, "2024-04-01"),
    ]
    assert run.rows("accounts", "name", "created_at") == [("Acme", "2023-12-20")]
    assert run.rows("subscriptions", "plan", "currency")[0] == ("Pro", "USD")


COUPONS = """
id, updated_at, duration, temporal_amount, temporal_unit, applies_to_all_plans
ten, 2023-01-01, forever, , , true
month, 2023-01-01, temporal, 1, month, true
once, 2023-01-01, single_use, , , true
yearly, 2023-01-01, forever, , , false
five, 2023-01-01, forever, , , true
odd, 2023-01-01, zz_invented, , , true
"""
COUPON_DISCOUNTS = """
coupon_id, type, percentage, amount, currency
ten, percent, 10, ,
month, percent, 10, ,
once, percent, 10, ,
yearly, percent, 10, ,
odd, percent, 10, ,
five, fixed, , 5, USD
five, fixed, , 9, EUR
"""


@pytest.mark.parametrize(
    ("redemption", "arrs"),
    [
        # 300, and 420 from February on; redeemed with the term of February.
        ("r1, a1, , ten, 2024-02-01 00:00:03, , active", [300.0, 378.0, 378.0]),
        ("r1, a1, s1, ten, 2024-02-01 00:00:03, , active", [300.0, 378.0, 378.0]),
        ("r1, a1, , ten, 2024-02-01 00:00:03, 2024-02-15, inactive", [300.0, 378.0, 420.0]),
        ("r1, a1, , month, 2024-02-01 00:00:03, , active", [300.0, 378.0, 420.0]),
        # 5 a month are 60 a year.
        ("r1, a1, , five, 2024-02-01 00:00:03, , active", [300.0, 360.0, 360.0]),
        ("r1, a1, , once, 2024-02-01 00:00:03, , active", [300.0, 420.0, 420.0]),
        ("r1, a1, , odd, 2024-02-01 00:00:03, , active", [300.0, 420.0, 420.0]),
        ("r1, a1, , yearly, 2024-02-01 00:00:03, , active", [300.0, 420.0, 420.0]),
        ("r1, a1, , unknown, 2024-02-01 00:00:03, , active", [300.0, 420.0, 420.0]),
        ("r1, a9, , ten, 2024-02-01 00:00:03, , active", [300.0, 420.0, 420.0]),
        ("r1, a1, s9, ten, 2024-02-01 00:00:03, , active", [300.0, 420.0, 420.0]),
    ],
)
def test_discounts_that_recur_are_subtracted_while_they_hold(run_pack: Callable[..., Any], redemption: str, arrs: list[float]) -> None:
    tables = _tables(_version(), lines=LINES) | {
        "coupon_history": COUPONS, "coupon_discount": COUPON_DISCOUNTS, "coupon_plan_history": "coupon_id, plan_id\nyearly, year",
        "coupon_redemption_history": f"id, account_id, subscription_id, coupon_id, created_at, removed_at, state\n{redemption}",
    }
    run = run_pack("recurly", tables)
    assert [arr for (arr,) in run.rows("subscriptions", "arr")] == arrs
    assert run.stated("discount that recurs" if arrs[1] < 420 else "for a single use").startswith("1 ")
    # The plan of the subscription is monthly.
    tables["coupon_plan_history"] = "coupon_id, plan_id\nyearly, month"
    assert (min(run_pack("recurly", tables)["subscriptions"].arr[1:]) == 378.0) == ("yearly" in redemption or arrs[1] == 378.0)


def test_redemptions_of_single_subscriptions_are_read_from_their_own_table(run_pack: Callable[..., Any]) -> None:
    other = _version(id="s2", quantity="1", subtotal="10", add_ons_total="0")
    tables = _tables(_version(), other) | {
        "coupon_history": COUPONS, "coupon_discount": COUPON_DISCOUNTS,
        "coupon_redemption_history": "id, account_id, coupon_id, created_at, state\nr1, a1, ten, 2024-01-01, active",
    }
    # 35 and 10 a month.
    assert sorted(run_pack("recurly", tables)["subscriptions"].arr) == [108.0, 378.0]
    tables["subscription_coupon_redemption_history"] = "coupon_redemption_id, subscription_id\nr1, s2"
    assert sorted(run_pack("recurly", tables)["subscriptions"].arr) == [108.0, 420.0]


def test_each_version_counts_from_its_own_instant(run_pack: Callable[..., Any], known_at: Callable[..., Any]) -> None:
    versions = (
        _version(updated_at="2024-02-01 00:00:05", current_period_started_at="2024-02-01", current_period_ends_at="2024-03-01", quantity="2", subtotal="25"),
        _version(updated_at="2024-02-10", current_period_started_at="2024-02-01", current_period_ends_at="2024-03-01"),
        _version(updated_at="2024-03-01 00:00:05"),
    )
    run = run_pack("recurly", _tables(*versions))
    assert run.rows("subscriptions", *TERMS, "term_started_at") == [
        ("2024-01-01", "2024-02-10", 300.0, "upgraded", "active", "2024-02-01 00:00:05"),
        ("2024-02-10", "2024-03-01 00:00:05", 420.0, "renewed", "active", "2024-02-01"),
        ("2024-03-01 00:00:05", None, 420.0, None, "active", "2024-03-01"),
    ]
    # Versions that come later change nothing that was known before.
    early = run_pack("recurly", _tables(*versions[:2]))["subscriptions"]
    for day in ("2024-01-20", "2024-02-05", "2024-02-20"):
        assert known_at(early, day) == known_at(run["subscriptions"], day)
    assert known_at(early, "2024-01-20")[0][4] is None


def test_a_prorated_charge_begins_a_period_with_the_full_price(run_pack: Callable[..., Any]) -> None:
    prorated = (
        "p1, 2024-03-16, s1, month, charge, plan, invoiced, usd, 5, 10, 25, 0.5, false, 2024-03-16, 2024-04-01",
        "p2, 2024-03-16, s1, month, charge, add_on, invoiced, usd, 1, 5, 2.5, 0.5, false, 2024-03-16, 2024-04-01",
    )
    run = run_pack("recurly", _tables(_version(updated_at="2024-03-16 00:00:02", quantity="5", subtotal="55"), lines=(*LINES, *prorated)))
    assert run.rows("subscriptions", *TERMS, "term_started_at")[-2:] == [
        ("2024-03-01", "2024-03-16", 420.0, "upgraded", "active", "2024-03-01"),
        ("2024-03-16", None, 660.0, None, "active", "2024-03-01"),
    ]


def test_canceled_still_runs_and_expired_ended(run_pack: Callable[..., Any]) -> None:
    canceled = _version(state="canceled", updated_at="2024-03-10", canceled_at="2024-03-10", expires_at="2024-04-01")
    run = run_pack("recurly", _tables(canceled, lines=LINES))
    assert run.rows("subscriptions", "ended_at", "notice_at")[-1] == (None, "2024-03-10")
    assert run.stated("still running").startswith("1 canceled subscription")
    expired = _version(state="expired", updated_at="2024-04-01", canceled_at="2024-03-10", expires_at="2024-04-01", expiration_reason="canceled")
    run = run_pack("recurly", _tables(canceled, expired, lines=LINES))
    assert run.rows("subscriptions", *TERMS, "notice_at")[-1] == ("2024-03-01", "2024-04-01", 420.0, "cancelled", "active", "2024-03-10")


def test_an_expiry_for_failed_payments_is_nonpayment(run_pack: Callable[..., Any]) -> None:
    expired = _version(state="expired", updated_at="2024-03-20", canceled_at="2024-03-20", expires_at="2024-03-20", expiration_reason="nonpayment")
    run = run_pack("recurly", _tables(expired, lines=LINES))
    assert run.rows("subscriptions", *TERMS, "notice_at")[-1] == ("2024-03-01", "2024-03-20", 420.0, "nonpayment", "active", None)


def test_the_price_of_an_ended_subscription_without_charges_is_never_known(run_pack: Callable[..., Any], known_at: Callable[..., Any]) -> None:
    run = run_pack("recurly", _tables(_version(state="expired", updated_at="2024-03-20", expires_at="2024-03-20")))
    assert [row[4] for row in known_at(run["subscriptions"], "2024-03-10")] == [None]


def test_a_trial_a_pause_and_an_unpaid_invoice_are_statuses(run_pack: Callable[..., Any]) -> None:
    trial = _version(activated_at="2024-03-01", current_period_ends_at="2024-03-15", trial_ends_at="2024-03-15")
    assert run_pack("recurly", _tables(trial)).rows("subscriptions", *TERMS) == [("2024-03-01", None, 420.0, None, "trial")]
    after = _version(activated_at="2024-02-14", trial_ends_at="2024-03-01")
    assert run_pack("recurly", _tables(after)).rows("subscriptions", *TERMS) == [
        ("2024-02-14", "2024-03-01", 420.0, None, "trial"), ("2024-03-01", None, 420.0, None, "active"),
    ]
    paused = _version(state="paused", updated_at="2024-03-12", paused_at="2024-03-12")
    assert run_pack("recurly", _tables(paused, lines=LINES)).rows("subscriptions", "started_at", "status")[-2:] == [
        ("2024-03-01", "active"), ("2024-03-12", "paused"),
    ]
    tables = _tables(_version(), lines=LINES)
    tables["invoice_history"] = "id, account_id, state, created_at, updated_at, due_at, total\nv1, a1, past_due, 2024-03-01, 2024-03-08, 2024-03-05, 35"
    tables["invoice_subscription_history"] = "invoice_id, subscription_id\nv1, s1"
    assert run_pack("recurly", tables).rows("subscriptions", "started_at", "status")[-2:] == [("2024-03-01", "active"), ("2024-03-05", "past_due")]


@pytest.mark.parametrize("state", ["future", "failed"])
def test_a_subscription_that_has_not_started_is_left_out(run_pack: Callable[..., Any], state: str) -> None:
    run = run_pack("recurly", _tables(_version(state=state)))
    assert run["subscriptions"].empty
    assert run.stated("left out").startswith("1 subscription starting later")


@pytest.mark.parametrize(("plan", "arr"), [("month", 420.0), ("year", 35.0), ("week", 1820.0), ("gone", 420.0)])
def test_intervals_make_a_year(run_pack: Callable[..., Any], plan: str, arr: float) -> None:
    # An unknown plan is billed once in its period, here a month.
    assert run_pack("recurly", _tables(_version(plan_id=plan))).rows("subscriptions", "arr") == [(arr,)]


def test_the_contracted_term_is_longer_than_the_billing_period(run_pack: Callable[..., Any]) -> None:
    run = run_pack("recurly", _tables(_version(current_term_started_at="2024-01-01", current_term_ends_at="2025-01-01")))
    assert run.rows("subscriptions", "renewal_at", "arr") == [("2025-01-01", 420.0)]


def test_a_quantity_of_one_is_no_seat_unless_it_is_wanted(run_pack: Callable[..., Any]) -> None:
    tables = _tables(_version(quantity="1", subtotal="15"))
    assert run_pack("recurly", tables).rows("subscriptions", "seats") == [(None,)]
    assert run_pack("recurly", tables, seats="always").rows("subscriptions", "seats") == [(1,)]


def test_billing_events(run_pack: Callable[..., Any]) -> None:
    tables = _tables(_version(), lines=LINES)
    tables["invoice_history"] = """
        id, account_id, type, state, created_at, updated_at, due_at, closed_at, currency, total, paid
        v1, a1, charge, pending, 2024-01-01, 2024-01-01, 2024-01-01, , usd, 25, 0
        v1, a1, charge, paid, 2024-01-01, 2024-01-02, 2024-01-01, 2024-01-01 00:00:02, usd, 25, 25
        v2, a1, charge, paid, 2024-02-01, 2024-02-20, 2024-02-10, 2024-02-20, usd, 35, 35
        v3, a1, charge, past_due, 2024-03-01, 2024-03-09, 2024-03-08, , usd, 35, 0
        v4, a1, credit, closed, 2024-03-02, 2024-03-02, 2024-03-02, 2024-03-02, usd, -9, 0
        v5, a1, charge, pending, 2024-03-20, 2024-03-20, 2024-04-20, , usd, 35, 0
    """
    tables["transaction"] = """
        id, account_id, created_at, type, status, amount, currency
        t1, a1, 2024-03-05, purchase, declined, 35, usd
        t2, a1, 2024-03-05, verify, declined, 0, usd
        t3, a1, 2024-03-06, refund, success, 4, usd
    """
    run = run_pack("recurly", tables)
    assert run.rows("billing", "event_id", "occurred_at", "kind", "amount") == [
        ("paid-v1", "2024-01-01 00:00:02", "invoice_paid", 25.0),
        ("overdue-v2", "2024-02-11", "invoice_overdue", 35.0),
        ("paid-v2", "2024-02-20", "invoice_paid", 35.0),
        ("credit-v4", "2024-03-02", "credit", 9.0),
        ("failed-t1", "2024-03-05", "payment_failed", 35.0),
        ("refund-t3", "2024-03-06", "refund", 4.0),
        ("overdue-v3", "2024-03-09", "invoice_overdue", 35.0),
    ]
    assert not any("which invoice a payment is for" in text or "of billing left out" in text for text in run.assumptions)
    tables["transaction"] += "t4, zz, 2024-03-06, refund, success, 4, usd\n"
    assert run_pack("recurly", tables).stated("of billing left out").startswith("1 event of billing left out, of accounts that are missing")
    tables["invoice_history"] += "v6, a1, charge, paid, 2024-03-10, 2024-03-15, 2024-03-12, 2024-03-15, usd, 35, 35\n"
    assert run_pack("recurly", tables).stated("which invoice a payment is for").startswith("1 account ")


def test_the_tables_meet_the_contract_and_reach_the_features(run_pack: Callable[..., Any], snapshot_of: Callable[..., Any]) -> None:
    account = snapshot_of(run_pack("recurly", _tables(_version(), lines=LINES)), "2024-03-15").loc["a1"]
    assert (account["contract.arr"], account["contract.seats"], account["contract.days_to_renewal"]) == (420.0, 3.0, 17.0)
