"""Text as HTML: paragraphs, code names and paths that can wrap."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_BACKTICKS = re.compile(r"``?([^`]+)``?")


def prose(text: str) -> Markup:
    """Convert plain text to HTML, with blank lines between paragraphs and code names in backticks."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    return Markup("\n").join(Markup('<p class="prose">{}</p>').format(_with_code(part)) for part in paragraphs)


def prose_inline(text: str) -> Markup:
    """Convert one sentence as `prose` does, without a paragraph element."""
    return _with_code(text)


def breakable(path: str) -> Markup:
    """Allow line breaks in a path after each slash."""
    return Markup("/<wbr>").join(path.split("/"))


def _with_code(text: str) -> Markup:
    html = Markup("")
    for place, piece in enumerate(_BACKTICKS.split(text)):
        html += Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece)
    return html
