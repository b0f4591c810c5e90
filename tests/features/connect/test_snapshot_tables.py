"""Snapshots of accounts in a tool that no pack knows are drafted as a history, and nothing is known too early."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pandas as pd
import pytest

from features.connect.connection import Connection, connect
from features.connect.snapshot_tables import snapshots_column
from features.signals.signals import open_signals

MONTHS = [f"2025-{month:02d}" for month in range(1, 13)]
ACCOUNTS = 6


def _amount(account: int, month: int) -> int | None:
    """The MRR of an account: account 1 grows in June, account 2 leaves in September, account 3 comes in April."""
    if (account == 2 and month >= 9) or (account == 3 and month < 4):
        return None
    return 150 if account == 1 and month >= 6 else 100


def _rows(date: str = "{month}-01", scale: int = 1) -> list[str]:
    return [
        f"cus{account:03},{date.format(month=month)},{amount * scale},active"
        for i, month in enumerate(MONTHS, 1)
        for account in range(ACCOUNTS)
        if (amount := _amount(account, i)) is not None
    ]


CUSTOMERS = "id,name,signup_date\n" + "".join(f"cus{i:03},SECRET {i},2023-0{i + 1}-01\n" for i in range(ACCOUNTS))


def _connect(folder: Path, **tables: str) -> Connection:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return connect([str(folder)], folder.parent / f"{folder.name}.toml", force=True)


def _table(head: str, rows: list[str]) -> str:
    return "\n".join([head, *rows]) + "\n"


def _terms(folder: Path) -> pd.DataFrame:
    opened = open_signals(folder.parent / f"{folder.name}.toml")
    frame = opened.tables["subscriptions"].to_pyarrow().to_pandas().sort_values(["account_id", "started_at"])
    opened.close()
    return frame


def _facts(result: Connection) -> str:
    return "\n".join(f"{fact.about}: {fact.text}" for fact in result.facts)


def test_monthly_amounts_are_drafted_as_snapshots(tmp_path: Path) -> None:
    result = _connect(tmp_path / "own", customers=CUSTOMERS, mrr_by_month=_table("customer_id,month,mrr,status", _rows()))
    assert (result.gaps, result.problems) == ((), ())
    mapping = tomllib.loads(result.draft)
    assert mapping["sources"]["own"]["pack"] == "snapshots"
    assert mapping["sources"]["own"]["options"] == {"table": "mrr_by_month"}
    assert mapping["tables"]["accounts"] == {
        "from": "own.customers", "append": True, "columns": {"account_id": "id", "created_at": "signup_date"},
    }  # fmt: skip
    facts = _facts(result)
    assert "Its other tables: customers as accounts." in facts
    assert "12 snapshots, from 2025-01-31 to 2025-12-31" in facts
    assert "65 rows with a month instead of a date: what it shows is known at the end of the month" in facts
    assert "SECRET" not in facts + result.draft
    assert result.summary is not None
    # Five accounts remain; one of them pays 150 a month.
    assert (result.summary.accounts, result.summary.arr) == (5, 12 * 550)
    assert f"{result.summary.as_of:%Y-%m-%d}" == "2025-12-31"


def test_what_a_month_shows_is_known_at_its_end(tmp_path: Path) -> None:
    _connect(tmp_path / "own", mrr_by_month=_table("customer_id,month,mrr,status", _rows()))
    terms = _terms(tmp_path / "own")
    grown = terms[(terms.account_id == "cus001") & terms.arr.notna()]
    assert list(zip(grown.started_at.dt.strftime("%Y-%m-%d"), grown.arr, strict=True)) == [("2025-01-31", 1200), ("2025-06-30", 1800)]
    assert list(terms[terms.account_id == "cus002"].ended_at.dt.strftime("%Y-%m-%d"))[-1] == "2025-09-30"
    assert terms[terms.account_id == "cus003"].started_at.min() == pd.Timestamp("2025-04-30")


@pytest.mark.parametrize(
    ("head", "date", "scale", "options"),
    [
        ("account_id,snapshot_date,mrr,status", "{month}-28", 1, {}),
        ("account_id,as_of,mrr_cents,status", "{month}-28", 100, {"mrr_column": "mrr_cents"}),
        ("Customer,Month,monthly_amount,Status", "{month}", 1, {"account_column": "Customer", "mrr_column": "monthly_amount"}),
        ("org_id,Snapshot Month,arr,status", "{month}-01", 12, {"account_column": "org_id", "month_column": "Snapshot Month"}),
    ],
)  # fmt: skip
def test_columns_may_have_other_names(tmp_path: Path, head: str, date: str, scale: int, options: dict[str, str]) -> None:
    result = _connect(tmp_path / "own", revenue=_table(head, _rows(date, scale)))
    assert tomllib.loads(result.draft)["sources"]["own"]["options"] == {"table": "revenue", **options}
    assert result.summary is not None
    assert (result.summary.accounts, result.summary.arr) == (5, 12 * 550)
    # No state of a month is known before its end.
    starts = _terms(tmp_path / "own").started_at
    assert starts[starts > pd.Timestamp("2025-02-01")].dt.day.min() >= 28


def test_cents_are_a_rule_of_the_mapping(tmp_path: Path) -> None:
    table = _table("account_id,as_of,mrr_cents,status", _rows("{month}-28", 100))
    mapping = tomllib.loads(_connect(tmp_path / "own", revenue=table).draft)
    assert mapping["tables"]["subscriptions"] == {"units": {"arr": ["cents"]}}
    expanded = connect([str(tmp_path / "own")], expand=True)
    assert expanded.summary is not None
    assert expanded.summary.arr == 12 * 550


def test_contracts_go_before_snapshots(tmp_path: Path) -> None:
    contracts = "customer_id,start_date,arr\n" + "".join(f"cus{i:03},2024-01-01,100\n" for i in range(ACCOUNTS))
    tables = {"customers": CUSTOMERS, "contracts": contracts, "mrr_by_month": _table("customer_id,month,mrr,status", _rows())}
    result = _connect(tmp_path / "own", **tables)
    assert "pack" not in tomllib.loads(result.draft)["sources"]["own"]
    assert result.summary is not None
    assert result.summary.arr == ACCOUNTS * 100
    assert 'mrr_by_month is not read: it might be snapshots of accounts at several dates (pack = "snapshots"' in _facts(result)


@pytest.mark.parametrize(
    "rows",
    [
        # The month in which each account was won: no account has several.
        [f"cus{i:03},2025-{i + 1:02d}-01,100,active" for i in range(ACCOUNTS)],
        # Changes: each account has its own dates.
        [f"cus{i:03},2025-{month:02d}-{3 * i + 1:02d},{100 + month},active" for i in range(ACCOUNTS) for month in (1, 5, 9)],
        # Dates that cannot be read.
        [row.replace("2025-", "FY25 P") for row in _rows("{month}")],
    ],
)  # fmt: skip
def test_rows_that_are_no_snapshots_are_not_read_as_such(tmp_path: Path, rows: list[str]) -> None:
    result = _connect(tmp_path / "own", customers=CUSTOMERS, mrr_by_month=_table("customer_id,month,mrr,status", rows))
    assert "pack" not in tomllib.loads(result.draft)["sources"]["own"]


def test_the_start_of_a_contract_is_no_date_of_a_snapshot() -> None:
    assert snapshots_column(dict.fromkeys(("account_id", "valid_from", "valid_to", "arr"), "VARCHAR")) is None
    assert snapshots_column(dict.fromkeys(("account_id", "Month", "mrr"), "VARCHAR")) == "Month"
    assert snapshots_column(dict.fromkeys(("account_id", "month", "amount"), "VARCHAR")) is None
