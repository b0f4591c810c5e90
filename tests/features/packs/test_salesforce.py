"""The Salesforce pack against figures computed by hand, with the pitfalls of real organizations."""

from __future__ import annotations

import csv
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ACME, BETA = "001A00000000001IAA", "001A00000000002IAA"

ACCOUNTS = f"""
    id, name, industry, billing_country, number_of_employees, owner_id, parent_id, is_deleted, master_record_id, created_date, system_modstamp
    {ACME}, Acme, Software, DE, 120, 005A00000000009IAA, , false, , 2020-01-05, 2024-06-30
    {BETA}, Beta, Retail, US, 40, 005A00000000008IAA, 001A00000000001, false, , 2021-03-01, 2024-06-30
    001A00000000003IAA, Old Acme, Software, DE, 9, 005A00000000009IAA, , true, 001A00000000004IAA, 2019-01-01, 2024-06-30
    001A00000000004IAA, Older Acme, Software, DE, 9, 005A00000000009IAA, , true, {ACME}, 2019-01-01, 2024-06-30
    001A00000000005IAA, Test, , , , , , true, , 2019-01-01, 2024-06-30
"""
USERS = """
    id, name
    005A00000000009IAA, Kim
"""
OPPORTUNITIES = f"""
    id, account_id, name, type, stage_name, is_won, is_closed, is_deleted, close_date, created_date, amount
    006A1, {ACME}, Acme new, New Business, Closed Won, true, true, false, 2022-01-01, 2021-10-01, 36000
    006A2, 001A00000000003, Acme add-on, Upsell, Closed Won, true, true, false, 2022-07-01, 2022-06-01, 6000
    006A3, {BETA}, Beta new, New Business, Closed Won, true, true, false, 2022-03-01, 2022-02-01, 12000
    006A4, {BETA}, Beta renewal, Renewal, Closed Lost, false, true, false, 2023-02-01, 2022-12-01, 12000
    006A5, {BETA}, Deleted, New Business, Closed Won, true, true, true, 2022-03-01, 2022-02-01, 99000
    006A6, 001A00000000005IAA, Of a deleted account, New Business, Closed Won, true, true, false, 2022-03-01, 2022-02-01, 99000
    006A7, {BETA}, Open, New Business, Proposal, false, false, false, 2023-09-01, 2023-02-01, 50000
"""
TABLES = {"account": ACCOUNTS, "user": USERS, "opportunity": OPPORTUNITIES}
TERMS = ("account_id", "subscription_id", "started_at", "ended_at", "arr")


def camel_case(tables: Mapping[str, str]) -> dict[str, str]:
    """Return the tables with the names that the API and Airbyte use, such as AccountId."""

    def header(text: str) -> str:
        first, _, rest = text.strip().partition("\n")
        names = re.sub(r"[a-z_]+", lambda m: "".join(part.title() for part in m[0].split("_")), first)
        return f"{names}\n{rest}"

    return {"".join(part.title() for part in name.split("_")): header(text) for name, text in tables.items()}


def test_accounts_are_those_that_exist_with_owner_and_parent(run_pack: Callable[..., Any]) -> None:
    run = run_pack("salesforce", TABLES)
    assert run.rows("accounts", "account_id", "name", "industry", "region", "employees", "csm", "parent_id") == [
        (ACME, "Acme", "Software", "DE", 120, "Kim", None),
        # The owner is not among the users; the parent is given with 15 characters.
        (BETA, "Beta", "Retail", "US", 40, "005A00000000008IAA", ACME),
    ]
    # Customers since the start of their first term.
    assert run.rows("accounts", "created_at") == [("2022-01-01",), ("2022-03-01",)]
    assert run.stated("deleted") == "1 account deleted in Salesforce, left out with everything that belongs to them."
    assert run.stated("merged") == "2 accounts merged into others, counted as these."


def test_terms_come_from_won_opportunities_that_exist(run_pack: Callable[..., Any]) -> None:
    run = run_pack("salesforce", TABLES)
    assert run.rows("subscriptions", *TERMS) == [
        (ACME, "006A1", "2022-01-01", "2023-01-01", 36_000.0),
        # Sold to an account that was merged twice, named by 15 characters.
        (ACME, "006A2", "2022-07-01", "2023-07-01", 6_000.0),
        (BETA, "006A3", "2022-03-01", "2023-03-01", 12_000.0),
    ]
    assert run.stated("neither an end") == (
        "3 terms with neither an end nor a length, taken to be as long as default_term_months says."
    )


