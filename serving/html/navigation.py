"""The entries of the page navigation, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from serving.html.links import with_query


class NavigationEntry(NamedTuple):
    """One entry.

    Parameters
    ----------
    name : the name in templates.
    path : the path of the page.
    words : the link text.
    """

    name: str
    path: str
    words: str


SECTIONS: tuple[NavigationEntry, ...] = (
    NavigationEntry("portfolio", "/", "Portfolio"),
    NavigationEntry("worklist", "/worklist", "Worklist"),
    NavigationEntry("alerts", "/alerts", "Alerts"),
    NavigationEntry("interventions", "/interventions", "Interventions"),
    NavigationEntry("onboarding", "/onboarding", "Onboarding"),
    NavigationEntry("renewals", "/renewals", "Renewals"),
    NavigationEntry("leadership", "/leadership", "Leadership"),
    NavigationEntry("churned", "/churned", "Churned"),
    NavigationEntry("trends", "/trends", "Trends"),
    NavigationEntry("cohorts", "/cohorts", "Cohorts"),
    NavigationEntry("views", "/views", "Saved views"),
    NavigationEntry("reviews", "/reviews", "Reviews"),
    NavigationEntry("model", "/model", "Model"),
    NavigationEntry("docs", "/docs", "API"),
)

CARRIED = ("as_of", "csm", "segment", "region", "product", "parent", "health", "risk", "stage")
"""The parameters that links between pages carry: the snapshot date, and the fields of
`serving.schemas.account_filter.AccountFilter`."""


def link_query(params: Mapping[str, str]) -> str:
    """Return the query string that the links of a page carry: those of its parameters that are in `CARRIED`.

    Parameters
    ----------
    params : the query parameters of the request.
    """
    return with_query("", {name: params.get(name) for name in CARRIED})
