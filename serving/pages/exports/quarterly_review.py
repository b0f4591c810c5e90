"""Exports of the page of one quarterly review: its tables, from ``review.json``, and its charts, as they were drawn.

The page is a file. Where a table or a chart ends, it has a comment that names it, which `add_downloads` replaces by
links.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from markupsafe import Markup

from serving.html.exports import ExportColumn, ExportTable, PageExports
from serving.pages.exports.columns import ARR, estimate_columns

Document = Mapping[str, Any]

#: The place of the files of a table or a chart in the page.
FILES = re.compile(r"<!--files:(table|chart):([a-z0-9-]+)-->")

ACCOUNTS = ExportColumn("accounts", "Accounts", "whole")
BAND = ExportColumn("band", "Band")
CHURN_RATE = (
    ExportColumn("events", "Events", "whole", "rate.events"),
    *estimate_columns("rate", "Churn rate", "share"),
)
FEEDS = (
    ExportColumn("table", "Table"),
    ExportColumn("rows", "Rows", "whole"),
    ExportColumn("newest", "Newest row", "date"),
    ExportColumn("silent_days", "Days since", "number"),
    ExportColumn("patience_days", "Days expected at most", "number"),
    ExportColumn("stale", "Late", "truth"),
)
QUALITY = (
    ExportColumn("dimension", "Dimension"),
    ExportColumn("weight", "Weight", "number"),
    ExportColumn("missing_now", "Missing on the newest date", "share"),
    ExportColumn("missing_judged", "Missing in the reviewed weeks", "share"),
    ExportColumn("empty_accounts", "Accounts without any data", "whole"),
)
BY_BAND = (
    BAND,
    ExportColumn("accounts_a_week", "Accounts a week", "number"),
    ARR,
    ExportColumn("events", "Events", "whole", "rate.events"),
    *estimate_columns("rate", "Rate", "share"),
    *estimate_columns("lift", "Lift", "number"),
    *estimate_columns("captured", "Captured", "share"),
    *estimate_columns("captured_arr", "Captured ARR", "share"),
)
LEAD_TIME = (
    ExportColumn("days", "Days before churn", "whole"),
    ACCOUNTS,
    *estimate_columns("score", "Mean score", "points"),
    *estimate_columns("red", "Red", "share"),
    *estimate_columns("not_green", "Red or yellow", "share"),
)
MOVE = (ExportColumn("before", "Band before"), ExportColumn("after", "Band after"), ACCOUNTS)
SCORE = (
    ExportColumn("low", "Score from", "whole"),
    ExportColumn("high", "Score to", "whole"),
    ACCOUNTS,
    *CHURN_RATE,
)
MODEL = (ExportColumn("expected", "Predicted", "share"), ACCOUNTS, *CHURN_RATE)
JUDGMENTS = (ExportColumn("judgment", "Judgment"), ACCOUNTS, *CHURN_RATE)
COMPARISONS = (
    ExportColumn("compared_with", "Compared with"),
    ACCOUNTS,
    *estimate_columns("judgment", "Judgment", "number"),
    *estimate_columns("alone", "Without it", "number"),
    *estimate_columns("both", "Both together", "number"),
    *estimate_columns("adds", "What it adds", "number"),
)
PROPOSED = (
    ExportColumn("old", "Current", "number"),
    *estimate_columns("fitted", "Data alone", "number"),
    ExportColumn("candidate", "Tested", "number"),
    ExportColumn("new", "Proposed", "number"),
)
WEIGHTS = (
    ExportColumn("name", "Dimension"),
    *PROPOSED,
    ExportColumn("events", "Events", "whole", "evidence.churned"),
    ExportColumn("sign", "More points mean"),
    ExportColumn("not_judged", "Why it is not fitted"),
)
TESTS = (
    ExportColumn("name", "Weights"),
    ExportColumn("events", "Events", "whole", "evidence.churned"),
    *estimate_columns("brier", "Brier score", "number"),
    *estimate_columns("brier_change", "Change of the Brier score", "number"),
    *estimate_columns("auc", "AUC", "number"),
    *estimate_columns("auc_change", "Change of the AUC", "number"),
)
LIMITS = (BAND, *PROPOSED)
IMPACT = (
    BAND,
    ExportColumn("accounts_before", "Accounts now", "whole"),
    ExportColumn("accounts_after", "Accounts after", "whole"),
    ExportColumn("arr_before", "ARR now", "money"),
    ExportColumn("arr_after", "ARR after", "money"),
)
MOVING = (
    ExportColumn("account_id", "Account ID"),
    ARR,
    ExportColumn("score_before", "Score now", "points"),
    ExportColumn("score_after", "Score after", "points"),
    ExportColumn("before", "Band now"),
    ExportColumn("after", "Band after"),
)
CHALLENGE = (
    ExportColumn("against", "Compared with"),
    ExportColumn("loss", "Metric"),
    ExportColumn("events", "Events", "whole", "difference.events"),
    *estimate_columns("difference", "Difference", "number"),
)
SEGMENTS = (
    ExportColumn("segment", "Group"),
    ACCOUNTS,
    ARR,
    ExportColumn("accounts_with_churn", "Events", "whole"),
    *estimate_columns("score", "Mean score", "points"),
    *estimate_columns("rate", "Churn rate", "share"),
    *estimate_columns("auc", "Ranking (AUC)", "number"),
)
DRIFT = (
    ExportColumn("name", "Feature"),
    ExportColumn("words", "Signal"),
    ExportColumn("psi", "PSI", "number"),
    ExportColumn("unknown_then", "Missing before", "share"),
    ExportColumn("unknown_now", "Missing now", "share"),
    ExportColumn("state", "Status"),
)
DISAGREEMENTS = (
    ExportColumn("kind", "Kind"),
    ExportColumn("words", "Disagreement"),
    ACCOUNTS,
    ARR,
    *estimate_columns("share", "Share", "share"),
    ExportColumn("of", "Share of"),
)
DISAGREEING = (
    ExportColumn("account_id", "Account ID"),
    ExportColumn("as_of", "Date of the score", "date"),
    ExportColumn("score", "Score", "points"),
    ARR,
    ExportColumn("probability", "Churn probability", "share"),
)
PLAYS = (
    ExportColumn("play", "Play"),
    ExportColumn("begun", "Started", "whole"),
    ExportColumn("saved", "Saved", "whole"),
    ExportColumn("lost", "Lost", "whole"),
)


def review_exports(document: Document, charts: Mapping[str, str]) -> PageExports:
    """Return the exports of a quarterly review.

    Parameters
    ----------
    document : the content of ``review.json``. Sections that an earlier version did not write have no tables.
    charts : the charts as SVG, by name.
    """
    tables = {name: partial(ExportTable, *table) for name, table in _tables(document) if table[2]}
    return PageExports(tables, {name: partial(charts.get, name) for name in charts})


def add_downloads(page: str, exports: PageExports, links: Callable[[str, str, bool], Markup]) -> str:
    """Return the page with links to the files of its tables and charts.

    Parameters
    ----------
    page : the page of a review.
    exports : what it has.
    links : returns the links of an export, from its name, its title, and whether it is a chart.
    """

    def of(place: re.Match[str]) -> str:
        kind, name = place[1], place[2]
        if kind == "table" and name in exports.tables:
            return links(name, exports.tables[name]().title, False)
        if kind == "chart" and name in exports.charts:
            return links(name, name.replace("-", " ").capitalize(), True)
        return ""

    return FILES.sub(of, page)


def _tables(document: Document) -> Iterable[tuple[str, tuple[str, Sequence[ExportColumn], Sequence[Any]]]]:
    """Return the title, columns and rows of each table, by name."""
    quality, reliability = document.get("data_quality", {}), document.get("score_reliability", {})
    yield "feeds", ("Feeds", FEEDS, quality.get("feeds", ()))
    yield "quality", ("Data quality", QUALITY, quality.get("dimensions", ()))
    for outcome in ("churn", "expansion"):
        by_band = document.get(f"{outcome}_by_band", {})
        whole = [{"band": "all", "rate": by_band["overall"]}] if by_band.get("overall") else []
        rows = [dict.fromkeys(("accounts_a_week", "arr", "lift", "captured", "captured_arr")) | row for row in whole]
        title = f"{outcome.capitalize()} by band"
        yield f"{outcome}-by-band", (title, BY_BAND, [*by_band.get("bands", ()), *rows])
    yield "lead-time", ("Lead time", LEAD_TIME, document.get("lead_time", {}).get("before", ()))
    migration = document.get("migration", {})
    yield "paths", ("Churn by path", (*MOVE, *CHURN_RATE), migration.get("paths", ()))
    yield "moves", ("Moves between bands", (*MOVE, ARR), migration.get("moves", ()))
    yield "score-reliability", ("Churn rate by score", SCORE, reliability.get("bins", ()))
    yield "model-reliability", ("Predicted and observed", MODEL, document.get("model_reliability", {}).get("bins", ()))
    judgments = document.get("judgments") or {}
    yield "judgments", ("Judgment of the team", JUDGMENTS, judgments.get("outcomes", ()))
    yield "comparisons", ("Judgment compared", COMPARISONS, judgments.get("comparisons", ()))
    weights = {"weights": document.get("weight_proposal", {})}
    weights |= {f"profile-{place}": each for place, each in enumerate(document.get("profile_proposals", ()), 1)}
    for name, each in weights.items():
        dimensions = each.get("dimensions", ())
        without = [one["without"] for one in dimensions if one.get("without")]
        yield name, ("Proposed weights", WEIGHTS, dimensions)
        yield f"{name}-tests", ("Test on later dates", TESTS, [*each.get("judged", ()), *without])
    yield "limits", ("Proposed band limits", LIMITS, document.get("band_proposal", {}).get("limits", ()))
    impact = document.get("impact", {})
    yield "impact", ("Impact", IMPACT, impact.get("bands", ()))
    yield "moving", ("Accounts that change band", MOVING, impact.get("largest", ()))
    yield "challenge", ("Champion and challenger", CHALLENGE, document.get("challenge", {}).get("against", ()))
    yield "segments", ("Segments", SEGMENTS, document.get("segments", ()))
    yield "groups", ("Groups", SEGMENTS, document.get("groups", ()))
    yield "drift", ("Drift", DRIFT, document.get("drift", {}).get("signals", ()))
    disagreements = document.get("disagreements", ())
    yield "disagreements", ("Disagreements", DISAGREEMENTS, disagreements)
    for each in disagreements:
        title = f"{each['words'][:1].upper()}{each['words'][1:]}"
        yield f"accounts-{each['kind'].replace('_', '-')}", (title, DISAGREEING, each["largest"])
    yield "plays", ("Plays", PLAYS, document.get("interventions", {}).get("plays", ()))