def test_active_accounts_arr_and_next_renewal(
    run_pack: Callable[..., Any], contract_figures: Callable[..., tuple[int, float, str]]
) -> None:
    run = run_pack("salesforce", TABLES)
    assert contract_figures(run, "2022-02-01") == (1, 36_000.0, "2023-01-01")
    assert contract_figures(run, "2022-12-01") == (2, 54_000.0, "2023-01-01")
    assert contract_figures(run, "2023-04-01") == (1, 6_000.0, "2023-07-01")


@pytest.mark.parametrize("name", ["accounts", "subscriptions"])
def test_camel_case_names_give_the_same_result(run_pack: Callable[..., Any], name: str) -> None:
    snake, camel = run_pack("salesforce", TABLES), run_pack("salesforce", camel_case(TABLES))
    columns = list(snake[name].columns)
    assert camel.rows(name, *columns) == snake.rows(name, *columns)


def as_dlt(text: str) -> list[dict[str, Any]]:
    """Return rows as dlt lands them: typed, in snake case, with instants in UTC and the id of each row."""
    header, *lines = csv.reader(text.strip().splitlines(), skipinitialspace=True)

    def typed(name: str, value: str) -> Any:
        if value in ("true", "false"):
            return value == "true"
        if name.endswith(("_date", "modstamp", "_date_time")) and value:
            return pd.Timestamp(value, tz="UTC")
        return float(value) if name in ("amount", "number_of_employees") and value else value or None

    names = [each.strip() for each in header]
    return [
        {"_dlt_id": f"row{n}", "_dlt_load_id": "1"} | {name: typed(name, value.strip()) for name, value in zip(names, line, strict=True)}
        for n, line in enumerate(lines)
    ]


@pytest.mark.parametrize("name", ["accounts", "subscriptions", "engagement"])
def test_the_shape_of_dlt_gives_the_same_result(run_pack: Callable[..., Any], name: str) -> None:
    tasks = f"""
        id, account_id, what_id, activity_date, completed_date_time, is_closed, task_subtype, subject, is_deleted, created_date
        00T1, {ACME}, , 2022-03-01, 2022-03-02 10:00, true, Call, Check-in, false, 2022-02-20
        00T2, , {BETA}, 2022-04-01, , false, Email, Open, false, 2022-03-20
    """
    events = f"""
        id, account_id, what_id, start_date_time, subject, is_child, is_deleted, created_date, system_modstamp
        00U1, {ACME}, , 2022-05-01 09:00, Business review, false, false, 2022-04-20, 2022-05-02
    """
    fivetran = run_pack("salesforce", {**TABLES, "task": tasks, "event": events})
    # The users have a name of their own in dlt.
    tables = {"account": ACCOUNTS, "sf_user": USERS, "opportunity": OPPORTUNITIES, "task": tasks, "event": events}
    dlt = run_pack("salesforce", {table: as_dlt(rows) for table, rows in tables.items()})
    columns = list(fivetran[name].columns)
    assert dlt.rows(name, *columns) == fivetran.rows(name, *columns)
    assert len(dlt[name]) > 1


def test_ids_of_15_characters_get_their_last_3(run_pack: Callable[..., Any]) -> None:
    # These two are ids of a real organization, whose last three characters are known.
    accounts = """
        id, name, is_deleted, created_date
        0015500000Xyy06, One, false, 2020-01-01
        0011G00000eLwuW, Two, false, 2020-01-01
    """
    run = run_pack("salesforce", {"account": accounts})
    assert {row for (row,) in run.rows("accounts", "account_id")} == {"0015500000Xyy06AAB", "0011G00000eLwuWQAS"}


@pytest.mark.parametrize(
    ("options", "arr"),
    [({}, 12_000.0), ({"amount_is": "annual"}, 36_000.0), ({"arr_column": "ARR__c"}, 11_000.0)],
    ids=["total", "annual", "own field"],
)
def test_a_multi_year_amount_is_divided_by_its_years(
    run_pack: Callable[..., Any], options: dict[str, object], arr: float
) -> None:
    opportunities = f"""
        id, account_id, stage_name, is_won, is_closed, is_deleted, close_date, created_date, amount, Start__c, End__c, ARR__c
        006A1, {ACME}, Closed Won, true, true, false, 2021-12-20, 2021-10-01, 36000, 2022-01-01, 2024-12-31, 11000
    """
    run = run_pack(
        "salesforce",
        {"account": ACCOUNTS, "opportunity": opportunities},
        start_column="Start__c",
        end_column="End__c",
        **options,
    )
    # The last day of the term is a part of it.
    assert run.rows("subscriptions", "started_at", "ended_at", "renewal_at", "arr") == [
        # It runs on after the last change in the tables.
        ("2022-01-01", None, "2025-01-01", arr)
    ]


