"""The Chargebee pack against figures computed by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

TERMS = ("subscription_id", "started_at", "ended_at", "arr", "end_reason", "status")
CUSTOMER = "id, company, email, created_at, deleted\nc1, Acme, ann@acme.example, 2023-12-20, false"
PRICE = """
id, external_name, item_id, period, period_unit, pricing_model
pro-m, Pro monthly, pro, 1, month, per_unit
flat-m, Flat monthly, flat, 1, month, flat_fee
add-m, Storage, storage, 1, month, per_unit
"""
SUBSCRIPTION = (
    "id, customer_id, status, started_at, updated_at, current_term_start, current_term_end, trial_start, trial_end, cancelled_at, cancel_schedule_created_at, "
    "cancel_reason, pause_date, due_since, currency_code, billing_period, billing_period_unit"
)
ITEM = "subscription_id, item_price_id, item_type, quantity, unit_price, amount"
INVOICE = "id, customer_id, status, date, due_date, paid_at, currency_code, base_currency_code, exchange_rate, total, amount_paid"
LINE = "id, invoice_id, subscription_id, entity_id, entity_type, quantity, amount, date_from, date_to"


def _subscription(**values: str) -> str:
    row = {
        "id": "s1", "customer_id": "c1", "status": "active", "started_at": "2024-01-01", "updated_at": "2024-04-01", "current_term_start": "2024-04-01",
        "current_term_end": "2024-05-01", "currency_code": "USD", "billing_period": "1", "billing_period_unit": "month",
    } | values
    return "\n".join([SUBSCRIPTION, ", ".join(row.get(name.strip(), "") for name in SUBSCRIPTION.split(","))])


def _tables(subscription: str, *items: str, lines: tuple[str, ...] = (), invoices: tuple[str, ...] = ()) -> dict[str, str]:
    tables = {
        "customer": CUSTOMER, "item_price": PRICE, "item": "id, name\npro, Suite\nflat, Flat\nstorage, Storage", "subscription": subscription,
        "subscription_item": "\n".join([ITEM, *(items or ("s1, pro-m, plan, 3, 1000, 3000",))]),
    }
    if lines:
        tables["invoice_line_item"] = "\n".join([LINE, *lines])
    if invoices:
        tables["invoice"] = "\n".join([INVOICE, *invoices])
    return tables


LINES = (
    "l1, v1, s1, pro-m, plan_item_price, 2, 2000, 2024-02-01, 2024-03-01",
    "l2, v1, s1, setup, charge_item_price, 1, 99900, 2024-02-01, 2024-03-01",
    "l3, v2, s1, pro-m, plan_item_price, 3, 3000, 2024-03-01, 2024-04-01",
    "l4, v3, s1, pro-m, plan_item_price, 3, 3000, 2024-04-01, 2024-05-01",
    "l5, v3, s1, add-m, addon_item_price, 1, 500, 2024-04-01, 2024-05-01",
)


def test_periods_come_from_invoice_lines_and_the_running_term_from_the_current_row(run_pack: Callable[..., Any]) -> None:
    run = run_pack("chargebee", _tables(_subscription(), "s1, pro-m, plan, 3, 1000, 3000", "s1, add-m, addon, 1, 500, 500", lines=LINES))
    # 20.00, then 30.00 a month, and an addon of 5.00: 240, 360 and 60 a year.
    assert run.rows("subscriptions", *TERMS, "seats", "renewal_at", order=["subscription_id", "started_at"]) == [
        ("s1", "2024-02-01", "2024-03-01", 240.0, "upgraded", "active", 2, "2024-03-01"),
        ("s1", "2024-03-01", "2024-04-01", 360.0, "renewed", "active", 3, "2024-04-01"),
        ("s1", "2024-04-01", None, 360.0, None, "active", 3, "2024-05-01"),
        ("s1/add-m", "2024-04-01", None, 60.0, None, "active", None, "2024-05-01"),
    ]
    assert run.rows("subscriptions", "plan", "product", "currency")[0] == ("Pro monthly", "Suite", "USD")
    assert run.rows("accounts", "account_id", "created_at", "name") == [("c1", "2023-12-20", "Acme")]


def test_a_short_line_is_prorated_and_begins_a_period(run_pack: Callable[..., Any]) -> None:
    # From April 16 on 5 units of 10.00 a month, of which half a month is billed.
    lines = (*LINES[:4], "l6, v4, s1, pro-m, plan_item_price, 5, 2500, 2024-04-16, 2024-05-01")
    run = run_pack("chargebee", _tables(_subscription(updated_at="2024-04-16"), "s1, pro-m, plan, 5, 1000, 5000", lines=lines))
    assert run.rows("subscriptions", *TERMS, "term_started_at")[-2:] == [
        ("s1", "2024-04-01", "2024-04-16", 360.0, "upgraded", "active", "2024-04-01"),
        ("s1", "2024-04-16", None, 600.0, None, "active", "2024-04-01"),
    ]


def test_a_change_without_an_invoice_is_not_known_before_the_update(run_pack: Callable[..., Any], known_at: Callable[..., Any]) -> None:
    before = run_pack("chargebee", _tables(_subscription(), lines=LINES[:4]))["subscriptions"]
    run = run_pack("chargebee", _tables(_subscription(updated_at="2024-04-20"), "s1, pro-m, plan, 9, 1000, 9000", lines=LINES[:4]))
    assert run.rows("subscriptions", "started_at", "arr")[-2:] == [("2024-04-01", 360.0), ("2024-04-20", 1080.0)]
    for day in ("2024-02-15", "2024-03-15", "2024-04-20"):
        assert known_at(run["subscriptions"], day) == known_at(before, day)


def test_without_invoices_prices_are_known_from_the_running_term_and_never_of_ended_ones(run_pack: Callable[..., Any], known_at: Callable[..., Any]) -> None:
    run = run_pack("chargebee", _tables(_subscription()))
    assert [row[4] for row in known_at(run["subscriptions"], "2024-03-15")] == [None]
    assert [row[4] for row in known_at(run["subscriptions"], "2024-04-15")] == [360.0]
    run = run_pack("chargebee", _tables(_subscription(status="cancelled", cancelled_at="2024-04-10")))
    assert [row[4] for row in known_at(run["subscriptions"], "2024-04-09")] == [None]


COUPONS = """
id, discount_type, discount_percentage, discount_amount, currency_code, duration_type, apply_on
ten, percentage, 10, , , forever, invoice_amount
five, fixed_amount, , 500, USD, limited_period, invoice_amount
once, percentage, 10, , , one_time, invoice_amount
item, percentage, 10, , , forever, each_specified_item
odd, percentage, 10, , , zz_invented, invoice_amount
"""
DISCOUNT = "subscription_id, coupon_id, type, percentage, amount, currency_code, duration_type, apply_on, item_price_id, created_at, apply_till"


def _discounted(*amounts: int) -> tuple[str, ...]:
    """The lines of the plan with a discount each."""
    return tuple(f"{line}, {amount}" for line, amount in zip((LINES[0], *LINES[2:4]), amounts, strict=True))


def _lines(tables: dict[str, str], *lines: str) -> dict[str, str]:
    return tables | {"invoice_line_item": "\n".join([f"{LINE}, discount_amount", *lines])}


@pytest.mark.parametrize(
    ("coupon", "arrs"),
    [
        # 240, and 360 from March on; the lines of March and April have a discount.
        ("s1, ten, ", [240.0, 324.0, 324.0]),
        # 5.00 a month are 60 a year.
        ("s1, five, ", [240.0, 300.0, 300.0]),
        ("s1, five, 2024-04-01", [240.0, 300.0, 360.0]),
        ("s1, once, ", [240.0, 360.0, 360.0]),
        ("s1, item, ", [240.0, 360.0, 360.0]),
        ("s1, odd, ", [240.0, 360.0, 360.0]),
        ("s1, unknown, ", [240.0, 360.0, 360.0]),
    ],
)
def test_coupons_that_recur_are_subtracted_from_the_terms_that_they_discounted(run_pack: Callable[..., Any], coupon: str, arrs: list[float]) -> None:
    tables = _tables(_subscription()) | {"coupon": COUPONS, "subscription_coupon": f"subscription_id, coupon_id, apply_till\n{coupon}"}
    run = run_pack("chargebee", _lines(tables, *_discounted(0, 300, 300)))
    assert [arr for (arr,) in run.rows("subscriptions", "arr")] == arrs
    assert run.stated("discount that recurs" if arrs[1] < 360 else "for one invoice or certain items").startswith("1 ")


def test_a_coupon_is_known_from_the_running_term_if_no_line_shows_it(run_pack: Callable[..., Any]) -> None:
    tables = _tables(_subscription(), lines=LINES[:4]) | {"coupon": COUPONS, "subscription_coupon": "subscription_id, coupon_id\ns1, ten"}
    assert [arr for (arr,) in run_pack("chargebee", tables).rows("subscriptions", "arr")] == [240.0, 360.0, 324.0]
    # An addition of today changes no term that was invoiced without it.
    assert [arr for (arr,) in run_pack("chargebee", _lines(tables, *_discounted(0, 0, 0))).rows("subscriptions", "arr")] == [240.0, 360.0, 360.0]


@pytest.mark.parametrize(
    ("discount", "arrs"),
    [
        # Of the plan's 360 and the addon's 60 a year: 10% of both, 5.00 a month spread over both, and 10% of the addon alone.
        ("s1, ten, percentage, 10, , , forever, invoice_amount, , 2024-04-01 00:00:05, ", [360.0, 324.0, 54.0]),
        ("s1, , fixed_amount, , 500, USD, forever, invoice_amount, , 2024-04-01, ", [360.0, 360 - 60 * 6 / 7, 60 - 60 / 7]),
        ("s1, , percentage, 10, , , forever, specific_item_price, add-m, 2024-04-01, ", [360.0, 360.0, 54.0]),
        ("s1, , percentage, 10, , , limited_period, invoice_amount, , 2024-03-01, 2024-04-01", [324.0, 360.0, 60.0]),
        ("s1, , percentage, 10, , , one_time, invoice_amount, , 2024-04-01, ", [360.0, 360.0, 60.0]),
    ],
)
def test_discounts_of_a_subscription_count_from_their_creation(run_pack: Callable[..., Any], discount: str, arrs: list[float]) -> None:
    tables = _tables(_subscription(), "s1, pro-m, plan, 3, 1000, 3000", "s1, add-m, addon, 1, 500, 500", lines=LINES[2:])
    tables |= {"coupon": COUPONS, "subscription_coupon": "subscription_id, coupon_id\ns1, ten" if ", ten," in discount else "subscription_id, coupon_id"}
    run = run_pack("chargebee", tables | {"subscription_discount": f"{DISCOUNT}\n{discount}"})
    assert [arr for (arr,) in run.rows("subscriptions", "arr", order=["subscription_id", "started_at"])] == pytest.approx(arrs)


def test_discounts_inside_the_subscription_are_read_too(run_pack: Callable[..., Any]) -> None:
    header, row = _subscription().split("\n")
    typed: dict[str, Any] = {name.strip(): value.strip() or None for name, value in zip(header.split(","), row.split(","), strict=True)}
    tables: dict[str, Any] = _tables(_subscription())
    april = int(datetime(2024, 4, 1, tzinfo=UTC).timestamp())
    given = {"type": "percentage", "percentage": 10, "duration_type": "forever", "apply_on": "invoice_amount", "created_at": april}
    for nested in ({"discounts": json.dumps([given])}, {"coupons": json.dumps([{"coupon_id": "ten"}])}):
        run = run_pack("chargebee", tables | {"coupon": COUPONS, "subscription": [typed | nested]})
        assert [arr for (arr,) in run.rows("subscriptions", "arr")] == [324.0]


def test_non_renewing_is_notice_from_its_schedule_and_its_end_is_in_the_future(run_pack: Callable[..., Any]) -> None:
    row = _subscription(status="non_renewing", updated_at="2024-04-12", cancelled_at="2024-05-01", cancel_schedule_created_at="2024-04-10")
    run = run_pack("chargebee", _tables(row, lines=LINES[:4]))
    assert run.rows("subscriptions", "ended_at", "notice_at")[-1] == (None, "2024-04-10")
    assert run.stated("not renewing").startswith("1 subscription")
    row = _subscription(status="non_renewing", updated_at="2024-04-12", cancelled_at="2024-05-01")
    assert run_pack("chargebee", _tables(row)).rows("subscriptions", "notice_at") == [("2024-04-12",)]
    row = _subscription(status="cancelled", updated_at="2024-05-01", cancelled_at="2024-05-01", cancel_schedule_created_at="2024-04-10")
    run = run_pack("chargebee", _tables(row, lines=LINES[:4]))
    assert run.rows("subscriptions", *TERMS, "notice_at")[-1] == ("s1", "2024-04-01", "2024-05-01", 360.0, "cancelled", "active", "2024-04-10")


@pytest.mark.parametrize("reason", ["not_paid", "no_card"])
def test_a_cancellation_for_failed_payments_is_nonpayment_without_notice(run_pack: Callable[..., Any], reason: str) -> None:
    row = _subscription(status="cancelled", updated_at="2024-04-20", cancelled_at="2024-04-20", cancel_reason=reason)
    run = run_pack("chargebee", _tables(row, lines=LINES[:4]))
    assert run.rows("subscriptions", *TERMS, "notice_at")[-1] == ("s1", "2024-04-01", "2024-04-20", 360.0, "nonpayment", "active", None)


def test_trial_pause_and_unpaid_invoices_are_statuses(run_pack: Callable[..., Any]) -> None:
    trial = _subscription(status="in_trial", started_at="2024-04-01", trial_start="2024-04-01", trial_end="2024-05-01")
    assert run_pack("chargebee", _tables(trial)).rows("subscriptions", *TERMS) == [("s1", "2024-04-01", None, 360.0, None, "trial")]
    paused = _subscription(status="paused", pause_date="2024-04-12", updated_at="2024-04-12")
    assert run_pack("chargebee", _tables(paused, lines=LINES[:4])).rows("subscriptions", "started_at", "status")[-2:] == [("2024-04-01", "active"), ("2024-04-12", "paused")]
    unpaid = _subscription(due_since="2024-04-05")
    assert run_pack("chargebee", _tables(unpaid, lines=LINES[:4])).rows("subscriptions", "started_at", "status")[-2:] == [("2024-04-01", "active"), ("2024-04-05", "past_due")]
    future = run_pack("chargebee", _tables(_subscription(status="future")))
    assert future["subscriptions"].empty
    assert future.stated("starting later") == "1 subscription starting later: left out."


@pytest.mark.parametrize(
    ("period", "unit", "currency", "arr"),
    [("1", "week", "USD", 1560.0), ("2", "week", "USD", 780.0), ("3", "month", "USD", 120.0), ("1", "year", "USD", 30.0), ("1", "month", "JPY", 36_000.0), ("1", "month", "BHD", 36.0)],
)
def test_periods_make_a_year_and_amounts_are_in_major_units(run_pack: Callable[..., Any], period: str, unit: str, currency: str, arr: float) -> None:
    tables = _tables(_subscription(billing_period=period, billing_period_unit=unit, currency_code=currency))
    assert run_pack("chargebee", tables).rows("subscriptions", "arr", "currency") == [(arr, currency)]


def test_a_weekly_line_is_a_whole_week(run_pack: Callable[..., Any]) -> None:
    tables = _tables(
        _subscription(billing_period_unit="week", current_term_start="2024-04-08", current_term_end="2024-04-15"), "s1, unlisted, plan, 1, 700, 700",
        lines=("l1, v1, s1, unlisted, plan_item_price, 1, 700, 2024-04-01, 2024-04-08", "l2, v2, s1, unlisted, plan_item_price, 1, 700, 2024-04-08, 2024-04-15"),
    )
    assert run_pack("chargebee", tables).rows("subscriptions", *TERMS) == [
        ("s1", "2024-04-01", "2024-04-08", 364.0, "renewed", "active"), ("s1", "2024-04-08", None, 364.0, None, "active"),
    ]


def test_a_flat_fee_has_no_seats(run_pack: Callable[..., Any]) -> None:
    assert run_pack("chargebee", _tables(_subscription(), "s1, flat-m, plan, 2, 1000, 2000")).rows("subscriptions", "seats") == [(None,)]
    assert run_pack("chargebee", _tables(_subscription(), "s1, pro-m, plan, 1, 1000, 1000")).rows("subscriptions", "seats") == [(1,)]


def test_rates_of_exchange_come_from_invoices(run_pack: Callable[..., Any]) -> None:
    invoices = ("v1, c1, paid, 2024-02-01, , , EUR, USD, 1.08, 100, 100", "v2, c1, paid, 2024-03-01, , , USD, USD, 1, 100, 100", "v3, c1, paid, 2024-04-01, , , EUR, USD, 1.1, 100, 100")
    run = run_pack("chargebee", _tables(_subscription(currency_code="EUR"), invoices=invoices))
    assert run.rows("fx_rates", "currency", "occurred_at", "rate") == [("EUR", "2024-02-01", 1.08), ("USD", "2024-03-01", 1.0), ("EUR", "2024-04-01", 1.1)]


def test_billing_events(run_pack: Callable[..., Any]) -> None:
    tables = _tables(_subscription(), invoices=(
        "v1, c1, paid, 2024-02-01, 2024-02-01, 2024-02-01 00:00:09, USD, USD, 1, 2000, 2000",
        "v2, c1, paid, 2024-03-01, 2024-03-10, 2024-03-20, JPY, USD, 0.007, 3000, 3000",
        "v3, c1, payment_due, 2024-04-01, 2024-04-10, , USD, USD, 1, 3000, 0",
        "v4, c1, voided, 2024-04-02, 2024-04-02, , USD, USD, 1, 3000, 0",
        "v5, c1, payment_due, 2024-04-30, 2024-05-30, , USD, USD, 1, 3000, 0",
    ))
    tables["transaction"] = "id, customer_id, type, status, date, amount, currency_code\nt1, c1, payment, failure, 2024-04-01, 3000, USD\nt2, c1, refund, success, 2024-02-05, 500, USD"
    tables["credit_note"] = "id, customer_id, status, date, total, currency_code\nn1, c1, refunded, 2024-02-04, 500, USD"
    run = run_pack("chargebee", tables)
    assert run.rows("billing", "event_id", "occurred_at", "kind", "amount") == [
        ("paid-v1", "2024-02-01 00:00:09", "invoice_paid", 20.0),
        ("credit-n1", "2024-02-04", "credit", 5.0),
        ("refund-t2", "2024-02-05", "refund", 5.0),
        ("overdue-v2", "2024-03-11", "invoice_overdue", 3000.0),
        ("paid-v2", "2024-03-20", "invoice_paid", 3000.0),
        ("failed-t1", "2024-04-01", "payment_failed", 30.0),
        ("overdue-v3", "2024-04-11", "invoice_overdue", 30.0),
    ]
    assert not any("which invoice a payment is for" in text or "of billing left out" in text for text in run.assumptions)
    tables["transaction"] += "\nt3, zz, payment, failure, 2024-04-01, 3000, USD\nt4, zz, refund, success, 2024-02-05, 500, USD\n"
    assert run_pack("chargebee", tables).stated("of billing left out") == (
        "2 events of billing left out, of customers that are missing, or deleted and without a subscription: payment failed 1, refund 1."
    )
    tables["invoice"] += "\nv6, c1, paid, 2024-04-12, 2024-04-12, 2024-04-12, USD, USD, 1, 3000, 3000\n"
    assert run_pack("chargebee", tables).stated("which invoice a payment is for").startswith("1 account ")


def _epoch(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def test_nested_items_and_lines_with_epochs_give_the_same(run_pack: Callable[..., Any]) -> None:
    items = [{"item_price_id": "pro-m", "item_type": "plan", "quantity": 3, "unit_price": 1000, "amount": 3000}, {"item_price_id": "fee", "item_type": "charge", "amount": 999}]
    lines = [{"id": "l4", "subscription_id": "s1", "entity_id": "pro-m", "entity_type": "plan_item_price", "quantity": 3, "amount": 3000,
              "date_from": _epoch("2024-04-01"), "date_to": _epoch("2024-05-01")}]
    run = run_pack("chargebee", {
        "customer": [{"id": "c1", "company": "Acme", "created_at": _epoch("2023-12-20"), "billing_address": json.dumps({"country": "DE"})}],
        "subscription": [{"id": "s1", "customer_id": "c1", "status": "active", "started_at": _epoch("2024-01-01"), "current_term_start": _epoch("2024-04-01"),
                          "current_term_end": _epoch("2024-05-01"), "cancelled_at": None, "currency_code": "USD", "billing_period": 1, "billing_period_unit": "month",
                          "subscription_items": json.dumps(items)}],
        "invoice": [{"id": "v1", "customer_id": "c1", "status": "paid", "date": _epoch("2024-04-01"), "line_items": json.dumps(lines)}],
    })
    assert run.rows("subscriptions", *TERMS) == [("s1", "2024-04-01", None, 360.0, None, "active")]
    assert run.rows("accounts", "created_at", "region") == [("2023-12-20", "DE")]


def test_the_first_product_catalog_is_read(run_pack: Callable[..., Any]) -> None:
    run = run_pack("chargebee", {
        "customer": CUSTOMER, "plan": "id, name, period, period_unit, pricing_model\npro, Pro, 1, month, per_unit",
        "subscription": [{"id": "s1", "customer_id": "c1", "status": "active", "started_at": "2024-01-01", "current_term_start": "2024-04-01", "current_term_end": "2024-05-01",
                          "cancelled_at": None, "currency_code": "USD", "billing_period": 1, "billing_period_unit": "month", "plan_id": "pro", "plan_quantity": 4, "plan_unit_price": 1000,
                          "addons": json.dumps([{"id": "extra", "quantity": 2, "unit_price": 250}])}],
    })
    assert run.rows("subscriptions", "subscription_id", "arr", "seats", "plan", order=["subscription_id"]) == [("s1", 480.0, 4, "Pro"), ("s1/extra", 60.0, None, "extra")]


def test_the_tables_meet_the_contract_and_reach_the_features(run_pack: Callable[..., Any], snapshot_of: Callable[..., Any]) -> None:
    account = snapshot_of(run_pack("chargebee", _tables(_subscription(), "s1, pro-m, plan, 3, 1000, 3000", "s1, add-m, addon, 1, 500, 500", lines=LINES)), "2024-04-15").loc["c1"]
    assert (account["contract.arr"], account["contract.seats"], account["contract.days_to_renewal"]) == (420.0, 3.0, 16.0)
