"""The HubSpot pack against figures computed by hand, with the pitfalls of real portals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

COMPANIES = """
    id, property_name, property_domain, property_industry, property_country, property_numberofemployees, property_hubspot_owner_id, property_hs_parent_company_id, property_hs_merged_object_ids, property_createdate, is_deleted, property_hs_lastmodifieddate
    1, Acme, acme.example, COMPUTER_SOFTWARE, DE, 120, 77, , 9;8, 2020-01-05, false, 2024-06-30
    2, Beta, beta.example, RETAIL, US, 40, 78, 9, , 2021-03-01, false, 2024-06-30
    9, Acme Inc, acme.example, COMPUTER_SOFTWARE, DE, 100, 77, , , 2019-01-01, false, 2024-06-30
    7, Gone, , , , , , , , 2019-01-01, true, 2024-06-30
"""
OWNERS = """
    owner_id, first_name, last_name, email
    77, Kim, Lee, kim@example.com
"""
STAGES = """
    stage_id, pipeline_id, label, closed_won, is_closed, probability
    11, p, Proposal, false, false, 0.5
    12, p, Won, true, true, 1.0
    13, p, Lost, false, true, 0.0
"""
PIPELINES = """
    pipeline_id, label
    p, Sales
    q, Services
"""
DEALS = """
    deal_id, deal_pipeline_id, deal_pipeline_stage_id, property_dealname, property_dealtype, property_amount, property_closedate, property_createdate, property_hs_lastmodifieddate, is_deleted
    101, p, 12, Acme, newbusiness, 24000, 2022-01-10, 2021-10-01, 2022-01-10, false
    102, p, 12, Beta, newbusiness, , 2022-03-01, 2022-02-01, 2022-03-01, false
    103, p, 11, Beta more, existingbusiness, 5000, 2022-12-01, 2022-10-01, 2022-10-01, false
    104, p, 12, Before, newbusiness, 1200, 2019-05-01, 2020-01-05, 2020-01-05, false
    105, p, 12, Merged away, newbusiness, 24000, 2022-01-10, 2021-10-01, 2022-01-10, false
    106, q, 12, Consulting, newbusiness, 7000, 2022-04-01, 2022-03-01, 2022-04-01, false
    107, p, 12, Deleted, newbusiness, 9000, 2022-04-01, 2022-03-01, 2022-04-01, true
    108, p, 12, Alone, newbusiness, 9000, 2022-04-01, 2022-03-01, 2022-04-01, false
"""
DEAL_COMPANIES = """
    deal_id, company_id, type_id
    101, 2, 341
    101, 9, 5
    102, 2, 5
    103, 2, 5
    104, 8, 5
    105, 1, 5
    106, 2, 5
    107, 2, 5
"""
MERGED = """
    deal_id, merged_deal_id
    101, 105
