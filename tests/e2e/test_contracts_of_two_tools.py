"""A billing system and a CRM with the same sales: their revenue counts once, and a mapping that adds it up says so."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.connect.connection import Connection, connect
from features.errors import SignalsError
from features.sources.open_source import open_source
from training.source_report.report import report_on_source

STRIPE = {
    "customer": """
id,name,email,created,is_deleted
cus_0001,One,ann@one.example,2024-01-01,false
cus_0002,Two,bob@two.example,2024-02-01,false
""",
    "subscription": """
id,customer_id,status,created,start_date,current_period_start,current_period_end,cancel_at_period_end,canceled_at,ended_at
sub_1,cus_0001,active,2026-03-01,2026-03-01,2026-03-01,2027-03-01,false,,
sub_2,cus_0002,active,2026-02-01,2026-02-01,2026-02-01,2027-02-01,false,,
""",
    "subscription_item": """
id,subscription_id,plan_id,quantity,created
si_1,sub_1,price_1,1,2026-03-01
si_2,sub_2,price_2,1,2026-02-01
""",
    "price": """
id,currency,unit_amount,recurring_interval,recurring_interval_count,recurring_usage_type
price_1,usd,1200000,year,1,licensed
price_2,usd,600000,year,1,licensed
""",
}
ONE, TWO, THREE = (f"00100000000000{n}AAA" for n in (1, 2, 3))
DEALS = "id,account_id,name,type,stage_name,is_won,is_closed,is_deleted,close_date,created_date,amount,contract_end_date_c,notice_c"
#: The same sales; the customer of the second has given notice in the CRM.
SAME = f"""
006A1,{ONE},New,New,Closed Won,true,true,false,2026-03-01,2026-01-01,12000,2027-02-28,
006A2,{TWO},New,New,Closed Won,true,true,false,2026-02-01,2026-01-01,6000,2027-01-31,2026-07-15
"""
ACCOUNTS = f"""
id,name,industry,created_date,is_deleted,website,owner_id,master_record_id
{ONE},One Inc,retail,2023-12-01,false,https://www.one.example/about,005A1,
{TWO},Two,,2024-02-10,false,two.example,005A1,
{THREE},Three,,2024-02-10,false,three.example,005A1,
"""
MEETINGS = f"""
id,account_id,activity_date_time,created_date,subject,type,is_deleted,what_id,end_date_time
00U1,{ONE},2026-08-01T10:00:00Z,2026-07-01T10:00:00Z,Call,Meeting,false,,2026-08-01T11:00:00Z
"""


@pytest.fixture
def exports(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """Return a function that writes both exports, with further deals, and returns their folders."""

    def write(deals: str = "") -> tuple[Path, Path]:
        crm = {"account": ACCOUNTS, "event": MEETINGS, "opportunity": f"{DEALS}\n{SAME.strip()}\n{deals}"}
        for name, tables in (("stripe", STRIPE), ("salesforce", crm)):
            (tmp_path / name).mkdir()
            for table, text in tables.items():
                (tmp_path / name / f"{table}.csv").write_text(text.strip() + "\n", encoding="utf-8")
        return tmp_path / "stripe", tmp_path / "salesforce"

    return write


def _connect(tmp_path: Path, folders: tuple[Path, Path]) -> Connection:
    return connect([*map(str, folders)], tmp_path / "mapping.toml", {"crm.notice_column": "notice_c"}, force=True)


def _line(connected: Connection) -> str:
    assert connected.summary is not None
    return connected.summary.line


def _check(mapping: Path) -> dict[str, Any]:
    return report_on_source(open_source(mapping)).as_dict()


def test_the_same_sales_count_once_in_every_command(renewcast: Any, tmp_path: Path, exports: Any) -> None:
    mapping_file, home = tmp_path / "mapping.toml", tmp_path / "home"
    options = ("--out", mapping_file, "--option", "crm.notice_column=notice_c", "--json")
    connected = json.loads(renewcast("connect", *exports(), *options, home=home).stdout)
    line = "2 active accounts, ARR 18.0k, 0 due next quarter"
    assert connected["summary"]["line"] == line
    (fact,) = (each["text"] for each in connected["facts"] if "same sales" in each["text"])
    assert fact.startswith(
        "2 accounts have contracts at the same time in billing (ARR 18.0k) and crm (ARR 18.0k): probably the same sales"
    )
    mapping = tomllib.loads(connected["draft"])
    assert mapping["identity"]["contracts"] == ["billing"]
    assert "open_questions" not in mapping
    checked = json.loads(renewcast("check", mapping_file, "--json", home=home).stdout)
    assert checked["portfolio"]["line"] == line
    assert checked["open_questions"] == []
    # What the CRM alone knows stays: meetings, the owner, and the notice.
    assert any(each["table"] == "engagement" for each in checked["tables"])
    assert any("1 contract of billing with the notice that another source has" in note for note in checked["notes"])


def test_check_names_what_a_mapping_adds_up(tmp_path: Path, exports: Any) -> None:
    _connect(tmp_path, exports())
    mapping = tmp_path / "mapping.toml"
    drafted = mapping.read_text(encoding="utf-8")
    mapping.write_text(drafted.replace('contracts = ["billing"]\n', ""), encoding="utf-8")
    checked = _check(mapping)
    assert (
        checked["portfolio"]["line"] == "2 active accounts, ARR 36.0k, 0 due next quarter (uncertain: 1 open question)"
    )
    (question,) = checked["open_questions"]
    assert "2 accounts have contracts at the same time in billing (ARR 18.0k) and crm (ARR 18.0k)" in question
    # Whoever says that they are different sales is asked no more.
    mapping.write_text(drafted.replace('contracts = ["billing"]', 'contracts = "all"'), encoding="utf-8")
    checked = _check(mapping)
    assert checked["portfolio"]["line"] == "2 active accounts, ARR 36.0k, 0 due next quarter"
    mapping.write_text(drafted.replace('contracts = ["billing"]', 'contracts = ["support"]'), encoding="utf-8")
    with pytest.raises(SignalsError, match=r"identity\.contracts: there is no such source"):
        open_source(mapping)


def test_sales_that_only_the_crm_has_are_a_question(tmp_path: Path, exports: Any) -> None:
    deal = f"006A3,{THREE},New,New,Closed Won,true,true,false,2026-03-01,2026-01-01,5000,2027-02-28,\n"
    connected = _connect(tmp_path, exports(deal))
    assert _line(connected) == "2 active accounts, ARR 18.0k, 0 due next quarter (uncertain: 1 open question)"
    (question,) = tomllib.loads(connected.draft)["open_questions"]
    assert "1 account has contracts only in crm (ARR 5.00k), which are not read" in question
    assert question in connected.gaps
    mapping = tmp_path / "mapping.toml"
    text = mapping.read_text(encoding="utf-8").replace('contracts = ["billing"]\n', 'contracts = ["billing", "crm"]\n')
    mapping.write_text(text, encoding="utf-8")
    checked = _check(mapping)
    # Each account has the contracts of the first source that has any.
    assert checked["portfolio"]["line"].startswith("3 active accounts, ARR 23.0k")


def test_contracts_one_after_the_other_are_added_up(tmp_path: Path, exports: Any) -> None:
    folders = exports()
    deals = folders[1] / "opportunity.csv"
    text = deals.read_text(encoding="utf-8")
    # Sold and ended before the billing system was introduced.
    earlier = (
        ("2026-03-01", "2024-03-01"),
        ("2027-02-28", "2025-02-28"),
        ("2026-02-01", "2024-02-01"),
        ("2027-01-31", "2025-01-31"),
    )
    for given, then in earlier:
        text = text.replace(given, then)
    deals.write_text(text, encoding="utf-8")
    connected = _connect(tmp_path, folders)
    assert _line(connected) == "2 active accounts, ARR 18.0k, 0 due next quarter"
    assert "contracts" not in tomllib.loads(connected.draft)["identity"]


def test_terms_without_an_end_are_a_question_until_an_option_answers_it(tmp_path: Path, exports: Any) -> None:
    _, crm = exports()
    deals = crm / "opportunity.csv"
    text = deals.read_text(encoding="utf-8")
    deals.write_text(text.replace("2027-02-28", "").replace("2027-01-31", ""), encoding="utf-8")
    connected = connect([f"crm={crm}"])
    (question,) = tomllib.loads(connected.draft)["open_questions"]
    assert question.startswith("crm: 2 terms with neither an end nor a length")
    assert _line(connected).endswith("(uncertain: 1 open question)")
    answered = connect([f"crm={crm}"], None, {"crm.default_term_months": "12"})
    assert "open_questions" not in tomllib.loads(answered.draft)
    assert not _line(answered).endswith("question)")
