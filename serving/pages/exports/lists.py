"""Exports of the pages with lists of accounts: portfolio, worklist, renewals and cohorts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.peer_groups.segments import segment_names
from serving.html.exports import ExportColumn, ExportTable, PageExports, Tables
from serving.html.portfolio_charts import expected_arr_chart, health_bands_chart
from serving.pages.exports.columns import ACCOUNT, ARR, CSM, SEGMENT, bridge_table, range_columns
from serving.pages.exports.work import interventions_table, person_name
from serving.pages.filter_bar import LABELS
from serving.renewals.forecast import DIVISIONS
from serving.schemas.divisions import Division

Shown = Mapping[str, Any]

COUNT = ExportColumn("accounts", "Accounts", "whole")
GROUP = (
    COUNT,
    ARR,
    ExportColumn("mean_health", "Health", "points"),
    ExportColumn("mean_churn_probability", "Mean churn risk", "share"),
    ExportColumn("expected_churned_arr", "ARR at risk", "money"),
)
USE = (
    ExportColumn("active_users", "Active users, 28 days", "whole", "use.active_users"),
    ExportColumn("adoption", "Adoption", "share", "use.adoption"),
    ExportColumn("unused_accounts", "Accounts that do not use it", "whole", "use.unused_accounts"),
)
WEEKS = (
    ExportColumn("date", "Week", "date"),
    ExportColumn("mean", "Mean health", "points"),
    ExportColumn("green", "Green", "whole"),
    ExportColumn("yellow", "Yellow", "whole"),
    ExportColumn("red", "Red", "whole"),
)
ACCOUNTS = (
    *ACCOUNT,
    SEGMENT,
    ExportColumn("stage", "Stage"),
    CSM,
    ARR,
    ExportColumn("health_score", "Health", "points", "health"),
    ExportColumn("health_band", "Health band"),
    ExportColumn("change_7d", "7-day change", "points", "change"),
    ExportColumn("churn_probability", "Churn risk", "share", "risk"),
    ExportColumn("churn_low", "Churn risk, low", "share", "low"),
    ExportColumn("churn_high", "Churn risk, high", "share", "high"),
    ExportColumn("churn_band", "Churn band", "text", "risk_band"),
    ExportColumn("arr_at_risk", "ARR at risk", "money", "loss"),
    ExportColumn("days_to_renewal", "Days to renewal", "whole", lambda row: _floor(row["renewal"])),
    ExportColumn("play", "Next step", "text", "act"),
    ExportColumn("play_who", "Who", "text", "who"),
    ExportColumn("play_due", "Due", "date", "due"),
    ExportColumn("play_overdue", "Overdue", "truth", "overdue"),
    ExportColumn("work", "Status of the play"),
    ExportColumn("expansion_ready", "Ready for expansion", "truth", "ready"),
)
KPIS = (
    ExportColumn("measure", "KPI code"),
    ExportColumn("title", "KPI"),
    ExportColumn("unit", "Unit"),
    ExportColumn("value", "Trailing 12 months or current", "number"),
    ExportColumn("quarter", "Last quarter", "number", lambda row: (row.get("quarter") or {}).get("value")),
    ExportColumn("last", "A year earlier", "number", "last.value"),
    ExportColumn("target_bound", "Bound of the target", "text", "target.bound"),
    ExportColumn("target", "Target", "number", "target.value"),
    ExportColumn("met", "Target met", "truth"),
    ExportColumn("unknown", "Why it is unknown"),
)
PLAN = (
    ExportColumn("play", "Action", "text", "play.act"),
    ExportColumn("play_who", "Who", "text", "play.who"),
    ExportColumn("why", "Reason"),
    ExportColumn("play_due", "Due", "date", "play.due"),
    ExportColumn("overdue", "Overdue", "truth"),
)
RISK = (
    ExportColumn("churn_probability", "Churn risk", "share"),
    ExportColumn("arr_at_risk", "ARR at risk", "money"),
)
RENEWAL_AT = ExportColumn("renewal_at", "Renewal", "date")
ONBOARDING = (
    *ACCOUNT,
    SEGMENT,
    CSM,
    ARR,
    ExportColumn("day", "Day", "whole"),
    ExportColumn("done", "Steps done", "whole"),
    ExportColumn("missed", "Missed", "whole"),
    ExportColumn("due", "Due", "whole"),
    ExportColumn("unknown", "Unknown", "whole"),
    ExportColumn("missed_steps", "Missed steps", "text", lambda row: _missed(row, "says")),
    ExportColumn("act", "What to do", "text", lambda row: _missed(row, "act")),
    ExportColumn("next_on", "Next step due", "date"),
    ExportColumn("days_to_first_value", "First value, day", "whole"),
    ExportColumn("first_value_late", "First value is late", "truth"),
    ExportColumn("health_band", "Health band"),
)
CHURNED = (
    *ACCOUNT,
    SEGMENT,
    CSM,
    ExportColumn("ended_at", "Ended", "date"),
    ExportColumn("kind", "Kind"),
    ExportColumn("reason", "Reason"),
    ExportColumn("arr", "Lost ARR", "money"),
    ExportColumn("predicted_as_of", "Date of the prediction", "date"),
    ExportColumn("health_score", "Health before", "points"),
    ExportColumn("health_band", "Health band before"),
    ExportColumn("churn_probability", "Churn risk before", "share"),
    ExportColumn("churn_band", "Churn band before"),
    ExportColumn("warned", "Warned", "truth"),
    ExportColumn("warned_by", "Warned by", "text", lambda row: "; ".join(row["warned_by"])),
)
CHURN_REASONS = (
    ExportColumn("reason", "Reason"),
    ExportColumn("kind", "Kind"),
    COUNT,
    ExportColumn("arr", "Lost ARR", "money"),
)
WORKLIST = (
    ExportColumn("rank", "Rank", "whole"),
    *ACCOUNT,
    SEGMENT,
    CSM,
    *PLAN,
    RENEWAL_AT,
    ExportColumn("days_to_renewal", "Days to renewal", "whole"),
    ExportColumn("health_score", "Health", "points"),
    ExportColumn("health_band", "Health band"),
    *RISK,
    ExportColumn("expected_saved_arr", "Expected saved ARR", "money"),
)
RANKINGS = {"worklist": "by this worklist", "by_health_score": "by health score", "at_random": "at random"}
WORKLIST_STEPS = {
    "other_csms": "accounts outside the filter",
    "under_way": "accounts in progress",
    "done": "accounts done",
    "snoozed": "snoozed accounts",
    "held_out": "held-out accounts",
    "no_play": "accounts without a play",
    "automated": "accounts with an automated play",
    "too_late": "accounts too late for a play",
    "not_listed": "accounts beyond capacity",
}
"""What is subtracted from the portfolio's ARR at risk, with its words on the page."""
EFFECTS = (
    ExportColumn("play", "Play"),
    COUNT,
    ExportColumn("held_out_accounts", "Held out", "whole"),
    ExportColumn("uplift", "Uplift", "share", "effect.uplift"),
    ExportColumn("uplift_low", "Uplift, low", "share", "effect.interval.0"),
    ExportColumn("uplift_high", "Uplift, high", "share", "effect.interval.1"),
    ExportColumn("save_rate", "Save rate used", "share"),
    ExportColumn("why_no_effect", "Why the effect is unknown"),
)
DUE = (
    *ACCOUNT,
    SEGMENT,
    CSM,
    ARR,
    RENEWAL_AT,
    ExportColumn("overdue", "Overdue", "truth"),
    ExportColumn("notice_at", "Notice given", "date"),
    ExportColumn("health_band", "Health band"),
    ExportColumn("churn_probability", "Churn by renewal", "share"),
    ExportColumn("contraction_probability", "Contraction by renewal", "share"),
    ExportColumn("expansion_probability", "Expansion by renewal", "share"),
    ExportColumn("expected_lost_arr", "Lost ARR by renewal", "money"),
    ExportColumn("method", "Method"),
)
DUE_FIGURES = (
    *range_columns("renewed_arr", "Renewed", "money"),
    *range_columns("lost_arr", "Lost", "money"),
    *range_columns("contracted_arr", "Contracted", "money"),
    *range_columns("expanded_arr", "Expanded", "money"),
    *range_columns("grr", "GRR", "share"),
    *range_columns("nrr", "NRR", "share"),
)
FORECAST = (ExportColumn("figure", "ARR"), *range_columns("amount", "Amount", "money"))
QUARTERS = (
    ExportColumn("period", "Quarter"),
    ExportColumn("arr", "Due", "money"),
    *range_columns("renewed_arr", "Renewed, forecast", "money"),
    ExportColumn("renewed_arr_actual", "Renewed, actual", "money", "renewed_arr.happened"),
    ExportColumn("inside", "Inside the interval", "truth", "renewed_arr.inside"),
)
RENEWAL_STEPS = {
    "not_due": "accounts not due in the period",
    "overdue": "overdue accounts",
    "not_forecast": "accounts due but not forecast",
}
"""What is subtracted from the ARR at risk, with its words on the page."""
LIFETIME = (
    SEGMENT,
    COUNT,
    ExportColumn("lifetime_years", "Mean years", "points"),
    ExportColumn("value", "Value", "money"),
)
LIFETIMES = (
    *ACCOUNT,
    ARR,
    ExportColumn("lifetime_years", "Years", "points"),
    ExportColumn("value", "Value", "money"),
    ExportColumn("value_low", "Value, low", "money"),
    ExportColumn("value_high", "Value, high", "money"),
)


