"""Charts as SVG: Vega-Lite, drawn by vl-convert, which needs neither a browser nor the network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from markupsafe import Markup, escape

FONT = "system-ui, sans-serif"
_SIZE = re.compile(r'^<svg([^>]*?) width="[^"]*" height="[^"]*"')
_ID = re.compile(r'(\bid="|url\(#)(\w+)')
_KEY = "chart-key"


def chart_config(ink: str, soft: str, lines: str, font_size: int, **axis: Any) -> dict[str, Any]:
    """The Vega-Lite configuration that all charts share.

    Parameters
    ----------
    ink, soft, lines : the CSS colors of text, of labels of axes, and of lines. ``var(--name)`` and ``currentColor``
        let one drawing serve light and dark pages.
    font_size : of labels and titles, in pixels.
    axis : more properties of axes.
    """
    return {
        "background": None,
        "font": FONT,
        "axis": {
            "labelColor": soft,
            "titleColor": soft,
            "gridColor": lines,
            "domainColor": lines,
            "tickColor": lines,
            "labelFontSize": font_size,
            "titleFontSize": font_size,
            "titleFontWeight": 500,
            **axis,
        },
        "view": {"stroke": None},
        "legend": {
            "labelColor": ink,
            "titleColor": soft,
            "labelFontSize": font_size,
            "orient": "top",
            "title": None,
        },
        "text": {"color": ink},
    }


def draw_svg(spec: Mapping[str, Any], label: str, config: Mapping[str, Any]) -> Markup:
    """A Vega-Lite specification as an SVG element that is as wide as its place.

    Its ids are taken from its content, so that they clash with those of no other chart on the page.

    Parameters
    ----------
    spec : the specification, without ``config``.
    label : what the chart shows, for those who do not see it; its figures belong in a table next to it.
    config : as `chart_config` makes it.
    """
    # Imported here because it loads an engine of its own that only pages need.
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(
        {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", **spec, "config": config}
    )
    # The default labels describe pixels and axes, which does not help a screen reader's user.
    svg = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", svg)
    # vl-convert numbers ids over the life of the process.
    numbers: dict[str, int] = {}
    svg = _ID.sub(lambda found: f"{found[1]}{_KEY}-{numbers.setdefault(found[2], len(numbers))}", svg)
    svg = svg.replace(_KEY, f"chart-{sha256(f'{label} {svg}'.encode()).hexdigest()[:8]}")
    return Markup(_SIZE.sub(lambda found: f'<svg{found[1]} role="img" aria-label="{escape(label)}"', svg, count=1))
