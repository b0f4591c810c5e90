"""The Freshdesk pack against figures computed by hand, with the pitfalls of its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

COMPANIES = """
    id, name, industry, created_at, _fivetran_deleted
    10, Acme, Software, 2021-01-05, false
    20, Beta, , 2021-03-01, false
    30, Gone, , 2021-03-01, true
"""
CONTACTS = """
    id, company_id, created_at, updated_at, _fivetran_deleted
    1, 10, 2021-02-01, 2021-02-01, false
    2, 20, 2021-03-02, 2022-04-01, true
    3, , 2021-03-02, 2021-03-02, false
"""
TICKETS = """
    id, company_id, requester_id, created_at, updated_at, status, priority, type, stats_resolved_at, stats_closed_at, fr_escalated, is_escalated, deleted, spam
    101, 10, 1, 2022-05-01, 2022-05-10, 5, 4, Problem, 2022-05-06, 2022-05-10, false, true, false, false
    102, , 2, 2022-05-02, 2022-05-07, 5, 1, Question, , 2022-05-07, false, false, false, false
    103, 20, 2, 2022-05-03, 2022-05-04, 2, 3, Question, , , true, false, false, false
    104, 20, 2, 2022-05-03, 2022-05-04, 2, 3, Question, , , false, false, true, false
    105, 20, 2, 2022-05-03, 2022-05-04, 2, 3, Question, , , false, false, false, true
    106, , 3, 2022-05-03, 2022-05-04, 2, 3, Question, , , false, false, false, false
    107, 10, 1, 2022-05-03, 2022-05-09, 4, , , , , false, false, false, false
"""
RATINGS = """
    id, ticket_id, created_at
    r1, 101, 2022-05-07
    r2, 102, 2022-05-08
"""
VALUES = """
    satisfaction_rating_id, survey_question_id, value
    r1, 1, 103
    r1, 2, -103
    r2, 1, -102
"""
TABLES: Mapping[str, str] = {
    "company": COMPANIES,
    "contact": CONTACTS,
    "ticket": TICKETS,
    "satisfaction_rating": RATINGS,
    "satisfaction_rating_value": VALUES,
}
STATE = ("account_id", "ticket_id", "loaded_at", "resolved_at", "severity", "escalated", "csat", "topic")


def test_accounts_are_companies_that_exist(run_pack: Callable[..., Any]) -> None:
    run = run_pack("freshdesk", {**TABLES, "company_domain": "company_id, domain\n10, acme.example"})
    assert run.rows("accounts", "account_id", "created_at", "name", "industry") == [
        ("10", "2021-01-05", "Acme", "Software"),
        ("20", "2021-03-01", "Beta", None),
    ]
    assert run.accounts.sort_values("account_id").domain.fillna("").tolist() == ["acme.example", ""]


def test_tickets_are_resolved_when_resolved_and_the_rest_is_known_from_the_last_update(
    run_pack: Callable[..., Any],
) -> None:
    run = run_pack("freshdesk", TABLES)
    assert run.rows("support", *STATE, order=["ticket_id", "loaded_at"]) == [
        ("10", "101", "2022-05-01", None, "normal", False, None, None),
        ("10", "101", "2022-05-06", "2022-05-06", "normal", False, None, None),
        # 103 of the first question is the best rating.
        ("10", "101", "2022-05-07", "2022-05-06", "normal", False, 5.0, None),
        ("10", "101", "2022-05-10", "2022-05-06", "urgent", True, 5.0, "Problem"),
        # Of the requester's company; never resolved, only closed.
        ("20", "102", "2022-05-02", None, "normal", False, None, None),
        ("20", "102", "2022-05-07", "2022-05-07", "low", False, None, "Question"),
        ("20", "102", "2022-05-08", "2022-05-07", "low", False, 1.666667, "Question"),
        ("20", "103", "2022-05-03", None, "normal", False, None, None),
        ("20", "103", "2022-05-04", None, "high", True, None, "Question"),
        # Done without a time, and without a priority.
        ("10", "107", "2022-05-03", None, "normal", False, None, None),
        ("10", "107", "2022-05-09", "2022-05-09", "normal", False, None, None),
    ]
    assert run.stated("spam") == "2 tickets deleted or spam, left out."
    assert run.stated("counted for that of the requester").startswith("1 ticket ")
    assert run.stated("has none either").startswith("1 ticket ")
    assert run.stated("done without").startswith("1 ticket ")
    assert run.stated("-103 to 103").startswith("2 ratings ")


def test_open_tickets_are_those_that_were_open_then(
    run_pack: Callable[..., Any], open_tickets: Callable[..., set[str]]
) -> None:
    run = run_pack("freshdesk", TABLES)
    days = ("2022-05-02", "2022-05-06 12:00", "2022-05-08", "2022-06-01")
    assert [open_tickets(run, day) for day in days] == [{"101"}, {"102", "103", "107"}, {"103", "107"}, {"103"}]


def test_your_own_statuses_can_mean_that_a_ticket_is_done(run_pack: Callable[..., Any]) -> None:
    run = run_pack("freshdesk", {**TABLES, "ticket": TICKETS.replace("2022-05-04, 2, 3,", "2022-05-04, 6, 3,")}, resolved_statuses="4,5,6")
    last = run["support"].sort_values("loaded_at").groupby("ticket_id").tail(1).set_index("ticket_id").resolved_at
    assert str(last["103"]) == "2022-05-04 00:00:00"


def test_people_join_and_leave(run_pack: Callable[..., Any]) -> None:
    assert run_pack("freshdesk", TABLES).rows("relationship", "account_id", "contact_id", "occurred_at", "event") == [
        ("10", "1", "2021-02-01", "joined"),
        ("20", "2", "2021-03-02", "joined"),
        ("20", "2", "2022-04-01", "left"),
    ]


def test_the_tables_keep_the_contract(run_pack: Callable[..., Any], violations: Callable[..., list[str]]) -> None:
    assert violations(run_pack("freshdesk", TABLES)) == []


def test_a_contact_that_was_deleted_at_once_was_never_there(run_pack: Callable[..., Any]) -> None:
    run = run_pack("freshdesk", {**TABLES, "contact": CONTACTS.replace("2022-04-01", "2021-03-02")})
    assert run.rows("relationship", "contact_id", "event") == [("1", "joined")]
