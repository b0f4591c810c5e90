"""The charts of the review page, section by section, from the plain data of the review."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from features.utils.formatting import day
from training.review.html import charts
from training.review.html.charts import AMBER, BAND_COLORS, BLUE, GRAY, GREEN, RED, IntervalPoint
from training.review.html.figure_text import band_label, readable_name

SectionData = Mapping[str, Any]
MAX_SIGNALS = 10
SCORED_BANDS = ("red", "yellow", "green")


def draw_section_charts(document: SectionData) -> dict[str, Markup]:
    """Draw every chart of the page.

    Parameters
    ----------
    document : the review as plain data, as in ``review.json``.

    Returns
    -------
    The charts by the name under which the template shows them; an empty string where there is nothing to draw.
    """
    profiles = {f"profile-{at}": _weights(each) for at, each in enumerate(document["profile_proposals"], 1)}
    return profiles | {
        "churn_by_band": _by_band(document["churn_by_band"], "churn"),
        "expansion_by_band": _by_band(document["expansion_by_band"], "expansion"),
        "lead_time": _lead_time(document["lead_time"]),
        "migration": _migration(document["migration"]),
        "score": _score(document["score_reliability"]),
        "model": _model(document["model_reliability"]),
        "weights": _weights(document["weight_proposal"]),
        "limits": _limits(document["band_proposal"]),
        "impact": _impact(document["impact"]),
        "challenge": _challenge(document["challenge"]),
        "segments": _segments(document["segments"]),
        "drift": _drift(document["drift"]),
        "quality": _quality(document["data_quality"]),
        "interventions": _interventions(document["interventions"]),
    }


def _point(name: str, figure: SectionData, color: str) -> IntervalPoint:
    return name, figure["value"], figure["low"], figure["high"], color


def _by_band(section: SectionData, outcome: str) -> Markup:
    rows = [
        _point(band_label(row["band"]), row["rate"], BAND_COLORS[row["band"]])
        for row in section["bands"]
        if row["band"] in SCORED_BANDS
    ]
    title = f"Share of weekly scores followed by {outcome}, by band, with 95% intervals. Dashed line: all accounts"
    return charts.interval_chart(
        rows, f"share followed by {outcome}", title, shares=True, mark_at=section["overall"]["value"]
    )


def _lead_time(section: SectionData) -> Markup:
    rows = [_point(str(row["days"]), row["score"], RED) for row in reversed(section["before"])]
    title = "Mean health score of churned accounts, by days before the churn. Dashed line: retained accounts"
    return charts.line_chart(
        rows, "days before the churn", "mean health score", title, section["stayed_score"]["value"]
    )


def _migration(section: SectionData) -> Markup:
    names = [name for name in BAND_COLORS if any(name in (move["before"], move["after"]) for move in section["moves"])]
    cells = [(band_label(move["before"]), band_label(move["after"]), move["accounts"]) for move in section["moves"]]
    order = [band_label(name) for name in names]
    return charts.migration_matrix(
        cells, order, order, f"Accounts by band on {day(section['first'])} and on {day(section['last'])}"
    )


def _score(section: SectionData) -> Markup:
    rows = [((row["low"] + row["high"]) / 2, _point("", row["rate"], RED)) for row in section["bins"]]
    meaning, curve = section["meaning"], []
    if meaning is not None:
        curve = [
            (float(at), *three)
            for at, three in enumerate(zip(meaning["rate"], meaning["low"], meaning["high"], strict=True))
        ]
    title = "Churn rate by health score. Dots: this quarter in steps of 10 points. Line: all available history"
    return charts.score_reliability_chart(rows, curve, title)


def _model(section: SectionData) -> Markup:
    rows = [(row["expected"], _point("", row["rate"], BLUE)) for row in section["bins"]]
    return charts.model_reliability_chart(rows, "Observed churn rate by predicted churn probability")


def _weights(section: SectionData) -> Markup:
    rows = [(one["name"], one["old"], one["new"], *_bounds(one["fitted"])) for one in section["dimensions"]]
    segments = f" for {', '.join(section['segments'])}" if section["segments"] else ""
    return charts.weight_chart(
        rows,
        "weight, points of 100",
        f"Current weights{segments} and weights suggested by the data, with 90% intervals",
    )


def _limits(section: SectionData) -> Markup:
    rows = [(f"{one['band']} from", one["old"], one["new"], *_bounds(one["fitted"])) for one in section["limits"]]
    return charts.weight_chart(
        rows, "score", "Current band limits and limits suggested by the data, with 90% intervals"
    )


def _bounds(estimate: SectionData) -> tuple[float | None, float | None, float | None]:
    return estimate["value"], estimate["low"], estimate["high"]


def _impact(section: SectionData) -> Markup:
    rows = []
    for row in section["bands"]:
        if row["accounts_before"] or row["accounts_after"]:
            rows.append((f"{band_label(row['band'])} now", float(row["accounts_before"]), GRAY))
            rows.append((f"{band_label(row['band'])} after", float(row["accounts_after"]), BAND_COLORS[row["band"]]))
    return charts.bar_chart(rows, "accounts", "Accounts by band now, and with the tested weights and limits")


def _challenge(section: SectionData) -> Markup:
    rows = [
        _point(f"vs. {readable_name(row['against'])}"[:38], row["difference"], BLUE)
        for row in section["against"]
        if row["loss"] == "log_loss"
    ]
    title = "Log loss of the champion minus that of each other model. Left of the dashed line the champion is better"
    return charts.interval_chart(rows, "difference in log loss", title, mark_at=0.0)


def _segments(section: Any) -> Markup:
    rows = [_point(row["segment"], row["rate"], BLUE) for row in section if row["enough"]]
    return charts.interval_chart(rows, "churn rate", "Churn rate by segment", shares=True)


def _drift(section: SectionData) -> Markup:
    rows = [section["score"], *[row for row in section["signals"] if row["psi"] is not None][:MAX_SIGNALS]]
    color = {"stable": GREEN, "moved": AMBER, "another population": RED, "no data": GRAY}
    title = "Population stability index (PSI) of the score and its signals. Right of the dashed line is a large shift"
    shown = [(row["name"], row["psi"] or 0.0, color[row["state"]]) for row in rows]
    return charts.bar_chart(shown, "PSI", title, mark_at=section["limit"])


def _quality(section: SectionData) -> Markup:
    rows = [(row["dimension"], 100 * row["missing_now"], BLUE) for row in section["dimensions"]]
    return charts.bar_chart(
        rows, "percent of the weight without data", "Share of each dimension's weight without data on the newest date"
    )


def _interventions(section: SectionData) -> Markup:
    rows = [_point("Treated", section["churn_treated"], BLUE), _point("Held out", section["churn_held_out"], GRAY)]
    return charts.interval_chart(
        rows, "churn rate", "Churn rate of treated and held-out accounts, with 95% intervals", shares=True
    )
