"""The sample exports of five tools: what `connect` and `check` say is what their raw files show.

The figures are computed here from the files alone, without the packs: by the documentation of each tool, in a few lines.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXPORTS = next(
    (each for place in (ROOT, *ROOT.parents[:2]) if (each := place.parent / "shared" / "data" / "exports").is_dir()), None
)
Rows = list[dict[str, str]]
pytestmark = pytest.mark.skipif(EXPORTS is None, reason="the sample exports are not there")


class Contracts(NamedTuple):
    """The figures of a tool with contracts: all accounts, the active ones, their ARR, and the days of their renewals."""

    accounts: int
    active: int
    arr: float
    renewals: list[str]


def _rows(tool: str, name: str) -> Rows:
    assert EXPORTS is not None
    with (EXPORTS / tool / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _newest(rows: Rows, at: str) -> dict[str, dict[str, str]]:
    """Return the newest version of each id."""
    return {row["id"]: row for row in sorted(rows, key=lambda row: row[at])}


def stripe() -> Contracts:
    customers = {row["id"] for row in _rows("stripe", "customer_data") if row["is_deleted"] == "FALSE"}
    running = {row["id"]: row for row in _rows("stripe", "subscription_data") if row["status"] == "active"}
    plans = {row["id"]: row for row in _rows("stripe", "plan_data")}
    per_year = {"year": 1, "month": 12}
    arr = 0.0
    for item in _rows("stripe", "subscription_item_data"):
        if item["subscription_id"] in running:
            plan = plans[item["plan_id"]]
            periods = per_year[plan["interval"]] / int(plan["interval_count"])
            arr += int(plan["amount"]) / 100 * int(item["quantity"]) * periods
    owners = {row["customer_id"] for row in running.values()}
    return Contracts(len(customers | owners), len(owners), arr, sorted(row["current_period_end"] for row in running.values()))


def recurly() -> Contracts:
    accounts = {row["id"] for row in _rows("recurly", "account_history_data")}
    plans = {row["id"]: row for row in _rows("recurly", "plan_history_data")}
    versions = _newest(_rows("recurly", "subscription_history_data"), "updated_at")
    running = [row for row in versions.values() if row["state"] in ("active", "canceled")]
    arr = sum(float(row["subtotal"]) * 12 / int(plans[row["plan_id"]]["interval_length"]) for row in running)
    return Contracts(
        len(accounts), len({row["account_id"] for row in running}), arr, sorted(row["current_term_ends_at"] for row in running)
    )


def salesforce() -> Contracts:
    living = {row["id"] for row in _rows("salesforce", "sf_account_data") if row["is_deleted"] == "false"}
    won = [r for r in _rows("salesforce", "sf_opportunity_data") if r["is_won"] == "true" and r["is_deleted"] == "false"]
    assert not won
    orders = [row for row in _rows("salesforce", "sf_order_data") if float(row["total_amount"]) > 0]
    owners = {row["account_id"] for row in orders}
    # No order has an end, so that each is of a year.
    ends = [(datetime.fromisoformat(row["effective_date"]) + timedelta(days=366)).isoformat(" ") for row in orders]
    return Contracts(len(living | owners), len(owners), sum(float(row["total_amount"]) for row in orders), sorted(ends))


def _connected(renewcast: Callable[..., Any], tool: str, folder: Path) -> dict[str, Any]:
    assert EXPORTS is not None
    result = renewcast("connect", EXPORTS / tool, "--out", folder / f"{tool}.toml", "--json", home=folder / "home")
    return dict(json.loads(result.stdout))


@pytest.mark.parametrize(
    ("tool", "as_of"), [
        pytest.param(stripe, "2021-02-19", id="stripe"),
        pytest.param(recurly, "2022-08-31", id="recurly", marks=pytest.mark.slow),
        pytest.param(salesforce, "2020-10-01", id="salesforce", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_contracts_are_those_of_the_raw_files(renewcast: Any, tmp_path: Path, tool: Callable[[], Contracts], as_of: str) -> None:
    raw, name, home = tool(), tool.__name__, tmp_path / "home"
    mapping = tmp_path / f"{name}.toml"
    connected = _connected(renewcast, name, tmp_path)
    # The sales of the CRM have neither an end nor a length, and only a person knows how long they run.
    asked = ["crm: 5 terms with neither an end nor a length"] if tool is salesforce else []
    assert [gap.split(",")[0] for gap in connected["gaps"]] == asked
    assert connected["problems"] == []
    summary = connected["summary"]
    assert (summary["accounts"], summary["arr"]) == (raw.active, pytest.approx(raw.arr))
    end = datetime.fromisoformat(summary["as_of"]).replace(tzinfo=None)
    overdue = sum(datetime.fromisoformat(day) < end for day in raw.renewals)
    due = sum(end <= datetime.fromisoformat(day) < end + timedelta(days=90) for day in raw.renewals)
    assert (summary["overdue"], summary["due"]) == (overdue, due)
    checked = json.loads(renewcast("check", mapping, "--json", home=home).stdout)
    assert (checked["ok"], checked["portfolio"], checked["rows"]["accounts"]) == (True, summary, raw.accounts)
    listed = json.loads(renewcast("renewals", mapping, "--as-of", as_of, "--days", "90", "--json", home=home).stdout)
    ahead = sorted(row["renewal_at"] for row in listed["accounts"] if not row["overdue"])
    assert ahead == [day[:10] for day in raw.renewals if day >= as_of]


def test_tickets_are_those_of_the_raw_files(renewcast: Any, tmp_path: Path) -> None:
    tickets = [row for row in _rows("zendesk", "ticket_data") if row["status"] != "deleted"]
    still_open = [row for row in tickets if row["status"] not in ("solved", "closed")]
    contacts = [row for row in _rows("zendesk", "user_data") if row["role"] == "end-user"]
    figures = f"{len(_rows('zendesk', 'organization_data'))} accounts, {len(tickets)} tickets, {len(still_open)} open tickets, {len(contacts)} contacts"
    assert figures == "10 accounts, 8 tickets, 0 open tickets, 9 contacts"
    assert _connected(renewcast, "zendesk", tmp_path)["figures"] == [f"Zendesk Support: {figures}"]


@pytest.mark.slow
def test_open_tickets_reach_the_features(renewcast: Any, tmp_path: Path) -> None:
    day, home, mapping = "2020-11-01", tmp_path / "home", tmp_path / "zendesk.toml"
    tickets = [row for row in _rows("zendesk", "ticket_data") if row["status"] != "deleted"]
    people = {row["id"]: row["organization_id"] for row in _rows("zendesk", "user_data")}
    owners = {row["id"]: row["organization_id"].strip() or people[row["requester_id"]] for row in tickets}
    changes = sorted(_rows("zendesk", "ticket_field_history_data"), key=lambda row: row["updated"])
    status = {row["ticket_id"]: row["value"] for row in changes if row["field_name"] == "status" and row["updated"] < day}
    raw = Counter(
        owners[row["id"]]
        for row in tickets
        # Without a history, it was closed with its last update.
        if row["created_at"] < day and (status[row["id"]] not in ("solved", "closed") if row["id"] in status else row["updated_at"] >= day)
    )
    assert sum(raw.values()) == 2
    _connected(renewcast, "zendesk", tmp_path)
    # None of the organizations with tickets is in the table of organizations, so that contracts name them.
    accounts = "".join(f"{owner},2020-01-01,1\n" for owner in sorted(set(owners.values())))
    (tmp_path / "contracts.csv").write_text(f"account_id,started_at,arr\n{accounts}", encoding="utf-8")
    added = '\n[files]\ncontracts = "contracts.csv"\n\n[tables.subscriptions]\nquery = "SELECT * FROM contracts"\norphans = "add"\n'
    mapping.write_text(mapping.read_text(encoding="utf-8") + added, encoding="utf-8")
    checked = json.loads(renewcast("check", mapping, "--json", home=home).stdout)
    assert (checked["ok"], checked["portfolio"]["accounts"]) == (True, len(set(owners.values())))
    renewcast("snapshot", mapping, "--as-of", day, "--out", tmp_path / "features.csv", home=home)
    with (tmp_path / "features.csv").open(encoding="utf-8", newline="") as file:
        found = {row["account_id"]: float(row["support.open_tickets"]) for row in csv.DictReader(file) if row["support.open_tickets"]}
    assert {account: count for account, count in found.items() if count} == raw


def test_events_are_those_of_the_raw_file(renewcast: Any, tmp_path: Path) -> None:
    events = _rows("mixpanel", "event")
    figures = f"{len(events)} events, {len({row['distinct_id'] for row in events})} users"
    assert figures == "5 events, 3 users"
    assert _connected(renewcast, "mixpanel", tmp_path)["figures"] == [f"Mixpanel: {figures}"]
