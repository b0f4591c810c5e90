"""Charts with axes, drawn on the server.

Colours are names of the style sheet's (``var(--good)``), so that one drawing serves light and dark. Drawing takes tens
of milliseconds, and starting it seconds: what is drawn of a snapshot is kept with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from features.utils.vega_svg import chart_config, draw_svg

CONFIG = chart_config("var(--ink)", "var(--soft)", "var(--line)", font_size=12)


def weekly(weeks: Sequence[Mapping[str, Any]]) -> Markup:
    """Accounts by band of health as stacked bars, and the mean score as a line over them.

    Parameters
    ----------
    weeks : date (ISO), mean, green, yellow and red for each.
    """
    counted = [
        {"date": week["date"], "band": band, "accounts": week[band], "place": place}
        for week in weeks
        for place, band in enumerate(("green", "yellow", "red"))
    ]
    along: dict[str, Any] = {
        "field": "date",
        "type": "ordinal",
        "timeUnit": None,
        "axis": {
            "title": None,
            "labelAngle": 0,
            "labelExpr": _SHORT_DAY,
            "labelOverlap": "greedy",
            "labelSeparation": 10,
            "grid": False,
        },
    }
    bars = {
        "height": 130,
        "width": 560,
        "data": {"values": counted},
        "mark": {"type": "bar"},
        "encoding": {
            "x": along,
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
            "x": {**along, "axis": {**along["axis"], "labels": False, "ticks": False}},
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
        "Mean health and accounts by band of health, week by week",
        CONFIG,
    )


def reliability(bins: Sequence[Mapping[str, Any]], target: str) -> Markup:
    """What was said against what happened, with intervals, and the line on which both are the same.

    Parameters
    ----------
    bins : said, and happened as a figure (value, low, high), shares from 0 to 1.
    """
    points = [{"said": b["said"], **b["happened"]} for b in bins if b["happened"]["value"] is not None]
    most = max((max(p["said"], p["value"], p["high"] or 0.0) for p in points), default=1.0)
    along = {
        "field": "said",
        "type": "quantitative",
        "scale": {"domain": [0, most]},
        "axis": {"title": "Said", "format": ".0%", "tickCount": 5},
    }
    up = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [0, most]},
        "axis": {"title": "Happened", "format": ".0%", "tickCount": 5},
    }
    line = {
        "data": {"values": [{"said": 0, "value": 0}, {"said": most, "value": most}]},
        "mark": {"type": "line", "color": "var(--soft)", "strokeDash": [3, 3], "strokeWidth": 1.2},
        "encoding": {"x": along, "y": up},
    }
    spans = {
        "data": {"values": [point for point in points if point["low"] is not None]},
        "mark": {"type": "rule", "color": "var(--accent)", "opacity": 0.45, "strokeWidth": 3},
        "encoding": {"x": along, "y": {**up, "field": "low"}, "y2": {"field": "high"}},
    }
    dots = {
        "data": {"values": points},
        "mark": {
            "type": "line",
            "color": "var(--accent)",
            "strokeWidth": 2,
            "point": {"color": "var(--accent)", "size": 50},
        },
        "encoding": {"x": along, "y": up},
    }
    return draw_svg(
        {"width": 520, "height": 260, "layer": [line, spans, dots]},
        f"{target}: what was said against what happened, by tenths of the probabilities",
        CONFIG,
    )


def _around(values: Sequence[float]) -> list[float]:
    """Ends of an axis of scores that holds ``values`` in its middle and at least ten points, so that what is nothing
    does not look like much."""
    low, high = min(values, default=50.0), max(values, default=50.0)
    room = max(5.0, (high - low) * 0.6)
    middle = (low + high) / 2
    return [max(0.0, 5 * round((middle - room) / 5)), min(100.0, 5 * round((middle + room) / 5))]


_SHORT_DAY = "timeFormat(toDate(datum.value), '%-d %b')"
