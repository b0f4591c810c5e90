"""The Zuora pack against figures computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

TERMS = ("subscription_id", "started_at", "ended_at", "arr", "end_reason", "status")
ACCOUNT = """
id, name, account_number, created_date, crm_id, parent_id, bill_to_contact_id, _fivetran_deleted
a1, Acme, A1, 2022-12-20, 0015000000abc, , k1, false
a2, Sub, A2, 2023-05-01, , a1, , false
a3, Gone, A3, 2023-05-01, , , , true
"""
VERSION = (
    "id, account_id, original_id, version, status, created_date, subscription_start_date, term_start_date, term_end_date, term_type, auto_renew, cancelled_date, cancel_reason"
)
CHARGE = (
    "id, subscription_id, charge_number, segment, charge_type, charge_model, billing_period, uom, quantity, mrr, effective_start_date, effective_end_date, created_date, "
    "product_id, name, transaction_currency"
)
#: Signed for 2023, renewed in December for 2024, and more seats from March 2024 on.
VERSIONS = (
    "s1, a1, s1, 1, Expired, 2022-12-21 09:00:00, 2023-01-01, 2023-01-01, 2024-01-01, TERMED, true, , ",
    "s2, a1, s1, 2, Expired, 2023-12-15 09:00:00, 2023-01-01, 2024-01-01, 2025-01-01, TERMED, true, , ",
    "s3, a1, s1, 3, Active, 2024-02-20 09:00:00, 2023-01-01, 2024-01-01, 2025-01-01, TERMED, true, , ",
)
CHARGES = (
    "h1, s1, C-1, 1, Recurring, Per Unit Pricing, Annual, User, 10, 100, 2023-01-01, 2024-01-01, 2022-12-21 09:00:00, p1, Seats, USD",
    "h2, s2, C-1, 1, Recurring, Per Unit Pricing, Annual, User, 10, 100, 2023-01-01, 2025-01-01, 2023-12-15 09:00:00, p1, Seats, USD",
    "h3, s3, C-1, 1, Recurring, Per Unit Pricing, Annual, User, 10, 100, 2023-01-01, 2024-03-01, 2024-02-20 09:00:00, p1, Seats, USD",
    "h4, s3, C-1, 2, Recurring, Per Unit Pricing, Annual, User, 15, 150, 2024-03-01, 2025-01-01, 2024-02-20 09:00:00, p1, Seats, USD",
    "h5, s3, C-2, 1, OneTime, Flat Fee Pricing, , , 1, 0, 2023-01-01, 2023-01-02, 2022-12-21, p1, Setup, USD",
    "h6, s3, C-3, 1, Recurring, Discount-Percentage, Month, , , 0, 2023-01-01, 2025-01-01, 2022-12-21, p1, Discount, USD",
)


def _tables(versions: tuple[str, ...] = VERSIONS, charges: tuple[str, ...] = CHARGES) -> dict[str, str]:
    return {
        "account": ACCOUNT, "subscription": "\n".join([VERSION, *versions]), "rate_plan_charge": "\n".join([CHARGE, *charges]),
        "product": "id, name\np1, Suite", "contact": "id, country, work_email\nk1, US, ann@acme.example",
    }


def test_segments_of_the_latest_version_are_periods_split_where_a_term_begins(run_pack: Callable[..., Any]) -> None:
    run = run_pack("zuora", _tables())
    # MRR 100, then 150: 1,200 and 1,800 a year. Renewed on January 1, more seats from March 1 on.
    assert run.rows("subscriptions", *TERMS, "seats", "renewal_at", "term_started_at") == [
        ("C-1", "2023-01-01", "2024-01-01", 1200.0, "renewed", "active", 10, "2024-01-01", "2023-01-01"),
        ("C-1", "2024-01-01", "2024-03-01", 1200.0, "upgraded", "active", 10, "2025-01-01", "2024-01-01"),
        ("C-1", "2024-03-01", None, 1800.0, None, "active", 15, "2025-01-01", "2024-01-01"),
    ]
    assert run.rows("accounts", "account_id", "created_at", "name", "region", "parent_id") == [
        ("a1", "2022-12-20", "Acme", "US", None), ("a2", "2023-05-01", "Sub", None, "a1"),
    ]
    assert run.stated("beyond the latest").startswith("2 versions")


def test_an_amendment_after_the_fact_counts_from_its_own_instant(run_pack: Callable[..., Any]) -> None:
    late = (VERSIONS[0], VERSIONS[1], VERSIONS[2].replace("2024-02-20 09:00:00", "2024-03-18 09:00:00"))
    charges = tuple(row.replace("2024-02-20 09:00:00", "2024-03-18 09:00:00") for row in CHARGES)
    run = run_pack("zuora", _tables(late, charges))
    assert run.rows("subscriptions", *TERMS)[-2:] == [
        ("C-1", "2024-01-01", "2024-03-18 09:00:00", 1200.0, "upgraded", "active"), ("C-1", "2024-03-18 09:00:00", None, 1800.0, None, "active"),
    ]


def test_later_versions_change_nothing_that_was_known_before(run_pack: Callable[..., Any], known_at: Callable[..., Any]) -> None:
    first = run_pack("zuora", _tables((VERSIONS[0].replace("Expired", "Active"),), CHARGES[:1]))["subscriptions"]
    second = run_pack("zuora", _tables((VERSIONS[0], VERSIONS[1].replace("Expired", "Active")), CHARGES[:2]))["subscriptions"]
    third = run_pack("zuora", _tables())["subscriptions"]
    for day in ("2023-01-02", "2023-06-01", "2023-12-31"):
        assert known_at(first, day) == known_at(second, day) == known_at(third, day)
    for day in ("2024-01-15", "2024-02-29"):
        assert known_at(second, day) == known_at(third, day)


def test_a_subscription_that_was_entered_later_is_known_from_then(run_pack: Callable[..., Any], known_at: Callable[..., Any]) -> None:
    moved = "s1, a1, s1, 1, Active, 2023-06-10, 2023-01-01, 2023-01-01, 2024-01-01, TERMED, true, , "
    run = run_pack("zuora", _tables((moved,), (CHARGES[0].replace("2022-12-21 09:00:00", "2023-06-10"),)))
    assert [row[4] for row in known_at(run["subscriptions"], "2023-06-01")] == [None]
    assert [row[4] for row in known_at(run["subscriptions"], "2023-06-11")] == [1200.0]


def test_a_cancellation_is_notice_until_it_takes_effect(run_pack: Callable[..., Any], known_at: Callable[..., Any]) -> None:
    versions = (*VERSIONS, "s4, a1, s1, 4, Cancelled, 2024-10-05 09:00:00, 2023-01-01, 2024-01-01, 2025-01-01, TERMED, true, 2025-01-01, Moved to a competitor")
    tables = _tables((*versions[:2], VERSIONS[2].replace("Active", "Expired"), versions[3]))
    run = run_pack("zuora", tables)
    assert run.rows("subscriptions", *TERMS, "notice_at")[-1] == ("C-1", "2024-03-01", "2025-01-01", 1800.0, "cancelled", "active", "2024-10-05 09:00:00")
    # On November 1, only the notice is known.
    assert known_at(run["subscriptions"], "2024-11-01")[-1][3:] == (None, 1800.0, 15, "2025-01-01", "2024-10-05 09:00:00", None, "active")
    tables["amendment"] = "id, subscription_id, type, status, created_date\nm1, s3, Cancellation, Completed, 2024-10-04 08:00:00\nm2, s3, Cancellation, Draft, 2024-09-01"
    assert run_pack("zuora", tables).rows("subscriptions", "notice_at")[-1] == ("2024-10-04 08:00:00",)


def test_a_cancellation_for_failed_payments_is_nonpayment_without_notice(run_pack: Callable[..., Any]) -> None:
    versions = (*VERSIONS[:2], VERSIONS[2].replace("Active", "Cancelled").replace("true, , ", "true, 2024-06-01, Non-payment"))
    run = run_pack("zuora", _tables(versions))
    assert run.rows("subscriptions", *TERMS, "notice_at")[-1] == ("C-1", "2024-03-01", "2024-06-01", 1800.0, "nonpayment", "active", None)


def test_without_automatic_renewal_a_subscription_ends_with_its_term(run_pack: Callable[..., Any]) -> None:
    run = run_pack("zuora", _tables((VERSIONS[0].replace("true", "false").replace("Expired", "Active"),), CHARGES[:1]))
    assert run.rows("subscriptions", *TERMS) == [("C-1", "2023-01-01", "2024-01-01", 1200.0, "cancelled", "active")]
    assert run.stated("not renewing automatically").startswith("1 subscription")


def test_a_charge_that_was_removed_ends_before_the_term(run_pack: Callable[..., Any]) -> None:
    removed = "h7, s3, C-4, 1, Recurring, Flat Fee Pricing, Month, , 1, 20, 2023-01-01, 2023-07-01, 2023-06-20, p1, Support, USD"
    run = run_pack("zuora", _tables(charges=(*CHARGES, removed)))
    assert [row for row in run.rows("subscriptions", *TERMS) if row[0] == "C-4"] == [("C-4", "2023-01-01", "2023-07-01", 240.0, "cancelled", "active")]


def test_a_suspended_subscription_is_paused_and_an_evergreen_one_never_due(run_pack: Callable[..., Any]) -> None:
    tables = _tables((*VERSIONS[:2], VERSIONS[2].replace("Active", "Suspended")))
    tables["amendment"] = "id, subscription_id, type, status, created_date, suspend_date\nm1, s2, SuspendSubscription, Completed, 2024-04-01, 2024-04-10"
    assert run_pack("zuora", tables).rows("subscriptions", "started_at", "status")[-2:] == [("2024-03-01", "active"), ("2024-04-10", "paused")]
    evergreen = "s1, a1, s1, 1, Active, 2022-12-21, 2023-01-01, 2023-01-01, , EVERGREEN, , , "
    charge = CHARGES[0].replace("2024-01-01", "")
    assert run_pack("zuora", _tables((evergreen,), (charge,))).rows("subscriptions", *TERMS, "renewal_at") == [("C-1", "2023-01-01", None, 1200.0, None, "active", None)]


@pytest.mark.parametrize(
    ("model", "unit", "seats"), [("Per Unit Pricing", "User", 10), ("Volume Pricing", "Licenses", 10), ("Flat Fee Pricing", "User", None), ("Per Unit Pricing", "GB", None)]
)
def test_a_quantity_is_seats_by_its_model_and_unit(run_pack: Callable[..., Any], model: str, unit: str, seats: int | None) -> None:
    charge = CHARGES[0].replace("Per Unit Pricing", model).replace("User", unit)
    assert run_pack("zuora", _tables(VERSIONS[:1], (charge,))).rows("subscriptions", "seats") == [(seats,)]


def test_drafts_are_left_out_and_a_missing_account_is_added(run_pack: Callable[..., Any]) -> None:
    assert run_pack("zuora", _tables((VERSIONS[0].replace("Expired", "Draft"),), CHARGES[:1]))["subscriptions"].empty
    run = run_pack("zuora", _tables((VERSIONS[0].replace("a1", "a9"),), CHARGES[:1]))
    assert ("a9", "2023-01-01") in run.rows("accounts", "account_id", "created_at")
    assert run.stated("missing from the accounts").startswith("1 account")


@pytest.mark.parametrize(("period", "model", "arr"), [("Month", "Per Unit Pricing", 600.0), ("Quarter", "Flat Fee Pricing", 20.0), ("Annual", "Per Unit Pricing", 50.0), ("Two Years", "Flat Fee Pricing", 2.5)])
def test_a_charge_without_mrr_is_priced_by_its_tier(run_pack: Callable[..., Any], period: str, model: str, arr: float) -> None:
    tables = _tables(VERSIONS[:1], (CHARGES[0].replace(", 100,", ", 0,").replace("Annual", period).replace("Per Unit Pricing", model),))
    tables["rate_plan_charge_tier"] = "rate_plan_charge_id, price, price_format\nh1, 5, "
    assert run_pack("zuora", tables).rows("subscriptions", "arr")[0] == (arr,)


DISCOUNT = "h6, s3, C-3, 1, Recurring, Discount-Percentage, Month, , , 0, 2023-01-01, 2025-01-01, 2022-12-21, p1, Discount, USD"
TIER = "rate_plan_charge_id, price, price_format, discount_percentage, discount_amount"


@pytest.mark.parametrize(
    ("discount", "tier", "periods"),
    [
        # 10% of 1,200 and of 1,800.
        (DISCOUNT, "10, ", [("2023-01-01", 1080.0, "renewed"), ("2024-01-01", 1080.0, "upgraded"), ("2024-03-01", 1620.0, None)]),
        # 10% in the first half-year only.
        (DISCOUNT.replace("2025-01-01", "2023-07-01"), "10, ",
         [("2023-01-01", 1080.0, "upgraded"), ("2023-07-01", 1200.0, "renewed"), ("2024-01-01", 1200.0, "upgraded"), ("2024-03-01", 1800.0, None)]),
        # 5 a month are 60 a year.
        (DISCOUNT.replace("Percentage", "Fixed Amount"), ", 5", [("2023-01-01", 1140.0, "renewed"), ("2024-01-01", 1140.0, "upgraded"), ("2024-03-01", 1740.0, None)]),
        # Granted in March for the time since January: known from March on.
        (DISCOUNT.replace("2022-12-21", "2023-03-10"), "10, ",
         [("2023-01-01", 1200.0, "downgraded"), ("2023-03-10", 1080.0, "renewed"), ("2024-01-01", 1080.0, "upgraded"), ("2024-03-01", 1620.0, None)]),
        # Once, and without its percentage.
        (DISCOUNT.replace("Recurring", "OneTime"), "10, ", [("2023-01-01", 1200.0, "renewed"), ("2024-01-01", 1200.0, "upgraded"), ("2024-03-01", 1800.0, None)]),
        (DISCOUNT, ", ", [("2023-01-01", 1200.0, "renewed"), ("2024-01-01", 1200.0, "upgraded"), ("2024-03-01", 1800.0, None)]),
    ],
    ids=["percent", "ends", "fixed", "after the fact", "once", "unknown"],
)
def test_discounts_that_recur_are_subtracted_while_they_are_in_effect(
    run_pack: Callable[..., Any], discount: str, tier: str, periods: list[tuple[Any, ...]]
) -> None:
    tables = _tables(charges=(*CHARGES[:5], discount)) | {"rate_plan_charge_tier": f"{TIER}\nh6, , , {tier}"}
    run = run_pack("zuora", tables)
    assert run.rows("subscriptions", "started_at", "arr", "end_reason") == periods
    subtracted = any(arr in (1080.0, 1140.0) for _, arr, _ in periods)
    assert run.stated("discount that recurs" if subtracted else "not subtracted from ARR").startswith("1 ")


def test_a_discount_reaches_its_rate_plan_its_subscription_or_its_account(run_pack: Callable[..., Any]) -> None:
    charge = CHARGE.replace("subscription_id", "subscription_id, rate_plan_id, discount_level, apply_discount_to", 1)

    def row(charge_id: str, subscription: str, plan: str, number: str, mrr: int, discount: str = ", ") -> str:
        model = "Discount-Percentage" if discount != ", " else "Flat Fee Pricing"
        return (
            f"{charge_id}, {subscription}, {plan}, {discount}, {number}, 1, Recurring, {model}, Month, , 1, {mrr}, 2023-01-01, 2024-01-01, 2022-12-21 09:00:00, p1, x, USD"
        )

    other = VERSIONS[0].replace("s1", "s9")
    arrs = {}
    for level in ("rateplan", "subscription", "account", "RATEPLAN", "unknown"):
        rows = (row("h1", "s1", "r1", "C-1", 100), row("h2", "s1", "r2", "C-2", 50), row("h3", "s9", "r3", "C-3", 10), row("h4", "s1", "r1", "C-4", 0, f"{level}, ONETIMERECURRING"))
        tables = _tables((VERSIONS[0], other)) | {"rate_plan_charge": "\n".join([charge, *rows]), "rate_plan_charge_tier": f"{TIER}\nh4, , , 50, "}
        arrs[level] = [arr for (arr,) in run_pack("zuora", tables).rows("subscriptions", "arr", order=("subscription_id",))]
    # 1,200, 600 and 120 a year before a discount of 50%.
    plan = [600.0, 600.0, 120.0]
    assert arrs == {"rateplan": plan, "RATEPLAN": plan, "unknown": plan, "subscription": [600.0, 300.0, 120.0], "account": [600.0, 300.0, 60.0]}
    assert run_pack("zuora", {**tables, "rate_plan_charge": tables["rate_plan_charge"].replace("ONETIMERECURRING", "USAGE")}).rows(
        "subscriptions", "arr", order=("subscription_id",)
    ) == [(1200.0,), (600.0,), (120.0,)]


def test_billing_events_and_rates(run_pack: Callable[..., Any]) -> None:
    tables = _tables()
    tables["invoice"] = """
        id, account_id, status, invoice_date, due_date, amount, balance, transaction_currency, home_currency, exchange_rate
        v1, a1, Posted, 2023-01-01, 2023-01-31, 1200, 0, EUR, USD, 1.07
        v2, a1, Posted, 2024-01-01, 2024-01-31, 1200, 1200, USD, USD,
        v3, a1, Draft, 2024-03-01, 2024-03-31, 600, 600, USD, USD,
    """
    tables["payment"] = "id, account_id, status, effective_date, created_date, amount, transaction_currency\nt1, a1, Processed, 2023-02-10, 2023-02-10, 1200, EUR\nt2, a1, Error, 2024-02-15, 2024-02-15, 1200, USD"
    tables["invoice_payment"] = "invoice_id, payment_id\nv1, t1"
    tables["refund"] = "id, payment_method_id, status, refund_date, amount\nr1, m1, Processed, 2023-03-01, 100"
    tables["payment_method"] = "id, account_id\nm1, a1"
    run = run_pack("zuora", tables)
    assert run.rows("billing", "event_id", "occurred_at", "kind", "amount") == [
        ("overdue-v1", "2023-02-01", "invoice_overdue", 1200.0),
        ("paid-t1", "2023-02-10", "invoice_paid", 1200.0),
        ("refund-r1", "2023-03-01", "refund", 100.0),
        ("overdue-v2", "2024-02-01", "invoice_overdue", 1200.0),
        ("failed-t2", "2024-02-15", "payment_failed", 1200.0),
    ]
    assert run.rows("fx_rates", "currency", "rate") == [("EUR", 1.07), ("USD", 1.0)]
    assert not any("which invoice a payment is for" in text or "of billing left out" in text for text in run.assumptions)
    tables["payment"] += "\nt9, zz, Error, 2024-02-15, 2024-02-15, 1200, USD"
    assert run_pack("zuora", tables).stated("of billing left out") == (
        "1 event of billing left out, of accounts that are missing: payment failed 1."
    )
    tables["payment"] += "\nt3, a1, Processed, 2024-02-20, 2024-02-20, 10, USD"
    assert run_pack("zuora", tables).stated("which invoice a payment is for").startswith("1 account ")


def test_accounts_offer_their_crm_id_for_identity(run_pack: Callable[..., Any]) -> None:
    first = run_pack("zuora", _tables()).accounts.sort_values("account_id").iloc[0].to_dict()
    assert first == {"account_id": "a1", "name": "Acme", "crm_id": "0015000000abc", "domain": "acme.example"}


def test_the_tables_meet_the_contract_and_reach_the_features(run_pack: Callable[..., Any], snapshot_of: Callable[..., Any]) -> None:
    account = snapshot_of(run_pack("zuora", _tables()), "2024-06-01").loc["a1"]
    assert (account["contract.arr"], account["contract.seats"], account["contract.days_to_renewal"]) == (1_800.0, 15.0, 214.0)