def portfolio_exports(shown: Shown) -> PageExports:
    """Return the exports of the portfolio page."""
    summary = shown["summary"]
    bands = [each for each in summary["by_health_band"] if each["accounts"] or each["band"] != "insufficient_data"]
    tables = {
        "bands": lambda: ExportTable("Health by band", (ExportColumn("band", "Band"), *GROUP), bands),
        "groups": lambda: groups_table(shown["by"], shown["every_group"]),
        "weeks": lambda: ExportTable("Weekly health", WEEKS, shown["weeks"][::-1]),
        "accounts": lambda: ExportTable("Accounts", ACCOUNTS, shown["every_row"]()),
    }
    if shown["kpis"] and shown["kpis"]["measures"] is not None:
        tables["kpis"] = lambda: kpis_table(shown["kpis"]["measures"])
    charts = {"health-trend": lambda: shown["trend"], "bands": lambda: health_bands_chart(bands)}
    return PageExports(tables, charts)


def kpis_table(measures: Sequence[Shown]) -> ExportTable:
    """Return KPIs (`serving.portfolio.kpi_schemas.KpiResponse`) as a table."""
    return ExportTable("KPIs", KPIS, measures)


def groups_table(by: Division, groups: Sequence[Shown]) -> ExportTable:
    """Return groups of accounts as a table.

    Parameters
    ----------
    by : what the accounts are grouped by.
    groups : the groups (`serving.portfolio.portfolio_groups.portfolio_groups`).
    """
    columns = (ExportColumn("group", LABELS[by]), ExportColumn("name", "Name"), *GROUP)
    return ExportTable(f"By {by}", (*columns, *USE) if by == "product" else columns, groups)


