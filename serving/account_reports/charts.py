"""Charts of account reports, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from features.utils.formatting import date_form
from features.utils.vega_svg import draw_svg
from serving.html.charts import CHART_CONFIG

WIDTH, HEIGHT = 640, 190


def section_chart(chart: Mapping[str, Any]) -> Markup:
    """Draw a section's chart from its ``kind`` (use or health), ``label`` and ``points`` (a date and a value each).

    Weeks without data are gaps.
    """
    field, title = ("users", "users") if chart["kind"] == "use" else ("score", "out of 100")
    scale = {"domain": [0, 100]} if chart["kind"] == "health" else {"zero": True, "nice": True}
    day = {"format": date_form().axis, "tickCount": 6, "grid": False}
    spec = {
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": [{"date": p["date"], field: p[field]} for p in chart["points"]]},
        "encoding": {
            "x": {"field": "date", "type": "temporal", "title": None, "axis": day},
            "y": {
                "field": field,
                "type": "quantitative",
                "title": title,
                "scale": scale,
                "axis": {"tickCount": 5, "tickMinStep": 1},
            },
        },
        "layer": [
            {"mark": {"type": "line", "color": "var(--accent)", "strokeWidth": 2.5}},
            {"mark": {"type": "circle", "color": "var(--accent)", "size": 40, "opacity": 1}},
        ],
    }
    return draw_svg(spec, chart["label"], CHART_CONFIG)