def test_a_renewal_ends_the_term_before_it(run_pack: Callable[..., Any]) -> None:
    opportunities = f"""
        id, account_id, name, type, stage_name, is_won, is_closed, is_deleted, close_date, created_date, amount
        006A1, {ACME}, New, New Business, Closed Won, true, true, false, 2022-01-10, 2021-10-01, 10000
        006A2, {ACME}, Renewal 2023, Existing Business, Closed Won, true, true, false, 2022-12-20, 2022-10-01, 11000
        006A3, {ACME}, Add-on, Existing Business, Closed Won, true, true, false, 2022-12-24, 2022-10-01, 500
    """
    run = run_pack("salesforce", {"account": ACCOUNTS, "opportunity": opportunities})
    # Signed three weeks early: both terms would count for three weeks. The add-on runs at the same time as the renewal.
    assert run.rows("subscriptions", "started_at", "ended_at", "renewal_at", "arr", "end_reason") == [
        ("2022-01-10", "2022-12-20", "2023-01-10", 10_000.0, "renewed"),
        ("2022-12-20", "2023-12-20", "2023-12-20", 11_000.0, "renewed"),
        ("2022-12-24", "2023-12-24", "2023-12-24", 500.0, None),
    ]


def test_a_lost_renewal_is_notice_from_when_its_loss_was_known(run_pack: Callable[..., Any]) -> None:
    undated = run_pack("salesforce", TABLES)
    # Without a dated change of its stage, a close date says nothing: it may be the one that was planned.
    assert undated.rows("subscriptions", "notice_at", "end_reason")[2] == (None, None)
    dated = f"""
        id, account_id, name, stage_name, is_won, is_closed, is_deleted, close_date, last_stage_change_date, amount
        006A3, {BETA}, Beta new, Closed Won, true, true, false, 2022-03-01, 2022-03-01, 12000
        006A4, {BETA}, Beta renewal, Closed Lost, false, true, false, 2023-02-01, 2023-02-12 09:00, 12000
    """
    run = run_pack("salesforce", {**TABLES, "opportunity": dated})
    assert run.rows("subscriptions", "subscription_id", "notice_at", "end_reason") == [
        ("006A3", "2023-02-12 09:00:00", "cancelled")
    ]
    assert run.stated("notice") == "1 lost renewal counted as notice for the term that ended next."
    off = run_pack("salesforce", {**TABLES, "opportunity": dated}, lost_renewals_are_notice=False)
    assert off.rows("subscriptions", "notice_at", "end_reason") == [(None, None)]


HISTORY = """
    id, _fivetran_start, is_won, is_closed, stage_name, amount
    006A1, 2021-10-01, false, false, Proposal, 20000
    006A1, 2022-01-15 10:00, true, true, Closed Won, 24000
    006A1, 2022-09-01, true, true, Closed Won, 36000
"""
STAGES = """
    id, opportunity_id, created_date, forecast_category, amount
    1, 006A1, 2021-10-01, Pipeline, 20000
    2, 006A1, 2022-01-15 10:00, Closed, 24000
    3, 006A1, 2022-09-01, Closed, 36000
"""


@pytest.mark.parametrize("history", [HISTORY, STAGES], ids=["history mode", "stage history"])
def test_stage_and_amount_count_from_when_they_were_set(run_pack: Callable[..., Any], history: str) -> None:
    run = run_pack("salesforce", {**TABLES, "opportunity_history": history})
    # The close date was set to an earlier day, and the amount was changed eight months later.
    assert run.rows("subscriptions", *TERMS)[:3] == [
        (ACME, "006A1", "2022-01-15 10:00:00", "2022-09-01", 24_000.0),
        (ACME, "006A2", "2022-07-01", "2023-07-01", 6_000.0),
        (ACME, "006A1", "2022-09-01", "2023-01-15 10:00:00", 36_000.0),
    ]


def test_the_tables_keep_the_contract(run_pack: Callable[..., Any], violations: Callable[..., list[str]]) -> None:
    tables = {**TABLES, "opportunity_history": HISTORY, "case": CASES, "contact": CONTACTS}
    assert violations(run_pack("salesforce", tables)) == []
    assert violations(run_pack("salesforce", {**TABLES, "contract": CONTRACTS, "order": ORDERS})) == []


def versions_until(day: str) -> str:
    """Return the versions of opportunity 006A1 that existed on ``day``."""
    first, *rows = HISTORY.strip().splitlines()
    return "\n".join([first, *(row for row in rows if row.split(", ")[1] < day)])


