"""The business review of an account as a presentation: one edition for the customer, one for the account team."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from features.utils.formatting import day, short_day
from serving.account_reports.html import report_title
from serving.presentations.slides import (
    ACCENT,
    BOTTOM,
    FULL,
    MARGIN,
    TOP,
    Box,
    Deck,
    Series,
    Slide,
    TableColumn,
    table_height,
)

Edition = Literal["customer", "internal"]
SIZE = 13
"""Of the text of tables, in points."""
SIDE, LOW_CHART, GAP = 5.8, 3.1, 0.25
"""The width of a table next to a chart, the height of a chart above a table, and the space between, in inches."""
INTERNAL_FIGURES = frozenset({"segment"})
"""Figures that the customer's edition leaves out."""


def business_review_deck(report: Mapping[str, Any], edition: Edition = "customer") -> Deck:
    """Build the presentation of a business review.

    Parameters
    ----------
    report : the review (`serving.account_reports.business_review.build_review`).
    edition : ``customer`` leaves out the sections for the account team, what is unknown, and the names of features in
        the speaker notes, since a file that is sent takes its notes along. ``internal`` has all of it.

    Returns
    -------
    Deck
    """
    name, kind = report["name"] or report["account_id"], report_title(report)
    at = day(report["as_of"])
    internal = edition == "internal"
    heading = f"{kind}, {report['quarter']}"
    deck = Deck(f"{heading}: {name}", f"{name}: {heading}" + (" (internal)" if internal else ""))
    span = f"Data from {day(report['period']['start'])} to {at}"
    lines = [heading, span]
    if not report["complete"]:
        lines.append("The quarter has not ended")
    if internal:
        lines.append("Internal: for the account team")
    source = f"Source: the business review of {report['quarter']}, with data through {day(report['data_through'])}."
    notes = f"{source}\n`renewcast qbr` shows the same figures." if internal else source
    deck.cover(name, lines, notes)
    for part in report["sections"]:
        if internal or not part["internal"]:
            _section(deck, part, source, internal)
    if internal and report["questions"]:
        _bullets(deck, "Open questions", report["questions"], source)
    if internal and report["gaps"]:
        _bullets(deck, "Missing information", report["gaps"], source)
    return deck


