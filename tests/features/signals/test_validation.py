"""Every violation of the contract is reported with table, column, number and position of rows, never with a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import SignalsError
from features.signals.signals import read_signals
from features.signals.validation import check_source
from features.sources.base import from_tables
from features.sources.open_source import open_source

ACCOUNTS = [{"account_id": a, "created_at": "2025-01-01"} for a in ("a", "b")]
SUBSCRIPTIONS = [{"account_id": "a", "started_at": "2025-01-01", "arr": 10.0}]


def _check(to_arrow: Any, **tables: list[dict[str, Any]]) -> list[str]:
    signal_tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS} | tables
    return [str(f) for f in check_source(from_tables({n: to_arrow(n, r) for n, r in signal_tables.items()}, "a test")).errors]


def _use(**more: Any) -> dict[str, Any]:
    return {"account_id": "a", "occurred_at": "2025-02-01", **more}


def _rate(**more: Any) -> dict[str, Any]:
    return {"currency": "EUR", "occurred_at": "2025-01-01", "rate": 1.1, **more}


VIOLATIONS: list[tuple[str, list[dict[str, Any]], str]] = [
    ("usage", [_use(), _use(account_id=None)], "usage.account_id: an empty value in 1 row (row 2)"),
    ("usage", [_use(account_id="SECRET")], "usage.account_id: an account that is not in accounts in 1 row (row 1)"),
    ("usage", [_use(minutes=-1.0)], "usage.minutes: a value below 0 in 1 row (row 1)"),
    ("usage", [_use(quantity=float("inf"))], "usage.quantity: a value beyond 1e+12 in 1 row (row 1)"),
    ("subscriptions", [{"account_id": "a", "started_at": "2025-02-01", "arr": 1e300}], "subscriptions.arr: a value beyond 1e+12"),
    ("engagement", [_use(kind="SECRET")], "engagement.kind: a value outside the list"),
    ("outcomes", [_use(kind="nps", value=11.0)], "outcomes.value: a value of kind nps outside its range"),
    ("support", [_use(ticket_id="t", severity="low", csat=6.0)], "support.csat: a value above 5"),
    (
        "subscriptions",
        [{"account_id": "a", "started_at": "2025-02-01", "ended_at": "2025-01-01", "arr": 1.0}],
        "subscriptions.ended_at: an end before the start (started_at)",
    ),
    ("subscriptions", [{"account_id": "a", "started_at": "2025-02-01", "arr": -1.0}], "subscriptions.arr: a value below 0"),
    (
        "subscriptions",
        [
            {"account_id": "a", "subscription_id": s, "started_at": start, "ended_at": end, "arr": 1.0}
            for s, start, end in (
                ("SECRET", "2025-01-01", "2025-06-01"),
                ("other", "2025-01-01", None),
                ("SECRET", "2025-05-31", None),
                ("SECRET", "2024-01-01", "2025-01-01"),
                ("other", "2024-01-01", "2024-12-31"),
                (None, "2024-01-01", None),
            )
        ],
        "subscriptions.subscription_id: periods of one subscription that overlap in 2 rows (rows 1, 3)",
    ),
    ("accounts", [*ACCOUNTS, {"account_id": "a", "created_at": "2025-03-01"}], "different rows with the same key in 2 rows"),
    ("accounts", [], "accounts: no row"),
    ("pulse", [_use(sentiment=3)], "pulse.sentiment: a value above 2 in 1 row (row 1)"),
    ("pulse", [_use(sentiment=1, renewal_call="SECRET")], "pulse.renewal_call: a value outside the list"),
    ("pulse", [_use(sentiment=1, expires_at="2025-01-31")], "pulse.expires_at: an end before the start (occurred_at)"),
    ("fx_rates", [_rate(rate=0.0)], "fx_rates.rate: a value below 1e-09 in 1 row (row 1)"),
    (
        "fx_rates",
        [_rate(), _rate(), _rate(rate=1.2), _rate(currency="SECRET")],
        "fx_rates.occurred_at: different rows with the same key in 3 rows (rows 1, 2, 3); expected one row per currency and occurred_at",
    ),
]


@pytest.mark.parametrize(("table", "rows", "message"), VIOLATIONS, ids=[b[2].split(":")[0] + str(i) for i, b in enumerate(VIOLATIONS)])
def test_violations_are_reported(to_arrow: Any, table: str, rows: list[dict[str, Any]], message: str) -> None:
    findings = _check(to_arrow, **{table: rows})
    assert any(message in f for f in findings), findings
    assert not any("SECRET" in f for f in findings)


def test_valid_signals_have_no_findings(to_arrow: Any) -> None:
    assert _check(to_arrow, usage=[_use(), _use()]) == []


def test_tables_that_are_not_of_accounts_are_read(to_arrow: Any) -> None:
    rates = [_rate(), _rate(), _rate(occurred_at="2025-01-02", rate=1.2), _rate(currency="USD", rate=0.9)]
    assert _check(to_arrow, fx_rates=rates, pulse=[_use(sentiment=-2, renewal_call="at_risk", by="csm")]) == []


@pytest.mark.parametrize(
    ("table", "row", "found"),
    [
        # Orders are added up over accounts; bills are only compared with others of the same account.
        ("orders", {"amount": 10.0}, ["orders.amount: 2 rows are in 2 currencies, and amounts are added up as they are"]),
        ("billing", {"amount": 10.0, "kind": "invoice_paid"}, []),
    ],
)
def test_only_orders_have_to_be_in_one_currency(table: str, row: dict[str, Any], found: list[str], tmp_path: Path) -> None:
    lines = {"accounts": ACCOUNTS, table: [_use(**row, currency=code) for code in ("EUR", "usd")]}
    lines |= {"subscriptions": SUBSCRIPTIONS} if table == "billing" else {}
    for name, rows in lines.items():
        text = "\n".join([",".join(rows[0]), *(",".join(map(str, each.values())) for each in rows)])
        (tmp_path / f"{name}.csv").write_text(text + "\n", encoding="utf-8")
    report = check_source(open_source(tmp_path))
    assert report.ok
    assert [str(each).partition(";")[0] for each in report.findings if "currencies" in str(each)] == found


def test_only_the_first_positions_are_listed(to_arrow: Any) -> None:
    (finding,) = _check(to_arrow, usage=[_use(minutes=-1.0)] * 9)
    assert "in 9 rows (rows 1, 2, 3, 4, 5, …)" in finding


def test_a_missing_table_or_column_or_a_wrong_type(to_arrow: Any) -> None:
    source = from_tables({"accounts": to_arrow("accounts", ACCOUNTS)}, "a test")
    assert any("subscriptions: the table is missing" in str(f) for f in check_source(source).errors)
    wrong = pa.table({"account_id": ["a"], "occurred_at": [1.5], "minutes": [True]})
    bare = pa.table({"account_id": ["a"]})
    tables = {"accounts": to_arrow("accounts", ACCOUNTS), "usage": wrong, "subscriptions": bare}
    findings = [str(f) for f in check_source(from_tables(tables, "a test")).errors]
    assert any("usage.occurred_at: the type is float64; expected instant" in f for f in findings)
    assert any("usage.minutes: the type is boolean; expected float" in f for f in findings)
    assert any("subscriptions.arr: the column is missing; expected float; the table has account_id" in f for f in findings)


def test_text_is_parsed_and_unreadable_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("account_id,created_at\na,2025-01-01\n")
    (tmp_path / "subscriptions.csv").write_text(
        "account_id,started_at,arr,seats\na,2025-01-01T00:00:00+02:00,10,1.5\na,SECRET,x,2\n"
    )
    findings = [str(f) for f in check_source(open_source(tmp_path)).errors]
    assert any("subscriptions.started_at: a value that cannot be read in 1 row (row 2)" in f for f in findings)
    assert any("subscriptions.arr: a value that cannot be read in 1 row (row 2)" in f for f in findings)
    assert any("subscriptions.seats: a value that cannot be read in 1 row (row 1)" in f for f in findings)
    assert not any("SECRET" in f for f in findings)


def test_extra_columns_are_noted_and_ignored(to_arrow: Any, tmp_path: Path) -> None:
    pq.write_table(to_arrow("accounts", ACCOUNTS).append_column("mood", pa.array(["x", "y"])), tmp_path / "accounts.parquet")
    pq.write_table(to_arrow("subscriptions", SUBSCRIPTIONS), tmp_path / "subscriptions.parquet")
    report = check_source(open_source(tmp_path))
    assert report.ok
    assert "accounts: columns not in the contract are ignored: mood" in report.notes


def test_invalid_signals_are_not_read(to_arrow: Any) -> None:
    tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "usage": [_use(minutes=-1.0)]}
    source = from_tables({n: to_arrow(n, r) for n, r in tables.items()}, "a test")
    with pytest.raises(SignalsError, match="violates the data contract") as caught:
        read_signals(source)
    assert "usage.minutes" in str(caught.value)
