"""Accounts without a day of creation begin with their first contract, which the draft says."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.connect.connection import Connection, connect
from features.signals.signals import open_signals

CUSTOMERS = "id,company,country\nA1,One,FR\nA2,Two,FR\nA3,Three,DE\n"
CONTRACTS = "contract_id,customer_id,start_date,arr\nk1,A1,{0},100\nk0,A1,{1},90\nk2,A2,{2},30\n"
ORDERS = "order_id,customer_id,order_date,amount\no1,A1,{0},100\no0,A1,{1},90\no2,A2,{2},30\n"
TICKETS = "ticket_id,customer_id,created_at,priority\nt1,A1,2025-03-01,high\nt2,A3,2025-03-01,high\n"
ISO, GERMAN = ("2025-03-31", "2024-02-01", "2025-01-20"), ("31.03.2025", "01.02.2024", "20.01.2025")


def _connect(folder: Path, **tables: str) -> Connection:
    (folder / "given").mkdir()
    for name, text in tables.items():
        (folder / "given" / f"{name}.csv").write_text(text)
    return connect([str(folder / "given")], folder / "m.toml")


def _creations(folder: Path) -> dict[str, str]:
    signals = open_signals(folder / "m.toml")
    rows = signals.tables["accounts"].to_pyarrow().to_pylist()
    signals.close()
    return {row["account_id"]: f"{row['created_at']:%Y-%m-%d}" for row in rows}


@pytest.mark.parametrize("days", [ISO, GERMAN])
@pytest.mark.parametrize(("name", "text"), [("contracts", CONTRACTS), ("orders", ORDERS)])
def test_an_account_begins_with_its_first_contract(name: str, text: str, days: tuple[str, ...], tmp_path: Path) -> None:
    result = _connect(tmp_path, customers=CUSTOMERS, tickets=TICKETS, **{name: text.format(*days)})
    assert (result.problems, result.gaps) == ((), ())
    assert _creations(tmp_path) == {"A1": "2024-02-01", "A2": "2025-01-20"}
    facts = [fact.text for fact in result.facts]
    assert any(
        text.startswith("No column of customers says when an account began: it begins with its first row of " + name)
        and text.endswith("and 1 account without one is left out.")
        for text in facts
    )
    assert "support: 1 row of 1 account left out that are not in accounts." in facts


def test_a_day_of_creation_counts_more(tmp_path: Path) -> None:
    customers = CUSTOMERS.replace("country", "created_at").replace("FR", "2020-01-01").replace("DE", "2020-01-01")
    _connect(tmp_path, customers=customers, contracts=CONTRACTS.format(*ISO))
    assert set(_creations(tmp_path).values()) == {"2020-01-01"}


def test_without_contracts_the_creation_is_missing(tmp_path: Path) -> None:
    result = _connect(tmp_path, customers=CUSTOMERS, tickets=TICKETS)
    assert "accounts.created_at: no column of source.customers looks like it" in result.gaps
