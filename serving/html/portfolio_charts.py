"""Charts of figures that pages show within a table or in a bar: drawn with axes and labels when a file is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from features.utils.formatting import count_of, day, in_unit, percent, plain, short_money
from features.utils.vega_svg import draw_svg
from serving.html.charts import CHART_CONFIG

WIDTH = 560
ROW = 26
CSMS = 60
"""The number of CSMs in a chart."""
BAND_COLORS = {"green": "good", "yellow": "fair", "red": "bad", "insufficient_data": "none"}
KPI_COLUMNS = 4
KPI_PANEL = (216, 60)
"""The width and height of the chart of one KPI."""


def health_bands_chart(bands: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Draw the accounts by health band as one stacked bar; None without accounts.

    Parameters
    ----------
    bands : band and accounts of each, from left to right.
    """
    shown = [each for each in bands if each["accounts"]]
    if not shown:
        return None
    total = sum(each["accounts"] for each in shown)
    rows, start = [], 0
    for each in shown:
        end = start + each["accounts"]
        words = f"{plain(each['band']).capitalize()}: {each['accounts']} ({percent(each['accounts'] / total, 0)})"
        rows.append({"band": words, "start": start, "end": end})
        start = end
    colors = [f"var(--{BAND_COLORS[each['band']]})" for each in shown]
    return draw_svg(
        {
            "width": WIDTH,
            "height": 44,
            "data": {"values": rows},
            "mark": {"type": "bar"},
            "encoding": {
                "x": {
                    "field": "start",
                    "type": "quantitative",
                    "scale": {"domain": [0, total], "nice": False},
                    "axis": {"title": "Accounts", "tickCount": 6, "tickMinStep": 1, "grid": False},
                },
                "x2": {"field": "end"},
                "color": {
                    "field": "band",
                    "type": "nominal",
                    "sort": None,
                    "scale": {"domain": [row["band"] for row in rows], "range": colors},
                    "legend": {"labelLimit": 260, "columns": 4},
                },
            },
        },
        "Accounts by health band",
        CHART_CONFIG,
    )


