"""Exports of the pages about one account, the models and the reviews."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

from serving.account_reports.charts import section_chart
from serving.account_reports.html import report_file_name
from serving.html.charts import probability_trend_chart
from serving.html.exports import ExportColumn, ExportFile, ExportTable, PageExports
from serving.pages.exports.columns import ACCOUNT, ARR, estimate_columns
from serving.pages.exports.work import actions_table
from serving.presentations.report_files import ReportForm, report_file

Shown = Mapping[str, Any]

DIMENSIONS = (
    ExportColumn("dimension", "Dimension"),
    ExportColumn("weight", "Weight", "number", lambda row: row.get("weight")),
    ExportColumn("points", "Points", "points"),
    ExportColumn("adds", "Contribution", "points", lambda row: row.get("adds")),
    ExportColumn("log_odds", "Log-odds", "number", "pull"),
)
SIGNALS = (
    ExportColumn("feature", "Feature"),
    ExportColumn("words", "Signal"),
    ExportColumn("dimension", "Dimension"),
    ExportColumn("value", "Value", "number"),
    ExportColumn("points", "Points", "points"),
    ExportColumn("weight", "Weight", "number"),
    ExportColumn("adds", "Contribution", "points"),
)
HISTORY = (
    ExportColumn("as_of", "Week", "date"),
    ExportColumn("score", "Health", "points"),
    ExportColumn("band", "Band"),
)
CHANGES = (
    ExportColumn("feature", "Feature"),
    ExportColumn("words", "Signal"),
    ExportColumn("before", "Before"),
    ExportColumn("now", "Now"),
    ExportColumn("points", "Points", "points"),
)
HORIZONS = (
    ExportColumn("days", "Within days", "whole"),
    ExportColumn("churn_probability", "Churn", "share"),
    ExportColumn("expansion_probability", "Expansion", "share"),
)
TREND = (
    ExportColumn("as_of", "Date", "date"),
    ExportColumn("churn_probability", "Churn", "share", "churn.probability"),
    ExportColumn("churn_low", "Churn, low", "share", "churn.interval.0"),
    ExportColumn("churn_high", "Churn, high", "share", "churn.interval.1"),
    ExportColumn("expansion_probability", "Expansion", "share", "expansion.probability"),
    ExportColumn("expansion_low", "Expansion, low", "share", "expansion.interval.0"),
    ExportColumn("expansion_high", "Expansion, high", "share", "expansion.interval.1"),
    ExportColumn("health_score", "Health", "points"),
    ExportColumn("replaced", "New version", "text", lambda row: ", ".join(row["replaced"]) or None),
)
PRODUCTS = (
    ExportColumn("product", "Product"),
    ARR,
    ExportColumn("arr_at_risk", "ARR at risk", "money"),
    ExportColumn("seats", "Seats", "whole"),
    ExportColumn("active_users", "Active users, 28 days", "whole"),
    ExportColumn("active_users_before", "Active users, 28 days before", "whole"),
    ExportColumn("adoption", "Adoption", "share"),
    ExportColumn("fact", "To note"),
)
COMPANY = (
    *ACCOUNT,
    ARR,
    ExportColumn("arr_at_risk", "ARR at risk", "money"),
    ExportColumn("churn_probability", "Churn", "share"),
    ExportColumn("health", "Health", "points"),
)
REVIEWS = (
    ExportColumn("quarter", "Quarter", "text", "review.quarter"),
    ExportColumn("rubric", "Health score", "text", "review.sign_off.rubric"),
    ExportColumn("version", "Version", "text", "review.sign_off.version"),
    ExportColumn("conclusion", "Conclusion", "text", "review.decision.headline"),
    ExportColumn("state", "Status"),
    ExportColumn("created_at", "Date", "date", "review.created_at"),
)
METRICS = (
    ExportColumn("label", "Metric"),
    ExportColumn("value", "Actual", "number"),
    ExportColumn("target", "Target", "number"),
    ExportColumn("met", "Met"),
    ExportColumn("then", "Start of the quarter", "number"),
    ExportColumn("benchmark", "Comparable customers", "number"),
    ExportColumn("unit", "Unit"),
)
OWNED = (
    ExportColumn("text", "What"),
    ExportColumn("who", "Our owner"),
    ExportColumn("customer", "Your owner"),
    ExportColumn("date", "By", "date"),
    ExportColumn("tag", "Status"),
)
DECISIONS = (
    ExportColumn("at", "Date", "date"),
    ExportColumn("decision", "Decision", "text", lambda row: row.words()),
    ExportColumn("author", "Signed by", "text", "author"),
    ExportColumn("reviewer", "Second signature", "text", "reviewer"),
    ExportColumn("owner", "Owner"),
    ExportColumn("why", "Reason"),
)
PARTS = (
    ExportColumn("name", "Part"),
    ExportColumn("accounts", "Accounts", "whole"),
    ExportColumn("happened", "With the outcome", "whole"),
    ExportColumn("rate", "Observed", "share"),
    ExportColumn("expected", "Predicted", "share"),
    *estimate_columns("roc_auc", "ROC AUC", "number"),
)
RELIABILITY = (
    ExportColumn("predicted", "Predicted", "share", "said"),
    *estimate_columns("observed", "Observed", "share", "happened"),
    ExportColumn("rows", "Rows", "whole"),
    ExportColumn("outcomes", "Outcomes", "whole"),
)
FEATURES = (
    ExportColumn("feature", "Feature"),
    ExportColumn("words", "Description"),
    ExportColumn("dimension", "Dimension"),
    ExportColumn("share", "Share", "share"),
)
SLICES = (
    ExportColumn("slice", "Slice"),
    ExportColumn("first", "First date", "date"),
    ExportColumn("last", "Last date", "date"),
    ExportColumn("rows", "Rows", "whole"),
    ExportColumn("accounts", "Accounts", "whole"),
    ExportColumn("accounts_with_outcome", "With the outcome", "whole"),
)


def account_exports(shown: Shown) -> PageExports:
    """Return the exports of the page of one account."""
    prediction, health, dimensions = shown["prediction"], shown["health"], shown["dimensions"]
    horizons = {target: prediction[target]["by_horizon"] for target in ("churn", "expansion")}
    days = [point["days"] for point in horizons["churn"] or horizons["expansion"]]
    by_days = {target: {p["days"]: p["probability"] for p in points} for target, points in horizons.items()}
    rows = [{"days": n, **{f"{target}_probability": by_days[target].get(n) for target in by_days}} for n in days]
    signals = [{**signal, "dimension": each["dimension"]} for each in dimensions for signal in each["signals"]]
    history = health["history"]
    tables = {
        "dimensions": lambda: ExportTable("Health score and model", DIMENSIONS, dimensions),
        "signals": lambda: ExportTable("Signals", SIGNALS, signals),
        "history": lambda: ExportTable("Health over the quarter", HISTORY, history[::-1]),
        "changes": lambda: ExportTable("What changed", CHANGES, shown["changes"]),
        "horizons": lambda: ExportTable("By horizon", HORIZONS, rows),
    }
    if shown["hierarchy"] and shown["hierarchy"]["below"]:
        tables["company"] = lambda: ExportTable("Company", COMPANY, shown["hierarchy"]["below"])
    points = [{"date": point["as_of"][:10], "score": point["score"]} for point in history]
    picture = {"kind": "health", "label": "Health score by week", "points": points}
    charts = {"health": lambda: section_chart(picture) if len(points) > 1 else None}
    if (published := shown["trend"]["points"]) and shown["trend"]["chart"]:
        tables["trend"] = lambda: ExportTable("Published probabilities", TREND, published[::-1])
        charts["trend"] = lambda: probability_trend_chart(published)
    if shown["work_history"]:
        tables["actions"] = lambda: actions_table(shown["work_history"], shown["text"])
    if shown["products"]:
        tables["products"] = lambda: ExportTable("Products", PRODUCTS, shown["products"])
    return PageExports(tables, charts)


def report_exports(shown: Shown) -> PageExports:
    """Return the exports of the page of a business review or an account plan: tables, charts, and the whole edition."""
    tables, charts, report = {}, {}, shown["report"]
    for part in report["sections"]:
        name = part["section"]
        if part["metrics"]:
            tables[f"{name}-metrics"] = _table(part["title"], METRICS, part["metrics"])
        if any(each["customer"] for each in part["items"]):
            tables[f"{name}-items"] = _table(part["title"], OWNED, part["items"])
        if (picture := part["picture"]) is not None:
            names = [each for each in picture["points"][0] if each != "date"]
            columns = [ExportColumn("date", "Week ending", "date"), *(ExportColumn(n, n, "number") for n in names)]
            tables[name] = _table(picture["label"], columns, picture["points"])
            charts[name] = partial(shown["charts"].get, name)
    file_name = report_file_name(report)
    files = {
        ("report", form): ExportFile(file_name, partial(report_file, report, form)) for form in get_args(ReportForm)
    }
    return PageExports(tables, charts, files)


def _table(title: str, columns: Sequence[ExportColumn], rows: Iterable[Shown]) -> Callable[[], ExportTable]:
    return lambda: ExportTable(title, columns, rows)


def reviews_exports(shown: Shown) -> PageExports:
    """Return the exports of the page of quarterly reviews."""
    words = shown["words"]
    pending = (
        ExportColumn("since", "Since", "date", "signature.at"),
        ExportColumn("decision", "Decision", "text", lambda row: words[row.what]),
        ExportColumn("effective", "Effective"),
        ExportColumn("review", "Review"),
        ExportColumn("signed_by", "Signed by", "text", "signature.name"),
    )
    return PageExports(
        {
            "reviews": lambda: ExportTable("Reviews", REVIEWS, shown["reviews"]),
            "pending": lambda: ExportTable("Waiting for a signature", pending, shown["pending"]),
            "decisions": lambda: ExportTable("Decisions", DECISIONS, shown["decisions"]),
        }
    )


def model_exports(shown: Shown) -> PageExports:
    """Return the exports of the page of the model cards. Their names begin with the target."""
    tables, charts = {}, {}
    for entry in shown["cards"]:
        for name, table in _card_tables(entry, shown):
            tables[f"{entry['target']}-{name}"] = lambda table=table: table
        charts[f"{entry['target']}-calibration"] = partial(shown["charts"].get, entry["target"])
    return PageExports(tables, charts)


def _card_tables(entry: Shown, shown: Shown) -> Iterable[tuple[str, ExportTable]]:
    card, rivals = entry["card"], shown["rivals"]
    if card is None:
        rows = [{"metric": name, "value": value} for name, value in entry["metrics"].items() if value is not None]
        columns = (ExportColumn("metric", "Metric"), ExportColumn("value", "Value", "number"))
        yield "metrics", ExportTable("Metrics", columns, rows)
        return
    yield "rivals", _rivals("Performance", shown["ordered"](card["rivals"]), shown["metrics"], rivals)
    if card["due"]:
        yield "due", _rivals("Renewal due", shown["ordered"](card["due"]), shown["due_metrics"], rivals)
    for stage in (card["renewals"] or {}).get("stages", []):
        if stage["rivals"]:
            name, rows = f"renewals-{stage['stage']}", shown["ordered"](stage["rivals"])
            yield name, _rivals(name, rows, shown["due_metrics"], rivals)
    yield "reliability", ExportTable("Predicted and observed", RELIABILITY, card["reliability"])
    shares = [{"dimension": name, "share": share} for name, share in card["dimensions"].items()]
    yield "dimensions", ExportTable("Importance by dimension", FEATURES[2:], shares)
    yield "features", ExportTable("Importance by feature", FEATURES, card["weights"])
    for name, parts in (("segments", card["by_segment"]), ("horizons", card["by_horizon"])):
        compared = [
            ExportColumn(f"roc_auc_{rival}", f"ROC AUC, {rivals[rival]}", "number", _compared(rival))
            for rival in shown["compared_candidates"](parts)
        ]
        yield name, ExportTable(name.capitalize(), (*PARTS, *compared), parts)
    if card["sight"]:
        sight = (
            ExportColumn("candidate", "Ranked by", "text", lambda row: rivals[row["candidate"]]),
            ExportColumn("capacity", "Accounts", "whole"),
            *estimate_columns("caught", "Outcomes covered", "share"),
            *estimate_columns("caught_arr", "ARR covered", "share"),
            *estimate_columns("lift", "Lift", "number"),
        )
        yield "capacity", ExportTable("Limited capacity", sight, shown["ordered"](card["sight"]))
    kinds = card["involuntary"]
    if kinds and kinds["rivals"]:
        rows = [each for each in kinds["rivals"] if each["candidate"] in shown["kind_rivals"]]
        yield "kinds", _rivals("Voluntary and involuntary", rows, shown["of_kinds"], shown["kind_rivals"])
    words = shown["describe"]["slice"]
    slices = [{**part, "slice": words(card["slices"], name)} for name, part in card["slices"].items()]
    yield "data", ExportTable("Data", SLICES, slices)


def _rivals(title: str, rows: Iterable[Shown], metrics: Mapping[str, str], names: Mapping[str, str]) -> ExportTable:
    columns = [ExportColumn("candidate", "Candidate", "text", lambda row: names[row["candidate"]])]
    for metric, words in metrics.items():
        for end, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            title_of = words if end == "value" else f"{words}, {end}"
            columns.append(ExportColumn(f"{metric}{suffix}", title_of, "number", _metric(metric, end)))
    return ExportTable(title, columns, list(rows))


def _metric(metric: str, end: str) -> Any:
    return lambda row: (row["metrics"].get(metric) or {}).get(end)


def _compared(rival: str) -> Any:
    return lambda row: (row["beside"].get(rival) or {}).get("value")