"""
TABLES: Mapping[str, str] = {
    "company": COMPANIES,
    "owner": OWNERS,
    "deal_pipeline": PIPELINES,
    "deal_pipeline_stage": STAGES,
    "deal": DEALS,
    "deal_company": DEAL_COMPANIES,
    "merged_deal": MERGED,
}
TERMS = ("account_id", "subscription_id", "started_at", "ended_at", "arr")


def test_accounts_are_companies_after_merges_with_values_as_words(run_pack: Callable[..., Any]) -> None:
    run = run_pack("hubspot", TABLES)
    assert run.rows("accounts", "account_id", "name", "industry", "region", "employees", "csm", "parent_id") == [
        ("1", "Acme", "Computer software", "DE", 120, "Kim Lee", None),
        # Its parent was merged into company 1.
        ("2", "Beta", "Retail", "US", 40, "78", "1"),
    ]
    assert run.stated("merged") == "2 company ids merged into others, counted as these."
    assert run.stated("deleted") == "1 company deleted in HubSpot, left out with everything that belongs to them."


def test_terms_are_won_deals_of_the_primary_company(run_pack: Callable[..., Any]) -> None:
    run = run_pack("hubspot", TABLES, pipelines=["sales"])
    assert run.rows("subscriptions", *TERMS) == [
        # Closed 8 months before it was created: history that was entered afterwards.
        ("1", "104", "2019-05-01", "2020-05-01", 1_200.0),
        ("1", "101", "2022-01-10", "2023-01-10", 24_000.0),
        # Without an amount, the customer is there all the same.
        ("2", "102", "2022-03-01", "2023-03-01", 0.0),
    ]
    assert run.stated("several companies") == "1 deal with several companies, counted for the primary one."
    assert run.stated("without a company").startswith("1 won deal ")
    assert run.stated("without an amount").startswith("1 term ")
    assert run.stated("closed before creation").startswith("1 won deal ")
    # All pipelines count unless some are named.
    assert run_pack("hubspot", TABLES)["subscriptions"].arr.sum() == 32_200.0


def test_the_tables_keep_the_contract(run_pack: Callable[..., Any], violations: Callable[..., list[str]]) -> None:
    tickets = {
        "ticket": TICKETS,
        "ticket_company": TICKET_COMPANIES,
        "ticket_pipeline_stage": TICKET_STAGES,
        "ticket_property_history": TICKET_HISTORY,
    }
    contacts = "id, property_associatedcompanyid, property_createdate\n31, 8, 2021-01-01"
    tables = {**TABLES, **tickets, "deal_property_history": HISTORY, "contact": contacts}
    assert violations(run_pack("hubspot", tables)) == []


def test_active_companies_arr_and_next_renewal(
    run_pack: Callable[..., Any], contract_figures: Callable[..., tuple[int, float, str]]
) -> None:
    run = run_pack("hubspot", TABLES)
    assert contract_figures(run, "2020-01-01") == (1, 1_200.0, "2020-05-01")
    # Acme 24,000; Beta with an unknown amount and 7,000 of consulting.
    assert contract_figures(run, "2022-06-01") == (2, 31_000.0, "2023-01-10")
    assert contract_figures(run, "2023-02-01") == (1, 7_000.0, "2023-03-01")


def test_a_deal_closed_shortly_before_it_was_created_counts_from_its_creation(run_pack: Callable[..., Any]) -> None:
    deals = """
        deal_id, deal_pipeline_stage_id, property_amount, property_closedate, property_createdate
        101, closedwon, 24000, 2022-01-10, 2022-02-20
        102, closedlost, 24000, 2022-01-10, 2022-02-20
    """
    companies = """
        deal_id, company_id
        101, 1
        102, 1
    """
    run = run_pack("hubspot", {"company": COMPANIES, "deal": deals, "deal_company": companies})
    assert run.rows("subscriptions", *TERMS) == [("1", "101", "2022-02-20", "2023-01-10", 24_000.0)]


HISTORY = """
    deal_id, name, value, timestamp
    101, dealstage, 11, 2021-10-01
    101, dealstage, 12, 2022-01-15 10:00
    101, amount, 20000, 2021-10-01
    101, amount, 24000, 2022-01-12
    101, amount, 36000, 2022-09-01
