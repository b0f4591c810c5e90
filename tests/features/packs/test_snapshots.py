"""The pack for snapshots of accounts against figures computed by hand, and without a look ahead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

Run = Callable[..., Any]
TERMS = ("account_id", "started_at", "term_started_at", "ended_at", "arr", "seats", "renewal_at", "end_reason")

# Acme grows in March and renews in April. Beta is gone in March. Gamma is new in February, and back in May after a gap.
MONTHLY = """
account_id, snapshot_date, arr, seats, renewal_date, customer_since, status, csm
acme, 2026-01-31, 1200, 10, 2026-04-15, 2024-04-15, active, Dana
beta, 2026-01-31, 600, 5, 2026-12-31, 2025-12-31, active, Dana
acme, 2026-02-28, 1200, 10, 2026-04-15, 2024-04-15, active, Lee
beta, 2026-02-28, 600, 5, 2026-12-31, 2025-12-31, active, Lee
gamma, 2026-02-28, 300, 3, 2027-02-10, 2026-02-10, active, Lee
acme, 2026-03-31, 1500, 12, 2026-04-15, 2024-04-15, active, Lee
beta, 2026-03-31, 600, 5, 2026-12-31, 2025-12-31, churned, Lee
gamma, 2026-03-31, 300, 3, 2027-02-10, 2026-02-10, active, Lee
acme, 2026-04-30, 1500, 12, 2027-04-15, 2024-04-15, active, Lee
acme, 2026-05-31, 1500, 12, 2027-04-15, 2024-04-15, active, Lee
gamma, 2026-05-31, 300, 3, 2027-02-10, 2026-02-10, active, Lee
"""
PERIODS = [
    ("acme", "2024-04-15", "2026-01-31", "2026-03-31", 1200, 10, "2026-04-15", "upgraded"),
    ("acme", "2026-03-31", "2026-03-31", "2026-04-30", 1500, 12, "2026-04-15", "renewed"),
    ("acme", "2026-04-30", "2026-04-30", None, 1500, 12, "2027-04-15", None),
    ("beta", "2025-12-31", "2026-01-31", "2026-03-31", 600, 5, "2026-12-31", None),
    ("gamma", "2026-02-28", "2026-02-28", "2026-04-30", 300, 3, "2027-02-10", None),
    ("gamma", "2026-05-31", "2026-05-31", None, 300, 3, "2027-02-10", None),
]


def test_monthly_snapshots_become_periods(run_pack: Run) -> None:
    run = run_pack("snapshots", {"account_snapshots": MONTHLY})
    assert run.rows("subscriptions", *TERMS) == PERIODS
    assert run.rows("accounts", "account_id", "created_at", "csm", order=("account_id",)) == [
        ("acme", "2024-04-15", "Lee"), ("beta", "2025-12-31", "Lee"), ("gamma", "2026-02-10", "Lee"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("dates", "periods"),
    [
        # Two dates of one month are two snapshots, so that nothing is added up.
        (("2025-05-01", "2025-05-31"), [("a", "2025-05-01", None, 1200)]),
        (("2025-05-01", "2025-06-01"), [("a", "2025-05-31", None, 1200)]),
    ],
)
def test_a_column_of_months_may_hold_dates(dates: tuple[str, str], periods: list[object], run_pack: Run) -> None:
    rows = "account_id, month, mrr\n" + "".join(f"a, {day}, 100\n" for day in dates)
    run = run_pack("snapshots", {"account_snapshots": rows})
    assert run.rows("subscriptions", "account_id", "started_at", "ended_at", "arr") == periods


def test_what_a_snapshot_shows_is_known_from_its_date(run_pack: Run, known_at: Callable[..., Any]) -> None:
    """Later snapshots change nothing that was known before them."""
    rows = MONTHLY.strip().splitlines()[1:]
    whole = run_pack("snapshots", {"account_snapshots": MONTHLY})["subscriptions"]
    for last, until in (("2026-01-31", "2026-02-28"), ("2026-02-28", "2026-03-31"), ("2026-03-31", "2026-04-30"), ("2026-04-30", "2026-05-31")):
        seen = "\n".join([MONTHLY.strip().splitlines()[0], *(row for row in rows if row.split(", ")[1] <= last)])
        then = run_pack("snapshots", {"account_snapshots": seen})["subscriptions"]
        for at in (f"{last} 00:00:01", until):
            assert known_at(whole.assign(notice_at=pd.NaT, plan=None), at) == known_at(then.assign(notice_at=pd.NaT, plan=None), at)


def test_the_pack_states_what_it_assumes(run_pack: Run) -> None:
    run = run_pack("snapshots", {"account_snapshots": MONTHLY})
    assert run.stated("is known from the first snapshot that shows it").startswith("5 snapshots, from 2026-01-31 to 2026-05-31")
    assert run.stated("in the first snapshot:").startswith("2 accounts ")
    assert run.stated("no longer had a contract").startswith("1 account ")
    assert run.stated("was there again").startswith("1 gap ")
    assert run.stated("not customers").startswith("1 row ")
    # April lists one of three accounts.
    assert run.stated("incomplete? The option").startswith("1 snapshot ")


def test_an_incomplete_snapshot_can_be_left_out(run_pack: Run) -> None:
    run = run_pack("snapshots", {"account_snapshots": MONTHLY}, leave_out=["2026-04-30"])
    assert [row for row in run.rows("subscriptions", *TERMS) if row[0] != "beta"] == [
        *PERIODS[:1],
        ("acme", "2026-03-31", "2026-03-31", "2026-05-31", 1500, 12, "2026-04-15", "renewed"),
        ("acme", "2026-05-31", "2026-05-31", None, 1500, 12, "2027-04-15", None),
        ("gamma", "2026-02-28", "2026-02-28", None, 300, 3, "2027-02-10", None),
    ]


def test_a_dbt_snapshot_has_the_same_periods(run_pack: Run) -> None:
    rows = """
    customer_id, mrr, plan, owner, dbt_valid_from, dbt_valid_to
    acme, 100, team, Dana, 2026-01-01 03:00:00, 2026-02-01 03:00:00
    acme, 100, team, Lee, 2026-02-01 03:00:00, 2026-03-01 03:00:00
    acme, 150, pro, Lee, 2026-03-01 03:00:00,
    beta, 50, team, Dana, 2026-01-01 03:00:00, 2026-02-15 03:00:00
    """
    run = run_pack("snapshots", {"customers_snapshot": rows})
    # The change of the owner is no change of the contract.
    assert run.rows("subscriptions", "account_id", "started_at", "ended_at", "arr", "plan", "end_reason") == [
        ("acme", "2026-01-01 03:00:00", "2026-03-01 03:00:00", 1200, "team", "upgraded"),
        ("acme", "2026-03-01 03:00:00", None, 1800, "pro", None),
        ("beta", "2026-01-01 03:00:00", "2026-02-15 03:00:00", 600, "team", None),
    ]
    assert run.stated("known from its start").startswith("4 versions")


def test_contracts_of_one_account_are_followed_each(run_pack: Run) -> None:
    rows = """
    account_id, contract_id, snapshot_date, arr
    acme, one, 2026-01-01, 100
    acme, two, 2026-01-01, 50
    acme, one, 2026-02-01, 100
    """
    run = run_pack("snapshots", {"contract_snapshots": rows})
    assert run.rows("subscriptions", "subscription_id", "ended_at", "arr", order=("subscription_id",)) == [("one", None, 100), ("two", "2026-02-01", 50)]
    added = run_pack("snapshots", {"account_snapshots": rows.replace("contract_id", "other")})
    assert added.rows("subscriptions", "arr", "ended_at") == [(150, "2026-02-01"), (100, None)]
    assert added.stated("added up").startswith("1 account and date ")


def test_snapshots_taken_during_a_day_are_one(run_pack: Run) -> None:
    rows = """
    account_id, snapshot_at, arr
    a, 2026-01-01 02:00:00, 1
    b, 2026-01-01 02:00:09, 2
    a, 2026-01-02 02:00:00, 1
    b, 2026-01-02 02:00:05, 2
    """
    run = run_pack("snapshots", {"snapshots": rows})
    assert run.rows("subscriptions", "account_id", "started_at", "ended_at") == [
        ("a", "2026-01-01 02:00:09", None), ("b", "2026-01-01 02:00:09", None),
    ]  # fmt: skip


def test_dated_answers_arrive_with_the_first_snapshot_that_shows_them(run_pack: Run) -> None:
    rows = """
    account_id, snapshot_date, arr, nps, nps_date
    a, 2026-01-31, 1, 9, 2026-01-10
    a, 2026-02-28, 1, 9, 2026-01-10
    a, 2026-03-31, 1, 3, 2026-03-05
    """
    run = run_pack("snapshots", {"snapshots": rows})
    assert run.rows("outcomes", "occurred_at", "value", "loaded_at") == [("2026-01-10", 9, "2026-01-31"), ("2026-03-05", 3, "2026-03-31")]
    assert "outcomes" in run_pack("snapshots", {"account_snapshots": MONTHLY}).queries.omitted


@pytest.mark.parametrize(("status", "expected"), [("Trialing", "trial"), ("Paused", "paused"), ("past_due", "past_due"), ("Live", "active")])
def test_statuses_are_those_of_the_contract(run_pack: Run, status: str, expected: str) -> None:
    run = run_pack("snapshots", {"snapshots": f"account_id,snapshot_date,arr,status\na,2026-01-01,1,{status}"})
    assert run.rows("subscriptions", "status") == [(expected,)]


def test_a_renewal_date_that_has_passed_is_unknown(run_pack: Run) -> None:
    run = run_pack("snapshots", {"snapshots": "account_id,snapshot_date,arr,renewal_date\na,2026-05-01,1,2026-04-01"})
    assert run.rows("subscriptions", "renewal_at") == [(None,)]
    assert run.stated("already passed").startswith("1 row ")
