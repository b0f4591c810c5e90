"""The Intercom pack against figures computed by hand, with the pitfalls of its histories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

COMPANIES = """
    id, company_id, name, website, industry, size, created_at, remote_created_at, updated_at, _fivetran_active
    c1, cus_1, Acme Old, acme.example, Software, 10, 2021-01-05, 2020-06-01, 2021-02-01, false
    c1, cus_1, Acme, https://acme.example/x, Software, 120, 2021-01-05, 2020-06-01, 2022-02-01, true
    c2, cus_2, Beta, , , 0, 2021-03-01, , 2021-03-01, true
"""
CONTACTS = """
    id, external_id, role, created_at, signed_up_at, updated_at
    p1, u1, user, 2021-02-01, 2021-01-20, 2021-02-01
    p1, u1, user, 2021-02-01, 2021-01-20, 2022-02-01
    p2, , lead, 2021-03-02, , 2021-03-02
    p3, u3, user, 2021-03-03, , 2021-03-03
"""
MEMBERS = """
    contact_id, company_id, contact_updated_at, _fivetran_active
    p1, c2, 2021-02-01, false
    p1, c1, 2022-02-01, true
    p2, c2, 2021-03-02, true
"""
CONVERSATIONS = """
    id, created_at, updated_at, state, priority, source_author_type, source_author_id, source_delivered_as, conversation_rating_value, conversation_rating_created_at, first_contact_reply_created_at
    v1, 2022-05-01 08:00, 2022-05-01 09:00, open, not_priority, user, p1, customer_initiated, , , 2022-05-01 08:00
    v1, 2022-05-01 08:00, 2022-05-02, open, priority, user, p1, customer_initiated, , , 2022-05-01 08:00
    v1, 2022-05-01 08:00, 2022-05-08, closed, priority, user, p1, customer_initiated, 4, 2022-05-07, 2022-05-01 08:00
    v2, 2022-05-02, 2022-05-03, closed, not_priority, admin, a1, admin_initiated, , , 2022-05-02 10:00
    v3, 2022-05-02, 2022-05-03, closed, not_priority, admin, a1, admin_initiated, , ,
    v4, 2022-05-03, 2022-05-04, snoozed, not_priority, lead, p2, customer_initiated, , , 2022-05-03
    v5, 2022-05-03, 2022-05-04, open, not_priority, user, p3, customer_initiated, , , 2022-05-03
"""
TALKS = """
    conversation_id, contact_id, conversation_updated_at
    v1, p1, 2022-05-08
    v2, p1, 2022-05-03
    v3, p1, 2022-05-03
    v4, p2, 2022-05-04
"""
PARTS = """
    id, conversation_id, part_type, created_at, updated_at
    1, v1, close, 2022-05-03, 2022-05-03
    2, v1, open, 2022-05-05, 2022-05-05
    3, v1, close, 2022-05-06, 2022-05-06
    3, v1, close, 2022-05-06, 2022-05-08
"""
TABLES: Mapping[str, str] = {
    "company_history": COMPANIES,
    "contact_history": CONTACTS,
    "contact_company_history": MEMBERS,
    "conversation_history": CONVERSATIONS,
    "conversation_contact_history": TALKS,
    "conversation_part_history": PARTS,
}


def test_accounts_are_the_latest_versions_of_companies(run_pack: Callable[..., Any]) -> None:
    run = run_pack("intercom", TABLES)
    assert run.rows("accounts", "account_id", "created_at", "name", "industry", "employees") == [
        # Customer since it signed up with you, not since Intercom knew it.
        ("c1", "2020-06-01", "Acme", "Software", 120),
        ("c2", "2021-03-01", "Beta", None, None),
    ]
    keys = run.accounts.sort_values("account_id").fillna("").to_dict("records")
    assert keys[0] == {"account_id": "c1", "name": "Acme", "external_id": "cus_1", "domain": "acme.example"}
    assert sorted(run.users.itertuples(index=False, name=None)) == [("p2", "c2"), ("u1", "c1")]


@pytest.mark.parametrize(("column", "value"), [("_fivetran_active", "false"), ("_fivetran_deleted", "true")])
def test_deleted_companies_are_left_out(run_pack: Callable[..., Any], column: str, value: str) -> None:
    other = {"true": "false", "false": "true"}[value]
    companies = f"""
    id, company_id, name, created_at, updated_at, {column}
    c1, cus_1, Acme, 2021-01-05, 2021-02-01, {value}
    c1, cus_1, Acme, 2021-01-05, 2022-02-01, {other}
    c2, cus_2, Beta, 2021-03-01, 2021-03-01, {other}
    c2, cus_2, Beta, 2021-03-01, 2022-03-01, {value}
