"""The Zendesk pack against figures computed by hand, with the pitfalls of its tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ORGANIZATIONS = """
    id, name, external_id, created_at, _fivetran_deleted
    10, Acme, 001A1, 2021-01-05, false
    20, Beta, , 2021-03-01, false
    30, Gone, , 2021-03-01, true
"""
USERS = """
    id, organization_id, role, created_at, updated_at, active
    1, 10, end-user, 2021-02-01, 2021-02-01, true
    2, 20, end-user, 2021-03-02, 2022-04-01, false
    3, , end-user, 2021-03-02, 2021-03-02, true
    4, 20, agent, 2021-03-02, 2021-03-02, true
"""
TICKETS = """
    id, organization_id, requester_id, created_at, updated_at, status, priority, type
    101, 10, 1, 2022-05-01 08:00, 2022-05-10, closed, urgent, problem
    102, , 2, 2022-05-02, 2022-05-07, closed, , question
    103, 20, 2, 2022-05-03, 2022-05-03 12:00, open, high, question
    104, 20, 2, 2022-05-03, 2022-05-04, deleted, , question
    105, , 3, 2022-05-03, 2022-05-04, open, , question
    106, 10, 1, 2022-05-05, 2022-05-09, solved, low, incident
"""
HISTORY = """
    ticket_id, field_name, updated, value
    101, priority, 2022-05-01 08:00, low
    101, status, 2022-05-01 08:00, new
    101, priority, 2022-05-02, urgent
    101, status, 2022-05-03, solved
    101, satisfaction_score, 2022-05-03, offered
    101, satisfaction_score, 2022-05-04, bad
    101, status, 2022-05-05, open
    101, status, 2022-05-06, solved
    101, satisfaction_score, 2022-05-07, good
    101, status, 2022-05-10, closed
    102, status, 2022-05-02, new
    102, status, 2022-05-07, closed
    104, status, 2022-05-03, new
