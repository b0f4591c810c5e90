"""Contracts are in the currency of their column, or of their account; the draft says which, and needs rates."""

from __future__ import annotations

from pathlib import Path

from features.connect.connection import Connection, connect

CLIENTS = "client_id,company,since,ccy\nc1,One,2025-01-01,EUR\nc2,Two,2025-01-01,USD\nc3,Three,2025-01-01,\n"
CONTRACTS = "id,client_id,start_date,arr\nk1,c1,2025-02-01,100\nk2,c2,2025-02-01,100\n"
RATES = "currency,rate_date,rate\nEUR,2025-01-01,1\nUSD,2025-01-01,0.5\n"


def _connect(folder: Path, **tables: str) -> Connection:
    (folder / "given").mkdir()
    for name, text in tables.items():
        (folder / "given" / f"{name}.csv").write_text(text)
    return connect([str(folder / "given")], folder / "mapping.toml")


def _notes(result: Connection) -> str:
    return "\n".join(fact.text for fact in result.facts)


def test_the_currency_of_an_account_is_that_of_its_contracts(tmp_path: Path) -> None:
    result = _connect(tmp_path, clients=CLIENTS, contracts=CONTRACTS, fx_rates=RATES)
    assert result.summary is not None
    assert result.summary.line == "2 active accounts, ARR 150, renewal dates unknown"
    expected = "contracts: the currency of a contract is that of its account, ccy of clients (2 of 2 rows have one)."
    assert expected in _notes(result)
    assert "not read" not in _notes(result), "the currency is read, though not as a column of accounts"


def test_a_currency_without_a_rate_is_to_be_corrected(tmp_path: Path) -> None:
    result = _connect(tmp_path, clients=CLIENTS, contracts=CONTRACTS)
    assert result.summary is None
    assert "subscriptions.currency: a currency without a rate of exchange" in "\n".join(result.problems)


def test_a_column_of_the_contracts_counts_more_than_that_of_the_accounts(tmp_path: Path) -> None:
    own = CONTRACTS.replace("arr", "arr,ccy").replace("100", "100,USD", 1).replace("100\n", "100,EUR\n")
    result = _connect(tmp_path, clients=CLIENTS, contracts=own, fx_rates=RATES)
    assert "currency = \"ccy\"" in result.draft
    assert "account_currency" not in result.draft
    assert result.summary is not None
    assert result.summary.line.startswith("2 active accounts, ARR 150,")


def test_an_account_with_two_currencies_has_none(tmp_path: Path) -> None:
    twice = CLIENTS + "c1,One,2025-01-01,USD\n"
    result = _connect(tmp_path, clients=twice, contracts=CONTRACTS, fx_rates=RATES)
    assert "ccy of clients (1 of 2 rows have one)." in _notes(result)


def test_orders_in_one_currency_are_certain(tmp_path: Path) -> None:
    orders = "order_id,client_id,order_date,amount,currency\n" + "".join(f"o{i},c{i % 2 + 1},2025-0{i + 1}-01,100,JPY\n" for i in range(6))
    result = _connect(tmp_path, clients=CLIENTS.replace(",EUR", ",JPY").replace(",USD", ",JPY"), orders=orders)
    assert not any("currencies" in gap for gap in result.gaps)
