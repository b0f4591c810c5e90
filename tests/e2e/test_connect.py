"""`renewcast connect` through the command line: from exports to a mapping that `check` accepts."""

from __future__ import annotations

import csv
import json
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pytest

from features.connect.connection import connect

STRIPE = {
    "customer": """
id,name,email,created,is_deleted
cus_0001,SECRET One,ann@one.example,2024-01-01,false
cus_0002,SECRET Two,bob@two.example,2024-02-01,false
cus_0003,SECRET Three,cy@gmail.com,2024-03-01,false
""",
    "subscription": """
id,customer_id,status,created,start_date,current_period_start,current_period_end,cancel_at_period_end,canceled_at,ended_at
sub_1,cus_0001,active,2025-03-01,2025-03-01,2026-03-01,2027-03-01,false,,
sub_2,cus_0002,active,2025-10-01,2025-10-01,2025-10-01,2026-10-01,false,,
sub_3,cus_0003,canceled,2024-05-01,2024-05-01,2025-05-01,2026-05-01,false,2026-05-01,2026-05-01
""",
    "subscription_item": """
id,subscription_id,plan_id,quantity,created
si_1,sub_1,price_1,10,2025-03-01
si_2,sub_2,price_2,1,2025-10-01
si_3,sub_3,price_1,1,2024-05-01
""",
    "price": """
id,currency,unit_amount,recurring_interval,recurring_interval_count,recurring_usage_type
price_1,usd,1000,month,1,licensed
price_2,usd,500000,year,1,licensed
""",
    "charge": """
id,customer_id,amount,currency,created,status,paid
ch_1,cus_0001,12000,usd,2026-09-01,failed,false
""",
}
SALESFORCE = {
    "account": """
id,name,industry,created_date,is_deleted,stripe_customer_id__c,website,owner_id,master_record_id
001000000000001AAA,One Inc,retail,2023-12-01,false,cus_0001,https://www.one.example/about,,
001000000000002AAA,Two,,2024-02-10,false,,two.example,,
001000000000009AAA,Nine,,2024-04-01,false,,,,
""",
    "event": """
id,account_id,activity_date_time,created_date,subject,type,is_deleted,what_id,end_date_time
00U0,001000000000001AAA,2024-08-01T10:00:00Z,2024-07-01T10:00:00Z,Call,Meeting,false,,2024-08-01T11:00:00Z
00U1,001000000000001AAA,2026-08-01T10:00:00Z,2026-07-01T10:00:00Z,Call,Meeting,false,,2026-08-01T11:00:00Z
""",
}


def _write(folder: Path, tables: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text.strip() + "\n", encoding="utf-8")
    return folder


def _words(text: str) -> str:
    return " ".join(text.split())


def test_tables_that_no_pack_reads_are_named(tmp_path: Path) -> None:
    spare = {f"spare_{n:02}": "id,kind\n1,red" for n in range(14)}
    result = connect([str(_write(tmp_path / "stripe", STRIPE | spare))])
    (text,) = [fact.text for fact in result.facts if fact.text.startswith("Not read")]
    assert text == f"Not read: {', '.join(list(spare)[:12])} and 2 more."
    assert result.as_dict()["unread_tables"] == {"billing": list(spare)}


def test_one_tool_from_its_export_to_a_check(renewcast: Any, tmp_path: Path) -> None:
    folder, out, home = _write(tmp_path / "stripe", STRIPE), tmp_path / "mapping.toml", tmp_path / "home"
    result = renewcast("connect", folder, "--out", out, home=home)
    # 10 seats of 10.00 a month are 1,200 a year; one of 5,000 a year. The first renews in March, the second in October.
    assert "2 active accounts, ARR 6.20k, 1 due next quarter\n" in result.stdout
    assert f"renewcast check {out}" in _words(result.stdout)
    assert "Stripe (pack stripe, version" in _words(result.stdout)
    assert "currency: USD 3" in _words(result.stdout)
    assert "SECRET" not in result.stdout + result.stderr
    mapping = tomllib.loads(out.read_text(encoding="utf-8"))
    assert mapping["sources"]["billing"]["uri"] == "stripe"
    assert mapping["sources"]["billing"]["pack"] == "stripe"
    checked = renewcast("check", out, "--json", home=home)
    assert json.loads(checked.stdout)["ok"] is True