def expected_arr_chart(figures: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Draw expected amounts of ARR with their 80% intervals; None if all are unknown.

    Parameters
    ----------
    figures : figure (its words), tone (good, fair or bad), and amount (expected and interval, or None) of each.
    """
    rows = [
        {
            "figure": each["figure"],
            "tone": each["tone"],
            "expected": amount["expected"],
            "low": amount["interval"][0],
            "high": amount["interval"][1],
            "text": f"{short_money(amount['expected'])} "
            f"({short_money(amount['interval'][0])} to {short_money(amount['interval'][1])})",
        }
        for each in figures
        if (amount := each["amount"]) is not None
    ]
    if not rows:
        return None
    y_axis = {
        "field": "figure",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "grid": False, "ticks": False, "domain": False},
    }
    x_axis = {"type": "quantitative", "axis": {"title": "ARR, 80% interval", "format": "~s", "tickCount": 5}}
    tones = ["good", "fair", "bad"]
    color = {
        "field": "tone",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": tones, "range": [f"var(--{tone})" for tone in tones]},
    }
    interval = {
        "mark": {"type": "rule", "strokeWidth": 6, "opacity": 0.38},
        "encoding": {"x": {**x_axis, "field": "low"}, "x2": {"field": "high"}, "y": y_axis, "color": color},
    }
    expected = {
        "mark": {"type": "tick", "thickness": 3, "size": 20},
        "encoding": {"x": {**x_axis, "field": "expected"}, "y": y_axis, "color": color},
    }
    # Above the interval, and ending within the chart where the amount is on its right half.
    middle = max(row["high"] for row in rows) / 2
    texts = [
        {
            "transform": [{"filter": f"datum.expected {sign} {middle}"}],
            "mark": {"type": "text", "align": align, "dy": -15, "color": "var(--ink)"},
            "encoding": {"x": {**x_axis, "field": "expected"}, "y": y_axis, "text": {"field": "text"}},
        }
        for sign, align in (("<=", "left"), (">", "right"))
    ]
    return draw_svg(
        {
            "width": WIDTH,
            "height": {"step": 2 * ROW},
            "data": {"values": rows},
            "layer": [interval, expected, *texts],
        },
        "Expected ARR of the renewals due, with 80% intervals",
        CHART_CONFIG,
    )


def kpi_trend_chart(dates: Sequence[str], measures: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Draw a small chart of each KPI, with its first and its last known value; None with fewer than two dates.

    Parameters
    ----------
    dates : ISO dates or instants, oldest first.
    measures : title, unit and values (in the order of the dates; None unknown) of each. KPIs that are known at fewer
        than two dates are left out.
    """
    panels = [
        _kpi_panel(each, points)
        for each in measures
        if len(points := [(d, v) for d, v in zip(dates, each["values"], strict=True) if v is not None]) > 1
    ]
    if not panels:
        return None
    return draw_svg(
        {"concat": panels, "columns": KPI_COLUMNS, "spacing": 28}, "KPIs at each published date", CHART_CONFIG
    )


def _kpi_panel(measure: Mapping[str, Any], points: Sequence[tuple[str, float]]) -> dict[str, Any]:
    low, high = min(value for _, value in points), max(value for _, value in points)
    margin = (high - low) * 0.25 or abs(high) * 0.1 or 1.0
    width, height = KPI_PANEL
    x_axis = {
        "field": "date",
        "type": "temporal",
        "axis": {
            "title": None,
            "labelExpr": f"datum.index ? '{day(points[-1][0])}' : '{day(points[0][0])}'",
            "values": [points[0][0], points[-1][0]],
            "labelBound": False,
            "labelFlush": True,
            "grid": False,
        },
    }
    scale = {"domain": [low - margin, high + margin], "nice": False, "zero": False}
    y_axis = {"field": "value", "type": "quantitative", "scale": scale, "axis": None}
    line = {
        "data": {"values": [{"date": date, "value": value} for date, value in points]},
        "mark": {
            "type": "line",
            "color": "var(--accent)",
            "strokeWidth": 2,
            "point": {"color": "var(--accent)", "size": 24},
        },
        "encoding": {"x": x_axis, "y": y_axis},
    }
    first, last = (in_unit(value, measure["unit"]) for _, value in (points[0], points[-1]))
    title = {
        "text": measure["title"],
        "subtitle": f"{first} → {last}",
        "subtitleColor": "var(--ink)",
        "subtitleFontSize": 12,
        "anchor": "start",
        "frame": "group",
        "fontSize": 12,
        "fontWeight": 600,
        "color": "var(--ink)",
        "limit": width + 24,
    }
    return {"width": width, "height": height, "title": title, **line}


def csm_load_chart(loads: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Draw the load of each CSM as a bar, with a line at 100%; None without CSMs.

    Parameters
    ----------
    loads : csm, load (a share), over and accounts of each, largest load first. The first `CSMS` are drawn.
    """
    rows = [
        {
            "csm": each["csm"],
            "load": each["load"],
            "tone": "bad" if each["over"] else "good",
            "text": f"{percent(each['load'], 0)}, {count_of(each['accounts'], 'account')}",
        }
        for each in loads[:CSMS]
    ]
    if not rows:
        return None
    top = max(1.0, *(row["load"] for row in rows))
    title = "Load" if len(loads) <= CSMS else f"Load, the {CSMS} CSMs with the largest"
    x_axis = {
        "field": "load",
        "type": "quantitative",
        "scale": {"domain": [0, top * 1.25], "nice": False},
        "axis": {
            "title": title,
            "format": ".0%",
            "tickCount": 5,
        },
    }
    y_axis = {
        "field": "csm",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "grid": False, "ticks": False, "domain": False, "labelLimit": 220},
    }
    color = {
        "field": "tone",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": ["good", "bad"], "range": ["var(--good)", "var(--bad)"]},
    }
    bars = {
        "mark": {"type": "bar", "height": 16},
        "encoding": {"x": x_axis, "y": y_axis, "color": color},
    }
    texts = {
        "mark": {"type": "text", "align": "left", "dx": 5, "color": "var(--ink)"},
        "encoding": {"x": x_axis, "y": y_axis, "text": {"field": "text"}},
    }
    full = {
        "data": {"values": [{"at": 1.0}]},
        "mark": {"type": "rule", "color": "var(--soft)", "strokeDash": [5, 4]},
        "encoding": {"x": {"field": "at", "type": "quantitative"}},
    }
    return draw_svg(
        {"width": WIDTH, "height": {"step": ROW}, "data": {"values": rows}, "layer": [bars, full, texts]},
        "Load of each CSM; at 100% a CSM is full",
        CHART_CONFIG,
    )
