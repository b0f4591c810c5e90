"""How long work says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Told the share done (0 to 1) and what is being worked on."""


def silent(_share: float, _what: str) -> None:
    """A Progress that says nothing."""


def part_of(whole: Progress, start: float, end: float) -> Progress:
    """The Progress of a part of the work, from the share ``start`` of the whole to ``end``."""
    return lambda share, what: whole(start + (end - start) * share, what)
