"""The rules of a table: what each does to a few rows, computed by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.contract.schema import TABLES
from features.errors import SignalsError
from features.signals.validation import check_source
from features.sources.base import Source, connect_duckdb
from features.sources.mapping.file_schema import TableMapping
from features.sources.mapping.table_rules import converted_columns
from tests.features.sources.mapping.conftest import OpenMapped, rows_of

ACCOUNTS = {"crm/company": "key since\nc1 2024-01-01\nc2 2024-02-01"}
HEAD = """
source.uri = "crm"
tables.accounts = {from = "company", columns = {account_id = "key", created_at = "since"}}
"""


def _subscriptions(open_mapped: OpenMapped, rules: str, rows: str, *columns: str) -> list[tuple[object, ...]]:
    source = open_mapped(HEAD + "[tables.subscriptions]\nfrom = 'terms'\n" + rules, ACCOUNTS | {"crm/terms": rows})
    return rows_of(source, "subscriptions", *columns)


def _fits(source: Source) -> bool:
    """Return whether the tables fit the contract; there may be no contracts."""
    return [error.problem for error in check_source(source).errors if error.table != "subscriptions"] == []


def test_columns_and_constants_name_what_the_contract_expects(open_mapped: OpenMapped) -> None:
    text = HEAD + """
[tables.engagement]
from = "calls"
columns = { account_id = "COMPANY", occurred_at = "day" }
constants = { kind = "meeting" }
"""
    source = open_mapped(text, ACCOUNTS | {"crm/calls": "company day note\nc1 2025-01-01 hello"})
    assert rows_of(source, "engagement", "account_id", "occurred_at", "kind", "note") == [
        ("c1", "2025-01-01", "meeting", "hello")
    ]


def test_a_renamed_column_replaces_one_of_the_same_name(open_mapped: OpenMapped) -> None:
    rules = 'columns = {account_id = "company", started_at = "first", arr = "price"}'
    rows = "company first arr price\nc1 2025-01-01 999 1200"
    assert _subscriptions(open_mapped, rules, rows, "account_id", "arr") == [("c1", "1200")]


TERMS = "account_id started_at arr end_reason\n"


def test_values_ignore_case_and_the_rest_is_counted(open_mapped: OpenMapped) -> None:
    rules = 'values.end_reason = {canceled = "cancelled", unpaid = "nonpayment", "*" = "renewed"}'
    rows = TERMS + "c1 2025-01-01 1 CANCELED\nc1 2025-01-02 1 Unpaid\nc1 2025-01-03 1 weird\nc2 2025-01-04 1 odd\nc2 2025-01-05 1 odd\nc2 2025-01-06 1 -"
    source = open_mapped(
        HEAD + "[tables.subscriptions]\nfrom = 'terms'\n" + rules, ACCOUNTS | {"crm/terms": rows}
    )
    reasons = [reason for _, reason in rows_of(source, "subscriptions", "started_at", "end_reason")]
    assert reasons == ["cancelled", "nonpayment", "renewed", "renewed", "renewed", None]
    assert 'subscriptions.end_reason: 3 rows with 2 values that `values` does not name, read as "*" says' in source.notes


def test_without_a_rest_other_values_stay_and_the_check_reports_them(open_mapped: OpenMapped) -> None:
    rules = 'values.end_reason = {canceled = "cancelled", none = "", "" = "renewed"}'
    rows = TERMS + "c1 2025-01-01 1 canceled\nc1 2025-01-02 1 UPGRADED\nc1 2025-01-03 1 None\nc1 2025-01-04 1 -\nc1 2025-01-05 1 weird"
    source = open_mapped(HEAD + "[tables.subscriptions]\nfrom = 'terms'\n" + rules, ACCOUNTS | {"crm/terms": rows})
    reasons = [reason for _, reason in rows_of(source, "subscriptions", "started_at", "end_reason")]
    assert reasons == ["cancelled", "upgraded", None, "renewed", "weird"]
    (error,) = check_source(source).errors
    assert (error.column, error.positions) == ("end_reason", (5,))
    assert "weird" not in str(error) + "".join(source.notes)


def test_values_can_be_numbers(open_mapped: OpenMapped) -> None:
    text = HEAD + """
