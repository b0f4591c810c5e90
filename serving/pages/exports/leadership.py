"""Exports of the leadership page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from features.kpi.arr_bridge import AMOUNTS
from serving.html.exports import ExportColumn, ExportTable, PageExports, Tables
from serving.html.portfolio_charts import csm_load_chart
from serving.leadership.arr_bridge import STEP_WORDS
from serving.pages.exports.columns import ARR, range_columns
from serving.pages.exports.lists import COUNT, kpis_table
from serving.pages.filter_bar import LABELS

Shown = Mapping[str, Any]

FIGURES = (
    ExportColumn("figure", "Renewals due"),
    *range_columns("value", "Expected", "number"),
)
FORECAST_WORDS = {
    "renewed_arr": "Renewed ARR",
    "lost_arr": "Lost ARR",
    "contracted_arr": "Contracted ARR",
    "expanded_arr": "Expanded ARR",
    "grr": "GRR of ARR due",
    "nrr": "NRR of ARR due",
}
"""The figures of the renewals that are due, in words."""
CAPACITY = (
    ExportColumn("segment", "Segment"),
    COUNT,
    ARR,
    ExportColumn("without_csm", "Without a CSM", "whole"),
    ExportColumn("csms", "CSMs", "whole"),
    ExportColumn("accounts_per_csm", "Accounts per CSM", "points"),
    ExportColumn("ratio", "Allowed per CSM", "whole"),
    ExportColumn("csms_needed", "CSMs needed", "points"),
)
ECONOMICS = (
    ExportColumn("segment", "Segment", "text", lambda row: row["segment"] or "Total"),
    COUNT,
    ARR,
    ExportColumn("lifetime_years", "Mean years", "points"),
    ExportColumn("lifetime_value", "Lifetime value", "money"),
    ExportColumn("acquisition_cost", "Acquisition cost", "money"),
    ExportColumn("cost_accounts", "Accounts with a cost", "whole"),
    ExportColumn("ltv_to_cac", "LTV:CAC", "number"),
    ExportColumn("acquired_accounts", "Acquired accounts", "whole"),
    ExportColumn("payback_months", "Payback, months", "number"),
    ExportColumn("payback_unknown", "Why the payback is unknown"),
)


def leadership_exports(shown: Shown) -> PageExports:
    """Return the exports of the leadership page."""
    report = shown["exported"]
    if report is None:
        return PageExports()
    return PageExports(
        leadership_tables(report),
        {"bridge": lambda: shown["chart"], "csms": lambda: csm_load_chart(report["capacity"]["by_csm"])},
        {("leadership", "pptx"): shown["presentation"]},
    )


def leadership_tables(report: Shown) -> Tables:
    """Return the tables of the leadership report. Those of unknown figures are absent.

    Parameters
    ----------
    report : a `serving.leadership.schemas.Leadership`.
    """
    by, capacity, economics = report["by"], report["capacity"], report["economics"]
    tables = {
        "kpis": lambda: kpis_table(report["retention"]),
        "groups": lambda: _groups(LABELS[by], report["groups"], by == "parent"),
        "capacity": lambda: ExportTable("Accounts per CSM", CAPACITY, capacity["by_segment"]),
        "economics": lambda: ExportTable("Unit economics", ECONOMICS, [*economics["by_segment"], economics["whole"]]),
    }
    if report["bridge"]["steps"]:
        tables["bridge"] = lambda: _bridge(report)
    if report["forecast"]:
        due = report["forecast"]["due"]
        figures = [{"figure": title, "value": due[name]} for name, title in FORECAST_WORDS.items() if due[name]]
        if figures:
            tables["forecast"] = lambda: ExportTable("Renewals due", FIGURES, figures)
    if report["cohorts"]:
        tables["cohorts"] = lambda: _groups("Start", report["cohorts"][::-1], False)
    if capacity["by_csm"]:
        tables["csms"] = lambda: _csms(capacity)
    return tables


def _bridge(report: Shown) -> ExportTable:
    quarter = {each["step"]: each for each in report["quarter_bridge"]["steps"] or ()}
    rows = [
        {**each, "words": STEP_WORDS[each["step"]], "quarter": quarter.get(each["step"])}
        for each in report["bridge"]["steps"]
    ]
    columns = (
        ExportColumn("step", "Step code"),
        ExportColumn("words", "Step"),
        ExportColumn("sign", "Sign", "whole"),
        ARR,
        COUNT,
        ExportColumn("quarter_arr", "ARR, last quarter", "money", "quarter.arr"),
        ExportColumn("quarter_accounts", "Accounts, last quarter", "whole", "quarter.accounts"),
    )
    return ExportTable("Bridge of ARR", columns, rows)


def _groups(title: str, groups: list[Any], named: bool) -> ExportTable:
    def amount(step: str) -> Any:
        return lambda row: (
            None if row["bridge"]["steps"] is None else row["bridge"]["steps"][AMOUNTS.index(step)]["arr"]
        )

    columns = (
        ExportColumn("group", title),
        *([ExportColumn("name", "Name")] if named else []),
        *(
            ExportColumn(f"{step.removeprefix('arr_')}_arr", STEP_WORDS[step], "money", amount(step))
            for step in AMOUNTS
        ),
        ExportColumn("nrr", "NRR", "share", "nrr.value"),
        ExportColumn("grr", "GRR", "share", "grr.value"),
        ExportColumn("logo_retention", "Logo retention", "share", "logo_retention.value"),
        ExportColumn("due_arr", "ARR due", "money", "forecast.arr"),
        *range_columns("forecast_nrr", "NRR of ARR due", "share"),
        ExportColumn("unknown", "Why it is unknown", "text", "bridge.unknown"),
    )
    rows = [{**each, "forecast_nrr": (each["forecast"] or {}).get("nrr")} for each in groups]
    return ExportTable(f"ARR by {title.lower()}", columns, rows)


def _csms(capacity: Shown) -> ExportTable:
    segments = [each["segment"] for each in capacity["by_segment"] if each["segment"]]

    def count(name: str) -> Any:
        return lambda row: row["accounts_by_segment"].get(name, 0)

    columns = (
        ExportColumn("csm", "CSM"),
        ExportColumn("load", "Load", "share"),
        ExportColumn("over", "Over capacity", "truth"),
        COUNT,
        *(ExportColumn(f"accounts_{name}", name, "whole", count(name)) for name in segments),
        ARR,
        ExportColumn("expected_churned_arr", "ARR at risk", "money"),
    )
    return ExportTable("CSMs", columns, capacity["by_csm"])
