"""The pictures of the page: Altair's charts as SVG, drawn without a browser; each says in words what it shows.

Text and lines take the colour of the page's text (``currentColor``), so that one drawing serves light and dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import altair as alt
import pandas as pd
from markupsafe import Markup

from features.utils.vega_svg import chart_config, draw_svg

INK = "currentColor"
RED, AMBER, GREEN, BLUE, GREY, VIOLET = "#d1493f", "#b87700", "#2a8a57", "#3b78d8", "#7c8a9a", "#8a56c9"
BAND_COLORS = {"red": RED, "yellow": AMBER, "green": GREEN, "insufficient_data": GREY, "not there": GREY}
WIDTH = 380
ROW = 34

ChartPoint = tuple[str, float | None, float | None, float | None, str]
"""Name, value, low, high, colour."""

CONFIG = {
    **chart_config(
        INK,
        INK,
        INK,
        13,
        titleFontWeight="normal",
        gridOpacity=0.12,
        domainOpacity=0.4,
        tickOpacity=0.4,
        labelLimit=230,
    ),
    "background": "transparent",
    "padding": {"left": 30, "right": 12, "top": 5, "bottom": 5},
}


def svg(chart: alt.TopLevelMixin, title: str) -> Markup:
    """The drawing as SVG for a page: it scales with its place, says what it shows, and shares no id with another."""
    return draw_svg(chart.to_dict(), title, CONFIG)


def interval_chart(
    points: Sequence[ChartPoint], axis: str, title: str, *, shares: bool = False, mark_at: float | None = None
) -> Markup:
    """One row per point: the value as a dot, its interval as a line; a dashed line at ``mark_at``."""
    table = pd.DataFrame(
        [
            {"name": n, "value": v, "low": low, "high": high, "colour": c}
            for n, v, low, high, c in points
            if v is not None
        ]
    )
    if table.empty:
        return Markup("")
    rows = alt.Y("name:N", sort=None, title=None)
    form = alt.Axis(format="%" if shares else ",.4~f", title=axis, tickCount=5)
    base = alt.Chart(table)
    colour = alt.Color("colour:N", scale=None)
    scale = alt.Scale(zero=shares, domain=_domain(table)) if shares else alt.Scale(zero=False)
    layers: list[alt.Chart] = []
    if mark_at is not None:
        layers.append(
            alt.Chart(pd.DataFrame({"at": [mark_at]}))
            .mark_rule(color=INK, strokeDash=[5, 4], opacity=0.7)
            .encode(x="at:Q")
        )
    if table["low"].notna().any():
        layers.append(
            base.mark_rule(strokeWidth=3, opacity=0.55, clip=True).encode(
                x=alt.X("low:Q", axis=form, scale=scale), x2="high:Q", y=rows, color=colour
            )
        )
    layers.append(
        base.mark_point(filled=True, size=110, opacity=1).encode(
            x=alt.X("value:Q", axis=form, scale=scale), y=rows, color=colour
        )
    )
    return svg(alt.layer(*layers).properties(width=WIDTH - 120, height=ROW * len(table) + 8), title)


def _domain(table: pd.DataFrame) -> list[float]:
    """From 0 to where the intervals end, or where most of them do: one that chance makes endless hides the others."""
    top = float(table["value"].max())
    return [0.0, max(min(float(table["high"].fillna(top).max()), 2.5 * top), 0.01)]


def weight_chart(
    rows: Sequence[tuple[str, float, float, float | None, float | None, float | None]], axis: str, title: str
) -> Markup:
    """One row per name: what the evidence points to as a dot with its interval, a grey bar for what is in force, and a
    violet one for what is proposed where that is something else. Rows hold name, in force, proposed, value, low,
    high."""
    table = pd.DataFrame(rows, columns=["name", "old", "new", "value", "low", "high"])
    if table.empty:
        return Markup("")
    y = alt.Y("name:N", sort=list(table["name"]), title=None)
    base, scale = alt.Chart(table), alt.Scale(zero=False)
    x = alt.Axis(format=",.4~f", title=axis, tickCount=6)
    layers: list[alt.Chart] = []
    fitted = table[table["low"].notna()]
    if len(fitted):
        layers.append(
            alt.Chart(fitted)
            .mark_rule(color=BLUE, strokeWidth=3, opacity=0.55)
            .encode(x=alt.X("low:Q", axis=x, scale=scale), x2="high:Q", y=y)
        )
    layers.append(base.mark_tick(color=GREY, thickness=5, size=24).encode(x=alt.X("old:Q", axis=x, scale=scale), y=y))
    if len(table[table["value"].notna()]):
        dots = alt.Chart(table[table["value"].notna()])
        layers.append(
            dots.mark_point(color=BLUE, filled=True, size=110, opacity=1).encode(
                x=alt.X("value:Q", axis=x, scale=scale), y=y
            )
        )
    moved = table[table["new"] != table["old"]]
    if len(moved):
        layers.append(
            alt.Chart(moved)
            .mark_tick(color=VIOLET, thickness=5, size=24)
            .encode(x=alt.X("new:Q", axis=x, scale=scale), y=y)
        )
    return svg(alt.layer(*layers).properties(width=WIDTH - 120, height=40 * len(table)), title)


def line_chart(
    points: Sequence[ChartPoint], x_axis: str, y_axis: str, title: str, level: float | None = None
) -> Markup:
    """Values over an ordered axis, with their intervals; a dashed line at ``level``."""
    table = pd.DataFrame(
        [{"x": n, "value": v, "low": low, "high": high} for n, v, low, high, _ in points if v is not None]
    )
    if table.empty:
        return Markup("")
    x = alt.X("x:N", sort=None, title=x_axis, axis=alt.Axis(labelAngle=0))
    base = alt.Chart(table).encode(x=x)
    layers: list[alt.Chart] = []
    if level is not None:
        layers.append(
            alt.Chart(pd.DataFrame({"at": [level]}))
            .mark_rule(color=GREEN, strokeDash=[6, 4], strokeWidth=2)
            .encode(y="at:Q")
        )
    y = alt.Y("value:Q", title=y_axis, scale=alt.Scale(domain=[0, 100]))
    if table["low"].notna().any():
        layers.append(
            base.mark_rule(color=RED, strokeWidth=3, opacity=0.5).encode(y=alt.Y("low:Q", title=y_axis), y2="high:Q")
        )
    layers += [
        base.mark_line(color=RED, strokeWidth=2).encode(y=y),
        base.mark_point(color=RED, filled=True, size=90, opacity=1).encode(y=y),
    ]
    return svg(alt.layer(*layers).properties(width=WIDTH - 70, height=190), title)


def score_reliability_chart(
    points: Iterable[tuple[float, ChartPoint]], curve: Sequence[tuple[float, float, float, float]], title: str
) -> Markup:
    """Rates over scores: dots with intervals, and the curve with its band where there is one."""
    table = pd.DataFrame(
        [{"x": x, "value": v, "low": low, "high": high} for x, (_, v, low, high, _) in points if v is not None]
    )
    if table.empty:
        return Markup("")
    x = alt.X("x:Q", title="health score", scale=alt.Scale(domain=[0, 100]))
    form = alt.Axis(format="%", title="churn that followed", tickCount=5)
    scale = alt.Scale(domain=_domain(table))
    layers: list[alt.Chart] = []
    if curve:
        drawn = alt.Chart(pd.DataFrame(curve, columns=["x", "rate", "low", "high"])).encode(x=x)
        layers.append(
            drawn.mark_area(color=BLUE, opacity=0.18, clip=True).encode(
                y=alt.Y("low:Q", axis=form, scale=scale), y2="high:Q"
            )
        )
        layers.append(drawn.mark_line(color=BLUE, strokeWidth=2).encode(y=alt.Y("rate:Q", axis=form, scale=scale)))
    base = alt.Chart(table).encode(x=x)
    if table["low"].notna().any():
        layers.append(
            base.mark_rule(color=RED, strokeWidth=3, opacity=0.5, clip=True).encode(
                y=alt.Y("low:Q", axis=form, scale=scale), y2="high:Q"
            )
        )
    layers.append(
        base.mark_point(color=RED, filled=True, size=90, opacity=1).encode(y=alt.Y("value:Q", axis=form, scale=scale))
    )
    return svg(alt.layer(*layers).properties(width=WIDTH - 70, height=200), title)


def model_reliability_chart(points: Sequence[tuple[float, ChartPoint]], title: str) -> Markup:
    """How often it happened over how often it was said to; on the dashed line both are the same."""
    table = pd.DataFrame(
        [{"x": x, "value": v, "low": low, "high": high} for x, (_, v, low, high, _) in points if v is not None]
    )
    if table.empty:
        return Markup("")
    top = float(table[["x", "value", "high"]].max().max())
    x = alt.X("x:Q", title="the model said", axis=alt.Axis(format="%", tickCount=5))
    form = alt.Axis(format="%", title="it happened", tickCount=5)
    same = alt.Chart(pd.DataFrame({"x": [0.0, top], "value": [0.0, top]}))
    base = alt.Chart(table).encode(x=x)
    layers = [same.mark_line(color=INK, strokeDash=[5, 4], opacity=0.6).encode(x=x, y=alt.Y("value:Q", axis=form))]
    if table["low"].notna().any():
        layers.append(
            base.mark_rule(color=BLUE, strokeWidth=3, opacity=0.5).encode(y=alt.Y("low:Q", axis=form), y2="high:Q")
        )
    layers.append(base.mark_point(color=BLUE, filled=True, size=90, opacity=1).encode(y=alt.Y("value:Q", axis=form)))
    return svg(alt.layer(*layers).properties(width=WIDTH - 70, height=200), title)


def bar_chart(rows: Sequence[tuple[str, float, str]], axis: str, title: str, mark_at: float | None = None) -> Markup:
    """One bar per row, its number beside it; a dashed line at ``mark_at``."""
    table = pd.DataFrame([{"name": n, "value": v, "colour": c} for n, v, c in rows])
    if table.empty:
        return Markup("")
    y = alt.Y("name:N", sort=None, title=None)
    base = alt.Chart(table).encode(y=y)
    layers = [
        base.mark_bar(height=16, cornerRadiusEnd=3).encode(
            x=alt.X("value:Q", title=axis), color=alt.Color("colour:N", scale=None)
        ),
        base.mark_text(align="left", dx=4, fontSize=12, color=INK).encode(
            x="value:Q", text=alt.Text("value:Q", format=",.2~f")
        ),
    ]
    if mark_at is not None:
        layers.append(
            alt.Chart(pd.DataFrame({"at": [mark_at]}))
            .mark_rule(color=INK, strokeDash=[5, 4], opacity=0.7)
            .encode(x="at:Q")
        )
    return svg(alt.layer(*layers).properties(width=WIDTH - 140, height=26 * len(table) + 8), title)


def migration_matrix(
    cells: Sequence[tuple[str, str, int]], rows: Sequence[str], columns: Sequence[str], title: str
) -> Markup:
    """Counts from one band to another, the darker the more."""
    if not cells:
        return Markup("")
    table = pd.DataFrame(cells, columns=["before", "after", "accounts"])
    x = alt.X("after:N", sort=list(columns), title="at the end", axis=alt.Axis(orient="top", labelAngle=0))
    base = alt.Chart(table).encode(x=x, y=alt.Y("before:N", sort=list(rows), title="at the start"))
    shade = alt.Opacity("accounts:Q", legend=None, scale=alt.Scale(range=[0.1, 0.55]))
    layers = [
        base.mark_rect(color=BLUE, cornerRadius=3).encode(opacity=shade),
        base.mark_text(fontSize=14, color=INK).encode(text="accounts:Q"),
    ]
    return svg(alt.layer(*layers).properties(width=WIDTH - 100, height=38 * table["before"].nunique() + 8), title)