"""


@pytest.mark.parametrize("deal_stage", [True, False], ids=["table of stages", "history of properties"])
def test_stage_and_amount_count_from_when_they_were_set(run_pack: Callable[..., Any], deal_stage: bool) -> None:
    stages = """
        deal_id, value, date_entered
        101, 11, 2021-10-01
        101, 12, 2022-01-15 10:00
    """
    lines = HISTORY.splitlines()
    tables = {**TABLES, "deal_property_history": HISTORY}
    if deal_stage:
        tables |= {
            "deal_stage": stages,
            "deal_property_history": "\n".join(line for line in lines if "dealstage" not in line),
        }
    run = run_pack("hubspot", tables)
    assert run.rows("subscriptions", *TERMS)[1:3] == [
        ("1", "101", "2022-01-15 10:00:00", "2022-09-01", 24_000.0),
        ("1", "101", "2022-09-01", "2023-01-15 10:00:00", 36_000.0),
    ]


def test_a_lost_renewal_is_notice_and_a_renewal_ends_the_term_before_it(run_pack: Callable[..., Any]) -> None:
    deals = """
        deal_id, deal_pipeline_stage_id, property_dealname, property_dealtype, property_amount, property_closedate, property_createdate
        101, 12, New, newbusiness, 10000, 2021-01-10, 2020-10-01
        102, 12, Next year, renewal, 11000, 2021-12-20, 2021-10-01
        103, 13, Renewal 2023, existingbusiness, 11000, 2022-12-01, 2022-09-01
    """
    companies = """
        deal_id, company_id
        101, 1
        102, 1
        103, 1
    """
    history = """
        deal_id, property, value, timestamp
        103, dealstage, 11, 2022-09-01
        103, dealstage, 13, 2022-12-07
    """
    tables = {**TABLES, "deal": deals, "deal_company": companies, "deals_property_history": history}
    run = run_pack("hubspot", {k: v for k, v in tables.items() if k != "merged_deal"})
    assert run.rows("subscriptions", "started_at", "ended_at", "renewal_at", "arr", "notice_at", "end_reason") == [
        ("2021-01-10", "2021-12-20", "2022-01-10", 10_000.0, None, "renewed"),
        ("2021-12-20", "2022-12-20", "2022-12-20", 11_000.0, "2022-12-07", "cancelled"),
    ]


@pytest.mark.parametrize(
    ("options", "arr"),
    [
        ({}, 12_000.0),
        ({"amount_is": "annual"}, 36_000.0),
        ({"arr_column": "property_recurring"}, 11_000.0),
    ],
    ids=["total", "annual", "own property"],
)
def test_terms_and_amounts_follow_your_properties(
    run_pack: Callable[..., Any], options: dict[str, object], arr: float
) -> None:
    deals = """
        deal_id, deal_pipeline_stage_id, property_amount, property_closedate, property_createdate, property_from, property_months, property_recurring, property_seats
        101, 12, 36000, 2021-12-20, 2021-10-01, 2022-01-01, 36, 11000, 25
    """
    tables = {**TABLES, "deal": deals}
    run = run_pack(
        "hubspot",
        tables,
        start_column="property_from",
        term_months_column="property_months",
        seats_column="property_seats",
        **options,
    )
    assert run.rows("subscriptions", "started_at", "renewal_at", "arr", "seats") == [
        ("2022-01-01", "2025-01-01", arr, 25)
    ]


def test_recurring_revenue_of_line_items_comes_before_the_amount(run_pack: Callable[..., Any]) -> None:
    deals = """
        deal_id, deal_pipeline_stage_id, property_amount, property_hs_arr, property_hs_mrr, property_closedate, property_createdate, property_deal_currency_code, property_amount_in_home_currency
        101, 12, 15000, 12000, 1000, 2022-01-01, 2021-10-01, EUR, 18000
        102, 12, 15000, 0, 900, 2022-01-01, 2021-10-01, USD, 15000
    """
    run = run_pack("hubspot", {**TABLES, "deal": deals})
    assert run.rows("subscriptions", "subscription_id", "arr", "currency") == [
        ("101", 12_000.0, "EUR"),
        ("102", 10_800.0, "USD"),
    ]
    assert run.rows("fx_rates", "currency", "occurred_at", "rate", order=["currency"]) == [
        ("EUR", "2022-01-01", 1.2),
        ("USD", "2022-01-01", 1.0),
    ]


TICKETS = """
    id, property_createdate, property_closed_date, property_hs_lastmodifieddate, property_hs_pipeline_stage, property_hs_ticket_priority, property_hs_ticket_category, is_deleted
    501, 2022-05-01, 2022-05-06, 2022-05-09, 4, URGENT, PRODUCT_ISSUE, false
    502, 2022-05-02, 2022-04-01, 2022-05-03, 4, , , false
    503, 2022-05-02, , 2022-05-03, 1, LOW, , false
    504, 2022-05-02, , 2022-05-03, 1, LOW, , true
    505, 2022-05-02, , 2022-05-03, 1, LOW, , false
"""
TICKET_COMPANIES = """
    ticket_id, company_id
    501, 8
    502, 2
    503, 2
    504, 2
"""
TICKET_STAGES = """
    stage_id, ticket_state, is_closed
    1, OPEN, false
    4, CLOSED, true
"""
TICKET_HISTORY = """
    ticket_id, name, value, timestamp_instant
    501, hs_ticket_priority, LOW, 2022-05-01
    501, hs_ticket_priority, URGENT, 2022-05-02
    501, hs_pipeline_stage, 1, 2022-05-01
    501, hs_pipeline_stage, 4, 2022-05-03
    501, hs_pipeline_stage, 1, 2022-05-04
    501, hs_pipeline_stage, 4, 2022-05-06
