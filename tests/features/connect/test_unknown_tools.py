"""Plainly named tables of tools that no pack knows are drafted whole, with every assumption listed with counts."""

from __future__ import annotations

import gzip
import json
import re
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.connect.connection import Connection, connect
from features.connect.table_guesses import guess_table, users_of
from features.errors import BadRequest, RenewcastError, SignalsError
from features.signals.signals import open_signals
from features.sources.open_source import open_source

ACCOUNTS = 12
SINCE = [date(2025, 1, 1) + timedelta(days=9 * i) for i in range(ACCOUNTS)]
LEFT = {0: date(2025, 11, 1), 6: date(2025, 12, 1)}


def _table(name: str, head: str, *rows: str) -> tuple[str, str]:
    return name, "\n".join([head, *rows]) + "\n"


def _each(row: str) -> list[str]:
    return [
        row.format(i=i, since=SINCE[i], left=LEFT.get(i, ""), plan=("pro", "basic")[i % 2], german=f"{SINCE[i]:%d.%m.%Y}")
        for i in range(ACCOUNTS)
    ]


def _days(row: str, days: int) -> list[str]:
    return [
        row.format(i=i, k=k, day=SINCE[i] + timedelta(days=11 * k), ms=1735689600000 + (9 * i + 11 * k) * 86_400_000)
        for i in range(ACCOUNTS)
        for k in range(days)
    ]


SCHEMAS = {
    "SaaS with the MRR of today": (
        _table("customers", "id,name,plan,mrr,created_at,cancelled_at", *_each("cus{i:03},Firm {i},{plan},100,{since},{left}")),
        _table("logins", "customer_id,user_id,logged_in_at", *_days("cus{i:03},u{i}{k},{day} 10:00:00", 5)),
        _table("support_tickets", "id,customer_id,status,created_at,closed_at", *_days("{i}{k},cus{i:03},closed,{day},{day}", 3)),
    ),
    "usage warehouse": (
        _table("dim_accounts", "account_id,account_name,created_at", *_each("acc{i:03},Firm {i},{since}")),
        _table("dim_users", "user_id,account_id", *_days("u{i}{k},acc{i:03}", 3)),
        _table("fct_events", "event_id,user_id,event,timestamp", *_days("e{i}-{k},u{i}{k},open,{ms}", 3)),
        _table("fct_contracts", "contract_id,account_id,start_date,end_date,annual_value", *_each("k{i},acc{i:03},{since},{left},1200")),
    ),
    "homegrown billing": (
        _table("clients", "client_id,company,country,since", *_each("100{i:03},Firm {i},US,{since}")),
        _table("invoices", "invoice_no,client_id,invoice_date,paid_at,amount_cents", *_days("i{i}{k},100{i:03},{day},{day},9900", 25)),
    ),
    "helpdesk export": (
        _table("organizations", "org_id,name,created", *_each("o-{i:03},Firm {i},{since}")),
        _table("tickets_export", "Ticket ID;Organization ID;Created;Resolved;Priority", *_days("T{i}{k};o-{i:03};{day};;On Hold", 2)),
        _table("agreements", "org,begin,end,value_per_year", *_each("o-{i:03},{since},{left},1200")),
    ),
    "European numbers": (
        _table("customers", "customer_id;company;created_at", *_each("{i:05};Firma {i};{german}")),
        _table("contracts", "customer_id;start_date;annual_value", *_each("{i:05};{german};1.200,00")),
    ),
    "events with companies": (
        _table("companies", "company_id,company_name,plan,seats,arr,renewal_date,start_date", *_each("co{i:03},Firm {i},{plan},10,1200,2026-06-01,{since}")),
        _table("event_log", "user_id,company_id,event,timestamp", *_days("u{i},co{i:03},open,{day}T10:00:00Z", 3)),
    ),
}  # fmt: skip