@pytest.mark.slow
def test_a_file_is_replaced_only_with_force(renewcast: Any, tmp_path: Path) -> None:
    folder, out, home = _write(tmp_path / "stripe", STRIPE), tmp_path / "mapping.toml", tmp_path / "home"
    out.write_text("mine")
    result = renewcast("connect", folder, "--out", out, home=home, expect=2)
    assert "exists already" in result.stderr
    assert out.read_text() == "mine"
    renewcast("connect", folder, "--out", out, "--force", home=home)
    assert 'pack = "stripe"' in out.read_text(encoding="utf-8")


def test_two_tools_are_joined_by_what_they_share(renewcast: Any, tmp_path: Path) -> None:
    _write(tmp_path / "exports" / "stripe", STRIPE)
    _write(tmp_path / "exports" / "salesforce", SALESFORCE)
    out, home = tmp_path / "mapping.toml", tmp_path / "home"
    result = renewcast("connect", tmp_path / "exports", "--out", out, "--json", home=home)
    payload = json.loads(result.stdout)
    assert payload["summary"]["line"] == "2 active accounts, ARR 6.20k, 1 due next quarter"
    facts = {fact["text"] for fact in payload["facts"]}
    assert (
        "crm.pack_keys.domain and billing.pack_keys.domain have the same domain: 2 of 3 accounts match (67%)." in facts
    )
    assert any(text.startswith("identity: 2 of 3 accounts of crm have a partner") for text in facts)
    assert any(text.startswith("identity: 2 of 3 accounts of billing have a partner") for text in facts)
    mapping = tomllib.loads(out.read_text(encoding="utf-8"))
    assert list(mapping["sources"]) == ["crm", "billing"]
    assert mapping["identity"]["spine"] == "crm"
    renewcast("snapshot", out, "--as-of", "2026-08-15", "--out", tmp_path / "s.csv", home=home)
    with (tmp_path / "s.csv").open(encoding="utf-8") as file:
        rows = {row["account_id"]: row for row in csv.DictReader(file)}
    assert sorted(rows) == ["001000000000001AAA", "001000000000002AAA"]


@pytest.mark.slow
def test_without_a_file_the_draft_is_printed(renewcast: Any, tmp_path: Path) -> None:
    folder = _write(tmp_path / "stripe", STRIPE)
    result = renewcast("connect", f"payments={folder}", home=tmp_path / "home")
    assert "[sources.payments]" in result.stdout
    assert f'uri = "{folder}"' in result.stdout
    # The home may hold caches; nothing else is written, and nothing into the source.
    assert {path.name for path in tmp_path.iterdir()} - {"home"} == {"stripe"}
    assert {path.name for path in folder.iterdir()} == {f"{name}.csv" for name in STRIPE}
    assert not list(tmp_path.rglob("*.toml"))


@pytest.mark.slow
def test_the_expanded_sql_gives_the_same_figures(renewcast: Any, tmp_path: Path) -> None:
    _write(tmp_path / "exports" / "stripe", STRIPE)
    _write(tmp_path / "exports" / "salesforce", SALESFORCE)
    home = tmp_path / "home"
    for name, more in (("short", ()), ("long", ("--expand",))):
        renewcast("connect", tmp_path / "exports", "--out", tmp_path / f"{name}.toml", *more, home=home)
    short, long = (tomllib.loads((tmp_path / f"{name}.toml").read_text(encoding="utf-8")) for name in ("short", "long"))
    assert "tables" not in short
    assert all("SELECT" in part["query"] for part in long["tables"]["accounts"])
    for name in ("short", "long"):
        mapping, out = tmp_path / f"{name}.toml", tmp_path / f"{name}.csv"
        renewcast("snapshot", mapping, "--as-of", "2026-08-15", "--out", out, home=home)
    assert (tmp_path / "short.csv").read_text() == (tmp_path / "long.csv").read_text()
    with (tmp_path / "long.csv").open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["account_id"] == "001000000000001AAA")
    # The old meeting shows that the feed reaches far enough to count; Salesforce cannot record business reviews.
    assert row["engagement.meetings_kept_182d"] != ""
    assert row["engagement.qbrs_held_182d"] == ""


@pytest.mark.slow
def test_tables_that_no_pack_gives_are_added_to_expanded_sql(renewcast: Any, tmp_path: Path) -> None:
    crm, home = _write(tmp_path / "salesforce", SALESFORCE), tmp_path / "home"
    own = {
        "customers": "id,name,signup_date\n001000000000001AAA,SECRET,2023-12-01",
        "contracts": "customer_id,start_date,arr\n001000000000001AAA,2024-01-01,100",
        "trainings": "customer_id,date\n001000000000001AAA,2026-08-02",
    }
    mapping, out = tmp_path / "mapping.toml", tmp_path / "snapshot.csv"
    renewcast("connect", crm, f"own={_write(tmp_path / 'own', own)}", "--expand", "--out", mapping, home=home)
    pack, trainings = tomllib.loads(mapping.read_text(encoding="utf-8"))["tables"]["engagement"]
    assert "SELECT" in pack["query"]
    assert trainings["append"] is True
    assert trainings["records"] == {"kind": ["training"]}
    renewcast("snapshot", mapping, "--as-of", "2026-08-15", "--out", out, home=home)
    with out.open(encoding="utf-8") as file:
        (row,) = (row for row in csv.DictReader(file) if row["account_id"] == "001000000000001AAA")
    # Neither Salesforce nor the table of trainings can record a business review.
    assert row["engagement.qbrs_held_182d"] == ""