@pytest.mark.parametrize("day", ["2021-12-01", "2022-02-01", "2022-10-01", "2023-06-01"])
def test_what_was_known_on_a_day_does_not_change_later(run_pack: Callable[..., Any], day: str) -> None:
    versions = [line.split(", ") for line in versions_until(day).splitlines()[1:]]
    *_, is_won, is_closed, stage, amount = versions[-1]
    # The row as it stood on the day: its close date was moved later on.
    deal = f"006A1, {ACME}, Acme new, {stage}, {is_won}, {is_closed}, 2022-03-31, 2021-10-01, {amount}"
    header = "id, account_id, name, stage_name, is_won, is_closed, close_date, created_date, amount"
    accounts = ACCOUNTS.replace("2024-06-30", day)
    then = run_pack(
        "salesforce",
        {"account": accounts, "opportunity": f"{header}\n{deal}", "opportunity_history": versions_until(day)},
    )
    later = run_pack("salesforce", {**TABLES, "opportunity_history": HISTORY})

    def known(run: Any) -> list[tuple[Any, ...]]:
        frame = run["subscriptions"]
        frame = frame[(frame.subscription_id == "006A1") & (frame.started_at < day)].sort_values("started_at")
        ended = frame.ended_at.where(frame.ended_at < day)
        return list(zip(frame.started_at, ended.astype(str), frame.arr, frame.renewal_at, strict=True))

    assert known(then) == known(later)
    assert len(known(then)) == {"2021-12-01": 0, "2022-02-01": 1}.get(day, 2)


def test_without_an_open_version_the_history_does_not_date_the_win(run_pack: Callable[..., Any]) -> None:
    # The history began after the deal: its first version is not when the deal was won.
    history = "\n".join(line for line in HISTORY.splitlines() if "Proposal" not in line)
    run = run_pack("salesforce", {**TABLES, "opportunity_history": history})
    assert run.rows("subscriptions", *TERMS)[0] == (ACME, "006A1", "2022-01-01", "2022-09-01", 24_000.0)


def test_a_deal_entered_late_counts_from_then_and_an_imported_one_from_its_start(run_pack: Callable[..., Any]) -> None:
    opportunities = f"""
        id, account_id, stage_name, is_won, is_closed, is_deleted, close_date, created_date, amount
        006A1, {ACME}, Closed Won, true, true, false, 2022-01-10, 2022-02-20, 10000
        006A2, {BETA}, Closed Won, true, true, false, 2019-01-10, 2022-02-20, 9000
        006A3, {BETA}, Closed Won, true, true, false, 2020-01-10, 2022-02-20,
        006A4, {BETA}, Closed Won, true, true, false, 2020-01-10, 2022-02-20, 0
        006A5, {BETA}, Closed Won, true, true, false, 2020-01-10, 2022-02-20, -300
    """
    run = run_pack("salesforce", {"account": ACCOUNTS, "opportunity": opportunities})
    assert run.rows("subscriptions", *TERMS[1:]) == [
        ("006A1", "2022-02-20", "2023-01-10", 10_000.0),
        ("006A2", "2019-01-10", "2020-01-10", 9_000.0),
        # Without an amount the term runs with 0; pilots and credits are no terms.
        ("006A3", "2020-01-10", "2021-01-10", 0.0),
    ]
    assert run.stated("signed up to").startswith("1 term ")
    assert run.stated("entered more than").startswith("2 terms ")
    assert run.stated("without an amount").startswith("1 term ")
    assert run.stated("amount of 0").startswith("1 term ")
    assert run.stated("negative").startswith("1 won deal ")


CONTRACTS = f"""
    id, account_id, start_date, end_date, contract_term, status, status_code, activated_date, created_date, last_modified_date, is_deleted
    800A1, {ACME}, 2022-01-01, 2023-12-31, 24, Activated, Activated, 2021-12-20, 2021-12-01, 2022-01-01, false
    800A2, {BETA}, 2022-03-01, , 12, Terminated, Terminated, 2022-02-20, 2022-02-01, 2022-08-15, false
    800A3, {BETA}, 2023-03-01, , 12, Draft, Draft, , 2023-02-01, 2023-02-01, false
    800A4, {BETA}, 2022-03-01, , 12, Activated, Activated, 2022-02-20, 2022-02-01, 2022-02-20, true
"""
ORDERS = f"""
    id, account_id, contract_id, effective_date, end_date, status, status_code, activated_date, created_date, total_amount, is_deleted, is_reduction_order
    801A1, {ACME}, 800A1, 2022-01-01, , Activated, Activated, 2021-12-20, 2021-12-01, 48000, false, false
    801A2, {BETA}, 800A2, 2022-03-01, , Activated, Activated, 2022-02-20, 2022-02-01, 9000, false, false
    801A3, {BETA}, 800A2, 2022-03-01, , Draft, Draft, , 2022-02-01, 7000, false, false
    801A4, {BETA}, 800A2, 2022-04-01, , Activated, Activated, 2022-03-20, 2022-03-01, -1000, false, true
"""


