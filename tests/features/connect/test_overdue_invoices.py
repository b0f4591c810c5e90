"""Invoices with a due date are also drafted as overdue ones, each known on the day after its due date."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.connect.connection import connect
from features.signals.signals import open_signals

HEAD = "id,customer_id,invoice_date,due_date,{paid}amount,status\n"


def _events(folder: Path, head: str, rows: list[str]) -> list[tuple[str, str, str]]:
    given = folder / "given"
    given.mkdir()
    (given / "customers.csv").write_text("customer_id,created_at\nc,2025-01-01\n")
    (given / "contracts.csv").write_text("id,customer_id,start_date,arr\ns,c,2025-01-01,1\n")
    (given / "invoices.csv").write_text(head + "\n".join(rows) + "\n")
    result = connect([str(given)], folder / "m.toml")
    assert (result.problems, result.gaps) == ((), ())
    signals = open_signals(folder / "m.toml")
    found = signals.tables["billing"].to_pyarrow().to_pylist()
    signals.close()
    return sorted((row["event_id"], row["kind"], f"{row['occurred_at']:%Y-%m-%d}") for row in found)


def test_invoices_that_were_paid_late_or_not_at_all(tmp_path: Path) -> None:
    rows = [
        "i1,c,2025-01-01,2025-01-31,2025-01-31,100,paid",
        "i2,c,2025-02-01,2025-02-28,2025-03-20,100,paid",
        "i3,c,2025-03-01,2025-03-31,,100,open",
        "i4,c,2025-03-01,2025-03-31,,100,void",
        # The table ends before it is due.
        "i5,c,2025-04-10,2025-05-10,,100,open",
    ]
    assert _events(tmp_path, HEAD.format(paid="paid_at,"), rows) == [
        ("i1", "invoice_paid", "2025-01-31"),
        ("i2", "invoice_paid", "2025-03-20"),
        ("overdue-i2", "invoice_overdue", "2025-03-01"),
        ("overdue-i3", "invoice_overdue", "2025-04-01"),
    ]


def test_without_a_day_of_payment_the_status_decides(tmp_path: Path) -> None:
    rows = ["i1,c,2025-01-01,2025-01-31,100,Paid", "i2,c,2025-02-01,2025-02-10,100,open", "i3,c,2025-03-01,2025-03-31,100,open"]
    assert _events(tmp_path, HEAD.format(paid=""), rows) == [
        ("i1", "invoice_paid", "2025-01-01"),
        ("overdue-i2", "invoice_overdue", "2025-02-11"),
    ]


@pytest.mark.parametrize(("time", "overdue"), [("timestamp", ["i2"]), ("when", [])])
def test_the_clock_does_not_say_how_far_a_table_reaches(time: str, overdue: list[str], tmp_path: Path) -> None:
    """Without a column that is known to say it, no invoice is drafted as overdue."""
    rows = ["i1,c,2025-01-01,2025-01-31,100,paid", "i2,c,2025-01-01,2025-01-31,100,open", "i3,c,2025-03-01,2025-03-31,100,paid"]
    found = _events(tmp_path, HEAD.format(paid="").replace("invoice_date", time), rows)
    assert [event for event, kind, _ in found if kind == "invoice_overdue"] == [f"overdue-{each}" for each in overdue]


@pytest.mark.parametrize(
    ("later", "hidden"), [("2025-03-01,2025-03-20,2025-03-15,100,paid", True), ("2025-03-01,2025-03-20,,100,open", False)]
)
def test_accounts_that_paid_another_invoice_since_are_counted(later: str, hidden: bool, tmp_path: Path) -> None:
    rows = ["i1,c,2025-01-01,2025-01-31,,100,open", f"i2,c,{later}", "i3,c,2025-04-01,2025-04-30,,100,void"]
    _events(tmp_path, HEAD.format(paid="paid_at,"), rows)
    facts = [fact.text for fact in connect([str(tmp_path / "given")]).facts if "which invoice a payment is for" in fact.text]
    assert [fact[: fact.index(":")] for fact in facts] == (
        ["1 account with an unpaid overdue invoice and a later payment of another one"] if hidden else []
    )
