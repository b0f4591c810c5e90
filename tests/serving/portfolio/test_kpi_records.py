"""A KPI whose rows the source cannot record is unknown, not zero, and says what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from features.contract.schema import TABLES
from features.kpi.definitions import BY_CODE, KPIS
from features.signals.signals import OpenSignals
from features.utils.periods import period_ending
from models.health.rubric import load_rubric
from serving.portfolio.kpi_report import kpi_report

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
COUNTED = [(kpi.code, *counted) for kpi in KPIS for counted in kpi.counts]


def _tables() -> dict[str, list[dict[str, Any]]]:
    start: dict[str, Any] = {"started_at": "2024-01-01", "arr": 1200.0}
    event: dict[str, Any] = {"account_id": "a", "occurred_at": "2026-03-01"}
    first: dict[str, Any] = {"account_id": "a", "occurred_at": "2024-01-01"}
    return {
        "accounts": [{"account_id": each, "created_at": "2024-01-01"} for each in "abc"],
        "subscriptions": [
            {"account_id": "a", **start},
            {"account_id": "b", **start, "ended_at": "2026-01-01", "end_reason": "cancelled"},
            {"account_id": "c", **start, "ended_at": "2026-02-01", "end_reason": "nonpayment"},
        ],
        "outcomes": [first | {"kind": "csat", "value": 3.0}]
        + [event | {"kind": kind, "value": value} for kind, value in (("nps", 10.0), ("csat", 4.0), ("first_value", None))],
        "engagement": [first | {"kind": "qbr", "outcome": "attended"}]
        + [event | {"kind": "qbr", "outcome": outcome} for outcome in ("attended", "no_show")],
        "interventions": [
            event | {"play": "call", "closed_at": f"2026-04-0{day}", "result": result}
            for day, result in ((1, "saved"), (2, "lost"))
        ],
    }


def _kpis(signals: OpenSignals) -> dict[str, dict[str, Any]]:
    report = kpi_report(signals, period_ending(AS_OF, "year"), load_rubric(), 90)
    return {each["measure"]: each for each in report["measures"]}


@pytest.fixture(scope="module")
def signals(make_signals: Callable[..., OpenSignals]) -> OpenSignals:
    return make_signals(_tables(), "2026-07-02")


@pytest.fixture(scope="module")
def full(signals: OpenSignals) -> dict[str, dict[str, Any]]:
    """The KPIs of a source that can record everything."""
    return _kpis(signals)


def test_a_source_that_records_everything_shows_every_kpi(full: dict[str, dict[str, Any]]) -> None:
    assert {code: full[code]["value"] for code in ("nps", "qbr_completion", "save_rate", "involuntary_churn_year")} == {
        "nps": 100.0, "qbr_completion": 0.5, "save_rate": 0.5, "involuntary_churn_year": 0.5
    }  # fmt: skip


ROUNDS: list[list[tuple[str, str, str, tuple[str, ...]]]] = [
    [each for each in COUNTED if each[2] != "outcome" and each[3] != ("lost",)],
    [each for each in COUNTED if (each[2] == "outcome" and "attended" in each[3]) or each[3] == ("lost",)],
    [each for each in COUNTED if each[2] == "outcome" and not {"attended", "completed"} & set(each[3])],
    [each for each in COUNTED if each[2] == "outcome" and "attended" not in each[3] and "completed" in each[3]],
]
"""Everything that a KPI counts, in rounds with at most one reason for each KPI."""


@pytest.mark.parametrize("counted", ROUNDS)
def test_what_cannot_be_recorded_is_unknown(
    signals: OpenSignals, full: dict[str, dict[str, Any]], counted: list[tuple[str, str, str, tuple[str, ...]]]
) -> None:
    records: dict[str, dict[str, frozenset[str]]] = {"usage": {"feature": frozenset()}}
    for _, table, column, values in counted:
        every = records.setdefault(table, {}).get(column, frozenset(TABLES[table][column].values))
        records[table][column] = every - set(values)
    found = _kpis(replace(signals, records=records))
    for code, table, column, values in counted:
        assert (found[code]["value"], found[code]["last"]["value"]) == (None, None)
        assert found[code]["unknown"] == f"the source cannot record the {column} {' or '.join(values)} in {table}"
    unchanged = set(found) - {code for code, *_ in counted}
    assert {code: found[code] for code in unchanged} == {code: full[code] for code in unchanged}


def test_one_of_two_tables_is_enough(signals: OpenSignals, make_signals: Callable[..., OpenSignals]) -> None:
    ticket = {"account_id": "a", "severity": "low", "csat": 5.0}
    rated = ticket | {"ticket_id": "t", "occurred_at": "2026-03-01", "resolved_at": "2026-03-02"}
    first = ticket | {"ticket_id": "s", "occurred_at": "2024-01-01", "resolved_at": "2024-01-02"}
    only_nps = {"outcomes": {"kind": frozenset({"nps"})}}
    both = make_signals({**_tables(), "support": [first, rated], "outcomes": _tables()["outcomes"][1:2]}, "2026-07-02")
    assert _kpis(replace(both, records=only_nps))["csat"]["value"] == 5.0
    assert _kpis(replace(signals, records=only_nps))["csat"]["value"] is None


def test_without_any_reason_the_share_of_nonpayment_is_unknown(make_signals: Callable[..., OpenSignals]) -> None:
    tables = _tables()
    tables["subscriptions"] = [row | {"end_reason": None} for row in tables["subscriptions"]]
    found = _kpis(make_signals(tables, "2026-07-02"))["involuntary_churn_year"]
    assert (found["value"], found["unknown"]) == (None, "unknown for all accounts")


def test_every_counted_value_is_in_the_contract() -> None:
    for code, table, column, values in COUNTED:
        assert any(table in group for group in BY_CODE[code].needs)
        assert set(values) <= set(TABLES[table][column].values)