"""
SUPPORT = ("account_id", "ticket_id", "occurred_at", "loaded_at", "resolved_at", "severity", "escalated", "topic")


def test_tickets_have_their_first_priority_and_reopen(run_pack: Callable[..., Any]) -> None:
    run = run_pack(
        "hubspot",
        {
            **TABLES,
            "ticket": TICKETS,
            "ticket_company": TICKET_COMPANIES,
            "ticket_pipeline_stage": TICKET_STAGES,
            "ticket_property_history": TICKET_HISTORY,
        },
    )
    day = "2022-05-01"
    assert run.rows("support", *SUPPORT, order=["ticket_id", "loaded_at"]) == [
        ("1", "501", day, "2022-05-01", None, "low", False, None),
        ("1", "501", day, "2022-05-02", None, "low", True, None),
        ("1", "501", day, "2022-05-03", "2022-05-03", "low", True, None),
        ("1", "501", day, "2022-05-04", None, "low", True, None),
        ("1", "501", day, "2022-05-06", "2022-05-06", "low", True, None),
        ("1", "501", day, "2022-05-09", "2022-05-06", "low", True, "product_issue"),
        # Closed before it was created: it was resolved as it was opened.
        ("2", "502", "2022-05-02", "2022-05-02", "2022-05-02", "normal", False, None),
        # Its priority has no history, so it is known from the last change.
        ("2", "503", "2022-05-02", "2022-05-02", None, "normal", False, None),
        ("2", "503", "2022-05-02", "2022-05-03", None, "low", False, None),
    ]
    assert "1 ticket without a company, left out." in run.assumptions


def test_activities_belong_to_companies_and_happened(run_pack: Callable[..., Any]) -> None:
    meetings = """
        engagement_id, property_hs_meeting_start_time, property_hs_meeting_outcome, property_hs_meeting_title, property_hs_createdate
        m1, 2022-05-01 10:00, NO_SHOW, QBR, 2022-04-01
        m2, 2022-05-02 10:00, RESCHEDULED, Hello, 2022-04-01
        m3, 2024-12-02 10:00, SCHEDULED, Planned, 2022-05-20
    """
    calls = """
        engagement_id, property_hs_timestamp, property_hs_call_status
        c1, 2022-05-03, COMPLETED
    """
    emails = """
        engagement_id, property_hs_timestamp, property_hs_email_direction
        e1, 2022-05-04, INCOMING_EMAIL
        e2, 2022-05-05, EMAIL
        e3, 2022-05-05, DRAFT_EMAIL
    """
    tasks = """
        engagement_id, property_hs_task_completion_date, property_hs_task_status
        t1, 2022-05-06, COMPLETED
        t2, , NOT_STARTED
    """
    links = """
        engagement_id, company_id
        m1, 9
        m1, 2
        m2, 2
        m3, 2
        c1, 2
        e1, 1
        e2, 1
        e3, 1
        t1, 1
        t2, 1
    """
    run = run_pack(
        "hubspot",
        {
            "company": COMPANIES,
            "engagement_meeting": meetings,
            "engagement_call": calls,
            "engagement_email": emails,
            "engagement_task": tasks,
            "engagement_company": links,
        },
    )
    assert run.rows("engagement", "account_id", "occurred_at", "kind", "outcome", "event_id") == [
        ("1", "2022-05-01 10:00:00", "qbr", "no_show", "m1:1"),
        ("1", "2022-05-04", "email", "replied", "e1:1"),
        ("1", "2022-05-05", "email", None, "e2:1"),
        ("1", "2022-05-06", "task", "completed", "t1:1"),
        ("2", "2022-05-01 10:00:00", "qbr", "no_show", "m1:2"),
        ("2", "2022-05-03", "call", "completed", "c1:2"),
    ]
    assert run.stated("planned").startswith("1 activity record ")


def test_contacts_have_the_role_that_their_history_dates(run_pack: Callable[..., Any]) -> None:
    contacts = """
        id, property_associatedcompanyid, property_createdate, property_lastmodifieddate, property_hs_merged_object_ids, _fivetran_deleted
        31, 8, 2021-01-01, 2022-01-01, 39, false
        32, 2, 2021-02-01, 2022-06-01, , true
        33, 2, 2021-03-01, 2021-03-01, , true
        39, 8, 2021-01-01, 2021-01-01, , false
    """
    history = """
        contact_id, name, value, timestamp
        31, hs_buying_role, CHAMPION, 2021-06-01
    """
    run = run_pack("hubspot", {**TABLES, "contact": contacts, "contact_property_history": history})
    assert run.rows("relationship", "account_id", "contact_id", "occurred_at", "role", "event") == [
        ("1", "31", "2021-01-01", "user", "joined"),
        ("1", "31", "2021-06-01", "champion", "joined"),
        ("2", "32", "2021-02-01", "user", "joined"),
        # A contact that was deleted when it was created was never there.
        ("2", "32", "2022-06-01", "user", "left"),
    ]
    assert run.rows("accounts", "account_id") == [("1",), ("2",)]


def test_companies_without_a_term_can_be_left_out(run_pack: Callable[..., Any]) -> None:
    tables = {**TABLES, "company": f"{COMPANIES.rstrip()}\n    3, Lead, , , , , , , , 2022-01-01, false,"}
    run = run_pack("hubspot", tables)
    assert run.rows("accounts", "account_id") == [("1",), ("2",), ("3",)]
    assert run.stated("without a term").startswith("1 account ")
    assert run_pack("hubspot", tables, only_customers=True).rows("accounts", "account_id") == [("1",), ("2",)]


def test_surveys_are_outcomes_of_the_company_of_who_answered(run_pack: Callable[..., Any]) -> None:
    surveys = """
        id, properties_hs_survey_type, properties_hs_value, properties_hs_submission_timestamp, contacts
        1, NPS, 9, 2022-05-01, "[""31""]"
        2, CSAT, 4, 2022-05-02, "[""31""]"
        3, NPS, 11, 2022-05-03, "[""31""]"
    """
    contacts = """
        id, properties_associatedcompanyid, properties_createdate
        31, 8, 2021-01-01
    """
    run = run_pack("hubspot", {"company": COMPANIES, "feedback_submissions": surveys, "contacts": contacts})
    assert run.rows("outcomes", "account_id", "occurred_at", "kind", "value") == [
        ("1", "2022-05-01", "nps", 9.0),
        ("1", "2022-05-02", "csat", 4.0),
    ]


def test_the_shape_of_airbyte_gives_the_same_figures(run_pack: Callable[..., Any]) -> None:
    companies = [
        {"id": "1", "properties": {"name": "Acme", "createdate": "2020-01-05T00:00:00Z", "hs_lastmodifieddate": "2024-06-30T00:00:00Z", "hs_merged_object_ids": "9"}, "archived": False},
        {"id": "2", "properties": {"name": "Beta", "createdate": "2021-03-01T00:00:00Z"}, "archived": False},
    ]
    deals = [
        {"id": "101", "companies": ["9"], "archived": False, "properties": {"dealstage": "12", "amount": "24000", "closedate": "2022-01-10T00:00:00Z", "createdate": "2021-10-01T00:00:00Z"}},
        {"id": "102", "companies": ["2"], "archived": False, "properties": {"dealstage": "11", "amount": "500", "closedate": "2022-01-10T00:00:00Z", "createdate": "2021-10-01T00:00:00Z"}},
    ]
    pipelines = [
        {
            "pipelineId": "p",
            "label": "Sales",
            "stages": [
                {"stageId": "11", "metadata": {"isClosed": "false", "probability": "0.5"}},
                {"stageId": "12", "metadata": {"isClosed": "true", "probability": "1.0"}},
            ],
        }
    ]
    meetings = [
        {"id": "m1", "companies": ["9", "2"], "archived": False, "updatedAt": "2022-05-02T00:00:00Z", "properties": {"hs_meeting_start_time": "2022-05-01T10:00:00Z", "hs_meeting_outcome": "COMPLETED"}}
    ]
    run = run_pack(
        "hubspot",
        {"companies": companies, "deals": deals, "deal_pipelines": pipelines, "engagements_meetings": meetings},
    )
    assert run.rows("accounts", "account_id", "name") == [("1", "Acme"), ("2", "Beta")]
    assert run.rows("subscriptions", *TERMS) == [("1", "101", "2022-01-10", "2023-01-10", 24_000.0)]
    assert run.rows("engagement", "account_id", "occurred_at", "kind", "outcome") == [
        ("1", "2022-05-01 10:00:00", "meeting", "attended"),
        ("2", "2022-05-01 10:00:00", "meeting", "attended"),
    ]


def test_the_shape_of_dlt_gives_the_same_figures(run_pack: Callable[..., Any]) -> None:
    companies = """
        id, name, createdate, hs_lastmodifieddate, hs_merged_object_ids, is_deleted
        1, Acme, 2020-01-05, 2024-06-30, 9, false
        2, Beta, 2021-03-01, 2024-06-30, , false
    """
    deals = """
        id, dealstage, pipeline, amount, closedate, createdate, is_deleted
        101, 12, p, 24000, 2022-01-10, 2021-10-01, false
        102, 11, p, 500, 2022-01-10, 2021-10-01, false
        103, 12, p, 6000, 2022-07-01, 2022-06-01, false
    """
    links = """
        value, deals_id
        9, 101
        2, 102
        2, 103
    """
    tickets = """
        id, createdate, closed_date, hs_lastmodifieddate, hs_pipeline_stage, hs_ticket_priority
        501, 2022-05-01, 2022-05-06, 2022-05-09, 4, HIGH
    """
    stages = """
        id, label, metadata__is_closed, metadata__probability
        11, Proposal, false, 0.5
        12, Won, true, 1.0
    """
    run = run_pack(
        "hubspot",
        {"companies": companies, "deals": deals, "companies__deals": links, "pipelines_deals__stages": stages,
         "tickets": tickets, "companies__tickets": "value, tickets_id\n9, 501",
         "pipelines_tickets__stages": "id, metadata__ticket_state\n4, CLOSED"},
    )  # fmt: skip
    assert run.rows("subscriptions", *TERMS) == [
        ("1", "101", "2022-01-10", "2023-01-10", 24_000.0),
        ("2", "103", "2022-07-01", "2023-07-01", 6_000.0),
    ]
    # It was closed on the sixth; its priority is known from the last change.
    assert run.rows("support", "account_id", "loaded_at", "resolved_at", "severity", order=["loaded_at"]) == [
        ("1", "2022-05-01", None, "normal"),
        ("1", "2022-05-06", "2022-05-06", "normal"),
        ("1", "2022-05-09", "2022-05-06", "high"),
    ]


def test_deals_without_your_own_property_are_counted(run_pack: Callable[..., Any]) -> None:
    deals = """
        deal_id, deal_pipeline_stage_id, property_amount, property_closedate, property_createdate, property_recurring
        101, 12, 36000, 2021-12-20, 2021-10-01, 11000
        102, 12, 36000, 2022-12-20, 2022-10-01,
    """
    run = run_pack("hubspot", {**TABLES, "deal": deals}, arr_column="property_recurring")
    words = "without a value in the property of arr_column: the ARR comes from hs_arr, hs_mrr or the amount"
    assert [text for text in run.assumptions if words in text] == [f"1 won deal {words}."]


def test_deleted_records_and_the_case_of_values_change_nothing(run_pack: Callable[..., Any]) -> None:
    activities = {
        "engagement_meeting": "engagement_id, property_hs_meeting_start_time, property_hs_meeting_outcome, _fivetran_deleted\nm1, 2022-05-01, NO_SHOW, false",
        "engagement_call": "engagement_id, property_hs_timestamp, property_hs_call_status, _fivetran_deleted\nc1, 2022-05-03, COMPLETED, false",
        "engagement_email": "engagement_id, property_hs_timestamp, property_hs_email_direction, _fivetran_deleted\ne1, 2022-05-04, INCOMING_EMAIL, false",
        "engagement_task": "engagement_id, property_hs_task_completion_date, property_hs_task_status, _fivetran_deleted\nt1, 2022-05-06, COMPLETED, false",
        "engagement_company": "engagement_id, company_id\nm1, 2\nc1, 2\ne1, 2\nt1, 2",
    }
    tickets = {"ticket": TICKETS, "ticket_company": TICKET_COMPANIES, "ticket_pipeline_stage": TICKET_STAGES}
    plain = {**TABLES, **tickets, **activities}
    ids = ("m1", "c1", "e1", "t1")
    deleted = {
        name: text + "".join("\n" + line.replace(id_, f"{id_}x", 1).replace("false", "true") for line in text.splitlines() for id_ in ids if line.startswith(id_) and "false" in line)
        for name, text in activities.items()
    }
    links = "".join(f"\n{id_}x, 2" for id_ in ids)
    other = {name: text.lower() if name.startswith("engagement_") or name in ("ticket", "ticket_pipeline_stage") else text for name, text in {**plain, **deleted}.items()}
    other["engagement_company"] += links
    one, two = run_pack("hubspot", plain), run_pack("hubspot", other)
    assert len(one["engagement"]) == 4
    for table in ("engagement", "support", "subscriptions"):
        columns = list(one[table].columns)
        order = [c for c in ("account_id", "ticket_id", "event_id", "loaded_at", "started_at") if c in columns]
        assert two.rows(table, *columns, order=order) == one.rows(table, *columns, order=order)
