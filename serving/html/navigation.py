"""The pages that the navigation names, in its order."""

from __future__ import annotations

from typing import NamedTuple


class Section(NamedTuple):
    """One entry: its name in templates, its address, what people read, and whether it is of a snapshot, so that who
    looks at one of an earlier date goes on with that date."""

    name: str
    path: str
    words: str
    dated: bool = False


SECTIONS: tuple[Section, ...] = (
    Section("portfolio", "/", "Portfolio", dated=True),
    Section("worklist", "/worklist", "Worklist", dated=True),
    Section("renewals", "/renewals", "Renewals", dated=True),
    Section("reviews", "/reviews", "Reviews"),
    Section("model", "/model", "Model"),
    Section("docs", "/docs", "API"),
)
