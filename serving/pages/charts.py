"""Charts with axes: Vega-Lite, drawn to SVG on the server by vl-convert, which needs neither a browser nor the network.

Colours are names of the style sheet's (``var(--good)``), so that one drawing serves light and dark. Drawing takes tens
of milliseconds, and starting it seconds: what is drawn of a snapshot is kept with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    return drawn(
        {"vconcat": [mean, bars], "spacing": 12, "resolve": {"scale": {"x": "shared"}}},
        "Mean health and accounts by band of health, week by week",
    )


def _around(values: Sequence[float]) -> list[float]:
    """Ends of an axis of scores that holds ``values`` in its middle and at least ten points, so that what is nothing
    does not look like much."""
    low, high = min(values, default=50.0), max(values, default=50.0)
    room = max(5.0, (high - low) * 0.6)
    middle = (low + high) / 2
    return [max(0.0, 5 * round((middle - room) / 5)), min(100.0, 5 * round((middle + room) / 5))]


_SHORT_DAY = "timeFormat(toDate(datum.value), '%-d %b')"
