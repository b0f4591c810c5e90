"""Vega-Lite charts rendered as SVG."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

FONT = "system-ui, sans-serif"
_AXES = {
    "labelColor": "var(--soft)",
    "titleColor": "var(--soft)",
    "gridColor": "var(--line)",
    "domainColor": "var(--line)",
    "tickColor": "var(--line)",
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": 500,
}
_CONFIG = {
    "background": None,
    "font": FONT,
    "axis": _AXES,
    "view": {"stroke": None},
    "legend": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--soft)",
        "labelFontSize": 12,
        "orient": "top",
        "title": None,
    },
    "text": {"color": "var(--ink)"},
}
_SIZE = re.compile(r'^<svg([^>]*?) width="[^"]*" height="[^"]*"')


def render_svg(spec: Mapping[str, Any], label: str) -> Markup:
    """Render a Vega-Lite specification as an SVG element that fills the width of its container.

    Parameters
    ----------
    spec : the specification, without ``$schema`` and ``config``.
    label : text alternative for screen readers; the page should also show the figures in a table.
    """
    # Imported here because it loads an engine of its own that only pages need.
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(
        {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": _CONFIG, **spec}
    )
    # The default labels describe pixels and axes, which does not help a screen reader's user.
    svg = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", svg)
    opened = _SIZE.sub(rf'<svg\1 role="img" aria-label="{escape(label)}"', svg, count=1)
    return Markup(opened)
