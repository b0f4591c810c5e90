"""Charts of the review page: Altair charts as SVG, drawn without a browser, each with a title for screen readers.

Text and lines use the text color of the page (``currentColor``), so that one drawing works in light and dark mode.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence

import altair as alt
import pandas as pd
from markupsafe import Markup

from features.utils.vega_svg import chart_config, draw_svg

INK = "currentColor"
RED, AMBER, GREEN, BLUE, GRAY, VIOLET = "#d1493f", "#b87700", "#2a8a57", "#3b78d8", "#7c8a9a", "#8a56c9"
BAND_COLORS = {"red": RED, "yellow": AMBER, "green": GREEN, "insufficient_data": GRAY, "not there": GRAY}
WIDTH = 380
ROW = 34

IntervalPoint = tuple[str, float | None, float | None, float | None, str]
"""Name, value, lower and upper end of the interval, color."""

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
    """Draw a chart as SVG that scales with the page, has a title, and shares no id with other charts.

    Parameters
    ----------
    chart : the chart.
    title : the title, which is also the text alternative.

    Returns
    -------
    Markup
        The SVG.
    """
    return draw_svg(chart.to_dict(), title, CONFIG)


def interval_chart(
    points: Sequence[IntervalPoint], axis: str, title: str, *, shares: bool = False, mark_at: float | None = None
) -> Markup:
    """Draw one row per point: the value as a dot, and its interval as a line.

    Parameters
    ----------
    points : the values with their intervals.
    axis : the title of the axis.
    title : the title, which is also the text alternative.
    shares : whether the values are shares, shown in percent.
    mark_at : the value at which a dashed line is drawn.

    Returns
    -------
    Markup
        The SVG.
    """
    table = pd.DataFrame(
        [
            {"name": n, "value": v, "low": low, "high": high, "color": c}
            for n, v, low, high, c in points
            if v is not None
        ]
    )
    if table.empty:
        return Markup("")
    rows = alt.Y("name:N", sort=None, title=None)
    ticks = alt.Axis(format="%" if shares else ",.4~f", title=axis, tickCount=5)
    base = alt.Chart(table)
    color = alt.Color("color:N", scale=None)
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
                x=alt.X("low:Q", axis=ticks, scale=scale), x2="high:Q", y=rows, color=color
            )
        )
    layers.append(
        base.mark_point(filled=True, size=110, opacity=1).encode(
            x=alt.X("value:Q", axis=ticks, scale=scale), y=rows, color=color
        )
    )
    return svg(alt.layer(*layers).properties(width=WIDTH - 120, height=ROW * len(table) + 8), title)


def _domain(table: pd.DataFrame) -> list[float]:
    """Axis range from 0 to the end of the intervals, cut off at 2.5 times the largest value."""
    top = float(table["value"].max())
    return [0.0, max(min(float(table["high"].fillna(top).max()), 2.5 * top), 0.01)]


def weight_chart(
    rows: Sequence[tuple[str, float, float, float | None, float | None, float | None]], axis: str, title: str
) -> Markup:
    """Draw one row per name: the fitted value as a blue dot with its interval, the current value as a gray bar, and
    the proposed value as a violet bar where it differs.

    Parameters
    ----------
    rows : name, current value, proposed value, fitted value, lower and upper end of the interval.
    """
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
    layers.append(base.mark_tick(color=GRAY, thickness=5, size=24).encode(x=alt.X("old:Q", axis=x, scale=scale), y=y))
    if len(table[table["value"].notna()]):
        dots = alt.Chart(table[table["value"].notna()])
        layers.append(
            dots.mark_point(color=BLUE, filled=True, size=110, opacity=1).encode(
                x=alt.X("value:Q", axis=x, scale=scale), y=y
            )
        )
    changed = table[table["new"] != table["old"]]
    if len(changed):
        layers.append(
            alt.Chart(changed)
            .mark_tick(color=VIOLET, thickness=5, size=24)
            .encode(x=alt.X("new:Q", axis=x, scale=scale), y=y)
        )
    return svg(alt.layer(*layers).properties(width=WIDTH - 120, height=40 * len(table)), title)


def line_chart(
    points: Sequence[IntervalPoint], x_axis: str, y_axis: str, title: str, level: float | None = None
) -> Markup:
    """Draw values over an ordered axis, with their intervals.

    Parameters
    ----------
    points : the values with their intervals.
    x_axis, y_axis : the titles of the axes.
    title : the title, which is also the text alternative.
    level : the value at which a dashed line is drawn.

    Returns
    -------
    Markup
        The SVG.
    """
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
    points: Iterable[tuple[float, IntervalPoint]], curve: Sequence[tuple[float, float, float, float]], title: str
) -> Markup:
    """Draw churn rates by score: dots with intervals, and the fitted curve with its confidence band, if any."""
    table = pd.DataFrame(
        [{"x": x, "value": v, "low": low, "high": high} for x, (_, v, low, high, _) in points if v is not None]
    )
    if table.empty:
        return Markup("")
    x = alt.X("x:Q", title="health score", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=5))
    ticks = alt.Axis(format="%", title="churn rate", tickCount=5)
    scale = alt.Scale(domain=_domain(table))
    layers: list[alt.Chart] = []
    if curve:
        drawn = alt.Chart(pd.DataFrame(curve, columns=["x", "rate", "low", "high"])).encode(x=x)
        layers.append(
            drawn.mark_area(color=BLUE, opacity=0.18, clip=True).encode(
                y=alt.Y("low:Q", axis=ticks, scale=scale), y2="high:Q"
            )
        )
        layers.append(drawn.mark_line(color=BLUE, strokeWidth=2).encode(y=alt.Y("rate:Q", axis=ticks, scale=scale)))
    base = alt.Chart(table).encode(x=x)
    if table["low"].notna().any():
        layers.append(
            base.mark_rule(color=RED, strokeWidth=3, opacity=0.5, clip=True).encode(
                y=alt.Y("low:Q", axis=ticks, scale=scale), y2="high:Q"
            )
        )
    layers.append(
        base.mark_point(color=RED, filled=True, size=90, opacity=1).encode(y=alt.Y("value:Q", axis=ticks, scale=scale))
    )
    return svg(alt.layer(*layers).properties(width=WIDTH - 70, height=200), title)


def model_reliability_chart(points: Sequence[tuple[float, IntervalPoint]], title: str) -> Markup:
    """Draw the observed rate over the predicted probability; on the dashed line both are equal."""
    table = pd.DataFrame(
        [{"x": x, "value": v, "low": low, "high": high} for x, (_, v, low, high, _) in points if v is not None]
    )
    if table.empty:
        return Markup("")
    top = float(table[["x", "value", "high"]].max().max())
    x = alt.X("x:Q", title="predicted", axis=alt.Axis(format="%", tickCount=5))
    ticks = alt.Axis(format="%", title="observed", tickCount=5)
    diagonal = alt.Chart(pd.DataFrame({"x": [0.0, top], "value": [0.0, top]}))
    base = alt.Chart(table).encode(x=x)
    layers = [diagonal.mark_line(color=INK, strokeDash=[5, 4], opacity=0.6).encode(x=x, y=alt.Y("value:Q", axis=ticks))]
    if table["low"].notna().any():
        layers.append(
            base.mark_rule(color=BLUE, strokeWidth=3, opacity=0.5).encode(y=alt.Y("low:Q", axis=ticks), y2="high:Q")
        )
    layers.append(base.mark_point(color=BLUE, filled=True, size=90, opacity=1).encode(y=alt.Y("value:Q", axis=ticks)))
    return svg(alt.layer(*layers).properties(width=WIDTH - 70, height=200), title)


def bar_chart(rows: Sequence[tuple[str, float, str]], axis: str, title: str, mark_at: float | None = None) -> Markup:
    """Draw one bar per row with its value next to it.

    Parameters
    ----------
    rows : the label, value and color of each bar.
    axis : the title of the axis.
    title : the title, which is also the text alternative.
    mark_at : the value at which a dashed line is drawn.

    Returns
    -------
    Markup
        The SVG.
    """
    table = pd.DataFrame([{"name": n, "value": v, "color": c} for n, v, c in rows])
    if table.empty:
        return Markup("")
    y = alt.Y("name:N", sort=None, title=None)
    base = alt.Chart(table).encode(y=y)
    layers = [
        base.mark_bar(height=16, cornerRadiusEnd=3).encode(
            x=alt.X("value:Q", title=axis), color=alt.Color("color:N", scale=None)
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
    """Draw the number of accounts that changed from one band to another; darker cells hold more accounts.

    Parameters
    ----------
    cells : band before, band after, and number of accounts.
    rows, columns : the bands in order.
    title : the title, which is also the text alternative.

    Returns
    -------
    Markup
        The SVG.
    """
    if not cells:
        return Markup("")
    table = pd.DataFrame(cells, columns=["before", "after", "accounts"])
    # Long names take several lines, so that they do not touch each other; Vega adds lines below the first one.
    lines = {name: textwrap.wrap(name, 8) for name in columns}
    padding = 3 + 15 * (max(len(each) for each in lines.values()) - 1)
    axis = alt.Axis(orient="top", labelAngle=0, labelExpr=f"{json.dumps(lines)}[datum.label]", labelPadding=padding)
    x = alt.X("after:N", sort=list(columns), title="band at the end", axis=axis)
    base = alt.Chart(table).encode(x=x, y=alt.Y("before:N", sort=list(rows), title="band at the start"))
    shade = alt.Opacity("accounts:Q", legend=None, scale=alt.Scale(range=[0.1, 0.55]))
    layers = [
        base.mark_rect(color=BLUE, cornerRadius=3).encode(opacity=shade),
        base.mark_text(fontSize=14, color=INK).encode(text="accounts:Q"),
    ]
    return svg(alt.layer(*layers).properties(width=WIDTH - 100, height=38 * table["before"].nunique() + 8), title)