[tables.support]
from = "tickets"
values.csat = {good = 5, bad = 1}
values.escalated = {yes = true, "*" = false}
"""
    rows = "account_id ticket_id occurred_at severity csat escalated\nc1 t1 2025-01-01 low Good Yes\nc1 t2 2025-01-02 low bad no"
    source = open_mapped(text, ACCOUNTS | {"crm/tickets": rows})
    assert _fits(source)
    assert rows_of(source, "support", "ticket_id", "csat", "escalated") == [("t1", "5", "true"), ("t2", "1", "false")]


@pytest.mark.parametrize(
    ("units", "given", "expected"),
    [
        ('"cents"', "120000", 1200.0),
        ('["cents", "monthly"]', "10000", 1200.0),
        ('"quarterly"', "250.5", 1002.0),
        ('"weekly"', "10", 520.0),
        ('"thousands"', "1.5", 1500.0),
        ('"millions"', "0.25", 250000.0),
    ],
)  # fmt: skip
def test_units_of_arr(open_mapped: OpenMapped, units: str, given: str, expected: float) -> None:
    rows = f"account_id started_at arr\nc1 2025-01-01 {given}"
    ((arr,),) = _subscriptions(open_mapped, f"units.arr = {units}", rows, "arr")
    assert float(str(arr)) == expected


def test_cents_follow_the_currency_of_the_row(open_mapped: OpenMapped) -> None:
    rows = "account_id started_at arr currency\nc1 2025-01-01 5000 usd\nc1 2025-01-02 5000 JPY\nc1 2025-01-03 5000 kwd\nc1 2025-01-04 5000 -"
    given = _subscriptions(open_mapped, 'units.arr = "cents"', rows, "started_at", "arr")
    assert [float(str(arr)) for _, arr in given] == [50.0, 5000.0, 5.0, 50.0]


def test_durations_and_shares(open_mapped: OpenMapped) -> None:
    text = HEAD + """
