"""Charts with axes, drawn on the server.

Colors are variables of the style sheet (``var(--good)``), so that one chart works in light and dark mode. Drawing takes
tens of milliseconds and its start-up takes seconds, so the charts of a snapshot are cached with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from features.utils.formatting import MINUS, date_form, short_money
from features.utils.vega_svg import chart_config, draw_svg

CHART_CONFIG = chart_config("var(--ink)", "var(--soft)", "var(--line)", font_size=12)


def weekly_health_chart(weeks: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw accounts by health band as stacked bars, with the mean score as a line above them.

    Parameters
    ----------
    weeks : date (ISO), mean, green, yellow and red for each.
    """
    counts = [
        {"date": week["date"], "band": band, "accounts": week[band], "place": place}
        for week in weeks
        for place, band in enumerate(("green", "yellow", "red"))
    ]
    x_axis: dict[str, Any] = {
        "field": "date",
        "type": "ordinal",
        "timeUnit": None,
        "axis": {
            "title": None,
            "labelAngle": 0,
            "labelExpr": f"timeFormat(toDate(datum.value), '{date_form().axis}')",
            "labelOverlap": "greedy",
            "labelSeparation": 10,
            "grid": False,
        },
    }
    bars = {
        "height": 130,
        "width": 560,
        "data": {"values": counts},
        "mark": {"type": "bar"},
        "encoding": {
            "x": x_axis,
            "y": {"field": "accounts", "type": "quantitative", "axis": {"title": "Accounts", "tickCount": 4}},
            "color": {
                "field": "band",
                "scale": {"domain": ["green", "yellow", "red"], "range": ["var(--good)", "var(--fair)", "var(--bad)"]},
            },
            "order": {"field": "place"},
        },
    }
    scale = {"domain": _around([week["mean"] for week in weeks if week["mean"] is not None]), "nice": False}
    mean = {
        "height": 90,
        "width": 560,
        "data": {"values": [{"date": week["date"], "mean": week["mean"]} for week in weeks]},
        "mark": {
            "type": "line",
            "color": "var(--accent)",
            "strokeWidth": 2.5,
            "point": {"color": "var(--accent)", "size": 36},
        },
        "encoding": {
            "x": {**x_axis, "axis": {**x_axis["axis"], "labels": False, "ticks": False}},
            "y": {
                "field": "mean",
                "type": "quantitative",
                "scale": scale,
                "axis": {"title": "Mean health", "tickCount": 4},
            },
        },
    }
    return draw_svg(
        {"vconcat": [mean, bars], "spacing": 12, "resolve": {"scale": {"x": "shared"}}},
        "Mean health and accounts by health band, by week",
        CHART_CONFIG,
    )