def _section(deck: Deck, part: Mapping[str, Any], source: str, internal: bool) -> None:
    """Add the slides of one section; without any information it has none in the customer's edition."""
    figures = [each for each in part["figures"] if internal or each["label"] not in INTERNAL_FIGURES]
    items, picture, missing = list(part["items"]), part["picture"], part["missing"] if internal else []
    if not (figures or items or picture or missing):
        return
    title = part["title"] + (" (internal)" if part["internal"] else "")
    features = [f"{each['label']}: {each['feature']}" for each in figures if each["feature"] and internal]
    notes = "\n".join([source, *(["Features:", *features] if features else [])])
    slide, end = deck.add(title, notes), TOP
    width = FULL if picture is None else SIDE
    cells = _figure_rows(figures)
    for chunk in _chunks(_figure_columns(figures), cells, width):
        if end > TOP:
            slide, width = deck.add(f"{title}, continued", notes), FULL
        end = slide.table(_figure_columns(figures), chunk, Box(width=width, height=1), size=SIZE) + GAP
        if picture is not None:
            low = TOP + LOW_CHART if items and end < TOP + LOW_CHART else BOTTOM - GAP
            _chart(slide, picture, low - TOP)
            end, picture = max(end, low + GAP), None
    if picture is not None:
        _chart(slide, picture, LOW_CHART)
        end = TOP + LOW_CHART + GAP
    if missing:
        if end > BOTTOM - 0.5:
            slide, end = deck.add(f"{title}, continued", notes), TOP
        slide.text(["Unknown: " + "; ".join(missing)], Box(top=end, height=0.5), size=11)
        end += 0.25 + 0.2 * (len("; ".join(missing)) // 150) + GAP
    columns = _item_columns(items, internal)
    for chunk in _chunks(columns, _item_rows(items, columns), FULL, BOTTOM - end):
        if end > TOP and end + table_height(columns, chunk, FULL, SIZE) > BOTTOM:
            slide, end = deck.add(f"{title}: details", notes), TOP
        end = slide.table(columns, chunk, Box(top=end, height=1), size=SIZE) + GAP
    if part["more_items"]:
        slide.text([f"and {part['more_items']:,} more"], Box(top=min(end, BOTTOM - 0.3), height=0.3), size=11)


def _chunks(
    columns: Sequence[TableColumn], rows: Sequence[Sequence[str]], width: float, room: float = BOTTOM - TOP
) -> Iterator[list[Sequence[str]]]:
    """Split the rows of a table so that each part fits on a slide; all go to one part if they fit into ``room``."""
    if rows and table_height(columns, rows, width, SIZE) <= room:
        yield list(rows)
        return
    chunk: list[Sequence[str]] = []
    for row in rows:
        if chunk and table_height(columns, [*chunk, row], width, SIZE) > BOTTOM - TOP:
            yield chunk
            chunk = []
        chunk.append(row)
    if chunk:
        yield chunk


def _figure_columns(figures: Sequence[Mapping[str, Any]]) -> list[TableColumn]:
    columns = [TableColumn("Metric", 2.2), TableColumn("Value", 1.6)]
    return columns + ([TableColumn("At the start", 1.2)] if _compared(figures) else [])


def _compared(figures: Sequence[Mapping[str, Any]]) -> bool:
    return any(each["then_words"] is not None for each in figures)


def _figure_rows(figures: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    rows = []
    for each in figures:
        note = f" ({each['note']})" if each.get("note") else ""
        row = [each["label"][:1].upper() + each["label"][1:], f"{each['words']}{note}"]
        rows.append(row + ([each["then_words"] or ""] if _compared(figures) else []))
    return rows


def _item_columns(items: Sequence[Mapping[str, Any]], internal: bool) -> list[TableColumn]:
    columns = [TableColumn("What", 6)]
    if any(each["date"] for each in items):
        columns.insert(0, TableColumn("Date", 1.2))
    if internal and any(each["tag"] for each in items):
        columns.append(TableColumn("Status", 1.3))
    return columns + ([TableColumn("Who", 1.3)] if any(each["who"] for each in items) else [])


def _item_rows(items: Sequence[Mapping[str, Any]], columns: Sequence[TableColumn]) -> list[list[str]]:
    def cell(each: Mapping[str, Any], title: str) -> str:
        match title:
            case "Date":
                return day(each["date"]) if each["date"] else ""
            case "Status":
                return str(each["tag"])
            case "Who":
                return each["who"] or ""
            case _:
                return str(each["text"])

    return [[cell(each, column.title) for column in columns] for each in items]


def _chart(slide: Slide, picture: Mapping[str, Any], height: float) -> None:
    """Add the chart of a section; a week without data is a gap."""
    field = "users" if picture["kind"] == "use" else "score"
    points = picture["points"]
    left = MARGIN + SIDE + GAP
    slide.chart(
        "line",
        [short_day(point["date"]) for point in points],
        [Series("Active users" if field == "users" else "Health score", [point[field] for point in points], ACCENT)],
        Box(left=left, width=MARGIN + FULL - left, height=height),
        title=picture["label"],
        form="0",
        limits=(0, 100) if field == "score" else None,
    )


def _bullets(deck: Deck, title: str, lines: Sequence[str], source: str) -> None:
    for start in range(0, len(lines), 10):
        slide = deck.add(title if start == 0 else f"{title}, continued", source)
        texts = [f"{line[:1].upper()}{line[1:]}" for line in lines[start : start + 10]]
        slide.text(texts, Box(), size=16, bullets=True)