@pytest.mark.slow
def test_schemas_of_one_warehouse_are_sources(renewcast: Any, tmp_path: Path) -> None:
    for name, tables in (("stripe", STRIPE), ("salesforce", SALESFORCE)):
        _write(tmp_path / name, tables)
    with duckdb.connect(str(tmp_path / "wh.duckdb")) as warehouse:
        for name, tables in (("stripe", STRIPE), ("salesforce", SALESFORCE)):
            warehouse.execute(f"CREATE SCHEMA {name}")
            for table in tables:
                warehouse.execute(f"CREATE TABLE {name}.{table} AS SELECT * FROM '{tmp_path / name / table}.csv'")
    out, home = tmp_path / "mapping.toml", tmp_path / "home"
    result = renewcast("connect", f"duckdb:///{tmp_path / 'wh.duckdb'}", "--out", out, home=home)
    assert "2 active accounts, ARR 6.20k, 1 due next quarter" in result.stdout
    sources = tomllib.loads(out.read_text(encoding="utf-8"))["sources"]
    assert {name: source["uri"] for name, source in sources.items()} == {
        "crm": "duckdb:///wh.duckdb?schema=salesforce",
        "billing": "duckdb:///wh.duckdb?schema=stripe",
    }
    renewcast("check", out, home=home)


UNKNOWN = {
    "customers": "ID,CompanyName,SignupDate,Country\n1,SECRET,1704067200,DE\n2,SECRET,1706745600,\n",
    "contracts": "contract_id,customer_id,start_date,end_date,mrr_cents,status\nk1,1,01/31/2025,,10000,live\nk2,2,02/28/2025,06/30/2026,20000,Terminated\n",
    "tickets": "id,customer_id,created,closed,priority\nt1,1,2026-01-01,2026-01-02,P1\nt2,1,2026-02-01,,odd\n",
    "sales": "id,customer,day\n1,1,2025-01-01\n",
}


def test_unknown_tables_are_drafted_by_their_columns(renewcast: Any, tmp_path: Path) -> None:
    folder, out, home = _write(tmp_path / "own", UNKNOWN), tmp_path / "mapping.toml", tmp_path / "home"
    result = renewcast("connect", folder, "--out", out, home=home)
    text = _words(result.stdout)
    assert "No pack knows its 4 tables" in text
    assert "orders.amount: no column of own.sales looks like it" in text
    tables = tomllib.loads(out.read_text(encoding="utf-8"))["tables"]
    assert tables["accounts"]["columns"] == {
        "account_id": "ID",
        "created_at": "SignupDate",
        "name": "CompanyName",
        "region": "Country",
    }
    assert tables["accounts"]["time"] == {"created_at": {"epoch": "s"}}
    assert tables["subscriptions"]["units"] == {"arr": ["cents", "monthly"]}
    assert tables["subscriptions"]["time"]["started_at"] == {"format": "%m/%d/%Y"}
    assert tables["subscriptions"]["values"]["status"] == {"live": "active", "terminated": ""}
    # Severity is required, so that the value that nothing explains is a problem to correct in the draft.
    assert tables["support"]["values"]["severity"] == {"odd": "", "p1": "urgent"}
    assert tables["support"]["records"] == {"severity": ["urgent"]}
    assert "support.severity: an empty value in 1 row (row 2)" in text
    changed = out.read_text(encoding="utf-8").replace('"odd" = ""', '"odd" = "low"')
    out.write_text(changed, encoding="utf-8")
    result = renewcast("check", out, home=home)
    # 100.00 and 200.00 a month, and the second ends after the end of the data.
    assert "2 active accounts, ARR 3.60k" in result.stdout


PRICES = {
    "clients": "client_id,company,since\nc1,SECRET One,2025-01-01\nc2,SECRET Two,2025-01-01\n",
    "contracts": """
id,client_id,start_date,unit_price,quantity,billing_interval,interval_count,updated_at
k1,c1,2025-01-01,40,10,month,3,2025-01-01
k1,c1,2025-01-01,50,10,month,3,2026-01-01
k2,c2,2025-01-01,1200,2,year,1,2025-01-01
""",
}


