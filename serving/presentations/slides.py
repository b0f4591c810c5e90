"""Slides of a 16:9 presentation: a title, text, tables and charts that can be edited, and speaker notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import isnan
from pathlib import Path
from typing import Any, Literal

from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import (
    XL_CHART_TYPE,
    XL_LABEL_POSITION,
    XL_LEGEND_POSITION,
    XL_MARKER_STYLE,
    XL_TICK_LABEL_POSITION,
)
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.oxml.ns import qn
from pptx.oxml.xmlchemy import OxmlElement
from pptx.util import Emu, Inches, Length, Pt

from features.utils.atomic_files import new_file
from features.utils.printable import printable

WIDTH, HEIGHT = 13.333, 7.5
"""Of a slide, in inches."""
MARGIN = 0.6
FULL = WIDTH - 2 * MARGIN
"""The width of the content, in inches."""
TOP, BOTTOM = 1.5, 6.85
"""Where the content of a slide begins and ends, in inches."""
INK, SOFT, LINE, GROUND = "14202E", "4B5A6B", "D8DFE7", "EEF2F6"
ACCENT, GOOD, FAIR, BAD, NEUTRAL = "1D4ED8", "1C7F4E", "B87700", "CB382C", "7C8A9A"
"""The colors of the pages."""
UNKNOWN = "unknown"
ROW_HEIGHT, LINE_HEIGHT, CHARACTER = 0.29, 0.19, 0.079
"""Of a table at 11 points, in inches: a row with one line, each further line, and the mean width of a character."""
AFTER_NUMBER = 0.2
"""The space before text after a column of numbers, in inches."""
SMALLEST = 9
"""The smallest text of a table, in points."""
AMOUNT = '[>=1000000]0.0,,"M";[>=1000]0,"k";0'
"""The number format of amounts that are not negative, as in a spreadsheet: 4.2M, 225k."""

ChartKind = Literal["columns", "stacked", "line"]
_CHARTS = {
    "columns": XL_CHART_TYPE.COLUMN_CLUSTERED,
    "stacked": XL_CHART_TYPE.COLUMN_STACKED,
    "line": XL_CHART_TYPE.LINE_MARKERS,
}


@dataclass(frozen=True)
class Box:
    """A place on a slide, in inches."""

    left: float = MARGIN
    top: float = TOP
    width: float = FULL
    height: float = BOTTOM - TOP


@dataclass(frozen=True)
class Series:
    """One series of a chart.

    Parameters
    ----------
    name : its name in the legend.
    values : a value for each category; None or NaN is unknown and leaves a gap.
    color : RGB in hexadecimal; None draws nothing, for the base of floating columns.
    """

    name: str
    values: Sequence[float | None]
    color: str | None = ACCENT


@dataclass(frozen=True)
class TableColumn:
    """One column of a table: its heading, its share of the width, and whether it holds numbers."""

    title: str
    width: float = 1.0
    number: bool = False


class Deck:
    """A presentation that slides are added to.

    Parameters
    ----------
    title : the title in the properties of the file.
    footer : the text at the foot of every slide.
    """

    def __init__(self, title: str, footer: str) -> None:
        self._deck = Presentation()
        self._footer = _printable(footer)
        self._deck.core_properties.title = _printable(title)[:255]
        self._deck.core_properties.author = "Renewcast"
        _widen(self._deck)

    def cover(self, title: str, lines: Sequence[str], notes: str) -> Slide:
        """Add the first slide: a title and a few lines."""
        slide = self._deck.slides.add_slide(self._deck.slide_layouts[0])
        slide.shapes.title.text_frame.text = _printable(title)
        _style(slide.shapes.title.text_frame, 36, INK, bold=True)
        slide.placeholders[1].text_frame.text = "\n".join(map(_printable, lines))
        _style(slide.placeholders[1].text_frame, 18, SOFT)
        slide.notes_slide.notes_text_frame.text = _printable(notes)
        return Slide(slide, notes)

    def add(self, title: str, notes: str) -> Slide:
        """Add a slide.

        Parameters
        ----------
        title : what the slide says, as a sentence or a heading.
        notes : the speaker notes, with the sources of the figures.
        """
        slide = self._deck.slides.add_slide(self._deck.slide_layouts[5])
        slide.shapes.title.text_frame.text = _printable(title)
        _style(slide.shapes.title.text_frame, 24 if len(title) <= 90 else 20, INK, bold=True)
        slide.notes_slide.notes_text_frame.text = _printable(notes)
        result = Slide(slide, notes)
        result.text([self._footer], Box(MARGIN, 7.0, FULL - 1.0, 0.3), size=10)
        _number(slide, Box(WIDTH - MARGIN - 1.0, 7.0, 1.0, 0.3))
        return result

    def save(self, path: Path) -> int:
        """Write the file.

        Returns
        -------
        int
            The number of slides.

        Raises
        ------
        HomeError : it cannot be written.
        """
        with new_file(path) as unfinished:
            self._deck.save(str(unfinished))
        return len(self._deck.slides)

    def content(self) -> bytes:
        """Return the file."""
        stream = BytesIO()
        self._deck.save(stream)
        return stream.getvalue()


class Slide:
    """One slide, to which text, tables and charts are added."""

    def __init__(self, slide: Any, notes: str) -> None:
        self._slide = slide
        self.notes = notes

    def text(
        self,
        lines: Sequence[str],
        box: Box,
        *,
        size: int = 14,
        color: str = SOFT,
        bold: bool = False,
        bullets: bool = False,
    ) -> None:
        """Add lines of text, with bullets if there are several points."""
        frame = self._slide.shapes.add_textbox(*_place(box)).text_frame
        frame.word_wrap = True
        for place in ("margin_left", "margin_right", "margin_top", "margin_bottom"):
            setattr(frame, place, Inches(0.05))
        frame.text = "\n".join(map(_printable, lines))
        _style(frame, size, color, bold=bold)
        for paragraph in frame.paragraphs:
            paragraph.space_after = Pt(4)
            if bullets:
                _bullet(paragraph)

    def table(
        self, columns: Sequence[TableColumn], rows: Sequence[Sequence[str]], box: Box, *, size: int = 11
    ) -> float:
        """Add a table. Its text is smaller, down to `SMALLEST`, if it would not fit on the slide.

        Parameters
        ----------
        columns : the columns.
        rows : the text of each cell.
        box : its place; a table that needs less is lower.
        size : of the text, in points.

        Returns
        -------
        float
            Where the table ends, in inches from the top.
        """
        while size > SMALLEST and box.top + table_height(columns, rows, box.width, size) > BOTTOM:
            size -= 1
        shape = self._slide.shapes.add_table(len(rows) + 1, len(columns), *_place(box))
        table, whole = shape.table, sum(column.width for column in columns)
        # The style's bands and colors are replaced by plain lines.
        shape._element.graphic.graphicData.tbl.tblPr.attrib.clear()
        shape._element.graphic.graphicData.tbl.tblPr.set("firstRow", "1")
        for place, column in enumerate(columns):
            table.columns[place].width = Inches(box.width * column.width / whole)
        heights = _row_heights(columns, rows, box.width, size)
        for number, row in enumerate([[column.title for column in columns], *rows]):
            table.rows[number].height = Inches(heights[number])
            for place, (column, text) in enumerate(zip(columns, row, strict=True)):
                cell = table.cell(number, place)
                cell.text = _printable(text)
                _style(cell.text_frame, size, INK if number else SOFT, bold=not number)
                cell.margin_left = cell.margin_right = Inches(0.06)
                # Text next to a number that ends at the same line would read as one with it.
                if place and columns[place - 1].number and not column.number:
                    cell.margin_left = Inches(AFTER_NUMBER)
                cell.margin_top = cell.margin_bottom = Inches(0.03)
                cell.vertical_anchor = MSO_ANCHOR.MIDDLE if number else MSO_ANCHOR.BOTTOM
                for paragraph in cell.text_frame.paragraphs:
                    paragraph.alignment = PP_ALIGN.RIGHT if column.number else PP_ALIGN.LEFT
                cell.fill.background()
                _underline(cell, LINE if number else SOFT)
        return box.top + sum(heights)

    def chart(
        self,
        kind: ChartKind,
        categories: Sequence[str],
        series: Sequence[Series],
        box: Box,
        *,
        title: str,
        form: str = "#,##0",
        labels: bool = False,
        limits: tuple[float, float] | None = None,
    ) -> None:
        """Add a chart whose data can be edited; a text instead if there are no data.

        Parameters
        ----------
        kind : clustered columns, stacked columns, or lines.
        categories, series : the data.
        box : its place.
        title : what it shows, which is also its alternative text.
        form : the number format of axis and labels, as in a spreadsheet.
        labels : whether to write the values next to the columns.
        limits : the ends of the axis of values.
        """
        if not categories:
            self.text([f"{title}: no data."], box)
            return
        data = CategoryChartData(number_format=form)  # type: ignore[no-untyped-call]
        data.categories = [_printable(each) for each in categories]
        for each in series:
            data.add_series(_printable(each.name), [None if v is None or isnan(v) else v for v in each.values])  # type: ignore[no-untyped-call]
        frame = self._slide.shapes.add_chart(_CHARTS[kind], *_place(box), data)
        frame._element.nvGraphicFramePr.cNvPr.set("descr", _printable(title))
        chart = frame.chart
        chart.font.size, chart.font.color.rgb = Pt(11), _rgb(SOFT)
        chart.has_title = True
        chart.chart_title.text_frame.text = _printable(title)
        _style(chart.chart_title.text_frame, 12, SOFT, bold=True)
        drawn = [each for each in series if each.color is not None]
        chart.has_legend = len(drawn) > 1
        if chart.has_legend:
            chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.BOTTOM, False
            _hide_legend_entries(chart, [place for place, each in enumerate(series) if each.color is None])
        plot = chart.plots[0]
        if kind != "line":
            plot.gap_width = 60
            plot.overlap = 100 if kind == "stacked" else -10
        for each, drawing in zip(series, plot.series, strict=True):
            _paint(drawing, each.color, kind)
            if labels and each.color is not None:
                drawing.data_labels.show_value = True
                drawing.data_labels.number_format, drawing.data_labels.number_format_is_linked = form, False
                drawing.data_labels.font.size = Pt(11)
                if kind == "columns":
                    drawing.data_labels.position = XL_LABEL_POSITION.OUTSIDE_END
        axis = chart.value_axis
        axis.major_gridlines.format.line.color.rgb = _rgb(LINE)
        axis.format.line.fill.background()
        axis.tick_labels.number_format, axis.tick_labels.number_format_is_linked = form, False
        chart.category_axis.format.line.color.rgb = _rgb(SOFT)
        chart.category_axis.tick_label_position = XL_TICK_LABEL_POSITION.LOW
        if limits is not None:
            axis.minimum_scale, axis.maximum_scale = limits


def table_height(columns: Sequence[TableColumn], rows: Sequence[Sequence[str]], width: float, size: int = 11) -> float:
    """Return how high a table is, in inches: an estimate from the lengths of its texts."""
    return sum(_row_heights(columns, rows, width, size))


def _row_heights(columns: Sequence[TableColumn], rows: Sequence[Sequence[str]], width: float, size: int) -> list[float]:
    """Return the height of the header and of each row, in inches."""
    whole = sum(column.width for column in columns)
    widths = [width * column.width / whole - 0.12 for column in columns]
    cells = [[column.title for column in columns], *rows]
    lines = [max(map(_lines, row, widths, [size] * len(widths)), default=1) for row in cells]
    return [(ROW_HEIGHT + (each - 1) * LINE_HEIGHT) * size / 11 for each in lines]


def _widen(deck: Any) -> None:
    """Change a presentation from 4:3 to 16:9, with its master and layouts, so that slides that are added later fit."""
    ratio = Inches(WIDTH) / deck.slide_width
    deck.slide_width, deck.slide_height = Inches(WIDTH), Inches(HEIGHT)
    for part in (deck.slide_master, *deck.slide_layouts):
        for shape in part.placeholders:
            if shape._element.spPr.find(qn("a:xfrm")) is not None:
                shape.left, shape.width = Emu(int(shape.left * ratio)), Emu(int(shape.width * ratio))
    for title in (p for p in deck.slide_layouts[5].placeholders if p.placeholder_format.idx == 0):
        title.left, title.top, title.width, title.height = _place(Box(MARGIN, 0.45, FULL, 0.85))
        title.text_frame.vertical_anchor = MSO_ANCHOR.MIDDLE
        title.text_frame.margin_left = Inches(0.05)
    for place in deck.slide_layouts[0].placeholders:
        place.text_frame.margin_left = Inches(0.05)
        if place.placeholder_format.idx == 0:
            place.left, place.top, place.width, place.height = _place(Box(MARGIN, 2.0, FULL, 1.5))
            place.text_frame.vertical_anchor = MSO_ANCHOR.BOTTOM
        elif place.placeholder_format.idx == 1:
            place.left, place.top, place.width, place.height = _place(Box(MARGIN, 3.65, FULL, 2.2))


def _place(box: Box) -> tuple[Length, Length, Length, Length]:
    return Inches(box.left), Inches(box.top), Inches(box.width), Inches(box.height)


def _rgb(color: str) -> RGBColor:
    return RGBColor.from_string(color)  # type: ignore[no-untyped-call, no-any-return]


def _style(frame: Any, size: int, color: str, *, bold: bool = False) -> None:
    for paragraph in frame.paragraphs:
        paragraph.alignment = PP_ALIGN.LEFT
        paragraph.font.size, paragraph.font.bold = Pt(size), bold
        paragraph.font.color.rgb = _rgb(color)


def _printable(text: str) -> str:
    """Escape control and invisible characters, which XML does not allow or readers cannot see."""
    return printable(text).translate(_NO_CHARACTERS)


_NO_CHARACTERS = {0xFFFE: "\ufffd", 0xFFFF: "\ufffd"}


def _lines(text: str, width: float, size: int) -> int:
    """Return how many lines a text takes in a cell of so many inches: an estimate from the mean character."""
    fits = max(1, int(width / (CHARACTER * size / 11)))
    return max(1, sum(-(-len(part) // fits) for part in text.split("\n")))


def _bullet(paragraph: Any) -> None:
    properties = paragraph._p.get_or_add_pPr()
    properties.set("marL", str(Inches(0.2)))
    properties.set("indent", str(-Inches(0.2)))
    _child(properties, "a:buChar", char="•")


def _underline(cell: Any, color: str) -> None:
    """Draw a line below a cell and none on its other sides."""
    properties = cell._tc.get_or_add_tcPr()
    for place, side in enumerate(("a:lnL", "a:lnR", "a:lnT", "a:lnB")):
        line = OxmlElement(side)
        if side == "a:lnB":
            line.set("w", str(Pt(0.75)))
            _child(_child(line, "a:solidFill"), "a:srgbClr", val=color)
        else:
            line.set("w", "0")
            _child(line, "a:noFill")
        properties.insert(place, line)


def _number(slide: Any, box: Box) -> None:
    """Add the number of the slide, as a field that follows the order of the slides."""
    frame = slide.shapes.add_textbox(*_place(box)).text_frame
    paragraph = frame.paragraphs[0]
    paragraph.alignment = PP_ALIGN.RIGHT
    field = _child(paragraph._p, "a:fld", id="{B6F15528-21DE-4FAA-801E-634DDDAF4B2B}", type="slidenum")
    properties = _child(field, "a:rPr", lang="en-US", sz="1000")
    _child(_child(properties, "a:solidFill"), "a:srgbClr", val=SOFT)
    _child(field, "a:t").text = "‹#›"


def _child(parent: Any, name: str, **attributes: str) -> Any:
    """Append an element, for what python-pptx has no function."""
    element = OxmlElement(name)
    for key, value in attributes.items():
        element.set(key, value)
    parent.append(element)
    return element


def _paint(drawing: Any, color: str | None, kind: ChartKind) -> None:
    drawing.smooth = False if kind == "line" else None
    if color is None:
        drawing.format.fill.background()
        return
    rgb = _rgb(color)
    if kind == "line":
        drawing.format.line.color.rgb, drawing.format.line.width = rgb, Pt(2.25)
        drawing.marker.style, drawing.marker.size = XL_MARKER_STYLE.CIRCLE, 6
        drawing.marker.format.fill.solid()
        drawing.marker.format.fill.fore_color.rgb = rgb
        drawing.marker.format.line.color.rgb = rgb
    else:
        drawing.format.fill.solid()
        drawing.format.fill.fore_color.rgb = rgb
        drawing.invert_if_negative = False


def _hide_legend_entries(chart: Any, places: Sequence[int]) -> None:
    legend = chart.legend._element
    for place in places:
        entry = OxmlElement("c:legendEntry")
        _child(entry, "c:idx", val=str(place))
        _child(entry, "c:delete", val="1")
        legend.insert(1, entry)
