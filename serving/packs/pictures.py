"""The pictures of a document, as SVG: Vega-Lite, drawn by vl-convert, without a browser or the network.

Colours are names of the page's own style sheet (``var(--accent)``), so that one drawing serves light, dark and print.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 190
_AXIS = {
    "labelColor": "var(--soft)",
    "titleColor": "var(--soft)",
    "domainColor": "var(--line)",
    "tickColor": "var(--line)",
    "gridColor": "var(--line)",
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": 500,
}
_CONFIG = {"background": None, "font": "system-ui, sans-serif", "axis": _AXIS, "view": {"stroke": None}}
_PLAIN = re.compile(r'^<svg([^>]*?) width="[^"]*" height="[^"]*"')


def picture(described: Mapping[str, Any]) -> Markup:
    """The picture that a section describes: ``kind`` (use or health), ``label``, ``points`` (a date and a value each).
    Weeks of which nothing is known are gaps."""
    # Not at import: it brings an engine of its own.
    import vl_convert

    field, title = ("users", "users") if described["kind"] == "use" else ("score", "of 100")
    scale = {"domain": [0, 100]} if described["kind"] == "health" else {"zero": True, "nice": True}
    day = {"format": "%-d %b", "tickCount": 6, "grid": False}
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": _CONFIG,
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": [{"date": p["date"], field: p[field]} for p in described["points"]]},
        "encoding": {
            "x": {"field": "date", "type": "temporal", "title": None, "axis": day},
            "y": {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": {"tickCount": 5}},
        },
        "layer": [
            {"mark": {"type": "line", "color": "var(--accent)", "strokeWidth": 2.5}},
            {"mark": {"type": "circle", "color": "var(--accent)", "size": 40, "opacity": 1}},
        ],
    }
    svg: str = vl_convert.vegalite_to_svg(spec)
    # Numbers of pixels and axes help nobody who hears the page: the label and the table beside the picture do.
    svg = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", svg)
    opened = f'<svg\\1 role="img" aria-label="{escape(described["label"])}"'
    return Markup(_PLAIN.sub(opened, svg, count=1))