def worklist_exports(shown: Shown) -> PageExports:
    """Return the exports of the worklist page."""
    worklist = shown["worklist"]
    covered, saved = worklist["reached_arr_at_risk"], worklist["saved_arr"]
    rankings = [
        {"ranking": words, "arr_at_risk": covered[key], "saved_arr": saved[key]} for key, words in RANKINGS.items()
    ]
    ranking = (
        ExportColumn("ranking", "Ranked"),
        ExportColumn("arr_at_risk", "ARR at risk covered", "money"),
        ExportColumn("saved_arr", "ARR saved", "money"),
    )
    bridge = worklist["bridge"]
    tables = {
        "worklist": lambda: ExportTable("Worklist", WORKLIST, shown["accounts"]),
        "rankings": lambda: ExportTable("Rankings", ranking, rankings),
        "too-late": lambda: ExportTable("Too late", (*ACCOUNT, CSM, ARR, RENEWAL_AT, *RISK), shown["too_late"]),
    }
    if shown["snoozed"]:
        until = ExportColumn("until", "Snoozed until", "date")
        tables["snoozed"] = lambda: ExportTable("Snoozed", (*ACCOUNT, CSM, until), shown["snoozed"])
    if shown["every_under_way"]:
        name = person_name(shown["people"])
        tables["in-progress"] = lambda: interventions_table("In progress", shown["every_under_way"], name)
    if bridge:
        first, last = {"portfolio": "Whole portfolio"}, {"listed": "On this worklist"}
        tables["bridge"] = lambda: bridge_table(bridge, first, WORKLIST_STEPS, last)
    if worklist["interventions"]["by_play"]:
        tables["effects"] = lambda: ExportTable("Effects", EFFECTS, worklist["interventions"]["by_play"])
    return PageExports(tables)


