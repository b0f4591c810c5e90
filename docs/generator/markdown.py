"""Markdown building blocks that the generated pages share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NOTICE = "<!-- Generated from the code by `make docs-reference`. Do not edit. -->\n"


def page(title: str, introduction: str, *parts: str) -> str:
    """A generated page: its title, the notice, an introduction and the rest, one blank line apart."""
    text = "\n\n".join(part.strip("\n") for part in (f"# {title}", NOTICE, introduction, *parts) if part.strip("\n"))
    return text + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without the columns that are empty in every row.

    Returns
    -------
    str
        The Markdown; empty if there are no rows.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        return ""
    used = [i for i in range(len(headings)) if any(row[i] for row in cells)]
    lines = [[headings[i] for i in used], ["---"] * len(used), *([row[i] for i in used] for row in cells)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def code(value: object) -> str:
    """A value as inline code; empty if there is none."""
    return f"`{value}`" if value not in (None, "") else ""


def without_rst(text: str) -> str:
    """The double backticks of reStructuredText as single ones."""
    return re.sub(r"``(.+?)``", r"`\1`", text)


def anchor(title: str) -> str:
    """The anchor that GitHub and the site give to a heading."""
    slug = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return slug.replace(" ", "-")


def _cell(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text.strip()).replace("|", "\\|")