"""
    run = run_pack("intercom", {**TABLES, "company_history": companies})
    assert run.rows("accounts", "account_id", "name") == [("c1", "Acme")]


def test_conversations_of_customers_are_tickets_with_their_history(run_pack: Callable[..., Any]) -> None:
    run = run_pack("intercom", TABLES)
    columns = ("account_id", "ticket_id", "loaded_at", "resolved_at", "severity", "escalated", "csat")
    assert run.rows("support", *columns, order=["ticket_id", "loaded_at"]) == [
        ("c1", "v1", "2022-05-01 08:00:00", None, "normal", False, None),
        ("c1", "v1", "2022-05-02", None, "normal", True, None),
        ("c1", "v1", "2022-05-03", "2022-05-03", "normal", True, None),
        ("c1", "v1", "2022-05-05", None, "normal", True, None),
        ("c1", "v1", "2022-05-06", "2022-05-06", "normal", True, None),
        ("c1", "v1", "2022-05-07", "2022-05-06", "normal", True, 4.0),
        # A snoozed conversation is open. Its contact is a lead of Beta.
        ("c2", "v4", "2022-05-03", None, "normal", False, None),
    ]
    assert run.stated("started by a customer") == "3 conversations started by a customer, counted as tickets."
    assert run.stated("started by you").startswith("2 conversations ")
    assert run.stated("without a company") == "1 conversation of contacts without a company, left out."
    assert run.stated("several companies") == "1 contact of several companies, counted for the one linked last."


def test_open_tickets_are_those_that_were_open_then(
    run_pack: Callable[..., Any], open_tickets: Callable[..., set[str]]
) -> None:
    run = run_pack("intercom", TABLES)
    days = ("2022-05-02", "2022-05-04", "2022-05-05 12:00", "2022-06-01")
    assert [open_tickets(run, day) for day in days] == [{"v1"}, {"v4"}, {"v1", "v4"}, {"v4"}]


def test_your_messages_count_as_chats_only_if_the_customer_replied(run_pack: Callable[..., Any]) -> None:
    run = run_pack("intercom", TABLES)
    assert run.rows("engagement", "account_id", "occurred_at", "kind", "outcome", "contact_id", "event_id") == [
        ("c1", "2022-05-02 10:00:00", "chat", "replied", "p1", "v2")
    ]


def test_people_are_users_and_not_leads(run_pack: Callable[..., Any]) -> None:
    run = run_pack("intercom", TABLES)
    assert run.rows("relationship", "account_id", "contact_id", "occurred_at", "role", "event") == [
        ("c1", "p1", "2021-01-20", "user", "joined")
    ]


def test_tags_of_competitors_give_a_topic(run_pack: Callable[..., Any]) -> None:
    tags = {"tag": "id, name\n7, Rival", "conversation_tag_history": "conversation_id, tag_id\nv4, 7"}
    run = run_pack("intercom", {**TABLES, **tags}, competitor_tags=["Rival"])
    topics = run.rows("support", "ticket_id", "loaded_at", "topic", order=["ticket_id", "loaded_at"])
    assert topics[-2:] == [("v4", "2022-05-03", None), ("v4", "2022-05-04", "competitor")]


def test_the_tables_keep_the_contract(run_pack: Callable[..., Any], violations: Callable[..., list[str]]) -> None:
    assert violations(run_pack("intercom", TABLES)) == []


def test_deleted_contacts_left_when_their_last_version_ended(run_pack: Callable[..., Any]) -> None:
    contacts = """
    id, role, created_at, updated_at, _fivetran_start, _fivetran_end, _fivetran_active
    p1, user, 2021-02-01, 2021-02-01, 2021-02-01, 2021-06-30, false
    p1, user, 2021-02-01, 2021-07-01, 2021-07-01, 9999-12-31, true
    p2, user, 2021-03-01, 2021-03-01, 2021-03-01, 2022-04-05, false
"""
    run = run_pack("intercom", {**TABLES, "contact_history": contacts})
    assert run.rows("relationship", "contact_id", "occurred_at", "event") == [
        ("p1", "2021-02-01", "joined"),
        ("p2", "2021-03-01", "joined"),
        ("p2", "2022-04-05", "left"),
    ]


def test_a_contact_that_was_deleted_at_once_was_never_there(run_pack: Callable[..., Any]) -> None:
    contacts = """
    id, role, created_at, updated_at, _fivetran_start, _fivetran_end, _fivetran_active
    p1, user, 2021-02-01, 2021-02-01, 2021-02-01, 9999-12-31, true
    p2, user, 2021-03-01, 2021-03-01, 2021-03-01, 2021-03-01, false
"""
    run = run_pack("intercom", {**TABLES, "contact_history": contacts})
    assert run.rows("relationship", "contact_id", "event") == [("p1", "joined")]
