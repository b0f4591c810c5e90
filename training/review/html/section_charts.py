"""Which picture belongs to which section, from the document's plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from training.review.html import charts
from training.review.html.charts import AMBER, BAND_COLORS, BLUE, GREEN, GREY, RED, ChartPoint
from training.review.html.figure_text import band_label, readable_name

Section = Mapping[str, Any]
MAX_SIGNALS = 10
SCORED_BANDS = ("red", "yellow", "green")


def section_charts(told: Section) -> dict[str, Markup]:
    """Every picture by the name under which the page shows it; empty where there is nothing to draw."""
    profiles = {f"profile-{at}": _weights(each) for at, each in enumerate(told["profile_proposals"], 1)}
    return profiles | {
        "churn_by_band": _by_band(told["churn_by_band"], "churn"),
        "expansion_by_band": _by_band(told["expansion_by_band"], "expansion"),
        "lead_time": _lead_time(told["lead_time"]),
        "migration": _migration(told["migration"]),
        "score": _score(told["score_reliability"]),
        "model": _model(told["model_reliability"]),
        "weights": _weights(told["weight_proposal"]),
        "limits": _limits(told["band_proposal"]),
        "impact": _impact(told["impact"]),
        "challenge": _challenge(told["challenge"]),
        "segments": _segments(told["segments"]),
        "drift": _drift(told["drift"]),
        "quality": _quality(told["data_quality"]),
        "interventions": _interventions(told["interventions"]),
    }


def _point(name: str, figure: Section, colour: str) -> ChartPoint:
    return name, figure["value"], figure["low"], figure["high"], colour


def _by_band(told: Section, outcome: str) -> Markup:
    rows = [
        _point(band_label(row["band"]), row["rate"], BAND_COLORS[row["band"]])
        for row in told["bands"]
        if row["band"] in SCORED_BANDS
    ]
    title = f"Share of weekly snapshots followed by {outcome}, by band, with 95% intervals; dashed: the portfolio"
    return charts.interval_chart(
        rows, f"{outcome} within the horizon", title, shares=True, mark_at=told["overall"]["value"]
    )


def _lead_time(told: Section) -> Markup:
    rows = [_point(str(row["days"]), row["score"], RED) for row in reversed(told["before"])]
    title = "Mean health score of accounts that left, by days before they did; dashed: accounts that stayed"
    return charts.line_chart(rows, "days before the churn", "mean health score", title, told["stayed_score"]["value"])


def _migration(told: Section) -> Markup:
    names = [name for name in BAND_COLORS if any(name in (move["before"], move["after"]) for move in told["moves"])]
    cells = [(band_label(move["before"]), band_label(move["after"]), move["accounts"]) for move in told["moves"]]
    order = [band_label(name) for name in names]
    return charts.migration_matrix(cells, order, order, f"Accounts by band on {told['first']} and on {told['last']}")


def _score(told: Section) -> Markup:
    rows = [((row["low"] + row["high"]) / 2, _point("", row["rate"], RED)) for row in told["bins"]]
    meaning, curve = told["meaning"], []
    if meaning is not None:
        curve = [
            (float(at), *three)
            for at, three in enumerate(zip(meaning["rate"], meaning["low"], meaning["high"], strict=True))
        ]
    title = "Churn that followed each health score: dots for tens of points in the quarter, line for all known history"
    return charts.score_reliability_chart(rows, curve, title)


def _model(told: Section) -> Markup:
    rows = [(row["expected"], _point("", row["rate"], BLUE)) for row in told["bins"]]
    return charts.model_reliability_chart(rows, "How often churn happened over how often the model said that it would")


def _weights(told: Section) -> Markup:
    rows = [(one["name"], one["old"], one["new"], *_three(one["fitted"])) for one in told["dimensions"]]
    whose = f" for {', '.join(told['segments'])}" if told["segments"] else ""
    return charts.weight_chart(
        rows, "weight, points of 100", f"Weights in force{whose} and what the evidence points to, with 90% intervals"
    )


def _limits(told: Section) -> Markup:
    rows = [(f"{one['band']} from", one["old"], one["new"], *_three(one["fitted"])) for one in told["limits"]]
    return charts.weight_chart(
        rows, "score", "Band limits in force and what the evidence points to, with 90% intervals"
    )


def _three(estimate: Section) -> tuple[float | None, float | None, float | None]:
    return estimate["value"], estimate["low"], estimate["high"]


def _impact(told: Section) -> Markup:
    rows = []
    for row in told["bands"]:
        if row["accounts_before"] or row["accounts_after"]:
            rows.append((f"{band_label(row['band'])} now", float(row["accounts_before"]), GREY))
            rows.append((f"{band_label(row['band'])} then", float(row["accounts_after"]), BAND_COLORS[row["band"]]))
    return charts.bar_chart(rows, "accounts", "Accounts by band now and under the weights and limits that were judged")


def _challenge(told: Section) -> Markup:
    rows = [
        _point(f"against {readable_name(row['against'])}"[:38], row["difference"], BLUE)
        for row in told["against"]
        if row["loss"] == "log_loss"
    ]
    title = "Log loss of the champion less that of each other model; left of the dashed line the champion is better"
    return charts.interval_chart(rows, "difference in log loss", title, mark_at=0.0)


def _segments(told: Any) -> Markup:
    rows = [_point(row["segment"], row["rate"], BLUE) for row in told if row["enough"]]
    return charts.interval_chart(
        rows, "churn within the horizon", "Share of snapshots followed by churn, by segment", shares=True
    )


def _drift(told: Section) -> Markup:
    rows = [told["score"], *[row for row in told["signals"] if row["psi"] is not None][:MAX_SIGNALS]]
    colour = {"stable": GREEN, "moved": AMBER, "another population": RED, "no data": GREY}
    title = "Population stability index of the score and its signals; right of the dashed line it is another population"
    shown = [(row["name"], row["psi"] or 0.0, colour[row["state"]]) for row in rows]
    return charts.bar_chart(shown, "stability index", title, mark_at=told["limit"])


def _quality(told: Section) -> Markup:
    rows = [(row["dimension"], 100 * row["missing_now"], BLUE) for row in told["dimensions"]]
    return charts.bar_chart(
        rows, "per cent of the weight without data", "Share of each dimension's weight without data, newest date"
    )


def _interventions(told: Section) -> Markup:
    rows = [_point("Treated", told["churn_treated"], BLUE), _point("Held out", told["churn_held_out"], GREY)]
    return charts.interval_chart(
        rows, "churn within the horizon", "Churn of accounts treated and held out, with 95% intervals", shares=True
    )