def test_versions_of_prices_with_an_interval_and_a_quantity(renewcast: Any, tmp_path: Path) -> None:
    folder, out, home = _write(tmp_path / "own", PRICES), tmp_path / "mapping.toml", tmp_path / "home"
    result = renewcast("connect", folder, "--out", out, home=home)
    text = _words(result.stdout)
    assert "contracts has 3 rows of 2 different id: of each, the latest by updated_at counts" in text
    assert "billing_interval is the interval at which unit_price is due (month 1, year 1)" in text
    assert "unit_price is for one of quantity: times quantity." in text
    # Ten of 50 every three months are 2,000 a year; two of 1,200 are 2,400.
    assert "2 active accounts, ARR 4.40k, renewal dates unknown\n" in result.stdout
    assert "2 active accounts, ARR 4.40k" in renewcast("check", out, home=home).stdout


def test_an_open_question_marks_the_figures_until_it_is_answered(renewcast: Any, tmp_path: Path) -> None:
    contracts = "id,client_id,start_date,price,quantity,interval\nk1,c1,2025-01-01,50,10,month\nk2,c2,2025-01-01,60,2,month\n"
    folder = _write(tmp_path / "own", {**PRICES, "contracts": contracts})
    out, home = tmp_path / "mapping.toml", tmp_path / "home"
    result = renewcast("connect", folder, "--out", out, home=home)
    assert "2 active accounts, ARR 1.32k, renewal dates unknown (uncertain: 1 open question)" in result.stdout
    assert f"They are uncertain until open_questions in {out} are answered" in _words(result.stdout)
    checked = renewcast("check", out, home=home).stdout
    assert "ask subscriptions.arr: price may be for one of quantity or for all of them (2 rows" in _words(checked)
    assert "do answer the open questions in the mapping" in " ".join(checked.replace("│", " ").split())
    assert checked.endswith("They may be wrong until the questions marked `ask` are answered in the mapping.\n")
    text = out.read_text(encoding="utf-8")
    before, _, rest = text.partition("open_questions = [")
    answered = (before + rest.partition("]\n")[2]).replace(" END AS annual_amount", " END * try_cast(quantity AS DOUBLE) AS annual_amount")
    out.write_text(answered, encoding="utf-8")
    # 10 of 50 a month and 2 of 60.
    assert renewcast("check", out, home=home).stdout.endswith("2 active accounts, ARR 7.44k, renewal dates unknown\n")


