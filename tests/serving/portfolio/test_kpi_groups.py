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
PARENTS = {"b": "a", "c": "a", "d": "b", "f": "e", "i": "a", "j": "a", "k": "e"}
COMPANIES = {"a": "abcdij", "e": "efk", None: "gh"}
"""The accounts of each company. g stands alone; h is the parent of none."""
LEFT = {"h": "cancelled", "i": "nonpayment", "k": "cancelled"}
"""The accounts that have left, and why; k did so in the last month that is certain."""
NEW = "j"
"""The account that came in the year."""
TABLES = ("accounts", "subscriptions", "usage", "outcomes", "support", "engagement", "interventions", "relationship")


def _tables() -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for i, account in enumerate("abcdefghijk"):
        since = "2026-03-01" if account == NEW else "2024-02-01"
        tables["accounts"].append({"account_id": account, "created_at": since, "csm": account, "parent_id": PARENTS.get(account)})
        for product, share in (("core", 1.0), ("extra", 0.271)):
            tables["subscriptions"] += _subscriptions(i, account, since, product, share)
        events = {"account_id": account}
        for day in range(1, 29):
            if day % (2 + i % 3):
                use = {"occurred_at": f"2026-06-{day:02d}T09:00:00", "user_id": f"{account}{day % 5}", "minutes": 7.0}
                tables["usage"].append(events | use | {"feature": f"f{day % (1 + i)}"})
            if day > 5 and i % 3 == 0:
                use = {"occurred_at": f"2026-06-{day:02d}T10:00:00", "user_id": f"{account}p", "minutes": 3.0}
                tables["usage"].append(events | use | {"feature": "f0"})
        tables["outcomes"] += [
            events | {"occurred_at": f"2026-0{1 + i % 5}-10", "kind": "nps", "value": float(4 + i % 7)},
            events | {"occurred_at": "2026-05-11", "kind": "first_value", "value": None},
            events | {"occurred_at": "2026-05-12", "kind": "ces", "value": float(1 + i % 7)},
            events | {"occurred_at": "2026-04-11", "kind": "goal_met" if i % 3 else "goal_missed", "value": None},
        ]
        ticket = events | {"ticket_id": account, "occurred_at": "2026-05-01", "resolved_at": "2026-05-03"}
        tables["support"].append(ticket | {"severity": "low", "csat": float(1 + i % 5)})
        later = {"ticket_id": f"{account}2", "occurred_at": "2026-06-10", "resolved_at": None, "severity": "low", "csat": None}
        tables["support"].append(events | later)
        held = "attended" if i % 2 or account == "g" else "no_show"
        tables["engagement"].append(events | {"occurred_at": "2026-04-04", "kind": "qbr", "outcome": held})
        for kind, outcome in (("call", "attended" if i else "no_show"), ("survey", "completed" if i % 3 else "ignored")):
            tables["engagement"].append(events | {"occurred_at": "2026-04-05", "kind": kind, "outcome": outcome})
        play = events | {"occurred_at": "2026-02-01", "play": "call", "closed_at": "2026-03-01", "result": "saved" if i % 4 else "lost"}
        play |= {"held_out": i % 5 == 3}
        tables["interventions"].append(play)
        tables["relationship"] += [
            events | {"occurred_at": "2026-05-01", "contact_id": f"{account}{n}", "role": "champion", "event": "joined"}
            for n in range(3 if account == "f" else i % 4)
        ]
    # All feeds begin before the accounts: what is not in them did not happen.
    first = {"account_id": "a", "occurred_at": "2024-01-31"}
    tables["usage"].append(first | {"user_id": "a1", "minutes": 7.0, "feature": "f0"})
    tables["outcomes"].append(first | {"kind": "nps", "value": 5.0})
    tables["support"].append(first | {"ticket_id": "first", "resolved_at": "2024-01-31", "severity": "low", "csat": 3.0})
    tables["engagement"].append(first | {"kind": "qbr", "outcome": "attended"})
    tables["relationship"].append(first | {"contact_id": "a9", "role": "user", "event": "joined"})
    return tables


