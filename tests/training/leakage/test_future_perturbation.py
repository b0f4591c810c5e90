"""Perturbed sources have the same past and another future, satisfy the contract, and depend only on the seed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.contract.schema import TABLES
from features.signals.signals import read_signals
from features.signals.validation import check_source
from features.sources.base import from_tables
from training.leakage.account_sample import ContractTables, sampled_tables
from training.leakage.future_perturbation import drop_future, known_us, perturb_future, repeat_rows
from training.leakage.synthetic_rows import FUTURE_ACCOUNTS, micros

AS_OF, DAY = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
AT = micros(AS_OF)
MADE = {
    "usage": {"user_id": "u", "quantity": 2.0},
    "engagement": {"kind": "meeting"},
    "support": {"ticket_id": "t", "severity": "low"},
    "outcomes": {"kind": "nps", "value": 7.0},
    "relationship": {"contact_id": "c", "role": "admin", "event": "joined"},
    "billing": {"kind": "invoice_paid", "amount": 5.0},
    "company": {"kind": "hiring"},
    "interventions": {"play": "call"},
    "orders": {"amount": -3.0},
    "pulse": {"sentiment": 1},
}


@pytest.fixture(scope="module")
def tables(to_arrow: Any) -> ContractTables:
    """Every table of the contract, with rows on both sides of the date, late ones and open ones."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for i in range(6):
        account = f"a{i}"
        rows["accounts"].append({"account_id": account, "created_at": "2025-01-01", "industry": "x", "employees": 9})
        for day, end in ((-300, -20), (-200, 30), (-90, None), (40, 90)):
            row = {"account_id": account, "started_at": _on(day + i), "arr": 100.0, "seats": 3}
            rows["subscriptions"].append(row | ({"ended_at": _on(end + i), "end_reason": "cancelled"} if end else {}))
        for name, values in MADE.items():
            for day in range(-90 + i, 60, 9):
                row = {"account_id": account, "occurred_at": _on(day)} | values
                if name == "support":
                    row |= {"ticket_id": f"{i} {day}"} | ({"resolved_at": _on(day + 20), "csat": 4.0} if day % 2 else {})
                if "loaded_at" in TABLES[name].names and day % 4 == 0:
                    row["loaded_at"] = _on(day + 12)
                rows[name].append(row)
    rows["fx_rates"] = [{"currency": "EUR", "occurred_at": _on(day), "rate": 1.1} for day in range(-300, 60, 20)]
    signals = read_signals(from_tables({n: to_arrow(n, r) for n, r in rows.items()}, "a test"))
    return sampled_tables(signals, [f"a{i}" for i in range(6)])


def _on(day: int) -> str:
    return (AS_OF + day * DAY).isoformat()


def _past(name: str, table: pa.Table) -> Counter[tuple[Any, ...]]:
    """What was known before the date: each event with what had been filled in by then, once."""
    contract = TABLES[name]
    changed: set[tuple[Any, ...]] = set()
    for row, available in zip(table.to_pylist(), known_us(contract, table), strict=True):
        if available < AT:
            later = {c.name: c.known_from for c in contract.columns if c.known_from is not None}
            ends = {end: row[end] is not None and row[end].replace(tzinfo=UTC) < AS_OF for end in later.values()}
            changed.add(tuple(v if c not in later or ends[later[c]] else None for c, v in row.items()))
    return Counter(changed)


@pytest.mark.parametrize("name", [n for n, table in TABLES.items() if n != "accounts" and table.of_accounts])
def test_only_the_future_changes(tables: ContractTables, name: str) -> None:
    contract, other = TABLES[name], perturb_future(tables, AS_OF)[name]
    assert _past(name, other) == _past(name, tables[name]) == _past(name, drop_future(tables, AS_OF)[name])
    assert len(_past(name, other)) > 15
    happened = _us(other, contract.at)
    assert (happened >= AT).sum() > 500
    assert (happened == AT).sum() > 20
    assert {*FUTURE_ACCOUNTS} <= {*other["account_id"].to_pylist()}
    future = {tuple(row.items()) for row, at in zip(tables[name].to_pylist(), _us(tables[name], contract.at), strict=True) if at >= AT}
    assert future
    assert not future <= {tuple(row.items()) for row in other.to_pylist()}


