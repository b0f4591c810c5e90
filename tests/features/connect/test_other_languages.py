"""Values in German, French and Spanish are read where they have one meaning, and are open questions otherwise."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from features.connect.connection import Connection, connect
from features.signals.signals import open_signals


def _connect(folder: Path, **tables: list[str]) -> Connection:
    (folder / "given").mkdir()
    for name, rows in tables.items():
        (folder / "given" / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return connect([str(folder / "given")], folder / "m.toml")


def _customers(folder: Path, *contracts: str, **more: list[str]) -> Connection:
    customers = ["customer_id,created_at", *(f"A{i},2025-01-01" for i in range(1, len(contracts) + 1))]
    rows = ["contract_id,customer_id,start_date,arr,status"]
    rows += [f"K{i},A{i},2025-01-01,100,{status}" for i, status in enumerate(contracts, 1)]
    return _connect(folder, customers=customers, contracts=rows, **more)


@pytest.mark.parametrize(
    ("running", "over", "paused"),
    [
        ("aktiv", "beendet", "pausiert"),
        ("Aktiv", "Abgelaufen", "ruhend"),
        ("actif", "résilié", "suspendu"),
        ("En cours", "Expirée", "en pause"),
        ("activo", "cancelado", "pausado"),
        ("Vigente", "Finalizado", "suspendido"),
    ],
)
def test_statuses_with_one_meaning(running: str, over: str, paused: str, tmp_path: Path) -> None:
    result = _customers(tmp_path, running, running, over, paused)
    assert result.summary is not None
    assert (result.summary.accounts, result.summary.arr, result.summary.open_questions) == (3, 200.0, ())
    signals = open_signals(tmp_path / "m.toml")
    statuses = sorted(row["status"] for row in signals.tables["subscriptions"].to_pyarrow().to_pylist())
    signals.close()
    assert statuses == ["active", "active", "paused"]


@pytest.mark.parametrize("status", ["gekündigt", "vencido", "baja", "zzz"])
def test_statuses_with_two_meanings_are_questions(status: str, tmp_path: Path) -> None:
    result = _customers(tmp_path, "active", status)
    asked = tomllib.loads(result.draft)["open_questions"]
    assert [question.partition(":")[0] for question in asked] == ["subscriptions.status"]
    assert result.summary is not None
    assert result.summary.accounts == 2


def _billing(folder: Path, *statuses: str) -> tuple[Connection, list[Any]]:
    rows = ["id,customer_id,invoice_date,due_date,amount,status"]
    rows += [f"i{i},A1,2025-0{i}-01,2025-0{i}-10,100,{status}" for i, status in enumerate(statuses, 1)]
    result = _customers(folder, "active", invoices=[*rows, "i9,A1,2025-09-01,2025-09-10,100,paid"])
    signals = open_signals(folder / "m.toml")
    found = signals.tables["billing"].to_pyarrow().to_pylist()
    signals.close()
    return result, sorted((row["event_id"], row["kind"]) for row in found if "i9" not in row["event_id"])


@pytest.mark.parametrize(
    ("paid", "due", "void"), [("bezahlt", "offen", "storniert"), ("Payée", "en attente", "annulée"), ("pagado", "pendiente", "anulada")]
)
def test_statuses_of_invoices(paid: str, due: str, void: str, tmp_path: Path) -> None:
    result, events = _billing(tmp_path, paid, due, void)
    assert result.gaps == ()
    assert events == [("i1", "invoice_paid"), ("overdue-i2", "invoice_overdue")]


def test_a_status_of_an_invoice_with_two_meanings_is_asked_for(tmp_path: Path) -> None:
    result, events = _billing(tmp_path, "cancelada")
    assert [gap.partition(":")[0] for gap in result.gaps] == ["billing.kind"]
    assert "1 row of invoices with 1 value of status whose meaning is not clear" in result.gaps[0]
    assert events == [], "neither paid nor overdue"


@pytest.mark.parametrize(("yes", "no"), [("ja", "nein"), ("Oui", "Non"), ("sí", "no"), ("vrai", "faux")])
def test_yes_and_no(yes: str, no: str, tmp_path: Path) -> None:
    customers = ["customer_id,created_at,is_test", f"A1,2025-01-01,{no}", f"A2,2025-01-01,{no}", f"A3,2025-01-01,{yes}"]
    contracts = ["contract_id,customer_id,start_date,arr", *(f"K{i},A{i},2025-01-01,100" for i in (1, 2, 3))]
    tickets = ["ticket_id,customer_id,created_at,priority,escalated", f"T1,A1,2025-02-01,hoch,{yes}", f"T2,A2,2025-02-01,basse,{no}"]
    result = _connect(tmp_path, customers=customers, contracts=contracts, tickets=tickets)
    assert (result.problems, result.gaps) == ((), ())
    assert result.summary is not None
    assert result.summary.accounts == 2
    signals = open_signals(tmp_path / "m.toml")
    found = signals.tables["support"].to_pyarrow().to_pylist()
    signals.close()
    assert sorted((row["ticket_id"], row["severity"], row["escalated"]) for row in found) == [("T1", "high", True), ("T2", "low", False)]