def arr_bridge_chart(steps: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw the bridge of ARR: the ARR at both ends, and between them what was added and subtracted.

    Parameters
    ----------
    steps : step, words, sign and arr of each, from the start to the end. Steps of zero between them are left out.
    """
    rows: list[dict[str, Any]] = []
    level = 0.0
    for place, each in enumerate(steps):
        ends = place in (0, len(steps) - 1)
        if not ends and not each["arr"]:
            continue
        bottom = 0.0 if ends else level
        level = each["arr"] if ends else level + each["sign"] * each["arr"]
        minus = "" if ends or each["sign"] > 0 else MINUS
        rows.append(
            {
                "step": each["words"],
                "from": bottom,
                "to": level,
                "top": max(bottom, level),
                "tone": "end" if ends else "up" if each["sign"] > 0 else "down",
                "text": f"{minus}{short_money(each['arr'])}",
            }
        )
    x_axis = {
        "field": "step",
        "type": "nominal",
        "sort": None,
        "scale": {"paddingInner": 0.25},
        "axis": {"title": None, "labelAngle": 0, "grid": False, "labelLimit": 90},
    }
    y_axis = {"type": "quantitative", "axis": {"title": "ARR", "format": "~s", "tickCount": 5}}
    color = {
        "field": "tone",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": ["end", "up", "down"], "range": ["var(--accent)", "var(--good)", "var(--bad)"]},
    }
    bars = {
        "mark": {"type": "bar"},
        "encoding": {"x": x_axis, "y": {**y_axis, "field": "from"}, "y2": {"field": "to"}, "color": color},
    }
    labels = {
        "mark": {"type": "text", "baseline": "bottom", "dy": -3, "color": "var(--ink)"},
        "encoding": {"x": x_axis, "y": {**y_axis, "field": "top"}, "text": {"field": "text"}},
    }
    return draw_svg(
        {"width": 600, "height": 220, "data": {"values": rows}, "layer": [bars, labels]},
        "ARR from the start to the end of the trailing twelve months",
        CHART_CONFIG,
    )


def probability_trend_chart(points: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw the published probabilities of an account, with their intervals. Unknown values are gaps.

    Parameters
    ----------
    points : as_of (ISO), churn and expansion (probability, interval) for each date.
    """
    rows: list[dict[str, Any]] = []
    for point in points:
        for target in ("churn", "expansion"):
            low, high = point[target]["interval"] or (None, None)
            probability = point[target]["probability"]
            rows.append({"date": point["as_of"], "target": target, "p": probability, "low": low, "high": high})
    color = {
        "field": "target",
        "type": "nominal",
        "scale": {"domain": ["churn", "expansion"], "range": ["var(--bad)", "var(--good)"]},
    }
    x_axis = {
        "field": "date",
        "type": "temporal",
        "axis": {"title": None, "format": date_form().axis, "tickCount": 6, "grid": False},
    }
    y_axis = {"type": "quantitative", "axis": {"title": "Probability", "format": ".0%", "tickCount": 5}}
    return draw_svg(
        {
            "width": 600,
            "height": 190,
            "data": {"values": rows},
            "encoding": {"x": x_axis, "color": color},
            "layer": [
                {
                    "mark": {"type": "area", "opacity": 0.18},
                    "encoding": {"y": {**y_axis, "field": "low"}, "y2": {"field": "high"}},
                },
                {
                    "mark": {"type": "line", "strokeWidth": 2, "point": True},
                    "encoding": {"y": {**y_axis, "field": "p"}},
                },
            ],
        },
        "Published probabilities of churn and of expansion, with their 80% intervals",
        CHART_CONFIG,
    )


def reliability_chart(bins: Sequence[Mapping[str, Any]], target: str) -> Markup:
    """Draw observed against predicted rates, with intervals and the line of perfect calibration.

    Parameters
    ----------
    bins : predicted (``said``) and observed (``happened``: value, low, high) shares from 0 to 1.
    """
    points = [{"said": b["said"], **b["happened"]} for b in bins if b["happened"]["value"] is not None]
    limit = max((max(p["said"], p["value"], p["high"] or 0.0) for p in points), default=1.0)
    x_axis = {
        "field": "said",
        "type": "quantitative",
        "scale": {"domain": [0, limit]},
        "axis": {"title": "Predicted", "format": ".0%", "tickCount": 5},
    }
    y_axis = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [0, limit]},
        "axis": {"title": "Observed", "format": ".0%", "tickCount": 5},
    }
    diagonal = {
        "data": {"values": [{"said": 0, "value": 0}, {"said": limit, "value": limit}]},
        "mark": {"type": "line", "color": "var(--soft)", "strokeDash": [3, 3], "strokeWidth": 1.2},
        "encoding": {"x": x_axis, "y": y_axis},
    }
    intervals = {
        "data": {"values": [point for point in points if point["low"] is not None]},
        "mark": {"type": "rule", "color": "var(--accent)", "opacity": 0.45, "strokeWidth": 3},
        "encoding": {"x": x_axis, "y": {**y_axis, "field": "low"}, "y2": {"field": "high"}},
    }
    points_line = {
        "data": {"values": points},
        "mark": {
            "type": "line",
            "color": "var(--accent)",
            "strokeWidth": 2,
            "point": {"color": "var(--accent)", "size": 50},
        },
        "encoding": {"x": x_axis, "y": y_axis},
    }
    return draw_svg(
        {"width": 520, "height": 260, "layer": [diagonal, intervals, points_line]},
        f"{target}: predicted and observed rates, in ten groups by probability",
        CHART_CONFIG,
    )


def _around(values: Sequence[float]) -> list[float]:
    """Return the limits of a score axis, centered on ``values`` and at least ten points wide, so that small changes do
    not look large."""
    low, high = min(values, default=50.0), max(values, default=50.0)
    margin = max(5.0, (high - low) * 0.6)
    middle = (low + high) / 2
    return [max(0.0, 5 * round((middle - margin) / 5)), min(100.0, 5 * round((middle + margin) / 5))]
