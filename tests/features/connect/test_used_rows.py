"""Deleted rows, tests, accounts that left and closed tickets are not read as if they were in use, and all are counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from features.connect.connection import Connection, connect
from features.connect.row_marks import RowMarks, row_marks
from features.connect.table_contents import with_separators
from features.connect.table_guesses import guess_table
from features.errors import SignalsError
from features.signals.signals import open_signals
from features.sources.base import connect_duckdb
from features.sources.open_source import open_source

ROWS = range(6)
GONE = (3, 4, 5)
FLAGS = (
    "is_deleted", "IsDeleted", "deleted", "_fivetran_deleted", "_deleted", "__deleted", "isdeleted", "soft_deleted",
    "deleted_flag", "_dlt_deleted", "record_deleted",
)  # fmt: skip
INSTANTS = ("deleted_at", "deleted_on", "_sdc_deleted_at", "_ab_cdc_deleted_at", "date_deleted", "deletion_date", "_dlt_deleted_at")


def _write(folder: Path, name: str, head: str, rows: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")


def _source(
    folder: Path, accounts: tuple[str, str] = ("", ""), contracts: tuple[str, str] = ("", ""), tickets: tuple[str, str] = ("", "")
) -> str:
    """Write six accounts with a contract and a ticket each. Each pair is a further column with its value of the last three."""

    def more(i: int, value: str) -> str:
        return value.partition("|")[0 if i in GONE else 2]

    _write(
        folder, "customers", f"customer_id,created_at,{accounts[0] or 'note'}",
        [f"A-{i:03},2025-01-01,{more(i, accounts[1])}" for i in ROWS],
    )  # fmt: skip
    _write(
        folder, "contracts", f"contract_id,customer_id,start_date,end_date,arr,{contracts[0] or 'note'}",
        [f"S{i},A-{i:03},2025-01-15,2027-01-15,{1000 * (i + 1)},{more(i, contracts[1])}" for i in ROWS],
    )  # fmt: skip
    _write(
        folder, "tickets", f"ticket_id,customer_id,created_at,solved_at,priority,{tickets[0] or 'note'}",
        [f"T{i},A-{i:03},2026-10-0{i + 1} 10:00:00,,high,{more(i, tickets[1])}" for i in ROWS],
    )  # fmt: skip
    return str(folder)


def _arr(result: Connection) -> tuple[int, float]:
    assert result.problems == ()
    assert result.summary is not None
    return result.summary.accounts, result.summary.arr


def _text(result: Connection) -> str:
    return "\n".join(fact.text for fact in result.facts)


def _marks(column: str, *values: str) -> RowMarks:
    connection = connect_duckdb()
    listed = ", ".join(f"('{value}')" for value in values)
    connection.raw_sql(f'CREATE TEMP TABLE contracts AS SELECT * FROM (VALUES {listed}) AS t("{column}")')
    return row_marks(connection, "contracts", "subscriptions", {column: "VARCHAR"}, ())


@pytest.mark.parametrize("values", [("true", "false"), ("1", "0"), ("Y", "N"), ("True", "")])
@pytest.mark.parametrize("column", FLAGS)
def test_names_of_flags(column: str, values: tuple[str, str]) -> None:
    assert _marks(column, *values) == RowMarks(deleted=(column,))


@pytest.mark.parametrize("values", [("2026-01-01", ""), ("31.01.2026", ""), ("1767225600000", ""), ("", "")])
@pytest.mark.parametrize("column", INSTANTS)
def test_names_of_instants(column: str, values: tuple[str, str]) -> None:
    marks = _marks(column, *values)
    assert (list(marks.deleted_at), marks.deleted, marks.unclear) == ([column], (), ())


@pytest.mark.parametrize("column", ["is_test", "test_account", "is_demo", "isTest", "is_sandbox"])
def test_names_of_tests(column: str) -> None:
    assert _marks(column, "true", "false") == RowMarks(tests=(column,))


@pytest.mark.parametrize("column", ["files_deleted", "deleted_by", "deleted_rows", "latest", "demo_booked_by"])
def test_other_names_say_nothing_about_the_row(column: str) -> None:
    assert _marks(column, "1", "0") == RowMarks()


def test_values_that_are_not_clear() -> None:
    assert _marks("deleted", "by Ana", "no") == RowMarks(unclear=("deleted",))


@pytest.mark.parametrize("table", ["accounts", "contracts"])
def test_rows_with_a_flag_are_left_out(table: str, tmp_path: Path) -> None:
    result = connect([_source(tmp_path, **{table: ("_fivetran_deleted", "true|false")})])
    assert _arr(result) == (3, 6000.0)
    text = _text(result)
    assert "3 rows are left out, because _fivetran_deleted says that they were deleted. When is unknown" in text


@pytest.mark.parametrize(("table", "column"), [("accounts", "deleted_at"), ("contracts", "_sdc_deleted_at")])
def test_contracts_deleted_at_an_instant_were_there_before(table: str, column: str, tmp_path: Path) -> None:
    source = _source(tmp_path / "given", **{table: (column, "2026-01-01|")})
    result = connect([source], tmp_path / "mapping.toml")
    assert _arr(result) == (3, 6000.0)
    assert column in _text(result)
    signals = open_signals(tmp_path / "mapping.toml")
    ends = signals.tables["subscriptions"].select("arr", "ended_at").to_pyarrow().to_pylist()
    signals.close()
    assert {(row["arr"], f"{row['ended_at']:%Y-%m-%d}" if row["ended_at"] else "") for row in ends} == {
        (1000.0, ""), (2000.0, ""), (3000.0, ""), (4000.0, "2026-01-01"), (5000.0, "2026-01-01"), (6000.0, "2026-01-01"),
    }  # fmt: skip


@pytest.mark.parametrize("day", ["2028-01-01", "9999-12-31"])
def test_a_deletion_in_the_future_changes_nothing_yet(day: str, tmp_path: Path) -> None:
    assert _arr(connect([_source(tmp_path, contracts=("deleted_at", f"{day}|"))]))[0] == 6


def test_a_contract_that_was_deleted_before_its_start_never_began(tmp_path: Path) -> None:
    text = _text(connect([_source(tmp_path, contracts=("deleted_at", "2025-01-15|"))]))
    assert "contracts: 3 rows are left out: deleted before the start." in text


def test_an_end_before_the_deletion_stays(tmp_path: Path) -> None:
    _source(tmp_path, contracts=("deleted_at", "2026-09-01|"))
    contracts = (tmp_path / "contracts.csv").read_text()
    (tmp_path / "contracts.csv").write_text(contracts.replace("2027-01-15", "2026-02-01"))
    result = connect([str(tmp_path)], tmp_path / "m.toml")
    assert result.problems == ()
    signals = open_signals(tmp_path / "m.toml")
    assert {f"{d:%Y-%m-%d}" for d in signals.tables["subscriptions"].ended_at.to_pyarrow().to_pylist()} == {"2026-02-01"}
    signals.close()


def test_flags_and_instants_together(tmp_path: Path) -> None:
    _source(tmp_path, contracts=("is_deleted,deleted_at", "true,2026-01-01|false,"))
    result = connect([str(tmp_path)])
    assert _arr(result) == (3, 6000.0)
    assert "left out" not in _text(result), "the instant says when"


def test_deleted_tickets_are_not_open(tmp_path: Path) -> None:
    source = _source(tmp_path / "given", tickets=("deleted_at", "2026-10-20 00:00:00|"))
    result = connect([source], tmp_path / "m.toml")
    assert result.problems == ()
    signals = open_signals(tmp_path / "m.toml")
    ends = signals.tables["support"].resolved_at.to_pyarrow().to_pylist()
    signals.close()
    assert sorted(f"{d:%Y-%m-%d}" if d else "" for d in ends) == ["", "", "", *["2026-10-20"] * 3]


def test_contracts_end_when_their_account_left(tmp_path: Path) -> None:
    result = connect([_source(tmp_path, accounts=("churned_at,is_test", "2026-02-01,false|,false"))])
    assert _arr(result) == (3, 6000.0)
    assert "churned_at of customers says when an account left: contracts end then, at the latest (3 contracts" in _text(result)


def test_accounts_that_left_on_an_unknown_day_are_a_gap(tmp_path: Path) -> None:
    result = connect([_source(tmp_path, accounts=("status", "churned|active"))])
    assert any("status of customers says that the accounts of 3 contracts have left" in gap for gap in result.gaps)


def test_closed_tickets_without_a_day_are_not_open(tmp_path: Path) -> None:
    result = connect([_source(tmp_path / "none", tickets=("status", "Closed|open"))])
    assert "status says that 3 tickets are closed, without solved_at, and no ticket has it" in _text(result)
    assert "resolved_at" not in result.draft
    _source(tmp_path / "some", tickets=("status", "closed|open"))
    tickets = (tmp_path / "some" / "tickets.csv").read_text().replace("06 10:00:00,,", "06 10:00:00,2026-10-07,")
    (tmp_path / "some" / "tickets.csv").write_text(tickets)
    result = connect([str(tmp_path / "some")])
    assert any("status says that 2 tickets are closed, without solved_at: left out" in gap for gap in result.gaps)
    assert "support: 2 rows left out (`where` is not met)." in _text(result)


def test_an_expired_contract_ends_on_its_last_day(tmp_path: Path) -> None:
    _source(tmp_path / "given", contracts=("status,cancelled_at", "expired,|active,"))
    contracts = (tmp_path / "given" / "contracts.csv").read_text()
    (tmp_path / "given" / "contracts.csv").write_text(contracts.replace("2027-01-15,6000,expired,", "2026-01-15,6000,expired,"))
    result = connect([str(tmp_path / "given")], tmp_path / "m.toml")
    assert (result.problems, result.gaps) == ((), ())
    signals = open_signals(tmp_path / "m.toml")
    ends = signals.tables["subscriptions"].ended_at.to_pyarrow().to_pylist()
    signals.close()
    assert sorted(f"{d:%Y-%m-%d}" if d else "" for d in ends) == [*[""] * 5, "2026-01-15"]


def test_columns_that_are_not_read_are_listed(tmp_path: Path) -> None:
    text = _text(connect([_source(tmp_path, contracts=("updated,owner_note", ",|,"))]))
    assert "contracts: not read: updated, owner_note." in text


@pytest.mark.parametrize("column", ["churned_at", "deleted_at", "status"])
def test_a_column_that_another_table_reads_is_not_listed(column: str, tmp_path: Path) -> None:
    values = "churned|active" if column == "status" else "2026-01-01|"
    text = _text(connect([_source(tmp_path, accounts=(column, values))]))
    assert "contracts: not read: note." in text
    assert "customers: not read" not in text


@pytest.mark.parametrize(
    ("values", "units"),
    [
        (("1,200",) * 2, None),
        (("1.200",) * 2, None),
        (("1,200.50", "1,200"), {"arr": ("decimal_point",)}),
        (("1,200,000", "1,200"), {"arr": ("decimal_point",)}),
        (("1.200,50", "1.200"), {"arr": ("decimal_comma",)}),
        (("12,5", "1,200"), {"arr": ("decimal_comma",)}),
        (("0,125", "1,000"), {"arr": ("decimal_comma",)}),
        (("1200.125", "0.125"), {}),
        (("1200", "99"), {}),
    ],
)
def test_separators_are_read_only_if_they_are_certain(
    values: tuple[str, ...], units: dict[str, tuple[str, ...]] | None
) -> None:
    connection = connect_duckdb()
    listed = ", ".join(f"('{value}')" for value in values)
    connection.raw_sql(f"CREATE TEMP TABLE contracts AS SELECT * FROM (VALUES {listed}) AS t(arr)")
    types = dict.fromkeys(("customer_id", "start_date", "arr"), "VARCHAR")
    guess = guess_table("contracts", types)
    assert guess is not None
    found, gaps = with_separators(connection, "contracts", guess, types)
    assert found.units == (units or {})
    assert [('units.arr = ["decimal_comma"] or ["decimal_point"]' in gap) for gap in gaps] == [True] * (units is None)


def _gaps(folder: Path, columns: str, *rows: str) -> str:
    _source(folder)
    _write(folder, "contracts", columns, rows)
    return "\n".join(connect([str(folder)]).gaps)


def test_running_contracts_whose_end_has_passed_are_a_gap(tmp_path: Path) -> None:
    gaps = _gaps(
        tmp_path, "contract_id,customer_id,start_date,end_date,arr,status",
        "S1,A-001,2025-01-01,2026-01-01,1000,active", "S2,A-002,2025-01-01,2026-01-01,1000,expired",
    )  # fmt: skip
    assert "subscriptions.ended_at: 1 row with a status that says that the contract runs, although end_date" in gaps


@pytest.mark.parametrize(("newest", "asks"), [("2025-12-01", False), ("2026-06-01", True)])
def test_an_end_has_passed_if_it_is_before_the_end_of_the_data(newest: str, asks: bool, tmp_path: Path) -> None:
    _source(tmp_path)
    _write(tmp_path, "events", "customer_id,user_id,timestamp,action", [f"A-001,u,{newest},open"])
    _write(tmp_path, "tickets", "ticket_id,customer_id,created_at,solved_at,priority", ["T1,A-001,2025-02-01,,high"])
    _write(
        tmp_path, "contracts", "contract_id,customer_id,start_date,end_date,arr,status",
        ["S1,A-001,2025-01-01,2026-01-01,1000,active", "S2,A-002,2025-01-01,2026-01-01,1000,expired"],
    )  # fmt: skip
    gaps = "\n".join(connect([str(tmp_path)]).gaps)
    assert ("although end_date has passed" in gaps) is asks


def test_invoices_that_count_for_nothing_and_several_currencies(tmp_path: Path) -> None:
    _write(tmp_path / "given", "customers", "customer_id,created_at", ["A1,2025-01-01", "A2,2025-01-01"])
    rows = [f"I{i},A{i % 2 + 1},2026-0{i}-01,100,{('EUR', 'USD')[i % 2]},{('paid', 'Void')[i == 4]}" for i in range(1, 7)]
    _write(tmp_path / "given", "invoices", "invoice_id,customer_id,invoice_date,amount,currency,status", rows)
    result = connect([str(tmp_path / "given")], tmp_path / "m.toml")
    assert any(gap.startswith("orders.amount: invoices has amounts in 2 currencies (invoices.currency)") for gap in result.gaps)
    assert "orders.amount: 5 rows are in 2 currencies, and amounts are added up as they are" in _text(result)
    signals = open_signals(tmp_path / "m.toml")
    assert signals.rows["orders"] == 5
    signals.close()


def test_an_incomplete_draft_has_a_skeleton_to_complete(tmp_path: Path) -> None:
    _write(tmp_path, "tenants", "tenant_ref,legal_entity,born", ["T-1,x,2025-01-01", "T-2,y,2025-01-01"])
    _write(tmp_path, "agreements", "agreement_no,tenant_ref,begins,fee", ["K1,T-1,2025-01-01,100"])
    result = connect([str(tmp_path)], tmp_path / "m.toml")
    assert '# [tables.accounts]\n# from = "test_an_incomplete' in result.draft
    assert 'columns = { account_id = "tenant_ref", created_at = "…" }' in result.draft
    assert "Columns of agreements: agreement_no, tenant_ref, begins, fee" in result.draft
    text = _text(result)
    assert "tenants is not read: it might be accounts (it lacks created_at). It shares tenant_ref with agreements." in text
    with pytest.raises(SignalsError) as error:
        open_source(tmp_path / "m.toml")
    assert error.value.cure == f"complete [tables] in {tmp_path / 'm.toml'}"
