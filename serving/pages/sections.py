"""The pages that the navigation names, in its order."""

from __future__ import annotations

from typing import NamedTuple


class Section(NamedTuple):
    """One entry: its name in templates, its address, and what people read."""

    name: str
    path: str
    words: str


SECTIONS: tuple[Section, ...] = (
    Section("portfolio", "/", "Portfolio"),
    Section("worklist", "/worklist", "Worklist"),
    Section("renewals", "/renewals", "Renewals"),
    Section("reviews", "/reviews", "Reviews"),
    Section("model", "/model", "Model"),
    Section("docs", "/docs", "API"),
)
