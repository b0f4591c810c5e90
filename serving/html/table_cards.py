"""Tables that become cards on a phone: each value gets the heading of its column as a label.

The style sheet shows each row of a table of the class ``cards`` as a card, and the label of a value above it. Lists of
accounts (class ``list``) have their labels in the template.
"""

from __future__ import annotations

import re
from itertools import count

FEWEST_COLUMNS = 4
"""Tables with fewer columns fit a phone as they are."""
_TABLE = re.compile(r"<table(?P<attributes>[^>]*)>(?P<content>.*?)</table>", re.DOTALL)
_HEAD = re.compile(r"<thead>.*?</thead>", re.DOTALL)
_ROW = re.compile(r"<tr[^>]*>.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<(?P<tag>t[hd])(?P<attributes>[^>]*)>(?P<content>.*?)(?=<t[hd][\s>]|</tr>)", re.DOTALL)
_CLASS = re.compile(r'class="([^"]*)"')
_COLSPAN = re.compile(r'colspan="(\d+)"')
_TAG = re.compile(r"<[^>]+>")


def add_card_labels(page: str) -> str:
    """Return a page in which every table that is too wide for a phone can be shown as cards.

    Parameters
    ----------
    page : the HTML of the page.

    Returns
    -------
    str
        Tables of the class ``list``, tables without a head, and tables with few columns are unchanged.
    """
    return _TABLE.sub(_labelled_table, page)


def _labelled_table(table: re.Match[str]) -> str:
    attributes, content = table["attributes"], table["content"]
    classes = _CLASS.search(attributes)
    head = _HEAD.search(content)
    if head is None or (classes is not None and "list" in classes[1].split()):
        return table[0]
    headings = [_label(cell["content"]) for cell in _CELL.finditer(_ROW.findall(head[0])[-1])]
    if len(headings) < FEWEST_COLUMNS:
        return table[0]
    if classes is None:
        attributes += ' class="cards"'
    else:
        attributes = _CLASS.sub(r'class="cards \1"', attributes)
    rows = _ROW.sub(lambda row: _labelled_row(row[0], headings), content[head.end() :])
    return f"<table{attributes}>{content[: head.end()]}{rows}</table>"


def _labelled_row(row: str, headings: list[str]) -> str:
    places = count()

    def labelled(cell: re.Match[str]) -> str:
        place, span = next(places), _COLSPAN.search(cell["attributes"])
        for _ in range(int(span[1]) - 1 if span else 0):
            next(places)
        # A cell over several columns belongs to none of them.
        if cell["tag"] == "th" or place >= len(headings) or span or "data-label" in cell["attributes"]:
            return cell[0]
        return f'<td data-label="{headings[place]}"{cell["attributes"]}>{cell["content"]}'

    return _CELL.sub(labelled, row)


def _label(heading: str) -> str:
    """Return the text of a heading for an attribute."""
    return re.sub(r"\s+", " ", _TAG.sub("", heading)).strip().replace('"', "&quot;")