def test_contracts_with_the_amounts_of_their_orders_come_before_opportunities(run_pack: Callable[..., Any]) -> None:
    tables = {**TABLES, "contract": CONTRACTS, "order": ORDERS}
    run = run_pack("salesforce", tables)
    assert run.rows("subscriptions", *TERMS, "end_reason") == [
        # 48,000 for two years.
        (ACME, "800A1:801A1", "2022-01-01", "2024-01-01", 24_000.0, None),
        # Terminated: it ended when the row was changed for the last time, at the latest.
        (BETA, "800A2:801A2", "2022-03-01", "2022-08-15", 9_000.0, "cancelled"),
    ]
    orders = run_pack("salesforce", tables, terms="orders")
    assert orders.rows("subscriptions", *TERMS) == [
        (ACME, "801A1", "2022-01-01", "2023-01-01", 48_000.0),
        (BETA, "801A2", "2022-03-01", "2023-03-01", 9_000.0),
    ]
    assert orders.stated("reducing") == "1 order reducing another one, left out."
    assert len(run_pack("salesforce", tables, terms="opportunities")["subscriptions"]) == 3


def test_an_order_that_was_added_to_a_contract_counts_from_its_own_start(run_pack: Callable[..., Any]) -> None:
    more = f"    801A5, {ACME}, 800A1, 2023-01-01, , Activated, Activated, 2022-12-20, 2022-12-01, 12000, false, false"
    run = run_pack("salesforce", {**TABLES, "contract": CONTRACTS, "order": f"{ORDERS.rstrip()}\n{more}"})
    # To the end of the contract: one year.
    assert run.rows("subscriptions", *TERMS)[:2] == [
        (ACME, "800A1:801A1", "2022-01-01", "2024-01-01", 24_000.0),
        (ACME, "800A1:801A5", "2023-01-01", "2024-01-01", 12_000.0),
    ]


def test_a_contract_may_have_its_own_amount(run_pack: Callable[..., Any]) -> None:
    contracts = f"""
        id, account_id, start_date, contract_term, status, is_deleted, Value__c, Notice__c, Seats__c
        800A1, {ACME}, 2022-01-01, 24, Activated, false, 60000, 2023-09-30, 50
    """
    run = run_pack(
        "salesforce",
        {**TABLES, "contract": contracts},
        amount_column="Value__c",
        notice_column="Notice__c",
        seats_column="Seats__c",
    )
    assert run.rows("subscriptions", *TERMS[1:], "notice_at", "seats", "end_reason") == [
        ("800A1", "2022-01-01", "2024-01-01", 30_000.0, "2023-09-30", 50, "cancelled")
    ]


def test_accounts_without_a_term_can_be_left_out(run_pack: Callable[..., Any]) -> None:
    accounts = f"{ACCOUNTS.rstrip()}\n    001A00000000006IAA, Prospect, , , , , , false, , 2022-01-01,"
    events = f"""
        id, account_id, start_date_time, is_deleted
        00U1, {ACME}, 2022-05-01, false
        00U2, 001A00000000006IAA, 2022-05-01, false
    """
    tables = {**TABLES, "account": accounts, "event": events}
    run = run_pack("salesforce", tables)
    assert (len(run["accounts"]), len(run["engagement"])) == (3, 2)
    assert run.stated("without a term").startswith("1 account ")
    customers = run_pack("salesforce", tables, only_customers=True)
    assert (len(customers["accounts"]), len(customers["engagement"])) == (2, 1)


def test_line_items_share_the_revenue_among_products(run_pack: Callable[..., Any]) -> None:
    items = """
        id, opportunity_id, product_2_id, name, total_price, is_deleted
        1, 006A1, 01tA1, Core for Acme, 27000, false
        2, 006A1, 01tA2, Analytics for Acme, 9000, false
        3, 006A1, 01tA2, Removed, 500, true
    """
    products = """
        id, name
        01tA1, Core
        01tA2, Analytics
    """
    run = run_pack("salesforce", {**TABLES, "opportunity_line_item": items, "product_2": products})
    rows = run.rows("subscriptions", "product", "arr", "subscription_id", order=["subscription_id"])
    assert rows[:2] == [("Analytics", 9_000.0, "006A1:Analytics"), ("Core", 27_000.0, "006A1:Core")]
    assert sum(arr for _, arr, _ in rows) == 54_000.0


