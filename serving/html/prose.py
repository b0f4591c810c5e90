"""Texts as HTML: paragraphs, names of code, addresses that may break."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_BACKTICKS = re.compile(r"``?([^`]+)``?")


def prose(text: str) -> Markup:
    """Plain text with blank lines between paragraphs, and `names` or ``names`` in backticks, as HTML."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    return Markup("\n").join(Markup('<p class="prose">{}</p>').format(_with_names(part)) for part in paragraphs)


def prose_inline(text: str) -> Markup:
    """One sentence as `prose` has it, without a paragraph around it."""
    return _with_names(text)


def breakable(path: str) -> Markup:
    """An address that may go on in the next line after a slash."""
    return Markup("/<wbr>").join(path.split("/"))


def _with_names(text: str) -> Markup:
    found = Markup("")
    for place, piece in enumerate(_BACKTICKS.split(text)):
        found += Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece)
    return found
