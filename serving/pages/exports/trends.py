"""Exports of the trends page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.html.exports import ExportColumn, ExportTable, PageExports, Tables
from serving.html.portfolio_charts import kpi_trend_chart
from serving.pages.exports.columns import ACCOUNT

Shown = Mapping[str, Any]

PARTS = (
    ExportColumn("part", "Part"),
    ExportColumn("words", "Description"),
    ExportColumn("accounts", "Accounts", "whole"),
    ExportColumn("change", "Change of ARR at risk", "money"),
)
CHANGED = (
    *ACCOUNT,
    ExportColumn("kind", "Kind of change"),
    ExportColumn("change", "Change of ARR at risk", "money"),
    ExportColumn("arr_at_risk_before", "ARR at risk before", "money"),
    ExportColumn("arr_at_risk", "ARR at risk now", "money"),
    ExportColumn("churn_probability_before", "Churn risk before", "share"),
    ExportColumn("churn_probability", "Churn risk now", "share"),
    ExportColumn("arr_before", "ARR before", "money"),
    ExportColumn("arr", "ARR now", "money"),
    ExportColumn("text", "Why"),
)
PART_WORDS = {
    "probability": "Churn probability rose or fell",
    "arr": "ARR rose or fell",
    "new": "New accounts",
    "left": "Accounts that left",
    "known_now": "ARR at risk unknown before",
    "unknown_now": "ARR at risk unknown now",
}
"""The parts of the change of the ARR at risk, in words."""
KPI = (ExportColumn("measure", "KPI code"), ExportColumn("title", "KPI"), ExportColumn("unit", "Unit"))


def trends_exports(shown: Shown) -> PageExports:
    """Return the exports of the trends page."""
    changes, kpis = shown["changes"], shown["kpis"]
    tables = dict(change_tables(changes)) if changes else {}
    if changes and not changes["accounts"]:
        tables.pop("accounts", None)
    if not kpis:
        return PageExports(tables)
    charts = {"kpis": lambda: kpi_trend_chart(kpis["dates"], kpis["measures"])}
    return PageExports(tables | dict(kpi_trend_tables(kpis)), charts)


def change_tables(changes: Shown) -> Tables:
    """Return the parts of the change of the ARR at risk and the changed accounts; empty if the change is unknown.

    Parameters
    ----------
    changes : a `serving.portfolio.portfolio_changes.PortfolioChanges`.
    """
    if changes["change"] is None:
        return {}
    before, now = changes["before"], changes["now"]
    rows = [
        {"part": "before", "words": f"At {changes['since'][:10]}", **_total(before)},
        *(
            {"part": name, "words": words, **changes["parts"][name]}
            for name, words in PART_WORDS.items()
            if changes["parts"][name]["accounts"]
        ),
        {"part": "now", "words": f"At {changes['as_of'][:10]}", **_total(now)},
    ]
    return {
        "accounts": lambda: ExportTable("Changed accounts", CHANGED, changes["accounts"]),
        "parts": lambda: ExportTable("ARR at risk", PARTS, rows),
    }


def kpi_trend_tables(kpis: Shown) -> Tables:
    """Return the KPIs at every date.

    Parameters
    ----------
    kpis : a `serving.portfolio.kpi_trend.KpiTrend`.
    """
    dates = [ExportColumn(date, date, "number", f"values.{place}") for place, date in enumerate(kpis["dates"])]
    return {"kpis": lambda: ExportTable("KPIs", (*KPI, *dates), kpis["measures"])}


def _total(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"accounts": group["accounts"], "change": group["expected_churned_arr"]}
