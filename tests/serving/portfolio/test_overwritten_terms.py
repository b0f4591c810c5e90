"""KPIs that depend on overwritten terms are unknown, not computed from the few known accounts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from features.signals.signals import OpenSignals
from features.utils.periods import period_ending
from models.health.rubric import load_rubric
from serving.portfolio.kpi_report import kpi_report

PERIOD = period_ending(datetime(2024, 12, 1, tzinfo=UTC), "180d")


def portfolio(make: Callable[..., OpenSignals], overwritten: int) -> OpenSignals:
    """Return 101 accounts. The given number have renewed since then in the same row; one of the others has churned."""
    names = [f"a{i}" for i in range(101)]
    rows: list[dict[str, Any]] = []
    for i, name in enumerate(names):
        row = {"account_id": name, "started_at": "2024-03-01", "arr": 100.0}
        if i < overwritten:
            row |= {"term_started_at": "2025-03-01", "arr": 1000.0}
        elif i == overwritten:
            row |= {"ended_at": "2024-08-01", "end_reason": "cancelled"}
        rows.append(row)
    accounts = [{"account_id": name, "created_at": "2024-01-01", "csm": "c" if name < "a5" else "d"} for name in names]
    return make({"accounts": accounts, "subscriptions": rows}, "2026-12-01")


@pytest.mark.parametrize("overwritten", [0, 1])
def test_a_few_overwritten_accounts_are_left_out_and_counted(make_signals: Callable[..., OpenSignals], overwritten: int) -> None:
    signals = portfolio(make_signals, overwritten)
    by = {m["measure"]: m for m in kpi_report(signals, PERIOD, load_rubric(), 90)["measures"]}
    whole = 100.0 * (101 - overwritten)
    for code, stored in (("nrr", whole - 100.0), ("grr", whole - 100.0), ("expansion_rate", 0.0)):
        payload = [by[code][name] for name in ("numerator", "denominator", "left_out", "unknown")]
        assert payload == [stored, whole, overwritten, None]


def test_many_overwritten_accounts_make_a_kpi_unknown(make_signals: Callable[..., OpenSignals]) -> None:
    signals = portfolio(make_signals, 2)
    payload = kpi_report(signals, PERIOD, load_rubric(), 90)
    by = {m["measure"]: m for m in payload["measures"]}
    why = "the terms of 2 of 101 accounts are unknown at the start: the source overwrites them"
    for code in ("nrr", "grr", "expansion_rate"):
        assert (by[code]["value"], by[code]["unknown"], by[code]["left_out"]) == (None, why, 2)
    assert (by["logo_retention"]["value"], by["logo_retention"]["unknown"]) == (100 / 101, None)
    later = "the terms of 2 of 100 accounts are unknown at that date: the source overwrites them"
    assert by["renewals_due"]["unknown"] == later


def test_groups_with_known_terms_have_kpis_and_segments_do_not(make_signals: Callable[..., OpenSignals]) -> None:
    by = kpi_report(portfolio(make_signals, 2), PERIOD, load_rubric(), 90)["by"]
    csm = {g["group"]: {m["measure"]: m for m in g["measures"]} for g in by["csm"]}
    assert csm["d"]["nrr"]["value"] == 1.0
    assert csm["c"]["nrr"]["unknown"] == "the terms of 2 of 46 accounts are unknown at the start: the source overwrites them"
    for group in by["segment"]:
        measures = {m["measure"]: m for m in group["measures"]}
        assert measures["nrr"]["value"] is None
        assert measures["logo_retention"]["unknown"].startswith("the terms of 2 of 101 accounts are unknown at the start")