def test_meetings_count_once_and_only_if_they_took_place(run_pack: Callable[..., Any]) -> None:
    events = f"""
        id, account_id, what_id, who_id, start_date_time, type, subject, is_child, is_recurrence, is_deleted, created_date, no_show_c
        00U1, 001A00000000004, , 003A1, 2022-05-01 09:00, Meeting, QBR May, false, false, false, 2022-04-01, false
        00U2, {ACME}, , 003A1, 2022-05-01 09:00, Meeting, QBR May, true, false, false, 2022-04-01, false
        00U3, , 006A3, 003A2, 2022-05-02 09:00, Call, Check-in, false, false, false, 2022-04-01, true
        00U4, , , 003A2, 2022-05-03 09:00, Meeting, Hello, false, false, false, 2022-04-01, false
        00U5, {ACME}, , 003A1, 2024-12-24 09:00, Meeting, Planned, false, false, false, 2022-06-01, false
        00U6, {ACME}, , 003A1, 2022-05-04 09:00, Meeting, Gone, false, false, true, 2022-04-01, false
        00U7, , , 00QA1, 2022-05-05 09:00, Meeting, With a lead, false, false, false, 2022-04-01, false
    """
    tasks = f"""
        id, account_id, what_id, who_id, activity_date, completed_date_time, is_closed, task_subtype, type, is_deleted, created_date
        00T1, {ACME}, , 003A1, 2022-05-10, 2022-05-11 08:00, true, Email, , false, 2022-05-10
        00T2, {ACME}, , 003A1, 2022-05-12, , true, Call, , false, 2022-05-12 15:00
        00T3, {ACME}, , 003A1, 2022-05-20, , false, Task, , false, 2022-05-10
    """
    contacts = f"""
        id, account_id, is_deleted, created_date
        003A2, {BETA}, false, 2022-01-01
    """
    run = run_pack("salesforce", {**TABLES, "event": events, "task": tasks, "contact": contacts})
    assert run.rows("engagement", "account_id", "occurred_at", "kind", "outcome", "event_id", "contact_id") == [
        (ACME, "2022-05-01 09:00:00", "qbr", "attended", "event:00U1", "003A1"),
        # Nothing says whether the email was answered.
        (ACME, "2022-05-11 08:00:00", "email", None, "task:00T1", "003A1"),
        (ACME, "2022-05-12 15:00:00", "call", "completed", "task:00T2", "003A1"),
        # Of the account of the opportunity, and of that of the contact.
        (BETA, "2022-05-02 09:00:00", "call", "no_show", "event:00U3", "003A2"),
        (BETA, "2022-05-03 09:00:00", "meeting", "attended", "event:00U4", "003A2"),
    ]
    assert run.stated("planned") == "1 activity record planned after the last change in the tables, left out."
    assert run.stated("lead") == "1 activity record of no account (mostly of leads), left out."


def test_what_salesforce_cannot_record_is_not_counted_as_zero(run_pack: Callable[..., Any]) -> None:
    events = "id, account_id, start_date_time, type, is_deleted, created_date\n00U1, 001A00000000004, 2022-05-01 09:00, , false, 2022-04-01"
    records = run_pack("salesforce", {**TABLES, "event": events}).queries.records["engagement"]
    assert records["kind"] == {"meeting", "call", "email"}
    # There is no column that says who did not come.
    assert records["outcome"] == {"attended"}
    labelled = run_pack("salesforce", {**TABLES, "event": events}, labels_are_complete=True).queries.records["engagement"]
    assert labelled["kind"] == {"meeting", "call", "email", "qbr", "training", "webinar"}


CASES = f"""
    id, account_id, contact_id, created_date, closed_date, is_closed, is_escalated, priority, reason, last_modified_date, is_deleted
    500A1, 001A00000000003, , 2022-05-01, 2022-05-09, true, true, Critical, Bug, 2022-05-10, false
    500A2, , 003A2, 2022-05-02, , false, false, , , 2022-05-03, false
    500A3, {BETA}, , 2022-05-02, 2022-05-02, true, false, Low, , 2022-05-03, true
"""
CONTACTS = f"""
    id, account_id, is_deleted, created_date, system_modstamp
    003A2, {BETA}, false, 2022-01-01, 2022-01-01
"""
SUPPORT = ("account_id", "ticket_id", "loaded_at", "resolved_at", "severity", "escalated", "topic")