def _subscriptions(i: int, account: str, since: str, product: str, share: float) -> list[dict[str, Any]]:
    """Return the first term, and the next one unless it was the last."""
    currency, amount = (None, "EUR", "GBP")[i % 3], 1000.37 + 333.33 * i
    # f is in a segment with business reviews.
    amount *= 20 if account == "f" else 1
    term = {"account_id": account, "started_at": since, "currency": currency, "product": product, "seats": 10 + i, "plan": "basic"}
    # The renewal of d has passed.
    renewal = "2026-06-15" if account == "d" else f"2026-0{7 + i % 3}-15"
    later = {"arr": round(amount * share * (0.8 + 0.1 * i), 2), "renewal_at": renewal, "ended_at": None, "end_reason": None}
    if account == NEW:
        return [term | later]
    ended = f"2026-0{1 + i % 6}-{10 if account == 'k' else 1:02d}"
    left = account in LEFT or (product == "extra" and i % 2)
    reason = LEFT.get(account, "cancelled") if left else "renewed"
    first = term | {"arr": round(amount * share, 2), "ended_at": ended, "renewal_at": ended, "end_reason": reason}
    # e grows by plan, g by seats, c by a further subscription, and a by price.
    grown: dict[str, Any] = {"a": {"arr": round(amount * share * 1.2, 2)}, "e": {"plan": "pro"}, "g": {"seats": 30}}.get(account, {})
    further = [term | {"started_at": "2026-03-01", "arr": 500.0}] if account == "c" and product == "core" else []
    return [first] if left else [first, term | later | {"started_at": ended} | grown, *further]


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
    assert set(parents) == set(COMPANIES)
    for i, kpi in enumerate(KPIS):
        amounts = []
        for parent, children in COMPANIES.items():
            whole, parts = parents[parent]["measures"][i], [accounts[child]["measures"][i] for child in children]
            assert whole["measure"] == kpi.code
            for name in ("numerator", "denominator", "left_out"):
                # A KPI that is unknown for a child, which did not churn or has no answers, adds nothing to its parent.
                total = math.fsum(part[name] or 0.0 for part in parts)
                if whole[name] is not None:
                    assert round(whole[name], 2) == pytest.approx(total, abs=0.005), (kpi.code, parent, name)
            if whole["numerator"] is not None:
                amounts.append(whole["numerator"])
                assert (whole["denominator"] is not None) is bool(kpi.denominator), (kpi.code, parent)
        assert any(amounts), f"{kpi.code} is known, and not zero, for one of the companies"


def test_the_arr_of_a_parent_is_that_of_its_children(payload: dict[str, Any]) -> None:
    parents, accounts = _by(payload, "parent"), _by(payload, "csm")
    for parent, children in COMPANIES.items():
        assert parents[parent]["arr"] == pytest.approx(math.fsum(accounts[c]["arr"] for c in children), abs=1e-6)
        assert parents[parent]["accounts"] == len(set(children) - set(LEFT))
    # b has 1333.70 EUR; its renewal at 0.9 is 1200.33 EUR, at 1.1713 dollars.
    assert accounts["b"]["arr"] == round(1200.33 * 1.1713, 4)


def test_products_have_kpis_of_arr(payload: dict[str, Any]) -> None:
    products = _by(payload, "product")
    assert list(products) == ["core", "extra"]
    assert {m["measure"] for m in products["core"]["measures"]} == PRODUCT_KPIS
    whole = math.fsum(each["arr"] for each in payload["by"]["csm"])
    assert products["core"]["arr"] + products["extra"]["arr"] == pytest.approx(whole, abs=1e-6)
    logos = {name: next(m for m in each["measures"] if m["measure"] == "logo_retention") for name, each in products.items()}
    # Of ten accounts, h, i and k left, and b, d and f gave up the extra product; whether f renews it late is not known.
    assert (logos["core"]["numerator"], logos["core"]["denominator"]) == (7.0, 10.0)
    assert (logos["extra"]["numerator"], logos["extra"]["denominator"], logos["extra"]["left_out"]) == (4.0, 9.0, 1)
