"""A spreadsheet through the command line: rules work at once, models say what is missing, and nothing else is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

SHEET = """\
Account,ARR,Renewal,Customer Since,Seats,Active Users,Last Login,NPS,Open tickets,Last QBR,CSM,Champion left
Northwind,"$120,000",12/15/2026,1/3/2021,100,85,9/28/2026,9,1,8/1/2026,Dana,No
Fabrikam,48k,11/01/2026,5/6/2022,50,12,7/1/2026,3,7,N/A,Dana,Yes
Contoso,"$9,500",8/15/2026,2/2/2024,10,-,9/1/2026,,0,-,Lee,no
"""
# Usage 40 (seats 25, last use 15), meetings and contact 15, tickets 6, NPS 14, by the rubric `spreadsheet`.
# Northwind: 0.85 of seats, 2 days, 60 days, 1 ticket, NPS 9: all green, 100.
# Fabrikam: 0.24 of seats, 91 days, no meeting known, 7 tickets, NPS 3: all red, 0.
# Contoso: 29 days and 0 tickets are known, 21 of 100: no score.
SCORES = {"Northwind": 100.0, "Fabrikam": 0.0, "Contoso": None}


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "customers-2026-09-30.csv"
    path.write_text(SHEET, encoding="utf-8")
    return path


def test_the_rules_work_at_once(renewcast: Any, sheet: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    risks = renewcast("risks", sheet, "--json", home=home)
    answer = json.loads(risks.stdout)
    assert (answer["as_of"], answer["rubric"]) == ("2026-09-30", "spreadsheet")
    assert [row["account_id"] for row in answer["accounts"]] == ["Fabrikam", "Contoso"]
    assert "note: columns read as: 'Account' = the account's name" in risks.stderr
    assert "two more, a quarter apart" in risks.stderr
    health = json.loads(renewcast("health", sheet, "--json", home=home).stdout)
    assert {row["account_id"]: row["health_score"] for row in health["accounts"]} == SCORES
    worklist = json.loads(renewcast("worklist", sheet, "--json", home=home).stdout)
    assert [row["account_id"] for row in worklist["accounts"]] == ["Fabrikam", "Contoso", "Northwind"]
    renewals = json.loads(renewcast("renewals", sheet, "--json", home=home).stdout)
    assert (renewals["whole"]["accounts"], renewals["whole"]["arr"]) == (2, 168_000)


def test_scoring_writes_health_without_probabilities(renewcast: Any, sheet: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    renewcast("score", sheet, "--out", out, home=tmp_path / "home")
    with out.open(encoding="utf-8", newline="") as file:
        rows = {row["account_id"]: row for row in csv.DictReader(file)}
    assert {name: float(row["health_score"]) if row["health_score"] else None for name, row in rows.items()} == SCORES
    assert all(row["churn_probability"] == "" and row["as_of"] == "2026-09-30" for row in rows.values())


def test_retention_needs_the_past(renewcast: Any, sheet: Path, tmp_path: Path) -> None:
    answer = json.loads(renewcast("portfolio", sheet, "--json", home=tmp_path / "home").stdout)
    kpis = {kpi["measure"]: kpi for kpi in answer["measures"]}
    assert kpis["logo_retention"]["unknown"] == "the source shows the accounts at one date"
    assert kpis["renewals_due_arr"]["value"] == 168_000


@pytest.mark.parametrize(
    ("unclear", "note"),
    [
        ("11/01/2026", "'Renewal': row 3 has no date: when the contract ends is unknown"),
        ("48k", "'ARR': row 3 has no amount: the ARR is unknown, and so is the contract in KPIs of ARR and renewals"),
    ],
)
def test_an_unclear_value_leaves_out_its_account_alone(
    renewcast: Any, sheet: Path, tmp_path: Path, unclear: str, note: str
) -> None:
    sheet.write_text(SHEET.replace(unclear, "TBD"), encoding="utf-8")
    result = renewcast("portfolio", sheet, "--json", home=tmp_path / "home")
    kpis = {kpi["measure"]: kpi for kpi in json.loads(result.stdout)["measures"]}
    # Northwind is due, Contoso is overdue, and Fabrikam is unknown.
    for measure, value in (("renewals_due", 1), ("renewals_due_arr", 120_000), ("renewals_overdue", 1)):
        assert [kpis[measure][key] for key in ("value", "left_out", "unknown")] == [value, 1, None]
    assert note in " ".join(result.stderr.split())


@pytest.mark.slow
def test_training_is_refused_with_a_cure(renewcast: Any, sheet: Path, tmp_path: Path) -> None:
    trained = renewcast("train", sheet, home=tmp_path / "home", expect=2)
    assert "a spreadsheet shows the accounts at one date" in trained.stderr
    assert trained.stderr.count("Fix: ") == 1
    assert not (tmp_path / "home" / "champion.json").exists()
    checked = renewcast("check", sheet, home=tmp_path / "home")
    assert "a spreadsheet shows the accounts at one date" in " ".join(checked.stdout.replace("│", " ").split())


def test_mistakes_end_with_one_message_and_write_nothing(renewcast: Any, sheet: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    for text in ("Account,ARR\nA,$1\nB,€2\n", "x,y\n1,2\n", "Account,ARR\n"):
        sheet.write_text(text, encoding="utf-8")
        result = renewcast("score", sheet, "--out", out, home=tmp_path / "home", expect=2)
        assert result.stderr.count("Fix: ") == 1
        assert not out.exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert renewcast("risks", empty, home=tmp_path / "home", expect=2).stderr.count("Fix: ") == 1


@pytest.mark.slow
def test_a_folder_of_dated_sheets_shows_changes(renewcast: Any, sheet: Path, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "customers-2026-06-30.csv").write_text(SHEET.replace("48k", "60k").replace("100,85", "100,95"), encoding="utf-8")
    sheet.rename(folder / sheet.name)
    answer = json.loads(renewcast("risks", folder, "--json", home=tmp_path / "home").stdout)
    assert (answer["as_of"], answer["rubric"]) == ("2026-10-01", "spreadsheet")
    health = json.loads(renewcast("health", folder, "--json", home=tmp_path / "home").stdout)
    assert {row["account_id"]: row["health_score"] for row in health["accounts"]} == SCORES
    out = tmp_path / "features.csv"
    renewcast("snapshot", folder, "--out", out, home=tmp_path / "home")
    with out.open(encoding="utf-8", newline="") as file:
        rows = {row["account_id"]: row for row in csv.DictReader(file)}
    assert float(rows["Fabrikam"]["contract.arr"]) == 48_000
    assert float(rows["Fabrikam"]["contract.days_since_change"]) == 1
    trained = renewcast("train", folder, home=tmp_path / "home", expect=2)
    assert "Not enough data" in trained.stderr


@pytest.mark.slow
def test_retention_is_known_only_after_the_first_sheet(renewcast: Any, sheet: Path, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    gone = 'Globex,"$10,000",1/1/2027,1/1/2020,10,5,6/1/2026,8,0,,Lee,No\n'
    (folder / "customers-2026-06-30.csv").write_text(SHEET + gone, encoding="utf-8")
    (folder / "customers-2026-08-31.csv").write_text(SHEET, encoding="utf-8")
    sheet.rename(folder / sheet.name)
    answer = json.loads(renewcast("portfolio", folder, "--period", "90d", "--json", home=tmp_path / "home").stdout)
    kpis = {kpi["measure"]: kpi for kpi in answer["measures"]}
    # The 90 days up to October 1 begin on July 3, after the first sheet: one of four accounts left.
    assert kpis["logo_retention"]["value"] == 0.75
    assert kpis["logo_retention"]["last"]["unknown"] == "the source does not show who left before 2026-06-30"
    assert kpis["logo_churn_year"]["unknown"] == "the source does not show who left before 2026-06-30"


NAMED = """\
Account ID,Account name,ARR,Renewal,Seats,Active Users,Last Login,NPS
0011A,Northwind Traders,"$120,000",12/15/2026,100,12,7/28/2026,3
0012B,Northwind Air,48k,11/01/2026,50,40,9/27/2026,9
0013C,Fabrikam,20k,11/01/2026,50,12,7/1/2026,4
0014D,,20k,11/01/2026,50,12,7/1/2026,4
"""


@pytest.mark.slow
def test_accounts_are_named_by_people(renewcast: Any, tmp_path: Path) -> None:
    home, sheet, out = tmp_path / "home", tmp_path / "customers-2026-09-30.csv", tmp_path / "risks.csv"
    sheet.write_text(NAMED, encoding="utf-8")
    plans = [renewcast("plan", sheet, text, "--json", home=home).stdout for text in ("0013C", "fabrikam", "Fab")]
    assert json.loads(plans[0])["account_id"] == "0013C"
    assert plans[0] == plans[1] == plans[2]
    for command in (("plan", sheet, "northwind"), ("qbr", sheet, "northwind", "--quarter", "2026Q3")):
        several = renewcast(*command, home=home, expect=2)
        assert "Accounts: Northwind Traders (0011A), Northwind Air (0012B)" in several.stderr
    unknown = renewcast("health", sheet, "--account", "Fabrikram", home=home, expect=2)
    assert "no account has this id or name" in unknown.stderr
    assert "Accounts: Fabrikam (0013C)" in unknown.stderr
    assert "Fabrikam (0013C) as of 30 Sep 2026" in renewcast("health", sheet, "--account", "fab", home=home).stdout
    risks = renewcast("risks", sheet, "--out", out, home=home)
    assert "Northwind Traders" in renewcast("risks", sheet, home=home).stdout
    with out.open(encoding="utf-8", newline="") as file:
        names = {row["account_id"]: row["name"] for row in csv.DictReader(file)}
    assert (names["0011A"], names["0014D"]) == ("Northwind Traders", "")
    assert risks.returncode == 0
    for command in ("worklist", "renewals"):
        shown = " ".join(renewcast(command, sheet, home=home).stdout.split())
        assert "Fabrikam" in shown
        assert "0014D" in shown


TYPICAL = """\
Customer,ARR,Renewal Date,Health,CSM,Segment,NPS,Last Touch,Usage %,Open Tickets,Notes
Northwind,"$120,000",12/15/2026,Green,Dana,Enterprise,9,9/21/2026,85%,1,expanding
Fabrikam,"$48,000",11/1/2026,Red,Dana,Mid-Market,3,7/1/2026,24%,7,quiet since July
Contoso,"$9,500",10/15/2026,Yellow,Lee,SMB,7,8/30/2026,55%,3,
Proseware,"$60,000",6/30/2027,,Lee,Mid-Market,,,,,new logo
"""
# Seats 25, contact 7 (for 15), tickets 6 (for 10) and NPS 14 (for 20) are known: 52 of 100. Usage counts for 40, so that
# Fabrikam, red but for a contact 91 days ago, has 50 of 15/85.


def test_a_typical_sheet_gives_reasons_and_claims_no_past(renewcast: Any, tmp_path: Path) -> None:
    home, sheet = tmp_path / "home", tmp_path / "customers-2026-09-30.csv"
    sheet.write_text(TYPICAL, encoding="utf-8")
    risks = json.loads(renewcast("risks", sheet, "--json", home=home).stdout)
    rows = {row["account_id"]: row for row in risks["accounts"]}
    assert list(rows) == ["Fabrikam", "Contoso"]
    assert rows["Fabrikam"]["health_score"] == 8.8
    assert rows["Fabrikam"]["why"] == (
        "the latest NPS answer is from a detractor (0 to 6); the CSM judges the account to be in a bad state; "
        "share of the licensed seats in use: 24%; open tickets: 7; days since the last contact: 91"
    )
    assert rows["Contoso"]["why"].startswith("share of the licensed seats in use: 55%; latest NPS answer: 7 of 10")
    worklist = json.loads(renewcast("worklist", sheet, "--json", home=home).stdout)
    whys = {row["account_id"]: row["why"] for row in worklist["accounts"]}
    assert whys["Contoso"] == rows["Contoso"]["why"]
    assert "ranked by ARR at risk" not in worklist["save_rate"]["words"]
    plan = json.loads(renewcast("plan", sheet, "Fabrikam", "--json", home=home).stdout)
    assert plan["because"][0].startswith("The health score is red: 8.8 of 100. It is lowered most by share of the licensed")
    partnership = plan["sections"][0]
    assert all(figure["then"] is None for figure in partnership["figures"])
    assert "customer since" in partnership["missing"]
    assert partnership["items"] == []
    assert not any("source" in gap for gap in plan["gaps"])
    for command in ("worklist", "renewals"):
        shown = " ".join(renewcast(command, sheet, home=home).stdout.split())
        assert not any(word in shown for word in ("interval", "churn 90d", "churn by then", "lost ARR", "–"))