def test_a_case_has_its_first_priority_from_its_history(run_pack: Callable[..., Any]) -> None:
    history = """
        id, case_id, field, old_value, new_value, created_date
        1, 500A1, Priority, Low, Medium, 2022-05-02
        2, 500A1, Priority, Medium, Critical, 2022-05-04
        3, 500A1, Status, New, Closed, 2022-05-09
    """
    run = run_pack("salesforce", {**TABLES, "case": CASES, "case_history": history, "contact": CONTACTS})
    assert run.rows("support", *SUPPORT, order=["ticket_id", "loaded_at"]) == [
        (ACME, "500A1", "2022-05-01", None, "low", False, None),
        (ACME, "500A1", "2022-05-02", None, "low", True, None),
        (ACME, "500A1", "2022-05-09", "2022-05-09", "low", True, None),
        (ACME, "500A1", "2022-05-10", "2022-05-09", "low", True, "Bug"),
        (BETA, "500A2", "2022-05-02", None, "normal", False, None),
    ]
    assert {row for (row,) in run.rows("support", "occurred_at")} == {"2022-05-01", "2022-05-02"}


def test_without_a_history_a_priority_is_known_from_the_last_change(run_pack: Callable[..., Any]) -> None:
    run = run_pack("salesforce", {**TABLES, "case": CASES, "contact": CONTACTS})
    assert run.rows("support", *SUPPORT, order=["ticket_id", "loaded_at"])[:3] == [
        (ACME, "500A1", "2022-05-01", None, "normal", False, None),
        (ACME, "500A1", "2022-05-09", "2022-05-09", "normal", False, None),
        (ACME, "500A1", "2022-05-10", "2022-05-09", "urgent", True, "Bug"),
    ]
    assert run.stated("has no history").startswith("2 cases ")


def test_contacts_have_dated_roles(run_pack: Callable[..., Any]) -> None:
    relations = f"""
        id, account_id, contact_id, roles, start_date, end_date, created_date, is_deleted
        1, {ACME}, 003A1, Executive Sponsor, 2022-02-01, 2022-11-30, 2022-01-01, false
    """
    roles = """
        id, opportunity_id, contact_id, role, created_date, is_deleted
        1, 006A3, 003A2, Decision Maker, 2022-02-10, false
    """
    contacts = f"""
        id, account_id, is_deleted, master_record_id, created_date, system_modstamp
        003A2, {BETA}, true, , 2022-01-01, 2022-12-05
        003A3, {BETA}, true, 003A2, 2022-01-01, 2022-12-05
        003A4, {BETA}, true, , 2022-03-01, 2022-03-01
    """
    tables = {"account_contact_relation": relations, "opportunity_contact_role": roles, "contact": contacts}
    run = run_pack("salesforce", {**TABLES, **tables})
    assert run.rows("relationship", "account_id", "contact_id", "occurred_at", "role", "event") == [
        (ACME, "003A1", "2022-02-01", "executive_sponsor", "joined"),
        (ACME, "003A1", "2022-11-30", "executive_sponsor", "left"),
        (BETA, "003A2", "2022-01-01", "user", "joined"),
        (BETA, "003A2", "2022-02-10", "decision_maker", "joined"),
        # A deleted contact left when it was deleted; a merged one did not leave; one deleted at once was never there.
        (BETA, "003A2", "2022-12-05", "user", "left"),
    ]


def test_rates_are_those_of_the_organization(run_pack: Callable[..., Any]) -> None:
    opportunities = OPPORTUNITIES.replace("amount\n", "amount, currency_iso_code\n").replace("000\n", "000, eur\n")
    rates = """
        id, iso_code, start_date, conversion_rate
        1, EUR, 2022-01-01, 0.8
        2, EUR, 2023-01-01, 0.9
    """
    types = """
        id, iso_code, conversion_rate, is_corporate
        1, USD, 1, true
        2, EUR, 0.9, false
    """
    run = run_pack(
        "salesforce",
        {**TABLES, "opportunity": opportunities, "dated_conversion_rate": rates, "currency_type": types},
    )
    assert {code for (code,) in run.rows("subscriptions", "currency")} == {"EUR"}
    assert run.rows("fx_rates", "currency", "occurred_at", "rate", order=["currency", "occurred_at"]) == [
        ("EUR", "2022-01-01", 1.25),
        ("EUR", "2023-01-01", 1.111111),
        ("USD", "1970-01-01", 1.0),
    ]


def test_identity_gives_the_keys_that_other_tools_share(run_pack: Callable[..., Any]) -> None:
    accounts = """
        id, name, website, is_deleted, created_date, stripe_customer_id_c
        001A00000000001, Acme, https://www.Acme.example/de?x=1, false, 2020-01-01, cus_1
    """
    run = run_pack("salesforce", {"account": accounts, "contact": CONTACTS})
    assert run.accounts.to_dict("records") == [
        {"account_id": ACME, "name": "Acme", "domain": "acme.example", "stripe_customer_id": "cus_1"}
    ]
    assert run.users.to_dict("records") == [{"user_id": "003A2", "account_id": BETA}]