def test_rates_known_before_the_date_stay_and_the_later_ones_change(tables: ContractTables) -> None:
    rates, other = tables["fx_rates"], perturb_future(tables, AS_OF)["fx_rates"]
    assert _past("fx_rates", other) == _past("fx_rates", rates) == _past("fx_rates", drop_future(tables, AS_OF)["fx_rates"])
    later = {row["occurred_at"]: row["rate"] for row in other.to_pylist() if row["occurred_at"].replace(tzinfo=UTC) >= AS_OF}
    assert later
    assert 1.1 not in later.values()


@pytest.mark.parametrize("name", [n for n, t in TABLES.items() if "loaded_at" in t.names])
def test_backdated_rows_lie_before_and_after_the_start_of_the_feed(tables: ContractTables, name: str) -> None:
    other = perturb_future(tables, AS_OF)[name]
    at, loaded = _us(other, "occurred_at"), _us(other, "loaded_at")
    late = (at < AT) & (loaded >= AT)
    assert late.sum() > 500
    assert (late & (loaded == AT)).sum() > 20
    assert (late & (at < _us(tables[name], "occurred_at").min())).any()
    assert (late & (at == AT - 1)).any()


@pytest.mark.parametrize(("name", "end", "value"), [("subscriptions", "ended_at", "end_reason"), ("support", "resolved_at", "csat"), ("interventions", "closed_at", "result")])
def test_open_intervals_get_other_ends(tables: ContractTables, name: str, end: str, value: str) -> None:
    other = perturb_future(tables, AS_OF)[name]
    before = other.filter(pa.array(known_us(TABLES[name], other) < AT))
    ends = _us(before, end)
    assert (ends >= AT).any()
    assert before.filter(pa.array(ends >= AT))[value].drop_null().length() > 0
    assert before[end].null_count > 0
    if name == "support":
        learnt = other.filter(pa.array(known_us(TABLES[name], other) >= AT))
        assert ((_us(learnt, end) < AT) & (_us(learnt, end) >= 0)).any()


@pytest.mark.slow
def test_an_altered_source_satisfies_the_contract(tables: ContractTables) -> None:
    for altered in (perturb_future(tables, AS_OF), drop_future(tables, AS_OF), repeat_rows(tables)):
        assert check_source(from_tables(altered, "a test")).errors == ()


def test_drop_future_removes_the_future(tables: ContractTables) -> None:
    cut = drop_future(tables, AS_OF)
    for name, table in cut.items():
        assert len(table) > 0
        for column in TABLES[name].columns:
            if column.kind == "instant" and column.name != "renewal_at":
                assert (_us(table, column.name) < AT).all()
    assert cut["accounts"] == tables["accounts"]
    assert len(cut["usage"]) < len(tables["usage"])


def test_repeat_rows_repeats_a_third_and_shuffles(tables: ContractTables) -> None:
    again = repeat_rows(tables)
    for name, table in tables.items():
        # Two subscriptions that read the same are two.
        more = 0 if name == "subscriptions" else -(-len(table) // 3)
        assert len(again[name]) == len(table) + more
        assert again[name].slice(0, len(table)) != table
        columns = [c for c in table.column_names if c != "loaded_at"]
        rows = ({tuple(row.values()) for row in t.select(columns).to_pylist()} for t in (table, again[name]))
        assert next(rows) == next(rows)


def test_rows_depend_on_the_seed(tables: ContractTables) -> None:
    one, same, other = (perturb_future(tables, AS_OF, seed) for seed in (1, 1, 2))
    assert one == same
    assert all(one[name] != other[name] for name in tables if name != "accounts")


def test_empty_tables_get_rows_too(tables: ContractTables) -> None:
    empty = tables | {"company": tables["company"].slice(0, 0)}
    assert len(perturb_future(empty, AS_OF)["company"]) > 1_000
    assert len(drop_future(empty, AS_OF)["company"]) == 0


def _us(table: pa.Table, column: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Microseconds since 1970, -1 for none."""
    return np.array([-1 if v is None else micros(v.replace(tzinfo=UTC)) for v in table[column].to_pylist()])
