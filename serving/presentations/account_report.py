"""A business review or an account plan as a presentation, in the edition for the customer or the account team."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from features.utils.formatting import day, short_day
from serving.account_reports.html import quarter_words, report_heading
from serving.presentations.slides import (
    ACCENT,
    BOTTOM,
    FULL,
    INK,
    TOP,
    Box,
    Deck,
    Series,
    Slide,
    TableColumn,
    table_height,
)

SIZE = 14
"""Of the text of tables, in points."""
LOW_CHART, GAP = 3.1, 0.25
"""The height of a chart below a table, and the space between, in inches."""
TAG_TITLES = {"agenda": "Duration", "roadmap": "When", "people": "Side", "stakeholders": "Side", "preparation": "When"}
"""The headings of the column of labels, by section; "Status" for the others."""
Column = tuple[TableColumn, Callable[[Mapping[str, Any]], str]]
"""A column of a table, and what returns its cell for a row."""
LINE = 0.36
"""The height of a line of sentences, in inches."""
CHARACTERS = 105
"""How many characters of a sentence fit in a line."""


def report_deck(report: Mapping[str, Any]) -> Deck:
    """Build the presentation of an edition of a report.

    Parameters
    ----------
    report : a business review or an account plan (`serving.account_reports.editions.edition_of`). The speaker notes of
        the edition for the customer name neither features nor commands, since a file that is sent takes its notes
        along.

    Returns
    -------
    Deck
    """
    name, heading = report["name"] or report["account_id"], report_heading(report)
    internal = report["edition"] == "internal"
    deck = Deck(f"{heading}: {name}", f"{name}: {heading}" + (" (internal)" if internal else ""))
    at, review = day(report["as_of"]), report["document"] == "qbr"
    lines = [heading, f"Data from {day(report['period']['start'])} to {at}" if review else f"As of {at}"]
    if review and report["meeting_date"]:
        lines.append(f"Meeting on {day(report['meeting_date'])}")
    if review and not report["complete"]:
        lines.append("The quarter has not ended")
    if internal:
        lines.append("Internal: for the account team")
    about = f"the business review of {quarter_words(report['quarter'])}" if review else "the account plan"
    source = f"Source: {about}, with data through {day(report['data_through'])}."
    command = "qbr" if review else "plan"
    notes = f"{source}\n`renewcast {command}` shows the same figures." if internal else source
    deck.cover(name, lines, notes)
    if report.get("because"):
        _bullets(deck, "Why this plan", report["because"], source)
    for part in report["sections"]:
        _section(deck, part, source)
    if report["questions"]:
        _bullets(deck, "Open questions", report["questions"], source)
    if report["gaps"]:
        _bullets(deck, "Missing information", report["gaps"], source)
    return deck


def _section(deck: Deck, part: Mapping[str, Any], source: str) -> None:
    """Add the slides of one section: sentences, metrics or figures with a chart, what is unknown, and items."""
    figures, metrics, items = part["figures"], part["metrics"], list(part["items"])
    picture, missing = part["picture"], part["missing"]
    title = part["title"] + (" (internal)" if part["internal"] else "")
    features = [f"{each['label']}: {each['feature']}" for each in (*metrics, *figures) if each["feature"]]
    notes = "\n".join([source, *(["Features:", *features] if features else [])])
    slide, end = deck.add(title, notes), TOP
    if part["lines"]:
        height = LINE * sum(1 + len(line) // CHARACTERS for line in part["lines"])
        slide.text(part["lines"], Box(height=height), size=16, color=INK, bullets=True)
        end += height + GAP
    internal = bool(features)
    for columns, cells in (_metrics(metrics, internal), _figures(figures)):
        if cells and end > TOP and end + table_height(columns, cells, FULL, SIZE) > BOTTOM:
            slide, end = deck.add(f"{title}, continued", notes), TOP
        for chunk in _chunks(columns, cells, FULL, BOTTOM - end):
            if end > TOP and end + table_height(columns, chunk, FULL, SIZE) > BOTTOM:
                slide, end = deck.add(f"{title}, continued", notes), TOP
            end = slide.table(columns, chunk, Box(top=end, height=1), size=SIZE) + GAP
    if picture is not None:
        if end + LOW_CHART / 2 > BOTTOM:
            slide, end = deck.add(f"{title}: {picture['label'][:1].lower()}{picture['label'][1:]}", notes), TOP
        height = BOTTOM - end if not items and not missing else min(LOW_CHART, BOTTOM - end)
        _chart(slide, picture, Box(top=end, width=FULL, height=height))
        end += height + GAP
    if missing:
        if end > BOTTOM - 0.5:
            slide, end = deck.add(f"{title}, continued", notes), TOP
        slide.text(["Unknown: " + "; ".join(missing)], Box(top=end, height=0.5), size=11)
        end += 0.25 + 0.2 * (len("; ".join(missing)) // 150) + GAP
    columns, cells = _items(items, TAG_TITLES.get(part["section"], "Status"))
    for chunk in _chunks(columns, cells, FULL, BOTTOM - end):
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


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> tuple[list[TableColumn], list[list[str]]]:
    """Return the columns of a table, and the cells of its rows."""
    return [column for column, _ in columns], [[cell(each) for _, cell in columns] for each in rows]


def _metrics(metrics: Sequence[Mapping[str, Any]], internal: bool) -> tuple[list[TableColumn], list[list[str]]]:
    """Return a table of metrics. A column without any value is left out.

    The account team also reads which changes are for the worse.
    """
    trends = ("better", "worse") if internal else ("better",)

    def met(each: Mapping[str, Any]) -> str:
        return "–" if each["met"] is None else "yes" if each["met"] else "no"

    def change(each: Mapping[str, Any]) -> str:
        trend = f" ({each['trend']})" if each["trend"] in trends else ""
        return f"{each['change_words']}{trend}" if each["change_words"] else "–"

    columns: list[Column] = [
        (TableColumn("Metric", 3), lambda each: str(each["label"])),
        (TableColumn("Actual", 1.3, True), lambda each: str(each["words"])),
    ]
    if any(each["target_words"] for each in metrics):
        columns.append((TableColumn("Target", 1.8, True), lambda each: each["target_words"] or "–"))
        columns.append((TableColumn("Met", 0.7), met))
    if any(each["then_words"] for each in metrics):
        columns.append((TableColumn("Start of the quarter", 1.5, True), lambda each: each["then_words"] or "–"))
        columns.append((TableColumn("Change", 1.5, True), change))
    if any(each["benchmark_words"] for each in metrics):
        columns.append((TableColumn("Comparable customers", 1.7, True), lambda each: each["benchmark_words"] or "–"))
    return _table(metrics, columns)


def _figures(figures: Sequence[Mapping[str, Any]]) -> tuple[list[TableColumn], list[list[str]]]:
    """Return a table of figures, with their values at the start if any is known."""

    def value(each: Mapping[str, Any]) -> str:
        return f"{each['words']} ({each['note']})" if each.get("note") else str(each["words"])

    columns: list[Column] = [
        (TableColumn("Metric", 2.2), lambda each: each["label"][:1].upper() + each["label"][1:]),
        (TableColumn("Value", 1.6), value),
    ]
    if any(each["then_words"] is not None for each in figures):
        columns.append((TableColumn("At the start", 1.2), lambda each: each["then_words"] or ""))
    return _table(figures, columns)


def _items(items: Sequence[Mapping[str, Any]], tag_title: str) -> tuple[list[TableColumn], list[list[str]]]:
    """Return a table of items. A column without any value is left out."""
    columns: list[Column] = [(TableColumn("What", 6), lambda each: str(each["text"]))]
    if any(each["who"] for each in items):
        columns.append((TableColumn("Our owner", 1.5), lambda each: _owner(each["who"])))
    if any(each["customer"] for each in items):
        columns.append((TableColumn("Your owner", 1.5), lambda each: _owner(each["customer"])))
    if any(each["date"] for each in items):
        columns.append((TableColumn("Date", 1.5), lambda each: day(each["date"]) if each["date"] else "–"))
    if any(each["tag"] for each in items):
        columns.append((TableColumn(tag_title, 1.5), lambda each: str(each["tag"])))
    return _table(items, columns)


def _owner(name: str | None) -> str:
    """Return an owner for a cell: a name stays as it is."""
    if name is None:
        return "–"
    return f"The {name.removeprefix('the ')}" if name.startswith("the ") else name


def _chart(slide: Slide, picture: Mapping[str, Any], box: Box) -> None:
    """Add the chart of a section; a week without data is a gap."""
    field = "users" if picture["kind"] == "use" else "score"
    points = picture["points"]
    slide.chart(
        "line",
        [short_day(point["date"]) for point in points],
        [Series("Active users" if field == "users" else "Health score", [point[field] for point in points], ACCENT)],
        box,
        title=picture["label"],
        form="0",
        limits=(0, 100) if field == "score" else None,
    )


def _bullets(deck: Deck, title: str, lines: Sequence[str], source: str) -> None:
    for start in range(0, len(lines), 10):
        slide = deck.add(title if start == 0 else f"{title}, continued", source)
        texts = [f"{line[:1].upper()}{line[1:]}" for line in lines[start : start + 10]]
        slide.text(texts, Box(), size=16, bullets=True)
