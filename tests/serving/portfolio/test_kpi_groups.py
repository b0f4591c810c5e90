"""Children add up to their parents to the cent for every KPI, in three currencies; products have their own KPIs."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from features.kpi.definitions import KPIS, PRODUCT_KPIS
from features.utils.periods import period_ending
from models.health.rubric import load_rubric
from serving.portfolio.kpi_report import kpi_report
from serving.portfolio.kpi_schemas import KpiBreakdown

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
RATES = [
    {"currency": c, "occurred_at": at, "rate": rate}
    for c, at, rate in (
        ("EUR", "2024-01-01", 1.0837), ("EUR", "2026-01-01", 1.1713), ("GBP", "2024-01-01", 1.2731), ("GBP", "2026-03-01", 1.3377),
    )
]  # fmt: skip
PARENTS = {"b": "a", "c": "a", "d": "b", "f": "e"}
COMPANIES = {"a": "abcd", "e": "ef"}
"""g stands alone; h is the parent of none and has left."""


def _tables() -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {n: [] for n in ("accounts", "subscriptions", "usage", "outcomes", "support", "engagement", "interventions")}
    for i, account in enumerate("abcdefgh"):
        tables["accounts"].append({"account_id": account, "created_at": "2024-02-01", "csm": account, "parent_id": PARENTS.get(account)})
        currency, amount = (None, "EUR", "GBP")[i % 3], 1000.37 + 333.33 * i
        for product, share in (("core", 1.0), ("extra", 0.271)):
            first = {"account_id": account, "started_at": "2024-02-01", "currency": currency, "product": product, "seats": 10 + i}
            first |= {"arr": round(amount * share, 2), "ended_at": f"2026-0{1 + i % 6}-01", "renewal_at": f"2026-0{1 + i % 6}-01"}
            left = account == "h" or (product == "extra" and i % 2)
            tables["subscriptions"].append(first | {"end_reason": "cancelled" if left else "renewed"})
            if not left:
                later = {"started_at": first["ended_at"], "arr": round(amount * share * (0.8 + 0.1 * i), 2), "ended_at": None}
                tables["subscriptions"].append(first | later | {"renewal_at": f"2026-0{7 + i % 3}-15", "end_reason": None})
        for day in range(1, 29):
            if day % (2 + i % 3):
                use = {"account_id": account, "occurred_at": f"2026-06-{day:02d}T09:00:00", "user_id": f"{account}{day % 5}", "minutes": 7.0}
                tables["usage"].append(use)
        tables["outcomes"] += [
            {"account_id": account, "occurred_at": f"2026-0{1 + i % 5}-10", "kind": "nps", "value": float(3 + i)},
            {"account_id": account, "occurred_at": "2026-05-11", "kind": "first_value", "value": None},
            {"account_id": account, "occurred_at": "2024-02-11", "kind": "goal_met", "value": None},
        ]
        ticket = {"account_id": account, "ticket_id": account, "occurred_at": "2026-05-01", "resolved_at": "2026-05-03"}
        tables["support"].append(ticket | {"severity": "low", "csat": float(1 + i % 5)})
        review = {"account_id": account, "occurred_at": "2026-04-04", "kind": "qbr", "outcome": "attended" if i % 2 else "no_show"}
        tables["engagement"].append(review)
        play = {"account_id": account, "occurred_at": "2026-02-01", "play": "call", "closed_at": "2026-03-01", "result": "saved"}
        tables["interventions"].append(play)
    return tables


@pytest.fixture(scope="module")
def payload(make_signals: Any) -> dict[str, Any]:
    signals = make_signals(_tables() | {"fx_rates": RATES}, "2026-07-02")
    report = kpi_report(signals, period_ending(AS_OF, "year"), load_rubric(), 90)
    KpiBreakdown.model_validate(report["by"])
    return report


def _by(payload: dict[str, Any], division: str) -> dict[Any, dict[str, Any]]:
    return {each["group"]: each for each in payload["by"][division]}


def test_every_kpi_of_a_parent_is_the_sum_of_its_children_to_the_cent(payload: dict[str, Any]) -> None:
    # Each account is the only one of its CSM, so that the groups by CSM are the accounts.
    parents, accounts = _by(payload, "parent"), _by(payload, "csm")
    assert set(parents) == {"a", "e", None}
    compared = 0
    for i, kpi in enumerate(KPIS):
        for parent, children in (*COMPANIES.items(), (None, "gh")):
            whole, parts = parents[parent]["measures"][i], [accounts[c]["measures"][i] for c in children if c in accounts]
            assert whole["measure"] == kpi.code
            for name in ("numerator", "denominator", "left_out"):
                total = math.fsum(part[name] or 0.0 for part in parts)
                # A ratio without a denominator is unknown for a child, which then has neither sum.
                if whole[name] is not None and not any(p["unknown"] and not p["left_out"] and p[name] is None for p in parts):
                    assert round(whole[name], 2) == pytest.approx(total, abs=0.005), (kpi.code, parent, name)
                    compared += 1
    assert compared > 100


def test_the_arr_of_a_parent_is_that_of_its_children(payload: dict[str, Any]) -> None:
    parents, accounts = _by(payload, "parent"), _by(payload, "csm")
    for parent, children in COMPANIES.items():
        assert parents[parent]["arr"] == pytest.approx(math.fsum(accounts[c]["arr"] for c in children), abs=1e-6)
        assert parents[parent]["accounts"] == len(children)
    # b has 1333.70 EUR; its renewal at 0.9 is 1200.33 EUR, at 1.1713 dollars.
    assert accounts["b"]["arr"] == round(1200.33 * 1.1713, 4)


def test_products_have_kpis_of_arr(payload: dict[str, Any]) -> None:
    products = _by(payload, "product")
    assert list(products) == ["core", "extra"]
    assert {m["measure"] for m in products["core"]["measures"]} == PRODUCT_KPIS
    whole = math.fsum(each["arr"] for each in payload["by"]["csm"])
    assert products["core"]["arr"] + products["extra"]["arr"] == pytest.approx(whole, abs=1e-6)
    logos = {name: next(m for m in each["measures"] if m["measure"] == "logo_retention") for name, each in products.items()}
    # Of eight accounts, h gave up the core, and b, d, f and h the extra product; whether f renews it late is not known.
    assert (logos["core"]["numerator"], logos["core"]["denominator"]) == (7.0, 8.0)
    assert (logos["extra"]["numerator"], logos["extra"]["denominator"], logos["extra"]["left_out"]) == (4.0, 7.0, 1)