def test_tables_of_the_contract_need_no_mapping(renewcast: Any, tmp_path: Path) -> None:
    tables = {
        "accounts": "account_id,created_at\na,2025-01-01",
        "subscriptions": "account_id,started_at,arr\na,2025-01-01,1",
    }
    folder = _write(tmp_path / "signals", tables)
    result = renewcast("connect", folder, "--out", tmp_path / "x.toml", home=tmp_path / "home", expect=2)
    assert f"no mapping is needed: renewcast check {folder}" in result.stderr
    assert not (tmp_path / "x.toml").exists()


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"subscription": None}, (), "looks like Stripe, but there is no table subscription"),
        ({"subscription": ("customer_id", "kunde")}, (), "the table subscription has no column customer_id"),
        ({}, ("--option", "billing.color=red"), "there is no option billing.color"),
        ({}, ("--option", "billing"), "--option is not valid"),
        ({}, ("--option", "test_mode=perhaps"), "test_mode"),
    ],
)  # fmt: skip
def test_bad_exports_end_with_one_message_and_no_file(
    renewcast: Any, tmp_path: Path, change: dict[str, Any], arguments: tuple[str, ...], message: str
) -> None:
    tables = dict(STRIPE)
    for name, how in change.items():
        if how is None:
            del tables[name]
        else:
            tables[name] = tables[name].replace(*how)
    folder, out = _write(tmp_path / "stripe", tables), tmp_path / "mapping.toml"
    result = renewcast("connect", folder, "--out", out, *arguments, home=tmp_path / "home", expect=2)
    assert message in _words(result.stderr)
    assert result.stderr.count("Error:") == 1
    assert "SECRET" not in result.stderr + result.stdout
    assert not out.exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["stripe"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("price", "price_2,usd", "price_2,zzz", "subscriptions.currency: a currency without a rate of exchange at or before started_at in 3 rows"),
        # Of the two subscriptions without an end, one has a status that is none of Stripe's.
        ("subscription", "cus_0002,active", "cus_0002,SECRET", "1 row of subscription whose status the pack does not know: left out"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_used_are_named_by_connect_and_check(
    renewcast: Any, tmp_path: Path, table: str, old: str, new: str, message: str
) -> None:
    folder = _write(tmp_path / "stripe", STRIPE | {table: STRIPE[table].replace(old, new)})
    mapping, out, home = tmp_path / "mapping.toml", tmp_path / "snapshot.csv", tmp_path / "home"
    broken = table == "price"
    connected = renewcast("connect", folder, "--out", mapping, home=home)
    checked = renewcast("check", mapping, home=home, expect=2 if broken else 0)
    scored = renewcast("snapshot", mapping, "--as-of", "2026-08-15", "--out", out, home=home, expect=2 if broken else 0)
    for result in (connected, checked):
        assert message in _words(result.stdout.replace("│", " "))
        # Their history is not in the export.
        assert "subscriptions without an invoice" in _words(connected.stdout)
    assert "SECRET" not in connected.stdout + checked.stdout + checked.stderr + scored.stderr
    assert scored.stderr.count("Error:") == int(broken)
    assert out.exists() != broken


@pytest.mark.slow
def test_a_table_that_lacks_a_column_is_named(renewcast: Any, tmp_path: Path) -> None:
    tables = STRIPE | {"customer": STRIPE["customer"].replace("id,", "kunde,", 1)}
    result = renewcast("connect", _write(tmp_path / "stripe", tables), home=tmp_path / "home")
    assert "The table customer is not read: it has no column id." in _words(result.stdout)


@pytest.mark.slow
def test_a_table_is_named_as_not_read_only_if_nothing_reads_it(renewcast: Any, tmp_path: Path) -> None:
    deal = "006000000000001AAA,001000000000001AAA,Won,true,2025-01-01,12000"
    tables = SALESFORCE | {
        "opportunity": f"id,account_id,stage_name,is_won,close_date,amount\n{deal}",
        # Salesforce has another table of this name, with other columns.
        "opportunity_history": f"id,is_won,amount,_fivetran_start\n{deal[:18]},true,12000,2025-01-01",
        "event": SALESFORCE["event"].replace("activity_date_time", "when", 1),
    }
    words = _words(renewcast("connect", _write(tmp_path / "crm", tables), home=tmp_path / "home").stdout)
    assert "opportunity_history is not read" not in words
    # By the name that loaders give the column.
    assert "The table event is not read: it has no column start_date_time." in words


def test_places_that_are_no_sources(renewcast: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "does not exist" in renewcast("connect", tmp_path / "nowhere", home=home, expect=2).stderr
    (tmp_path / "empty").mkdir()
    assert "no data files" in renewcast("connect", tmp_path / "empty", home=home, expect=2).stderr
    (tmp_path / "m.toml").write_text("")
    assert "is a mapping file already" in renewcast("connect", tmp_path / "m.toml", home=home, expect=2).stderr
    assert "there is no source" in renewcast("connect", home=home, expect=2).stderr


@pytest.mark.slow
def test_the_schema_describes_what_connect_writes(renewcast: Any, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    home = tmp_path / "home"
    schema = json.loads(renewcast("connect", "--schema", home=home).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    _write(tmp_path / "exports" / "stripe", STRIPE)
    _write(tmp_path / "exports" / "salesforce", SALESFORCE)
    _write(tmp_path / "own", UNKNOWN)
    for name, place in (("tools", tmp_path / "exports"), ("own", tmp_path / "own")):
        out = tmp_path / f"{name}.toml"
        renewcast("connect", place, "--out", out, home=home)
        mapping = tomllib.loads(out.read_text(encoding="utf-8"))
        assert not list(validator.iter_errors(mapping))
        mapping["tables"] = {"usage": {"form": "x"}}
        assert list(validator.iter_errors(mapping))


def test_equal_numbers_and_blank_ids_join_no_accounts(renewcast: Any, tmp_path: Path) -> None:
    for name, arr in (("crm", 100), ("shop", 1000)):
        tables = {
            "customers": "customer_id,signup_date,ref\n1,2024-03-04,\n2,2024-05-06,",
            "subscriptions": f"customer_id,start_date,arr\n1,2024-03-04,{arr}\n2,2024-05-06,{arr}",
        }
        _write(tmp_path / name, tables)
    result = renewcast("connect", tmp_path / "crm", tmp_path / "shop", home=tmp_path / "home")
    text = _words(result.stdout)
    assert "they are kept apart" in text
    assert "4 active accounts, ARR 2.20k" in text
