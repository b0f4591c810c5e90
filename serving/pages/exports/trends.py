"""Exports of the trends page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.html.exports import ExportColumn, ExportTable, PageExports
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
KPI = (ExportColumn("measure", "KPI code"), ExportColumn("title", "KPI"), ExportColumn("unit", "Unit"))


def trends_exports(shown: Shown) -> PageExports:
    """Return the exports of the trends page."""
    changes, kpis = shown["changes"], shown["kpis"]
    tables = {}
    if changes and changes["change"] is not None:
        before, now = changes["before"], changes["now"]
        rows = [
            {"part": "before", "words": f"At {changes['since'][:10]}", **_total(before)},
            *(
                {"part": name, "words": words, **changes["parts"][name]}
                for name, words in shown["part_words"].items()
                if changes["parts"][name]["accounts"]
            ),
            {"part": "now", "words": f"At {changes['as_of'][:10]}", **_total(now)},
        ]
        tables["parts"] = lambda: ExportTable("ARR at risk", PARTS, rows)
        if changes["accounts"]:
            tables["accounts"] = lambda: ExportTable("Changed accounts", CHANGED, changes["accounts"])
    if kpis:
        dates = [ExportColumn(date, date, "number", f"values.{place}") for place, date in enumerate(kpis["dates"])]
        tables["kpis"] = lambda: ExportTable("KPIs", (*KPI, *dates), kpis["measures"])
    return PageExports(tables)


def _total(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"accounts": group["accounts"], "change": group["expected_churned_arr"]}
