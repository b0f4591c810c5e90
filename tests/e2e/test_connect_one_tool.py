"""A tool without contracts says what to connect it with, and shows its own figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ZENDESK = {
    "organization": """
id,name,created_at
10,SECRET One,2021-01-05
20,SECRET Two,2021-03-01
""",
    "user": """
id,organization_id,role,created_at,updated_at,active
1,10,end-user,2021-02-01,2021-02-01,true
2,20,end-user,2021-03-02,2021-03-02,true
""",
    "ticket": """
id,organization_id,requester_id,created_at,updated_at,status,priority,type
101,10,1,2022-05-01T08:00:00,2022-05-10T00:00:00,solved,urgent,problem
102,20,2,2022-05-02T00:00:00,2022-05-08T00:00:00,open,low,question
103,20,2,2022-05-03T12:00:00,2022-05-03T12:00:00,open,high,question
""",
    "ticket_field_history": """
ticket_id,field_name,updated,value
101,status,2022-05-01T08:00:00,new
101,status,2022-05-03T00:00:00,solved
102,status,2022-05-02T00:00:00,new
102,status,2022-05-06T00:00:00,solved
102,status,2022-05-08T00:00:00,open
103,status,2022-05-03T12:00:00,open
""",
}
MIXPANEL = {
    "event": """
insert_id,name,distinct_id,time
e1,Login,u1,2026-01-05T10:00:00
e2,Export,u1,2026-01-05T11:00:00
e3,Login,u2,2026-01-06T10:00:00
""",
}
SUBSCRIPTIONS = """
account_id,subscription_id,started_at,ended_at,arr
10,s1,2021-01-05,,1200
"""


def _write(folder: Path, tables: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text.strip() + "\n", encoding="utf-8")
    return folder


def _words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("tool", "tables", "problem", "figures"),
    [
        # One ticket was solved, one reopened, and one is new.
        ("zendesk", ZENDESK, "Zendesk Support alone has no contracts", "Zendesk Support: 2 accounts, 3 tickets, 2 open tickets, 2 contacts"),
        ("mixpanel", MIXPANEL, "Mixpanel alone has no accounts and no contracts", "Mixpanel: 3 events, 2 users"),
    ],
)  # fmt: skip
def test_a_tool_without_contracts_names_what_it_needs(
    renewcast: Any, tmp_path: Path, tool: str, tables: dict[str, str], problem: str, figures: str
) -> None:
    folder, out, home = _write(tmp_path / tool, tables), tmp_path / "mapping.toml", tmp_path / "home"
    command = f"renewcast connect {folder} BILLING_OR_CRM --out mapping.toml"
    result = renewcast("connect", folder, "--out", out, home=home)
    assert f"missing {problem}: connect it together with the billing system or the CRM" in _words(result.stdout)
    assert result.stdout.endswith(f"{figures}\nIf these figures are yours: {command}\n")
    assert "correct" not in result.stdout
    assert "SECRET" not in result.stdout
    assert f"# Missing: {problem}: connect it" in out.read_text(encoding="utf-8")
    payload = json.loads(renewcast("connect", folder, "--json", home=home).stdout)
    assert (payload["figures"], payload["next_command"], payload["problems"]) == ([figures], command, [])
    checked = json.loads(renewcast("check", out, "--json", home=home, expect=2).stdout)
    expected = f"the billing system or the CRM in the same mapping: {command}"
    assert [(e["table"], e["problem"], e["expected"]) for e in checked["errors"]] == [("subscriptions", problem, expected)]


@pytest.mark.slow
def test_two_tools_without_contracts_are_named_together(renewcast: Any, tmp_path: Path) -> None:
    folders = _write(tmp_path / "my zendesk", ZENDESK), _write(tmp_path / "mixpanel", MIXPANEL)
    payload = json.loads(renewcast("connect", *folders, "--json", home=tmp_path / "home").stdout)
    assert payload["gaps"] == [
        "Zendesk Support and Mixpanel together have no contracts: connect them together with the billing system or the CRM"
    ]
    assert f"'{folders[0]}' {folders[1]} BILLING_OR_CRM" in payload["next_command"]
    assert len(payload["figures"]) == 2


@pytest.mark.slow
def test_contracts_of_the_mapping_are_enough(renewcast: Any, tmp_path: Path) -> None:
    folder, out, home = _write(tmp_path / "zendesk", ZENDESK), tmp_path / "mapping.toml", tmp_path / "home"
    renewcast("connect", folder, "--out", out, home=home)
    (tmp_path / "contracts.csv").write_text(SUBSCRIPTIONS.strip() + "\n", encoding="utf-8")
    added = '\n[files]\ncontracts = "contracts.csv"\n\n[tables]\nsubscriptions = "SELECT * FROM contracts"\n'
    out.write_text(out.read_text(encoding="utf-8") + added, encoding="utf-8")
    assert json.loads(renewcast("check", out, "--json", home=home).stdout)["ok"] is True
