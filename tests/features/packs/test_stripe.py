"""The Stripe pack against figures computed by hand."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

TERMS = ("subscription_id", "started_at", "ended_at", "arr", "end_reason", "status")
CUSTOMER = """
id, name, email, created, livemode, is_deleted
c1, Acme, ann@acme.example, 2023-12-20, true, false
"""
PRICES = """
id, currency, unit_amount, recurring_interval, recurring_interval_count, recurring_usage_type, billing_scheme, nickname, product_id
monthly, usd, 1000, month, 1, licensed, per_unit, Pro, p1
yearly, usd, 12000, year, 1, licensed, per_unit, Pro yearly, p1
quarterly, eur, 3000, month, 3, licensed, per_unit, , p1
weekly, gbp, 500, week, 2, licensed, per_unit, , p1
yen, jpy, 5000, month, 1, licensed, per_unit, , p1
dinar, kwd, 5000, month, 1, licensed, per_unit, , p1
krona, isk, 500000, month, 1, licensed, per_unit, , p1
metered, usd, 7, month, 1, metered, per_unit, , p1
"""
PRODUCTS = "id, name\np1, Suite"
SUBSCRIPTION = "id, customer_id, status, start_date, current_period_start, current_period_end, cancel_at_period_end, canceled_at, ended_at, trial_end, pause_collection_behavior, _fivetran_synced"
ITEM = "id, subscription_id, plan_id, quantity, created"
INVOICE = "id, customer_id, subscription_id, status, created, due_date, currency, amount_due, amount_paid, paid, status_transitions_paid_at"
LINE = "id, invoice_id, subscription_id, subscription_item_id, plan_id, type, proration, amount, quantity, currency, period_start, period_end"


def _csv(header: str, *rows: str) -> str:
    return "\n".join([header, *rows])


def _tables(subscription: str, items: tuple[str, ...] = (), lines: tuple[str, ...] = (), invoices: tuple[str, ...] = ()) -> dict[str, str]:
    tables = {
        "customer": CUSTOMER,
        "price": PRICES,
        "product": PRODUCTS,
        "subscription": _csv(SUBSCRIPTION, subscription),
        "subscription_item": _csv(ITEM, *(items or ("i1, s1, monthly, 3, 2024-01-01",))),
    }
    if lines:
        tables["invoice_line_item"] = _csv(LINE, *lines)
    if invoices:
        tables["invoice"] = _csv(INVOICE, *invoices)
    return tables


ACTIVE = "s1, c1, active, 2024-01-01, 2024-04-01, 2024-05-01, false, , , , , 2024-04-01 00:10:00"
MONTHS = (
    "l1, v1, s1, i1, monthly, subscription, false, 2000, 2, usd, 2024-01-01, 2024-02-01",
    "l2, v2, s1, i1, monthly, subscription, false, 3000, 3, usd, 2024-02-01, 2024-03-01",
    "l3, v3, s1, i1, monthly, subscription, false, 3000, 3, usd, 2024-03-01, 2024-04-01",
    "l4, v4, s1, i1, monthly, subscription, false, 3000, 3, usd, 2024-04-01, 2024-05-01",
)
INVOICES = tuple(
    f"v{n}, c1, s1, {status}, 2024-0{n}-01, , usd, 3000, {paid}, {str(bool(paid)).lower()}, {at}"
    for n, status, paid, at in (
        (1, "paid", 2000, "2024-01-01"), (2, "paid", 3000, "2024-02-01"), (3, "paid", 3000, "2024-03-01"), (4, "paid", 3000, "2024-04-01"),
    )
)


def test_the_sample_export_has_the_arr_that_was_computed_by_hand(run_export: Callable[..., Any]) -> None:
    run = run_export("stripe", "stripe")
    assert run.rows("subscriptions", "account_id", "arr", "seats", "renewal_at") == [
        # 1,500.00 USD a month for 2, and for 1.
        ("123fsdf", 36_000.0, 2, "2021-02-19 14:16:37"),
        ("sdf6547", 18_000.0, None, "2021-02-19 14:16:37"),
    ]
    # Both rows have an end and the status active: the status counts.
    assert run.rows("subscriptions", "ended_at", "notice_at", "status") == 2 * [(None, "2021-02-18 14:16:37", "active")]
    assert run.stated("without the status canceled").startswith("2 subscriptions")
    # 12 customers of which one is deleted and has no subscription, and two that only subscriptions name.
    assert len(run["accounts"]) == 13
    assert run.stated("from the year 2200 on") == (
        "1 value of the table subscription_item_data from the year 2200 on, read as no date: current_period_end (1)."
    )


def test_terms_come_from_invoice_lines_and_the_running_term_from_the_current_row(run_pack: Callable[..., Any]) -> None:
    run = run_pack("stripe", _tables(ACTIVE, lines=MONTHS, invoices=INVOICES))
    # 10.00 a month for 2, then for 3: 240 and 360 a year.
    assert run.rows("subscriptions", *TERMS, "seats", "renewal_at") == [
        ("i1", "2024-01-01", "2024-02-01", 240.0, "upgraded", "active", 2, "2024-02-01"),
        ("i1", "2024-02-01", "2024-03-01", 360.0, "renewed", "active", 3, "2024-03-01"),
        ("i1", "2024-03-01", "2024-04-01", 360.0, "renewed", "active", 3, "2024-04-01"),
        ("i1", "2024-04-01", None, 360.0, None, "active", 3, "2024-05-01"),
    ]
    assert run.rows("subscriptions", "plan", "product", "currency")[-1] == ("Pro", "Suite", "USD")


def test_a_higher_price_of_the_same_product_and_quantity_is_a_renewal(run_pack: Callable[..., Any]) -> None:
    lines = ("l1, v1, s1, i1, yearly, subscription, false, 12000, 1, usd, 2024-01-01, 2025-01-01",
             "l2, v2, s1, i1, dearer, subscription, false, 12600, 1, usd, 2025-01-01, 2026-01-01")
    tables = _tables("s1, c1, active, 2024-01-01, 2025-01-01, 2026-01-01, false, , , , , 2025-01-01 00:10:00",
                     ("i1, s1, dearer, 1, 2024-01-01",), lines, INVOICES[:2])
    tables["price"] += "dearer, usd, 12600, year, 1, licensed, per_unit, Pro yearly, p1\n"
    assert run_pack("stripe", tables).rows("subscriptions", *TERMS) == [
        ("i1", "2024-01-01", "2025-01-01", 120.0, "renewed", "active"),
        ("i1", "2025-01-01", None, 126.0, None, "active"),
    ]


def test_customers_without_an_email_are_read(run_pack: Callable[..., Any]) -> None:
    tables = _tables(ACTIVE) | {"customer": "id, name, created\nc1, Acme, 2023-12-20"}
    assert run_pack("stripe", tables).rows("accounts", "account_id", "created_at", "name") == [("c1", "2023-12-20", "Acme")]


def test_without_invoices_the_price_is_known_from_the_current_term_on(run_pack: Callable[..., Any], known_at: Callable[..., Any]) -> None:
    run = run_pack("stripe", _tables(ACTIVE))
    assert run.rows("subscriptions", "started_at", "term_started_at", "renewal_at", "arr") == [
        ("2024-01-01", "2024-04-01", "2024-05-01", 360.0)
    ]
    assert known_at(run["subscriptions"], "2024-03-15") == [("c1", "i1", "2024-01-01", None, None, None, None, None, None, "active")]
    assert run.stated("without an invoice").startswith("1 subscription")


def test_without_invoices_an_ended_subscription_shows_its_price_to_no_earlier_date(
    run_pack: Callable[..., Any], known_at: Callable[..., Any]
) -> None:
    # Its last term began before that of the running ones. A price that is known only of it would give the end away.
    row = "s1, c1, canceled, 2024-01-01, 2024-02-01, 2024-03-01, false, 2024-02-20, 2024-02-20, , , 2024-02-20"
    run = run_pack("stripe", _tables(row))
    assert run.rows("subscriptions", *TERMS) == [("i1", "2024-01-01", "2024-02-20", 360.0, "cancelled", "active")]
    assert known_at(run["subscriptions"], "2024-02-15") == [("c1", "i1", "2024-01-01", None, None, None, None, None, None, "active")]


@pytest.mark.parametrize(("seats", "expected"), [("always", [1, 3]), ("above_one", [None, 3]), ("never", [None, None])])
def test_a_quantity_may_be_seats(run_pack: Callable[..., Any], seats: str, expected: list[int | None]) -> None:
    tables = _tables(ACTIVE, ("i1, s1, monthly, 1, 2024-01-01", "i2, s1, yearly, 3, 2024-01-01"))
    run = run_pack("stripe", tables, seats=seats)
    assert run.rows("subscriptions", "seats", order=["subscription_id"]) == [(each,) for each in expected]


def test_a_change_in_the_middle_of_a_term_counts_from_its_prorated_line(run_pack: Callable[..., Any]) -> None:
    changed = (
        *MONTHS,
        "p1, v5, s1, i1, monthly, invoiceitem, true, -2000, 3, usd, 2024-04-11, 2024-05-01",
        "p2, v5, s1, i1, monthly, invoiceitem, true, 3333, 5, usd, 2024-04-11, 2024-05-01",
    )
    invoices = (*INVOICES, "v5, c1, s1, open, 2024-04-11, , usd, 1333, 0, false, ")
    run = run_pack("stripe", _tables(ACTIVE, ("i1, s1, monthly, 5, 2024-01-01",), changed, invoices))
    assert run.rows("subscriptions", *TERMS, "term_started_at")[-2:] == [
        ("i1", "2024-04-01", "2024-04-11", 360.0, "upgraded", "active", "2024-04-01"),
        ("i1", "2024-04-11", None, 600.0, None, "active", "2024-04-01"),
    ]


def test_a_change_without_a_prorated_line_is_not_known_before_the_row_was_seen(run_pack: Callable[..., Any]) -> None:
    row = ACTIVE.replace("2024-04-01 00:10:00", "2024-04-20 06:00:00")
    run = run_pack("stripe", _tables(row, ("i1, s1, monthly, 5, 2024-01-01",), MONTHS, INVOICES))
    assert run.rows("subscriptions", *TERMS)[-2:] == [
        ("i1", "2024-04-01", "2024-04-20 06:00:00", 360.0, "upgraded", "active"),
        ("i1", "2024-04-20 06:00:00", None, 600.0, None, "active"),
    ]


def test_a_later_export_changes_nothing_that_was_known_before(run_pack: Callable[..., Any], known_at: Callable[..., Any]) -> None:
    early = _tables("s1, c1, active, 2024-01-01, 2024-02-01, 2024-03-01, false, , , , , 2024-02-01", lines=MONTHS[:2], invoices=INVOICES[:2])
    canceled = "s1, c1, canceled, 2024-01-01, 2024-04-01, 2024-05-01, true, 2024-04-10, 2024-05-01, , , 2024-05-01"
    late = _tables(canceled, ("i1, s1, monthly, 9, 2024-01-01",), MONTHS, INVOICES)
    before, after = (run_pack("stripe", tables)["subscriptions"] for tables in (early, late))
    for day in ("2024-01-15", "2024-02-15", "2024-03-01"):
        assert known_at(before, day) == known_at(after, day)


class _Life:
    """A customer of Stripe: a monthly subscription with changes of its quantity, and perhaps an end."""

    def __init__(self, number: int) -> None:
        rng = random.Random(number)
        self.number, self.start = number, pd.Timestamp("2024-01-01") + pd.Timedelta(days=rng.randrange(60))
        changes = sorted(rng.sample(range(5, 300), rng.randrange(4)))
        self.quantities = [(self.start, rng.randrange(1, 9))]
        self.quantities += [(self.start + pd.Timedelta(days=day, hours=5), rng.randrange(1, 9)) for day in changes]
        self.notice = self.start + pd.Timedelta(days=rng.randrange(20, 400), hours=7)
        self.periods = [self.start + pd.DateOffset(months=n) for n in range(15)]
        # The half of them that give notice end with the running period.
        self.end = min(p for p in self.periods if p > self.notice) if number % 2 else None

    def quantity(self, at: pd.Timestamp) -> int:
        return [quantity for since, quantity in self.quantities if since <= at][-1]

    def export(self, now: pd.Timestamp) -> dict[str, list[str]]:
        """Return the rows of an export at the instant ``now``."""
        n, last = self.number, min(now, self.end - pd.Timedelta(seconds=1)) if self.end else now
        begun = [p for p in self.periods if p <= last]
        over, announced = self.end is not None and self.end <= now, self.end is not None and self.notice <= now
        lines = [(p, self.periods[i + 1], self.quantity(p), False) for i, p in enumerate(begun)]
        for since, quantity in self.quantities[1:]:
            if since <= last:
                lines.append((since, min(p for p in self.periods if p > since), quantity, True))
        line = "l{n}-{i}, v{n}-{i}, s{n}, i{n}, monthly, {kind}, {prorated}, {amount}, {quantity}, usd, {start}, {end}"
        return {
            "customer": [f"c{n}, Name, , 2023-12-20, true, false"],
            "subscription": [
                f"s{n}, c{n}, {'canceled' if over else 'active'}, {self.start}, {begun[-1]}, {self.periods[len(begun)]}, {str(announced).lower()}, "
                f"{self.notice if announced else ''}, {self.end if over else ''}, , , {now}"
            ],
            "subscription_item": [f"i{n}, s{n}, monthly, {self.quantity(last)}, {self.start}"],
            "invoice": [f"v{n}-{i}, c{n}, s{n}, paid, {start}, , usd, 1, 1, true, {start}" for i, (start, *_) in enumerate(lines)],
            "invoice_line_item": [
                line.format(n=n, i=i, kind="invoiceitem" if prorated else "subscription", prorated=str(prorated).lower(), amount=1000 * quantity // (2 if prorated else 1),
                            quantity=quantity, start=start, end=end)
                for i, (start, end, quantity, prorated) in enumerate(lines)
            ],
        }


def test_exports_of_many_lives_agree_on_what_was_known_before(run_pack: Callable[..., Any], known_at: Callable[..., Any]) -> None:
    headers = {"customer": CUSTOMER.strip().splitlines()[0], "subscription": SUBSCRIPTION, "subscription_item": ITEM, "invoice": INVOICE, "invoice_line_item": LINE}
    lives = [_Life(number) for number in range(24)]
    exports = []
    for now in (pd.Timestamp("2024-06-10"), pd.Timestamp("2024-09-20"), pd.Timestamp("2024-12-30")):
        rows = [life.export(now) for life in lives]
        tables = {name: _csv(header, *(line for each in rows for line in each[name])) for name, header in headers.items()}
        exports.append((now, run_pack("stripe", tables | {"price": PRICES, "product": PRODUCTS})["subscriptions"]))
    for (now, earlier), (_, later) in itertools.pairwise(exports):
        for day in pd.date_range("2024-01-15", now, freq="17D"):
            assert known_at(earlier, str(day)) == known_at(later, str(day))
    last = exports[-1][1]
    assert {"upgraded", "downgraded", "renewed", "cancelled"} <= set(last.end_reason)
    for life in lives:
        own = last[last.account_id == f"c{life.number}"]
        for day in pd.date_range(life.start + pd.Timedelta(hours=1), "2024-12-29", freq="19D"):
            running = own[(own.started_at < day) & ~(own.ended_at <= day)]
            assert running.arr.tolist() == ([120.0 * life.quantity(day)] if life.end is None or day < life.end else [])


def test_an_announced_cancellation_is_notice_and_not_yet_an_end(run_pack: Callable[..., Any]) -> None:
    row = "s1, c1, active, 2024-01-01, 2024-04-01, 2024-05-01, true, 2024-04-10, , , , 2024-04-10"
    run = run_pack("stripe", _tables(row, lines=MONTHS, invoices=INVOICES))
    assert run.rows("subscriptions", "started_at", "ended_at", "notice_at")[-2:] == [
        ("2024-03-01", "2024-04-01", None), ("2024-04-01", None, "2024-04-10"),
    ]
    ended = row.replace("active", "canceled").replace("2024-04-10, ,", "2024-04-10, 2024-05-01,")
    run = run_pack("stripe", _tables(ended, lines=MONTHS, invoices=INVOICES))
    assert run.rows("subscriptions", "ended_at", "notice_at", "end_reason")[-1] == ("2024-05-01", "2024-04-10", "cancelled")


def test_a_cancellation_for_failed_payments_is_nonpayment_without_notice(run_pack: Callable[..., Any]) -> None:
    tables = _tables("", lines=MONTHS, invoices=(*INVOICES[:3], "v4, c1, s1, uncollectible, 2024-04-01, , usd, 3000, 0, false, "))
    tables["subscription"] = _csv(
        SUBSCRIPTION + ", cancellation_details_reason",
        "s1, c1, canceled, 2024-01-01, 2024-04-01, 2024-05-01, false, 2024-04-22, 2024-04-22, , , 2024-04-22, payment_failed",
    )
    run = run_pack("stripe", tables)
    assert run.rows("subscriptions", *TERMS, "notice_at")[-1] == ("i1", "2024-04-01", "2024-04-22", 360.0, "nonpayment", "active", None)
    # Without the reason, an unpaid invoice shortly before the end says the same.
    tables["subscription"] = _csv(SUBSCRIPTION, "s1, c1, canceled, 2024-01-01, 2024-04-01, 2024-05-01, false, 2024-04-22, 2024-04-22, , , 2024-04-22")
    assert run_pack("stripe", tables).rows("subscriptions", "end_reason")[-1] == ("nonpayment",)


@pytest.mark.parametrize(
    ("price", "quantity", "arr", "currency"),
    [
        ("yearly", 2, 240.0, "USD"),  # 120.00 a year
        ("quarterly", 2, 240.0, "EUR"),  # 30.00 four times a year
        ("weekly", 1, 130.0, "GBP"),  # 5.00 every second week, 26 times a year
        ("yen", 1, 60_000.0, "JPY"),  # 5,000 yen a month: no minor unit
        ("dinar", 1, 60.0, "KWD"),  # 5.000 dinars a month: thousandths
        ("krona", 1, 60_000.0, "ISK"),  # 5,000 krona a month: Stripe counts hundredths
        ("metered", 1, 0.0, "USD"),  # billed by use
    ],
)
def test_arr_is_unit_amount_times_quantity_times_intervals_in_major_units(
    run_pack: Callable[..., Any], price: str, quantity: int, arr: float, currency: str
) -> None:
    run = run_pack("stripe", _tables(ACTIVE, (f"i1, s1, {price}, {quantity}, 2024-01-01",)))
    seats = quantity if quantity > 1 else None
    assert run.rows("subscriptions", "arr", "currency", "seats") == [(arr, currency, seats)]


@pytest.mark.parametrize(("mode", "arr"), [("graduated", 12 * (5 * 10 + 3 * 8 + 20.0)), ("volume", 12 * (8 * 8 + 20.0))])
def test_tiers_are_added_up_for_the_quantity(run_pack: Callable[..., Any], mode: str, arr: float) -> None:
    # Up to 5 units 10.00 each; from then on 8.00 each and 20.00 flat.
    tables = _tables(ACTIVE, ("i1, s1, tiered, 8, 2024-01-01",))
    tables["price"] = f"id, currency, recurring_interval, recurring_interval_count, billing_scheme, tiers_mode\ntiered, usd, month, 1, tiered, {mode}"
    tables["tier"] = "price_id, up_to, unit_amount, flat_amount\ntiered, 5, 1000, \ntiered, , 800, 2000"
    assert run_pack("stripe", tables).rows("subscriptions", "arr", "seats") == [(arr, 8)]


def test_several_currencies_are_stated(run_pack: Callable[..., Any]) -> None:
    tables = _tables(ACTIVE, ("i1, s1, monthly, 1, 2024-01-01", "i2, s1, yen, 1, 2024-01-01"))
    run = run_pack("stripe", tables)
    assert run.rows("subscriptions", "subscription_id", "arr", "currency", order=["subscription_id"]) == [("i1", 120.0, "USD"), ("i2", 60_000.0, "JPY")]
    assert "Amounts are in 2 currencies: JPY, USD." in run.assumptions


def test_plans_are_read_where_there_are_no_prices(run_pack: Callable[..., Any]) -> None:
    tables = _tables(ACTIVE)
    del tables["price"]
    tables["plan"] = "id, currency, amount, interval, interval_count, product_id\nmonthly, usd, 1000, month, 1, p1"
    assert run_pack("stripe", tables).rows("subscriptions", "arr", "plan") == [(360.0, "Suite")]


@pytest.mark.parametrize("status", ["incomplete", "incomplete_expired"])
def test_a_subscription_that_never_started_is_left_out(run_pack: Callable[..., Any], status: str) -> None:
    run = run_pack("stripe", _tables(ACTIVE.replace("active", status)))
    assert run["subscriptions"].empty
    assert run.stated("incomplete").startswith("1 subscription incomplete")


def test_a_trial_is_a_trial_until_it_ends(run_pack: Callable[..., Any]) -> None:
    trialing = "s1, c1, trialing, 2024-04-01, 2024-04-01, 2024-04-15, false, , , 2024-04-15, , 2024-04-01"
    assert run_pack("stripe", _tables(trialing)).rows("subscriptions", *TERMS) == [("i1", "2024-04-01", None, 360.0, None, "trial")]
    paying = "s1, c1, active, 2024-04-01, 2024-04-15, 2024-05-15, false, , , 2024-04-15, , 2024-04-15"
    assert run_pack("stripe", _tables(paying, ("i1, s1, monthly, 3, 2024-04-01",))).rows("subscriptions", *TERMS) == [
        ("i1", "2024-04-01", "2024-04-15", 360.0, None, "trial"), ("i1", "2024-04-15", None, 360.0, None, "active"),
    ]
    lines = (
        "l1, v1, s1, i1, monthly, subscription, false, 0, 3, usd, 2024-04-01, 2024-04-15",
        "l2, v2, s1, i1, monthly, subscription, false, 3000, 3, usd, 2024-04-15, 2024-05-15",
    )
    assert run_pack("stripe", _tables(paying, lines=lines)).rows("subscriptions", *TERMS) == [
        ("i1", "2024-04-01", "2024-04-15", 0.0, None, "trial"), ("i1", "2024-04-15", None, 360.0, None, "active"),
    ]


def test_past_due_is_known_from_the_unpaid_invoice_on(run_pack: Callable[..., Any]) -> None:
    invoices = (*INVOICES[:3], "v4, c1, s1, open, 2024-04-01 01:00:00, , usd, 3000, 0, false, ")
    run = run_pack("stripe", _tables(ACTIVE.replace("active", "past_due"), lines=MONTHS, invoices=invoices))
    assert run.rows("subscriptions", *TERMS)[-2:] == [
        ("i1", "2024-04-01", "2024-04-01 01:00:00", 360.0, None, "active"),
        ("i1", "2024-04-01 01:00:00", None, 360.0, None, "past_due"),
    ]
    assert run.stated("past due") == "1 subscription past due or unpaid, and counted as running."


def test_a_paused_collection_is_known_from_the_row_on(run_pack: Callable[..., Any]) -> None:
    row = "s1, c1, active, 2024-01-01, 2024-04-01, 2024-05-01, false, , , , void, 2024-04-12"
    run = run_pack("stripe", _tables(row, lines=MONTHS, invoices=INVOICES))
    assert run.rows("subscriptions", "started_at", "status")[-2:] == [("2024-04-01", "active"), ("2024-04-12", "paused")]


def test_a_trial_that_ended_without_a_payment_method_is_paused(run_pack: Callable[..., Any]) -> None:
    row = "s1, c1, paused, 2024-04-01, 2024-04-01, 2024-04-15, false, , , 2024-04-15, , 2024-04-20"
    assert run_pack("stripe", _tables(row, ("i1, s1, monthly, 3, 2024-04-01",))).rows("subscriptions", *TERMS) == [
        ("i1", "2024-04-01", "2024-04-15", 360.0, None, "trial"), ("i1", "2024-04-15", None, 360.0, None, "paused"),
    ]


def test_drafts_and_voided_invoices_are_no_terms(run_pack: Callable[..., Any]) -> None:
    invoices = (*INVOICES[:1], INVOICES[1].replace("paid", "void", 1), *INVOICES[2:3], INVOICES[3].replace("paid", "draft", 1))
    run = run_pack("stripe", _tables(ACTIVE, lines=MONTHS, invoices=invoices))
    assert run.rows("subscriptions", "started_at", "ended_at", "seats") == [
        ("2024-01-01", "2024-03-01", 2), ("2024-03-01", "2024-04-01", 3), ("2024-04-01", None, 3),
    ]


def test_a_removed_item_ends_at_its_credit(run_pack: Callable[..., Any]) -> None:
    lines = (
        *MONTHS[3:],
        "l5, v4, s1, i2, yearly, subscription, false, 12000, 1, usd, 2024-04-01, 2025-04-01",
        "l6, v5, s1, i2, yearly, invoiceitem, true, -11000, 1, usd, 2024-04-20, 2025-04-01",
    )
    run = run_pack("stripe", _tables(ACTIVE, lines=lines, invoices=(INVOICES[3], "v5, c1, s1, open, 2024-04-20, , usd, 0, 0, true, ")))
    assert run.rows("subscriptions", *TERMS, order=["subscription_id"]) == [
        ("i1", "2024-04-01", None, 360.0, None, "active"), ("i2", "2024-04-01", "2024-04-20", 120.0, "cancelled", "active"),
    ]


def test_deleted_customers_keep_their_history_and_missing_ones_are_added(run_pack: Callable[..., Any]) -> None:
    tables = _tables(ACTIVE)
    tables["customer"] = "id, name, email, created, is_deleted\nc1, , , 2023-12-20, true\nc9, , , 2023-01-01, true"
    run = run_pack("stripe", tables)
    assert run.rows("accounts", "account_id") == [("c1",)]
    assert run.stated("deleted customer").startswith("1 deleted customer with subscriptions")
    tables["customer"] = "id, name, email, created\nc9, , , 2023-01-01"
    run = run_pack("stripe", tables)
    assert run.rows("accounts", "account_id", "created_at") == [("c1", "2024-01-01"), ("c9", "2023-01-01")]
    assert run.stated("missing from the customers").startswith("1 account with")


def test_test_mode_is_left_out_unless_it_is_wanted(run_pack: Callable[..., Any]) -> None:
    tables = _tables(ACTIVE)
    tables["customer"] += "c2, Test, t@t.example, 2024-01-01, false, false\n"
    assert len(run_pack("stripe", tables)["accounts"]) == 1
    assert len(run_pack("stripe", tables, test_mode=True)["accounts"]) == 2


def test_billing_events_are_in_major_units_at_their_own_instants(run_pack: Callable[..., Any]) -> None:
    tables = _tables(ACTIVE, invoices=(
        "v1, c1, s1, paid, 2024-01-01, , usd, 3000, 3000, true, 2024-01-01 00:05:00",
        "v2, c1, s1, paid, 2024-02-01, 2024-02-15, jpy, 5000, 5000, true, 2024-02-20",  # late
        "v3, c1, s1, open, 2024-03-01, 2024-03-15, usd, 3000, 0, false, ",  # overdue
        "v4, c1, s1, open, 2024-04-01, 2024-05-15, usd, 3000, 0, false, ",  # not yet due
        "v5, c1, s1, void, 2024-04-02, 2024-04-03, usd, 3000, 0, false, ",
        "v6, zz, , paid, 2024-04-02, , usd, 3000, 3000, true, 2024-04-02",  # of a customer that is missing
        "v7, , , paid, 2024-04-02, , usd, 3000, 3000, true, 2024-04-02",
    ))
    tables["charge"] = "id, customer_id, created, amount, currency, status\nh1, c1, 2024-04-05, 3000, usd, failed\nh2, c1, 2024-01-01, 3000, usd, succeeded\nh3, zz, 2024-01-01, 1, usd, failed"
    tables["refund"] = "id, charge_id, created, amount, currency, status\nr1, h2, 2024-01-09, 1550, usd, succeeded\nr2, h2, 2024-01-10, 1, usd, failed"
    tables["dispute"] = """
        id, charge_id, created, amount, currency, status
        d1, h2, 2024-01-12, 3000, usd, lost
        d2, h2, 2024-01-13, 3000, usd, prevented
        d3, h2, 2024-01-14, 1000, usd, warning_needs_response
        d4, h2, 2024-01-15, 1000, usd, zz_invented
    """
    tables["credit_note"] = "id, invoice_id, created, amount, currency, status\nn1, v1, 2024-01-20, 250, usd, issued"
    run = run_pack("stripe", tables)
    assert run.rows("billing", "event_id", "occurred_at", "kind", "amount") == [
        ("paid-v1", "2024-01-01 00:05:00", "invoice_paid", 30.0),
        ("refund-r1", "2024-01-09", "refund", 15.5),
        ("dispute-d1", "2024-01-12", "dispute", 30.0),
        ("dispute-d3", "2024-01-14", "dispute", 10.0),
        ("dispute-d4", "2024-01-15", "dispute", 10.0),
        ("credit-n1", "2024-01-20", "credit", 2.5),
        ("overdue-v2", "2024-02-15", "invoice_overdue", 5000.0),
        ("paid-v2", "2024-02-20", "invoice_paid", 5000.0),
        ("overdue-v3", "2024-03-15", "invoice_overdue", 30.0),
        ("failed-h1", "2024-04-05", "payment_failed", 30.0),
    ]
    assert run.stated("the status of an inquiry").startswith("1 dispute ")
    assert run.stated("prevented by a refund").startswith("1 dispute ")
    assert run.stated("whose status the pack does not know") == "1 row of dispute whose status the pack does not know: counted as a dispute."
    assert run.stated("of customers that are missing") == (
        "3 events of billing left out, of customers that are missing, or deleted and without a subscription: invoice paid 2, payment failed 1."
    )


@pytest.mark.parametrize(("paid_at", "hidden"), [("2024-03-20", True), ("2024-03-10", False)])
def test_accounts_that_paid_another_invoice_since_are_counted(paid_at: str, hidden: bool, run_pack: Callable[..., Any]) -> None:
    run = run_pack("stripe", _tables(ACTIVE, invoices=(
        "v1, c1, s1, open, 2024-03-01, 2024-03-15, usd, 3000, 0, false, ",
        f"v2, c1, s1, paid, 2024-03-02, , usd, 3000, 3000, true, {paid_at}",
        "v3, c1, s1, void, 2024-04-01, 2024-04-02, usd, 3000, 0, false, ",
    )))
    assert any("which invoice a payment is for" in text for text in run.assumptions) is hidden


def test_accounts_offer_their_domain_for_identity(run_pack: Callable[..., Any]) -> None:
    run = run_pack("stripe", _tables(ACTIVE))
    assert run.accounts.to_dict("records") == [{"account_id": "c1", "name": "Acme", "domain": "acme.example"}]


def test_airbyte_tables_with_nested_prices_and_epochs_give_the_same(run_pack: Callable[..., Any]) -> None:
    price = {"id": "monthly", "currency": "usd", "unit_amount": 1000, "unit_amount_decimal": "1000", "billing_scheme": "per_unit", "nickname": "Pro",
             "product": "p1", "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}}
    run = run_pack("stripe", {
        "customers": [{"id": "c1", "name": "Acme", "email": "ann@acme.example", "created": 1703030400, "livemode": True}],
        "subscriptions": [{"id": "s1", "customer": "c1", "status": "active", "created": 1704067200.0, "start_date": 1704067200, "cancel_at_period_end": False,
                           "canceled_at": None, "current_period_start": 1711929600.0, "current_period_end": 1714521600.0, "livemode": True, "updated": 1711929900}],
        "subscription_items": [{"id": "i1", "subscription": "s1", "quantity": 3, "created": 1704067200, "price": json.dumps(price), "plan": None}],
        "invoices": [{"id": f"v{n}", "customer": "c1", "subscription": "s1", "status": "paid", "created": at, "currency": "usd", "amount_due": 3000, "amount_paid": 3000,
                      "status_transitions": json.dumps({"paid_at": at})} for n, at in ((3, 1709251200), (4, 1711929600))],
        "invoice_line_items": [{"id": f"l{v}", "invoice_id": f"v{v}", "subscription": "s1", "subscription_item": "i1", "price": json.dumps(price), "type": "subscription",
                                "proration": False, "amount": 1000 * q, "quantity": q, "currency": "usd", "period": json.dumps({"start": start, "end": end})}
                               for v, q, start, end in ((3, 2, 1709251200, 1711929600), (4, 3, 1711929600, 1714521600))],
    })
    assert run.rows("subscriptions", *TERMS, "seats", "plan") == [
        ("i1", "2024-03-01", "2024-04-01", 240.0, "upgraded", "active", 2, "Pro"), ("i1", "2024-04-01", None, 360.0, None, "active", 3, "Pro"),
    ]
    assert run.rows("billing", "occurred_at", "amount") == [("2024-03-01", 30.0), ("2024-04-01", 30.0)]


def test_dlt_tables_with_items_and_lines_inside_give_the_same(run_pack: Callable[..., Any]) -> None:
    price = {"id": "monthly", "currency": "usd", "unit_amount_decimal": "1000", "recurring": {"interval": "month", "interval_count": 1}, "product": "p1"}
    items = {"object": "list", "data": [{"id": "i1", "quantity": 3, "created": 1704067200, "price": price}]}
    line = {"id": "l4", "subscription": "s1", "subscription_item": "i1", "price": price, "type": "subscription", "proration": False,
            "amount": 3000, "quantity": 3, "currency": "usd", "period": {"start": 1711929600, "end": 1714521600}}
    run = run_pack("stripe", {
        "customer": [{"id": "c1", "email": "", "created": "2023-12-20T00:00:00+00:00"}],
        "subscription": [{"id": "s1", "customer": "c1", "status": "active", "start_date": "2024-01-01T00:00:00+00:00", "cancel_at_period_end": False, "canceled_at": None,
                          "current_period_start": "2024-04-01T00:00:00+00:00", "current_period_end": "2024-05-01T00:00:00+00:00", "items": json.dumps(items)}],
        "invoice": [{"id": "v4", "customer": "c1", "status": "paid", "created": "2024-04-01T00:00:00+00:00", "currency": "usd", "amount_due": 3000, "amount_paid": 3000,
                     "status_transitions": json.dumps({"paid_at": 1711929600}), "lines": json.dumps({"data": [line]})}],
        "charge": [{"id": "h1", "customer": "c1", "created": "2024-04-03T00:00:00+00:00", "amount": 1550, "currency": "usd", "status": "failed"}],
    })
    assert run.rows("subscriptions", *TERMS, "seats", "renewal_at") == [("i1", "2024-04-01", None, 360.0, None, "active", 3, "2024-05-01")]
    assert run.rows("billing", "kind", "occurred_at", "amount") == [("invoice_paid", "2024-04-01", 30.0), ("payment_failed", "2024-04-03", 15.5)]


def test_the_tables_meet_the_contract_and_reach_the_features(run_pack: Callable[..., Any], snapshot_of: Callable[..., Any]) -> None:
    account = snapshot_of(run_pack("stripe", _tables(ACTIVE, lines=MONTHS, invoices=INVOICES)), "2024-04-15").loc["c1"]
    assert (account["contract.arr"], account["contract.seats"], account["contract.days_to_renewal"]) == (360.0, 3.0, 16.0)


COUPONS = """
id, percent_off, amount_off, currency, duration, duration_in_months
quarter_off, 25, , , forever,
half_off, 50, , , repeating, 2
five_off, , 500, usd, forever,
first_off, 100, , , once,
euro_off, , 500, eur, forever,
"""
DISCOUNT = "id, coupon_id, subscription_id, customer_id, start, end"


@pytest.mark.parametrize(
    ("discounts", "arrs"),
    [
        # Two seats in January and three from February on: 2 and 3 x 10 USD x 12.
        ((), [240.0, 360.0, 360.0, 360.0]),
        (("d1, quarter_off, s1, c1, 2024-01-01,",), [180.0, 270.0, 270.0, 270.0]),
        # Until 1 March: the invoice of that day is in full.
        (("d1, half_off, s1, c1, 2024-01-01,",), [120.0, 180.0, 360.0, 360.0]),
        # 5 USD from each of twelve invoices.
        (("d1, five_off, s1, c1, 2024-01-01,",), [180.0, 300.0, 300.0, 300.0]),
        (("d1, five_off, s1, c1, 2024-01-01,", "d2, quarter_off, s1, c1, 2024-01-01,"), [120.0, 210.0, 210.0, 210.0]),
        # It does not recur.
        (("d1, first_off, s1, c1, 2024-01-01,",), [240.0, 360.0, 360.0, 360.0]),
        # In the middle of February: from the next invoice on.
        (("d1, quarter_off, s1, c1, 2024-02-15, 2024-03-15",), [240.0, 360.0, 270.0, 360.0]),
        # Of the customer, and of each of its invoices in the same table.
        (("d1, quarter_off, , c1, 2024-01-01,",), [180.0, 270.0, 270.0, 270.0]),
        (("d1, quarter_off, s1, c1, 2024-01-01,", "d2, quarter_off, s1, c1, 2024-01-01,"), [180.0, 270.0, 270.0, 270.0]),
        # In another currency than the price, and a coupon that is not there.
        (("d1, euro_off, s1, c1, 2024-01-01,", "d2, gone, s1, c1, 2024-01-01,"), [240.0, 360.0, 360.0, 360.0]),
    ],
)  # fmt: skip
def test_discounts_that_recur_are_subtracted_while_they_hold(run_pack: Callable[..., Any], discounts: tuple[str, ...], arrs: list[float]) -> None:
    tables = _tables(ACTIVE, lines=MONTHS, invoices=INVOICES) | {"coupon": COUPONS}
    if discounts:
        tables["discount"] = _csv(DISCOUNT, *discounts)
    assert [arr for (arr,) in run_pack("stripe", tables).rows("subscriptions", "arr", order=("started_at",))] == arrs


def test_a_fixed_discount_is_spread_over_the_items_and_taken_once_a_year_from_a_yearly_price(run_pack: Callable[..., Any]) -> None:
    tables = _tables(ACTIVE, items=("i1, s1, monthly, 3, 2024-01-01", "i2, s1, monthly, 1, 2024-01-01"))
    tables |= {"coupon": COUPONS, "discount": _csv(DISCOUNT, "d1, five_off, s1, c1, 2024-01-01,")}
    # 480 less 60, in the proportion of three to one.
    assert sorted(arr for (arr,) in run_pack("stripe", tables).rows("subscriptions", "arr")) == [105.0, 315.0]
    yearly = _tables(ACTIVE, items=("i1, s1, yearly, 1, 2024-01-01",)) | {"coupon": COUPONS, "discount": tables["discount"]}
    assert run_pack("stripe", yearly).rows("subscriptions", "arr") == [(115.0,)]


def test_a_discount_inside_the_subscription_is_read_too(run_pack: Callable[..., Any]) -> None:
    coupon = {"id": "k", "percent_off": 10, "duration": "forever"}
    row = dict(zip((name.strip() for name in SUBSCRIPTION.split(",")), (value.strip() or None for value in ACTIVE.split(",")), strict=True))
    given = [row | {"discounts": json.dumps([{"id": "d", "coupon": coupon, "start": 1704067200, "end": None}])}]
    run = run_pack("stripe", _tables(ACTIVE) | {"subscription": given})
    assert run.rows("subscriptions", "arr") == [(324.0,)]
    assert run.stated("discount that recurs").startswith("1 subscription")


def test_pitfalls_of_subscriptions_in_one_export(run_pack: Callable[..., Any]) -> None:
    header = SUBSCRIPTION + ", cancel_at, _fivetran_start"
    term, old = "2024-01-01, 2024-04-01, 2024-05-01", "2024-01-01, 2024-03-01, 2024-04-01"
    tables = _tables("", tuple(f"i{n}, s{n}, {price}, {quantity}, 2024-01-01" for n, price, quantity in (
        (1, "monthly", 1), (2, "monthly", 1), (3, "monthly", 1), (4, "packs", 25), (5, "packs_down", 25), (6, "monthly", 2), (7, "monthly", 1),
    )))  # fmt: skip
    tables["price"] = PRICES.replace("product_id", "product_id, transform_quantity_divide_by, transform_quantity_round").replace(", p1\n", ", p1, ,\n")
    tables["price"] += "packs, usd, 1000, month, 1, licensed, per_unit, , p1, 10, up\npacks_down, usd, 1000, month, 1, licensed, per_unit, , p1, 10, down\n"
    tables["subscription_history"] = _csv(
        header,
        f"s1, c1, unpaid, {term}, false, , , , , 2024-04-08, , 2024-04-08",
        # It ends on a day that is not the end of a term.
        f"s2, c1, active, {term}, false, 2024-04-10, , , , 2024-04-10, 2024-06-15, 2024-04-10",
        "s3, c1, active, 2024-01-01, 2024-04-01, 9999-12-31, false, , , , , 2024-04-01, , 2024-04-01",
        f"s4, c1, active, {term}, false, , , , , 2024-04-01, , 2024-04-01",
        f"s5, c1, active, {term}, false, , , , , 2024-04-01, , 2024-04-01",
        # Two versions that the loader wrote at the same time.
        f"s6, c1, active, {old}, false, , , , , 2024-04-20, , 2024-03-01",
        f"s6, c1, canceled, {old}, false, 2024-03-20, 2024-03-20, , , 2024-04-20, , 2024-03-20",
        f"s7, c1, incomplete_expired, {term}, false, , , , , 2024-04-01, , 2024-04-01",
    )
    del tables["subscription"]
    run = run_pack("stripe", tables)
    assert run.rows("subscriptions", "subscription_id", "ended_at", "arr", "renewal_at", "notice_at", "status", order=["subscription_id", "started_at"]) == [
        ("i1", "2024-04-08", 120.0, "2024-05-01", None, "active"),
        ("i1", None, 120.0, "2024-05-01", None, "past_due"),
        ("i2", None, 120.0, "2024-05-01", "2024-04-10", "active"),
        ("i3", None, 120.0, None, None, "active"),
        # Packages of ten: three of 10.00 a month, or two.
        ("i4", None, 360.0, "2024-05-01", None, "active"),
        ("i5", None, 240.0, "2024-05-01", None, "active"),
        ("i6", "2024-03-20", 240.0, "2024-04-01", "2024-03-20", "active"),
    ]
    assert run.stated("from the year 2200 on") == "1 value of the table subscription_history from the year 2200 on, read as no date: current_period_end (1)."
    assert not any("unreadable" in text for text in run.assumptions)
