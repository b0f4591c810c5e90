"""Pictures of the report: each feed's rows per week, and the portfolio by week."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from markupsafe import Markup

from features.feed_health.feed_report import FeedHealth
from features.utils.dates import WEEK_DAYS
from features.utils.formatting import count_of, day
from features.utils.vega_svg import chart_config, draw_svg
from training.source_report.portfolio_history import PortfolioWeek
from training.source_report.timeline import FeedTimeline

INK, BLUE, AMBER, RED = "currentColor", "#3b78d8", "#b87700", "#d1493f"
CONFIG = {
    **chart_config(INK, INK, INK, 13, titleFontWeight="normal", gridOpacity=0.12, domainOpacity=0.4, tickOpacity=0.4),
    "background": "transparent",
    "padding": {"left": 4, "right": 12, "top": 5, "bottom": 5},
}
BARE = {"view": {"stroke": None}, "background": "transparent", "padding": 0}
FEED_WIDTH, FEED_HEIGHT = 600, 44
LINE_WIDTH, LINE_HEIGHT = 320, 150


def feed_chart(timeline: FeedTimeline, feed: FeedHealth) -> Markup:
    """Draw the rows per week of one feed, its silences and, if it ended too early, the time since its end.

    The axis has no labels: all feeds are drawn on the same one, and the page names its ends.

    Parameters
    ----------
    timeline : the feed on the axis.
    feed : its health.
    """
    start, weeks = timeline.start, timeline.weeks
    end = start + timedelta(days=WEEK_DAYS * len(weeks))
    gaps = [(each.first, each.last + timedelta(days=1), AMBER) for each in feed.silences if each.last >= start]
    if feed.stale and feed.last is not None:
        gaps.append((max(feed.last.date(), start), end, RED))
    shown = [{"from": max(first, start).isoformat(), "to": last.isoformat(), "color": c} for first, last, c in gaps]
    bars = [
        {
            "from": (start + timedelta(days=WEEK_DAYS * week)).isoformat(),
            "to": (start + timedelta(days=WEEK_DAYS * (week + 1))).isoformat(),
            "rows": rows,
        }
        for week, rows in enumerate(weeks)
        if rows
    ]
    scale = {"domain": [start.isoformat(), end.isoformat()], "type": "utc", "nice": False}
    x = {"field": "from", "type": "temporal", "axis": None, "scale": scale}
    y = {"field": "rows", "type": "quantitative", "axis": None, "scale": {"domainMin": 0}}
    layers: list[dict[str, Any]] = []
    if shown:
        marks = {"type": "rect", "opacity": 0.28}
        color = {"field": "color", "type": "nominal", "scale": None}
        layers.append(
            {"data": {"values": shown}, "mark": marks, "encoding": {"x": x, "x2": {"field": "to"}, "color": color}}
        )
    layers.append(
        {
            "data": {"values": bars},
            "mark": {"type": "bar", "color": BLUE},
            "encoding": {"x": x, "x2": {"field": "to"}, "y": y, "y2": {"datum": 0}},
        }
    )
    spec = {"width": FEED_WIDTH, "height": FEED_HEIGHT, "layer": layers}
    return draw_svg(spec, _label(timeline, feed), BARE)


def _label(timeline: FeedTimeline, feed: FeedHealth) -> str:
    text = f"Rows per week of {timeline.table}, at most {max(timeline.weeks):,}"
    if feed.silences:
        text += f"; {count_of(len(feed.silences), 'long gap')}"
    return text + ("; it ended too early" if feed.stale else "")


def portfolio_charts(history: tuple[PortfolioWeek, ...], contractual: bool) -> dict[str, Markup]:
    """Draw the active accounts and the ARR by week; empty texts without a history.

    Parameters
    ----------
    history : the weeks.
    contractual : whether there are contracts; otherwise ARR is the amount of the orders of a year.
    """
    if len(history) < 2:
        return {"accounts": Markup(), "arr": Markup()}
    amount = "ARR" if contractual else "orders of the last 365 days"
    return {
        "accounts": _line([(week, week.accounts) for week in history], "active accounts", ",d"),
        "arr": _line([(week, week.arr) for week in history], amount, "~s"),
    }


def _line(points: list[tuple[PortfolioWeek, float]], title: str, number_format: str) -> Markup:
    values = [{"at": week.as_of.date().isoformat(), "value": value} for week, value in points]
    x: Mapping[str, Any] = {
        "field": "at",
        "type": "temporal",
        "scale": {"type": "utc"},
        "axis": {"title": None, "format": "%b %Y", "tickCount": 4, "labelFlush": True},
    }
    y: Mapping[str, Any] = {
        "field": "value",
        "type": "quantitative",
        "scale": {"zero": True},
        "axis": {"title": title, "format": number_format, "tickCount": 4},
    }
    spec = {
        "width": LINE_WIDTH,
        "height": LINE_HEIGHT,
        "data": {"values": values},
        "layer": [
            {"mark": {"type": "area", "color": BLUE, "opacity": 0.15}, "encoding": {"x": x, "y": y}},
            {"mark": {"type": "line", "color": BLUE, "strokeWidth": 2}, "encoding": {"x": x, "y": y}},
        ],
    }
    first, last = (f"{value:,.0f} on {day(week.as_of)}" for week, value in (points[0], points[-1]))
    label = f"{title} by week, from {first} to {last}"
    return draw_svg(spec, f"{label[0].upper()}{label[1:]}", CONFIG)