def test_the_sample_export_has_the_figures_of_its_raw_files(
    run_export: Callable[..., Any], export_folder: Callable[[str], Path]
) -> None:
    run = run_export("salesforce", "salesforce")

    def rows(name: str) -> list[dict[str, str]]:
        with (export_folder("salesforce") / f"sf_{name}_data.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    living = [row for row in rows("account") if row["is_deleted"] != "true"]
    assert [row for (row,) in run.rows("accounts", "account_id")] == [row["id"] for row in living]
    assert len(living) == 1
    # All won opportunities are deleted; five of the ten orders have an amount, and none has an end.
    assert all(row["is_deleted"] == "true" for row in rows("opportunity"))
    sold = [float(row["total_amount"]) for row in rows("order") if float(row["total_amount"]) > 0]
    assert sum(sold) == pytest.approx(54_800.6)
    assert run["subscriptions"].arr.sum() == pytest.approx(54_800.6)
    assert set(run.rows("subscriptions", "started_at", "renewal_at")) == {("2019-11-11 17:23:34", "2020-11-11 17:23:34")}
    meetings = [row for row in rows("event") if row["account_id"] and row["is_child"] == "FALSE"]
    done = [row for row in rows("task") if row["account_id"] and row["is_closed"] == "TRUE"]
    assert len(run["engagement"]) == len(meetings) + len(done) == 19


def test_terms_without_your_own_field_are_counted(run_pack: Callable[..., Any]) -> None:
    opportunities = f"""
        id, account_id, stage_name, is_won, is_closed, is_deleted, close_date, created_date, amount, ARR__c
        006A1, {ACME}, Closed Won, true, true, false, 2021-12-20, 2021-10-01, 36000, 11000
        006A2, {ACME}, Closed Won, true, true, false, 2022-12-20, 2022-10-01, 36000,
    """
    tables = {"account": ACCOUNTS, "opportunity": opportunities}
    words = "without a value in the field of arr_column: the ARR comes from the amount"
    run = run_pack("salesforce", tables, arr_column="ARR__c")
    assert [text for text in run.assumptions if words in text] == [f"1 term {words}."]
    assert not any(words in text for text in run_pack("salesforce", tables).assumptions)


EVERYTHING: Mapping[str, str] = {
    **TABLES,
    "contract": CONTRACTS,
    "order": ORDERS,
    "case": CASES,
    "contact": CONTACTS,
    "event": f"id, account_id, start_date_time, is_deleted, created_date\n00U1, {ACME}, 2022-05-01, false, 2022-04-01",
    "task": f"id, account_id, completed_date_time, is_closed, is_deleted, created_date\n00T1, {ACME}, 2022-05-02, true, false, 2022-04-01",
    "account_contact_role": f"id, account_id, contact_id, role, created_date, is_deleted\n1, {ACME}, 003A1, Champion, 2022-02-01, false",
    "account_contact_relation": f"id, account_id, contact_id, roles, start_date, created_date, is_deleted\n1, {BETA}, 003A3, Sponsor, 2022-02-01, 2022-02-01, false",
    "opportunity_contact_role": "id, opportunity_id, contact_id, role, created_date, is_deleted\n1, 006A3, 003A2, Decision Maker, 2022-02-10, false",
}


def _with_deleted_copies(text: str) -> str:
    """Return a table with a deleted copy of each row that is not deleted, under another id."""
    first, *rows = textwrap.dedent(text).strip().splitlines()
    place = [name.strip() for name in first.split(",")].index("is_deleted")
    copies = []
    for number, row in enumerate(rows):
        cells = [cell.strip() for cell in row.split(",")]
        if cells[place] == "false":
            cells[0], cells[place] = f"zz{number}", "true"
            copies.append(", ".join(cells))
    return "\n".join([first, *rows, *copies])


@pytest.mark.parametrize("terms", ["contracts", "orders", "opportunities"])
def test_deleted_rows_and_short_ids_change_nothing(run_pack: Callable[..., Any], terms: str) -> None:
    def short(name: str, text: str) -> str:
        return text if name == "account" else text.replace(ACME, ACME[:15]).replace(BETA, BETA[:15])

    tables = {name: short(name, text if name in ("account", "user", "contact") else _with_deleted_copies(text)) for name, text in EVERYTHING.items()}
    one, two = run_pack("salesforce", EVERYTHING, terms=terms), run_pack("salesforce", tables, terms=terms)
    for name in ("accounts", "subscriptions") if terms != "contracts" else one.tables:
        columns = list(one[name].columns)
        order = [c for c in ("account_id", "subscription_id", "ticket_id", "contact_id", "event_id", "role", "loaded_at", "occurred_at") if c in columns]
        assert two.rows(name, *columns, order=order) == one.rows(name, *columns, order=order)
        assert len(one[name]) > 1