def renewals_exports(shown: Shown) -> PageExports:
    """Return the exports of the renewals page."""
    forecast, names = shown["forecast"], shown["names"]
    whole = forecast["whole"]
    figures = [{"figure": words, "tone": tone, "amount": whole[key]} for key, (words, tone) in shown["figures"].items()]
    tables = {
        "due": lambda: ExportTable("Accounts due", DUE, shown["due"]),
        "forecast": lambda: ExportTable("Forecast", FORECAST, figures),
    }
    for name in DIVISIONS:
        if groups := forecast.get(f"by_{name}"):
            rows = [each for each in groups if each["accounts"]]
            columns = [ExportColumn(name, LABELS[name])]
            if name == "parent":
                columns.append(ExportColumn("name", "Name", "text", lambda row: names.get(row["parent"])))
            table = ExportTable(f"By {name}", (*columns, COUNT, ARR, *DUE_FIGURES), rows)
            tables[f"by-{name}"] = lambda table=table: table  # type: ignore[misc]
    if bridge := forecast["bridge"]:
        first = {"arr_at_risk": "ARR at risk of the accounts"}
        last = {
            "until_renewal": "adjustment: risk until the renewal plus the grace period",
            "expected_lost_arr": "Expected lost ARR in this forecast",
        }
        tables["bridge"] = lambda: bridge_table(bridge, first, RENEWAL_STEPS, last)
    if backtest := forecast["backtest"]:
        tables["quarters"] = lambda: ExportTable("Past forecasts", QUARTERS, backtest["quarters"][::-1])
    return PageExports(tables, {"forecast": lambda: expected_arr_chart(figures)})


def cohorts_exports(shown: Shown) -> PageExports:
    """Return the exports of the cohorts page."""
    return PageExports(cohort_tables(shown["cohorts"], shown["found"]))


def cohort_tables(cohorts: Shown, accounts: Sequence[Shown]) -> Tables:
    """Return retention by cohort and lifetime values as tables.

    Parameters
    ----------
    cohorts : a `serving.portfolio.cohorts.PortfolioCohorts`.
    accounts : the accounts with their lifetime values, in the order of the table.
    """
    retention, life = cohorts["retention"], cohorts["lifetime"]
    segments = [{**life["by_segment"][name], "segment": name} for name in segment_names() if name in life["by_segment"]]
    tables = {
        "lifetime": lambda: ExportTable("Lifetime value", LIFETIME, [*segments, {**life["whole"], "segment": "Total"}]),
        "accounts": lambda: ExportTable("Lifetime value by account", LIFETIMES, accounts),
    }
    if retention:
        tables["retention"] = lambda: _retention(retention)
    return tables


def _retention(retention: Shown) -> ExportTable:
    columns = [
        ExportColumn("cohort", "Start", "text", lambda row: row["cohort"] or "All"),
        COUNT,
        ExportColumn("lost", "Lost", "whole"),
        ExportColumn("arr_start", "ARR at the start", "money"),
    ]
    for place, months in enumerate(retention["ages"]):
        at = f"ages.{place}"
        columns += [
            ExportColumn(f"logos_{months}m", f"{months} months", "share", f"{at}.logos"),
            ExportColumn(f"logos_{months}m_low", f"{months} months, low", "share", f"{at}.low"),
            ExportColumn(f"logos_{months}m_high", f"{months} months, high", "share", f"{at}.high"),
            ExportColumn(f"arr_{months}m", f"{months} months, ARR", "share", f"{at}.arr"),
        ]
    return ExportTable("Retention", columns, [retention["whole"], *retention["cohorts"][::-1]])


def _floor(days: float | None) -> int | None:
    return None if days is None else int(days // 1)


def churned_exports(shown: Shown) -> PageExports:
    """Return the exports of the page of churned accounts."""
    return PageExports({} if shown["churned"] is None else churned_tables(shown["churned"], shown["found"]))


def churned_tables(churned: Shown, rows: Sequence[Shown]) -> Tables:
    """Return the accounts that churned, and how many by reason.

    Parameters
    ----------
    churned : a `serving.portfolio.churned_accounts.ChurnedAccounts`.
    rows : its accounts in the order in which they are shown.
    """
    return {
        "churned": lambda: ExportTable("Churned accounts", CHURNED, rows),
        "by-reason": lambda: ExportTable("Churn by reason", CHURN_REASONS, churned["by_reason"]),
    }


def onboarding_exports(shown: Shown) -> PageExports:
    """Return the exports of the page of the accounts in onboarding."""
    return PageExports({"onboarding": lambda: ExportTable("Onboarding", ONBOARDING, shown["found"])})


def _missed(row: Shown, name: str) -> str | None:
    """Return the texts of the missed steps of an account."""
    return "; ".join(step[name] for step in row["steps"] if step["state"] == "missed") or None