def _write(folder: Path, tables: tuple[tuple[str, str], ...]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in tables:
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return str(folder)


def _facts(result: Connection) -> str:
    return "\n".join(f"{fact.about}: {fact.text}" for fact in result.facts)


@pytest.mark.parametrize("schema", [name for name in SCHEMAS if name != "helpdesk export"])
def test_a_plain_schema_needs_no_line_by_hand(schema: str, tmp_path: Path) -> None:
    source = _write(tmp_path / "given", SCHEMAS[schema])
    out = tmp_path / "mapping.toml"
    result = connect([source], out)
    assert result.problems == ()
    assert result.gaps == ()
    assert result.summary is not None
    assert result.summary.accounts > 0
    opened = open_signals(out)
    assert opened.contractual is (schema != "homegrown billing")
    assert opened.rows["accounts"] == ACCOUNTS
    if opened.contractual:
        assert set(opened.tables["subscriptions"].arr.to_pyarrow().to_pylist()) == {1200.0}
    opened.close()
    facts = _facts(result)
    assert f"{ACCOUNTS} rows: account_id is" in facts, "what each column is read as, with the number of rows"


def test_values_without_a_clear_meaning_are_listed(tmp_path: Path) -> None:
    result = connect([_write(tmp_path, SCHEMAS["helpdesk export"])])
    assert "records.severity = []" in result.draft
    assert "None of the values of severity has a clear meaning, so that records.severity is empty" in _facts(result)
    assert any("support.severity: 24 rows with 1 value whose meaning is not clear" in gap for gap in result.gaps)
    assert "org is the account, because it has ids of accounts" in _facts(result)


def test_assumptions_are_facts(tmp_path: Path) -> None:
    saas = _facts(connect([_write(tmp_path / "saas", SCHEMAS["SaaS with the MRR of today"])]))
    assert "Every row of customers with revenue is one contract, with the amount of today since its start." in saas
    assert "mrr is an amount per month: times twelve." in saas
    assert "customers, 12 rows: account_id is id, started_at is created_at, ended_at is cancelled_at (2 filled)" in saas
    assert "No column has the severity of a ticket: all count as normal, and which are severe is unknown." in saas
    warehouse = _facts(connect([_write(tmp_path / "warehouse", SCHEMAS["usage warehouse"])]))
    assert "timestamp is an instant in ms since 1970." in warehouse
    assert "usage: 36 of 36 rows of warehouse without an account got that of their user" in warehouse
    assert "end_date is the end of each contract and also the day of its renewal." in warehouse
    european = _facts(connect([_write(tmp_path / "eu", SCHEMAS["European numbers"])]))
    assert "annual_value is written with a decimal comma in 12 rows." in european


def test_two_systems_with_their_own_ids_are_joined(tmp_path: Path) -> None:
    crm = _write(
        tmp_path / "crm", (_table("accounts", "sf_id,name,domain,created_date", *_each("0013{i:04},Firm {i},f{i}.example,{since}")),)
    )
    billing = _write(
        tmp_path / "billing",
        (
            _table("customers", "customer_no,company_name,email,created_at", *_each("K{i:05},Firm {i} Inc,pay@f{i}.example,{since}")),
            _table("subscriptions", "id,customer_no,mrr,started_on,ended_on,status", *_each("s{i},K{i:05},100,{since},{left},ACTIVE")),
        ),
    )
    result = connect([f"crm={crm}", f"billing={billing}"])
    assert (result.problems, result.gaps) == ((), ())
    assert "sf_id is the account, because it has another value in every row" in _facts(result)
    assert "12 of 12 accounts match (100%)" in _facts(result)
    assert result.summary is not None
    assert result.summary.arr == 1200 * (ACCOUNTS - len(LEFT))


def test_tables_that_are_not_read_are_listed_with_what_they_might_be(tmp_path: Path) -> None:
    tables = (
        *SCHEMAS["events with companies"],
        _table("mrr_by_month", "company_id,month,mrr", "co001,2025-01-01,100"),
        _table("ledger", "company_id,total,note", "co001,100,x"),
        _table("colors", "a,b", "1,2"),
    )
    facts = _facts(connect([_write(tmp_path, tables)]))
    assert 'mrr_by_month is not read: it might be snapshots of accounts at several dates (pack = "snapshots"' in facts
    assert "ledger is not read: it might be orders (it lacks occurred_at)." in facts
    assert "colors is not read." in facts


def test_ids_that_differ_in_the_way_of_writing_are_counted(tmp_path: Path) -> None:
    tables = (
        _table("customers", "customer_id,created_at,arr", "007,2025-01-01,100", "A-1,2025-01-01,100", "x,2025-01-01,100"),
        _table("logins", "customer_id,logged_in_at", "7,2025-02-01", "a-1 ,2025-02-02", "other,2025-02-02", "x,2025-02-03", " x,2025-02-03"),
    )
    facts = _facts(connect([_write(tmp_path, tables)]))
    assert "customer_id: 4 ids are not among the accounts, of which 3 would be without regard to case, zeros" in facts


def test_mixed_units_of_time_are_not_guessed(tmp_path: Path) -> None:
    tables = (
        _table("customers", "customer_id,created_at,arr", "a,2025-01-01,100"),
        _table("logins", "customer_id,timestamp", "a,1735689600", "a,1735689600000"),
    )
    result = connect([_write(tmp_path, tables)])
    assert "epoch" not in result.draft
    assert any("timestamp mixes units of time since 1970 (1 row in ms, 1 row in s)" in gap for gap in result.gaps)


@pytest.mark.parametrize("name", ["ticket_comments", "order_items", "billing_events", "user_events_schema", "audit"])
def test_details_of_other_things_are_not_guessed(name: str) -> None:
    columns = dict.fromkeys(("id", "body", "item", "customer_id", "event", "timestamp"), "VARCHAR")
    guess = guess_table(name, {} if name == "audit" else columns)
    assert guess is None or (guess.table == "usage" and name == "user_events_schema")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv", ".json", ".ndjson", ".parquet"])
def test_columns_that_differ_only_in_case_are_refused(suffix: str, tmp_path: Path) -> None:
    row = {"customer_id": "A1", "created_at": "2025-01-01", "arr": 1000, "ARR": 2000}
    file = tmp_path / f"customers{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_arrays([pa.array([v]) for v in row.values()], list(row)), file)
    elif suffix in (".json", ".ndjson"):
        file.write_text(json.dumps(row))
    else:
        mark = "\t" if suffix == ".tsv" else ","
        text = "\n".join(mark.join(map(str, line)) for line in (row, row.values())) + "\n"
        file.write_bytes(gzip.compress(text.encode()) if suffix.endswith(".gz") else text.encode())
    with pytest.raises(SignalsError, match=re.escape(file.name)) as error:
        connect([str(tmp_path)])
    assert error.value.expected == "names that differ in more than case"
    assert {"arr", "ARR"} <= set(re.findall(r"\w+", error.value.found))


def test_a_table_of_users_needs_user_and_account() -> None:
    assert users_of("users", {"id": "VARCHAR", "company_id": "VARCHAR"}) == ("id", "company_id")
    assert users_of("users", {"id": "VARCHAR", "name": "VARCHAR"}) is None
    assert users_of("customers", {"id": "VARCHAR", "company_id": "VARCHAR"}) is None


def test_a_mapping_is_written_to_a_toml_file_only(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"a name that ends in \.toml"):
        connect([_write(tmp_path, SCHEMAS["European numbers"])], tmp_path / "mapping.txt")


@pytest.mark.parametrize(
    "address",
    [
        "host=db user=anna password=geheim", "mysql://anna:geheim@host/db", "snowflake://anna:ge@heim@account/db",
        "https://anna:geheim@host/x.csv", "postgresql+psycopg://anna:geheim@host/db", "postgresql://anna:geheim/x@host/db",
        "./exports?token=geheim", "Server=db;Uid=anna;Pwd=geheim;", "s3://bucket/x?X-Amz-Signature=geheim",
    ],
)  # fmt: skip
def test_no_error_shows_a_password(address: str, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(f'[sources.own]\nuri = "{address}"\n[tables.accounts]\nfrom = "own.accounts"\n', encoding="utf-8")
    for opened in (lambda: open_source(address), lambda: connect([address]), lambda: open_source(mapping)):
        with pytest.raises(RenewcastError) as error:
            opened()
        assert "geheim" not in str(error.value)
        assert "heim" not in str(error.value)
        assert "geheim" not in f"{error.value.found}{error.value.expected}{error.value.cure}"