"""
TABLES: Mapping[str, str] = {
    "organization": ORGANIZATIONS,
    "user": USERS,
    "ticket": TICKETS,
    "ticket_field_history": HISTORY,
}
STATE = ("ticket_id", "loaded_at", "resolved_at", "severity", "escalated", "csat")


def test_a_ticket_has_its_first_priority_and_the_time_when_it_was_solved(
    run_pack: Callable[..., Any], open_tickets: Callable[..., set[str]]
) -> None:
    run = run_pack("zendesk", TABLES)
    rows = run.rows("support", *STATE, order=["ticket_id", "loaded_at"])
    assert [row for row in rows if row[0] == "101"] == [
        ("101", "2022-05-01 08:00:00", None, "low", False, None),
        ("101", "2022-05-02", None, "low", True, None),
        ("101", "2022-05-03", "2022-05-03", "low", True, None),
        ("101", "2022-05-04", "2022-05-03", "low", True, 1.0),
        # Reopened, solved again, rated again. That it was closed four days later changes nothing.
        ("101", "2022-05-05", None, "low", True, 1.0),
        ("101", "2022-05-06", "2022-05-06", "low", True, 1.0),
        ("101", "2022-05-07", "2022-05-06", "low", True, 5.0),
        ("101", "2022-05-10", "2022-05-06", "low", True, 5.0),
    ]
    # Never solved, only closed; its priority was never set.
    assert [row for row in rows if row[0] == "102"][-1] == ("102", "2022-05-07", "2022-05-07", "normal", False, None)
    # No history: the priority and the status are known from the last update.
    assert [row for row in rows if row[0] in ("103", "106")] == [
        ("103", "2022-05-03", None, "normal", False, None),
        ("103", "2022-05-03 12:00:00", None, "high", False, None),
        ("106", "2022-05-05", None, "normal", False, None),
        ("106", "2022-05-09", "2022-05-09", "low", False, None),
    ]
    assert [open_tickets(run, day) for day in ("2022-05-02 12:00", "2022-05-05 12:00", "2022-05-11")] == [
        {"101", "102"},
        {"101", "102", "103", "106"},
        {"103"},
    ]


@pytest.mark.parametrize("day", ["2022-05-02 12:00", "2022-05-04 12:00", "2022-05-05 12:00", "2022-05-09"])
def test_what_was_known_on_a_day_does_not_change_later(run_pack: Callable[..., Any], day: str) -> None:
    first, *changes = HISTORY.strip().splitlines()
    happened = [line for line in changes if line.split(", ")[2] < day and line.strip().startswith("101,")]
    now = {field: value for _, field, _, value in (line.strip().split(", ") for line in happened)}
    # The row as it stood on the day.
    tickets = f"""
        id, organization_id, requester_id, created_at, updated_at, status, priority, type
        101, 10, 1, 2022-05-01 08:00, {happened[-1].split(", ")[2]}, {now["status"]}, {now["priority"]}, problem
    """
    then = run_pack("zendesk", {**TABLES, "ticket": tickets, "ticket_field_history": "\n".join([first, *happened])})
    later = run_pack("zendesk", TABLES)

    def known(run: Any) -> tuple[Any, ...]:
        frame = run["support"]
        frame = frame[(frame.ticket_id == "101") & (frame.loaded_at < day)].sort_values("loaded_at").tail(1)
        (row,) = frame[["occurred_at", "resolved_at", "severity", "escalated", "csat"]].astype(str).to_numpy().tolist()
        return tuple(row)

    assert known(then) == known(later)


def test_tickets_belong_to_the_organization_of_the_ticket_or_of_its_requester(run_pack: Callable[..., Any]) -> None:
    run = run_pack("zendesk", TABLES)
    assert set(run.rows("support", "ticket_id", "account_id")) == {
        ("101", "10"),
        ("102", "20"),
        ("103", "20"),
        ("106", "10"),
    }
    assert run.stated("deleted") == "1 deleted ticket, left out."
    assert run.stated("counted for that of the requester") == (
        "1 ticket without an organization, counted for that of the requester."
    )
    assert run.stated("has none either").startswith("1 ticket ")
    assert run.stated("without a priority").startswith("2 tickets ")
    assert run.stated("was changed").startswith("1 ticket ")
    assert run.stated("status has no history").startswith("1 solved ticket ")


def test_the_tables_keep_the_contract(run_pack: Callable[..., Any], violations: Callable[..., list[str]]) -> None:
    assert violations(run_pack("zendesk", TABLES)) == []


def test_good_and_bad_are_a_stated_choice(run_pack: Callable[..., Any]) -> None:
    run = run_pack("zendesk", TABLES, good=4.5, bad="2")
    assert set(run["support"].csat.dropna()) == {2.0, 4.5}
    assert run.stated("rating") == "2 ratings: good is read as 4.5, bad as 2.0 (of 5)."


def test_accounts_and_people(run_pack: Callable[..., Any]) -> None:
    run = run_pack("zendesk", {**TABLES, "domain_name": "organization_id, domain_name\n10, acme.example"})
    assert run.rows("accounts", "account_id", "created_at", "name") == [
        ("10", "2021-01-05", "Acme"),
        ("20", "2021-03-01", "Beta"),
    ]
    assert run.rows("relationship", "account_id", "contact_id", "occurred_at", "event") == [
        ("10", "1", "2021-02-01", "joined"),
        ("20", "2", "2021-03-02", "joined"),
        ("20", "2", "2022-04-01", "left"),
    ]
    keys = run.accounts.sort_values("account_id").fillna("").to_dict("records")
    assert keys == [
        {"account_id": "10", "name": "Acme", "domain": "acme.example", "external_id": "001A1"},
        {"account_id": "20", "name": "Beta", "domain": "", "external_id": ""},
    ]
    assert len(run.users) == 3


def test_topics_are_the_type_your_field_or_a_tag(run_pack: Callable[..., Any]) -> None:
    tags = """
        ticket_id, tag
        103, competitor
    """
    run = run_pack("zendesk", {**TABLES, "ticket_tag": tags})
    last = run["support"].sort_values("loaded_at").groupby("ticket_id").topic.last()
    assert last.to_dict() == {"101": "problem", "102": "question", "103": "competitor", "106": "incident"}
    own = run_pack("zendesk", {**TABLES, "ticket": TICKETS.replace("type", "custom_area")}, topic_column="custom_area")
    assert own["support"].sort_values("loaded_at").groupby("ticket_id").topic.last()["103"] == "question"


def audits() -> list[dict[str, Any]]:
    """Return the history as audits: the changes of one instant are the events of one audit."""
    lines = [line.split(", ") for line in HISTORY.strip().splitlines()[1:]]
    together: dict[tuple[str, str], list[dict[str, str]]] = {}
    for ticket, field, updated, value in ((a.strip(), *rest) for a, *rest in lines):
        event = {"type": "Change", "field_name": field, "value": value}
        together.setdefault((ticket, updated), [{"type": "Comment", "body": "Hello"}]).append(event)
    return [
        {"id": str(n), "ticket_id": int(ticket), "created_at": at.replace(" ", "T") + ("Z" if " " in at else ""), "events": json.dumps(events)}
        for n, ((ticket, at), events) in enumerate(together.items())
    ]


def test_the_shape_of_airbyte_gives_the_same_tickets(run_pack: Callable[..., Any]) -> None:
    fivetran = run_pack("zendesk", TABLES)
    airbyte = run_pack(
        "zendesk", {"organizations": ORGANIZATIONS, "users": USERS, "tickets": TICKETS, "ticket_audits": audits()}
    )
    columns = [name for name in fivetran["support"] if name != "loaded_at"]
    order = ["ticket_id", "loaded_at"]
    assert airbyte.rows("support", "loaded_at", *columns, order=order) == fivetran.rows(
        "support", "loaded_at", *columns, order=order
    )


def test_the_shape_of_dlt_gives_the_same_tickets(run_pack: Callable[..., Any]) -> None:
    def with_row_ids(text: str) -> str:
        header, *lines = text.strip().splitlines()
        return "\n".join([f"{header}, _dlt_id", *(f"{line}, row{line.split(',')[0].strip()}" for line in lines)])

    # Lists and nested objects are tables of their own, whose rows name the row that they belong to.
    events = [{"_dlt_id": each["id"], "ticket_id": each["ticket_id"], "created_at": pd.Timestamp(each["created_at"].removesuffix("Z"), tz="UTC")} for each in audits()]
    fields = ("status", "priority", "satisfaction_score")
    changes = [
        {"_dlt_parent_id": each["id"], "event_type": event["type"], **{field: event["value"] if event.get("field_name") == field else None for field in fields}}
        for each in audits() for event in json.loads(each["events"])
    ]  # fmt: skip
    dlt = run_pack(
        "zendesk",
        {
            "organizations": with_row_ids(ORGANIZATIONS), "users": USERS, "tickets": with_row_ids(TICKETS),
            "ticket_events": events, "ticket_events__child_events": changes,
            "organizations__domain_names": "_dlt_parent_id, value\nrow10, acme.example",
            "tickets__tags": "_dlt_parent_id, value\nrow103, competitor\nrow999, competitor",
        },
    )  # fmt: skip
    tags = {"ticket_tag": "ticket_id, tag\n103, competitor", "domain_name": "organization_id, domain_name\n10, acme.example"}
    fivetran = run_pack("zendesk", {**TABLES, **tags})
    order, columns = ["ticket_id", "loaded_at"], list(fivetran["support"])
    assert dlt.rows("support", *columns, order=order) == fivetran.rows("support", *columns, order=order)
    assert dlt.rows("accounts", "account_id", "name") == fivetran.rows("accounts", "account_id", "name")
    for keys in (dlt.accounts, fivetran.accounts):
        assert keys.set_index("account_id").domain.dropna().to_dict() == {"10": "acme.example"}


def test_without_audits_solved_times_come_from_metrics_and_ratings_from_their_table(
    run_pack: Callable[..., Any],
) -> None:
    metrics = [{"id": 1, "ticket_id": 101, "solved_at": "2022-05-06T00:00:00Z"}]
    ratings = [{"id": 1, "ticket_id": 101, "score": "good", "created_at": "2022-05-07T00:00:00Z"}]
    run = run_pack(
        "zendesk",
        {
            "organizations": ORGANIZATIONS,
            "users": USERS,
            "tickets": TICKETS,
            "ticket_metrics": metrics,
            "satisfaction_ratings": ratings,
            "deleted_tickets": [{"id": 103}],
        },
    )
    rows = run.rows("support", *STATE, order=["ticket_id", "loaded_at"])
    assert [row for row in rows if row[0] == "101"] == [
        ("101", "2022-05-01 08:00:00", None, "normal", False, None),
        ("101", "2022-05-06", "2022-05-06", "normal", False, None),
        ("101", "2022-05-07", "2022-05-06", "normal", False, 5.0),
        ("101", "2022-05-10", "2022-05-06", "urgent", False, 5.0),
    ]
    assert "103" not in {row[0] for row in rows}


def test_the_sample_export_has_the_figures_of_its_raw_files(
    run_export: Callable[..., Any], export_folder: Callable[[str], Path], open_tickets: Callable[..., set[str]]
) -> None:
    run = run_export("zendesk", "zendesk")

    def rows(name: str) -> list[dict[str, str]]:
        with (export_folder("zendesk") / f"{name}_data.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    assert len(run["accounts"]) == len(rows("organization")) == 10
    living = {row["id"] for row in rows("ticket") if row["status"] != "deleted"}
    assert {ticket for (ticket,) in run.rows("support", "ticket_id")} == living
    assert len(living) == 8
    # Ticket 11071 names no organization, its requester does. It began as normal, was raised to high, then urgent, and
    # was solved a day before it was closed.
    state = run.rows("support", "account_id", *STATE[1:5], order=["ticket_id", "loaded_at"])
    assert [row for row in state if row[0] == "370297696174"] == [
        ("370297696174", "2020-08-28 18:06:36", None, "normal", False),
        ("370297696174", "2020-10-15 11:01:27", None, "normal", True),
        ("370297696174", "2020-11-14 11:01:27", "2020-11-14 11:01:27", "normal", True),
    ]
    by_day = {day: open_tickets(run, day) for day in ("2020-06-01", "2020-11-01", "2021-02-01")}
    expected = {
        day: {
            row["id"]
            for row in rows("ticket")
            if row["id"] in living and row["created_at"] < day <= (row["updated_at"] if row["id"] != "11071" else "2020-11-14")
        }
        for day in by_day
    }
    assert by_day == expected == {"2020-06-01": {"6605"}, "2020-11-01": {"11071", "14173"}, "2021-02-01": set()}


@pytest.mark.parametrize("table", ["organization", "ticket"])
def test_a_missing_table_is_named(run_pack: Callable[..., Any], table: str) -> None:
    tables = {name: rows for name, rows in TABLES.items() if name != table}
    with pytest.raises(Exception, match=f"needs the table {table}"):
        run_pack("zendesk", tables)


def test_a_contact_that_was_deleted_at_once_was_never_there(run_pack: Callable[..., Any]) -> None:
    run = run_pack("zendesk", {**TABLES, "user": USERS.replace("2022-04-01", "2021-03-02")})
    assert run.rows("relationship", "contact_id", "event") == [("1", "joined")]