[tables.usage]
from = "events"
units.minutes = "seconds"
[tables.engagement]
from = "mails"
units.response_hours = "minutes"
[tables.interventions]
from = "plays"
units.held_out_share = "percent"
"""
    files = {
        "crm/events": "account_id occurred_at minutes\nc1 2025-01-01 90",
        "crm/mails": "account_id occurred_at kind response_hours\nc1 2025-01-01 email 90",
        "crm/plays": "account_id occurred_at play held_out_share\nc1 2025-01-01 call 25%\nc1 2025-01-02 call 12.5",
    }
    source = open_mapped(text, ACCOUNTS | files)
    assert _fits(source)
    assert rows_of(source, "usage", "minutes") == [("1.5",)]
    assert rows_of(source, "engagement", "response_hours") == [("1.5",)]
    assert rows_of(source, "interventions", "held_out_share") == [("0.125",), ("0.25",)]


def test_text_that_is_not_a_number_stays_for_the_check(open_mapped: OpenMapped) -> None:
    text = HEAD + "[tables.subscriptions]\nfrom = 'terms'\nunits.arr = 'cents'\n"
    source = open_mapped(text, ACCOUNTS | {"crm/terms": "account_id started_at arr\nc1 2025-01-01 SECRET"})
    (error,) = check_source(source).errors
    assert (error.column, error.positions) == ("arr", (1,))


@pytest.mark.parametrize(
    ("rule", "given", "expected"),
    [
        ('epoch = "s"', "1735689600", "2025-01-01 00:00:00"),
        ('epoch = "ms"', "1735689600500", "2025-01-01 00:00:00.5"),
        ('epoch = "us"', "1735689600000001", "2025-01-01 00:00:00.000001"),
        ('epoch = "s"', "2025-01-01", "2025-01-01 00:00:00"),
        ('zone = "Europe/Berlin"', "2025-07-01_12:00", "2025-07-01 10:00:00"),
        ('zone = "Europe/Berlin"', "2025-01-01_12:00:00", "2025-01-01 11:00:00"),
        ('zone = "Europe/Berlin"', "2025-01-01T12:00:00Z", "2025-01-01 12:00:00"),
        ('zone = "Europe/Berlin"', "2025-01-01T12:00:00+09:00", "2025-01-01 03:00:00"),
        ('zone = "Europe/Berlin"', "2025-01-01", "2024-12-31 23:00:00"),
        ('format = "%m/%d/%Y"', "03/31/2025", "2025-03-31 00:00:00"),
        ('format = ["%d.%m.%Y", "%d.%m.%Y %H:%M"], zone = "Europe/Berlin"', "31.03.2025_12:00", "2025-03-31 10:00:00"),
        ('format = "%m/%d/%Y"', "2025-03-31", "2025-03-31 00:00:00"),
        # What is no instant is left to the check.
        ('epoch = "s"', "soon", "soon"),
        ('zone = "Europe/Berlin"', "soon", "soon (not an instant)"),
    ],
)  # fmt: skip
def test_instants(open_mapped: OpenMapped, rule: str, given: str, expected: str) -> None:
    rows = f"account_id started_at arr\nc1 {given} 1"
    assert _subscriptions(open_mapped, f"time = {{{rule}}}", rows, "started_at") == [(expected,)]


def test_one_column_may_be_written_in_another_way(open_mapped: OpenMapped) -> None:
    rules = 'time.epoch = "s"\ntime.ended_at = {epoch = "ms"}'
    rows = "account_id started_at ended_at arr\nc1 1735689600 1767225600000 1"
    assert _subscriptions(open_mapped, rules, rows, "started_at", "ended_at") == [
        ("2025-01-01 00:00:00", "2026-01-01 00:00:00")
    ]


def test_a_local_time_that_cannot_be_read_is_reported_not_taken_for_utc(open_mapped: OpenMapped) -> None:
    text = HEAD + "[tables.subscriptions]\nfrom = 'terms'\ntime.zone = 'Europe/Berlin'\n"
    source = open_mapped(text, ACCOUNTS | {"crm/terms": "account_id started_at arr\nc1 20250131T1200 1"})
    (error,) = check_source(source).errors
    assert (error.column, error.positions) == ("started_at", (1,))


VERSIONS = "id account_id started_at arr v\na c1 2025-01-01 1 9\na c1 2025-01-01 2 10\nb c1 2025-02-01 3 1\n- c1 2025-03-01 4 1\n- c1 2025-04-01 5 1"


def test_only_the_latest_version_of_each_key_is_read(open_mapped: OpenMapped) -> None:
    rows = _subscriptions(open_mapped, 'latest = {key = "ID", by = "v"}', VERSIONS, "arr")
    # Version 10 is later than version 9, although both are text. Rows without a key are no versions.
    assert rows == [("2",), ("3",), ("4",), ("5",)]


DATED = "id account_id started_at arr upd\na c1 2025-01-01 1 12/20/2025\na c1 2025-01-01 2 02/25/2026"


def test_versions_are_ordered_by_instants_as_the_mapping_says_they_are_written(open_mapped: OpenMapped) -> None:
    rules = 'latest = {key = "id", by = "upd"}\ntime = {format = "%m/%d/%Y"}'
    # As text, 12/20/2025 comes after 02/25/2026.
    assert _subscriptions(open_mapped, rules, DATED, "arr") == [("2",)]


def test_versions_are_not_ordered_by_the_letters_of_dates(open_mapped: OpenMapped) -> None:
    with pytest.raises(SignalsError, match="2 values of upd can be read neither as an instant nor as a number") as caught:
        _subscriptions(open_mapped, 'latest = {key = "id", by = "upd"}', DATED, "arr")
    assert "time = { format" in str(caught.value)


def test_a_condition_applies_after_the_latest_version(open_mapped: OpenMapped) -> None:
    rules = 'latest = {key = ["id"], by = ["v"]}\nwhere = "arr <> \'2\' -- a comment"'
    rows = _subscriptions(open_mapped, rules, VERSIONS, "arr")
    assert rows == [("3",), ("4",), ("5",)]


ORPHANS = "account_id started_at arr\nc1 2025-01-01 1\nc9 2025-03-01 2\nc9 2025-02-01 3\n- 2025-01-01 4"


@pytest.mark.parametrize(
    ("policy", "accounts", "arr", "note"),
    [
        ("add", ["c1", "c2", "c9"], ["1", "2", "3"], "accounts: 1 account added that only subscriptions has (2 rows)"),
        ("drop", ["c1", "c2"], ["1"], "subscriptions: 2 rows of 1 account left out that are not in accounts"),
        ("error", ["c1", "c2"], ["1", "2", "3", "4"], ""),
    ],
)
def test_orphans(open_mapped: OpenMapped, policy: str, accounts: list[str], arr: list[str], note: str) -> None:
    text = HEAD + f"[tables.subscriptions]\nfrom = 'terms'\norphans = '{policy}'\n"
    source = open_mapped(text, ACCOUNTS | {"crm/terms": ORPHANS})
    assert [each for (each,) in rows_of(source, "accounts", "account_id")] == accounts
    assert [each for (each,) in rows_of(source, "subscriptions", "arr")] == arr
    assert note == "" or note in source.notes
    if policy == "add":
        assert ("c9", "2025-02-01") in rows_of(source, "accounts", "account_id", "created_at")
        assert "subscriptions: 1 row without an account left out" in source.notes
    assert check_source(source).ok == (policy != "error")


def test_several_parts_of_a_table_are_united_by_name(open_mapped: OpenMapped) -> None:
    text = HEAD + """
