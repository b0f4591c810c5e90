"""The entries of the page navigation, in order."""

from __future__ import annotations

from typing import NamedTuple


class NavigationEntry(NamedTuple):
    """One entry.

    Parameters
    ----------
    name : the name in templates.
    path : the path of the page.
    words : the link text.
    dated : whether the page shows a snapshot, so that its link retains a chosen date.
    """

    name: str
    path: str
    words: str
    dated: bool = False


SECTIONS: tuple[NavigationEntry, ...] = (
    NavigationEntry("portfolio", "/", "Portfolio", dated=True),
    NavigationEntry("worklist", "/worklist", "Worklist", dated=True),
    NavigationEntry("renewals", "/renewals", "Renewals", dated=True),
    NavigationEntry("reviews", "/reviews", "Reviews"),
    NavigationEntry("model", "/model", "Model"),
    NavigationEntry("docs", "/docs", "API"),
)
