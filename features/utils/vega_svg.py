"""Altair charts drawn as SVG."""

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


def drawn(spec: Mapping[str, Any], label: str) -> Markup:
    """A Vega-Lite specification as an SVG element that is as wide as its place.

    Parameters
    ----------
    spec : the specification, without ``$schema`` and ``config``.
    label : what the drawing shows, for those who do not see it; its figures belong into a table beside it.
    """
    # Not at import: it brings an engine of its own, which only pages need.
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(
        {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": _CONFIG, **spec}
    )
    # Its parts are described by numbers of pixels and axes, which helps nobody.
    svg = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", svg)
    opened = _SIZE.sub(rf'<svg\1 role="img" aria-label="{escape(label)}"', svg, count=1)
    return Markup(opened)