[[tables.engagement]]
from = "calls"
constants.kind = "meeting"
[[tables.engagement]]
query = "SELECT account_id, day AS occurred_at, 'email' AS kind, 2 AS response_hours FROM mails"
"""
    files = {"crm/calls": "account_id occurred_at\nc1 2025-01-01", "crm/mails": "account_id day\nc2 2025-01-02"}
    source = open_mapped(text, ACCOUNTS | files)
    assert _fits(source)
    assert rows_of(source, "engagement", "account_id", "kind", "response_hours") == [
        ("c1", "meeting", None),
        ("c2", "email", 2),
    ]


def test_the_end_of_the_data_is_that_of_the_file(open_mapped: OpenMapped) -> None:
    rows = "account_id started_at arr\nc1 2025-01-01 1\nc1 2026-02-01 1"
    text = "data_through = 2026-01-01\n" + HEAD + "tables.subscriptions = {from = 'terms'}\n"
    source = open_mapped(text, ACCOUNTS | {"crm/terms": rows})
    assert str(source.data_through) == "2026-01-01 00:00:00+00:00"
    (finding,) = [f for f in check_source(source).findings if f.column == "started_at"]
    assert "dated after the end of the data, 2026-01-01" in str(finding)


@given(st.text(alphabet=" \t\r\nabcXYZ019-_'\"*äöéÄ", max_size=8).filter(lambda text: text != "*"))
def test_a_named_value_is_read_in_any_case_and_no_other(value: str) -> None:
    rules = TableMapping.model_validate({"query": "SELECT 1", "values": {"topic": {value: "found", "*": "other"}}})
    connection = connect_duckdb()
    for text in (value, f" {value.upper()} ", value + "x"):
        connection.con.execute("CREATE OR REPLACE TEMP TABLE rows AS SELECT CAST($1 AS VARCHAR) AS topic", [text])
        sql = converted_columns("rows", {"topic": "VARCHAR"}, rules, TABLES["support"])
        ((found,),) = connection.con.execute(sql).fetchall()
        same = text.strip(" \t\r\n").lower() == value.strip(" \t\r\n").lower()
        assert found == ("found" if same else "other")


@given(st.integers(min_value=-(10**11), max_value=10**11))
def test_cents_are_exact(cents: int) -> None:
    rules = TableMapping.model_validate({"query": "SELECT 1", "units": {"amount": "cents"}})
    connection = connect_duckdb()
    for sql_type in ("BIGINT", "VARCHAR", "DOUBLE"):
        connection.con.execute(f"CREATE OR REPLACE TEMP TABLE rows AS SELECT CAST({cents} AS {sql_type}) AS amount")
        sql = converted_columns("rows", {"amount": sql_type}, rules, TABLES["orders"])
        ((found,),) = connection.con.execute(sql).fetchall()
        assert float(found) == cents / 100


def test_an_unknown_table_of_a_pack_is_reported(open_mapped: OpenMapped) -> None:
    with pytest.raises(SignalsError, match=r"tables\.usage: no pack gives this table"):
        open_mapped(HEAD + "[tables.usage]\norphans = 'drop'\n", ACCOUNTS)


def test_the_source_names_where_each_table_comes_from(open_mapped: OpenMapped) -> None:
    text = """
    [files]
    a = "a.csv"
    b = "b.csv"
    [tables]
    accounts = "SELECT * FROM a"
    usage = "SELECT * FROM b"
    """
    files = {"a": "account_id created_at\nx 2026-01-01", "b": "account_id occurred_at\nx 2026-02-01"}
    assert open_mapped(text, files).places == {table: f"tables.{table} of the mapping" for table in ("accounts", "usage")}


@pytest.mark.parametrize(
    ("sql_type", "given", "key"),
    [
        ("DOUBLE", "1.0", "1"), ("BIGINT", "1", "1.0"), ("VARCHAR", "'1.0'", "1"), ("VARCHAR", "'1'", "1.00"),
        ("BOOLEAN", "true", "1"), ("BOOLEAN", "true", "True"), ("BOOLEAN", "false", "0"), ("VARCHAR", "' Past Due '", "past due"),
    ],
)  # fmt: skip
def test_a_key_matches_however_a_format_writes_the_value(sql_type: str, given: str, key: str) -> None:
    rules = TableMapping.model_validate({"from": "a", "values": {"status": {key: "paused", "*": ""}}})
    connection = connect_duckdb().con
    connection.execute(f"CREATE TABLE given AS SELECT CAST({given} AS {sql_type}) AS status UNION ALL SELECT NULL")
    sql = converted_columns("given", {"status": sql_type}, rules, TABLES["subscriptions"])
    assert sorted(connection.execute(sql).fetchall(), key=str) == [("paused",), (None,)]


def test_a_number_with_a_decimal_point(open_mapped: OpenMapped) -> None:
    rows = 'account_id started_at arr\nc1 2025-01-01 "1,234.5"\nc1 2025-01-02 7\nc1 2025-01-03 "1,5"'
    values = _subscriptions(open_mapped, "units.arr = ['decimal_point', 'monthly']", rows, "started_at", "arr")
    assert values == [("2025-01-01", "14814.0"), ("2025-01-02", "84.0"), ("2025-01-03", "1,5")], (
        "1,5 is no number with a decimal point, so that the check reports it"
    )


@pytest.mark.parametrize(
    ("unit", "number"),
    [("seconds", 1735689600), ("milliseconds", 1735689600000), ("microseconds", 1735689600 * 10**6), ("nanoseconds", 1735689600 * 10**9)],
)
def test_the_unit_of_instants_in_words(unit: str, number: int, open_mapped: OpenMapped) -> None:
    text = f"account_id started_at arr\nc1 {number} 7"
    values = _subscriptions(open_mapped, f"time.epoch = '{unit}'", text, "started_at", "arr")
    assert values == [("2025-01-01 00:00:00", "7")]


def test_a_number_with_a_decimal_comma(open_mapped: OpenMapped) -> None:
    rows = "account_id started_at arr\nc1 2025-01-01 1.234,5\nc1 2025-01-02 7\nc1 2025-01-03 1.5"
    path = "units.arr = ['decimal_comma', 'monthly']"
    text = rows.replace("1.234,5", '"1.234,5"')
    values = _subscriptions(open_mapped, path, text, "started_at", "arr")
    assert values == [("2025-01-01", "14814.0"), ("2025-01-02", "84.0"), ("2025-01-03", "1.5")], (
        "1.5 is no number with a decimal comma, so that the check reports it"
    )
