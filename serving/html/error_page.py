"""Error pages for browsers, with the same problem details that programs get as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import HTMLResponse

from features.errors import AccountCandidate
from serving.html.navigation import link_query
from serving.html.templates import render_template

#: The maximum number of accounts on the page.
CANDIDATES_SHOWN = 25
#: The maximum length of a parameter that the links carry.
PARAMETER_LIMIT = 1024
NO_PAGE = ("Page not found", ["There is no page at this address."])
"""Title and sentences where an address is unknown: a person needs no list of the addresses of the API."""


def problem_page(
    problem: Mapping[str, Any],
    headers: Mapping[str, str],
    candidates: Sequence[AccountCandidate] = (),
    params: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Render a problem from `serving.http.problem_details`. Only its links have anything of the request's content.

    Parameters
    ----------
    problem : the problem.
    headers : the headers of the response.
    candidates : accounts that may be meant, which the page links to.
    params : the query parameters of the request. The links carry the date and the filter, without what is wrong.
    """
    # What was found, what was expected, and the cure.
    sentences = re.split(r"\. (?=Expected: |Fix: )", problem["detail"])
    shown = {"problem": problem, "sentences": sentences, "candidates": candidates[:CANDIDATES_SHOWN]}
    title = problem["title"]
    if problem["code"] == "unknown_route":
        title, shown["sentences"] = NO_PAGE
    elif sentences == [title]:
        shown["sentences"] = []
    shown["query"] = link_query(_usable(params or {}, problem, candidates))
    text = render_template("problem.html", title=title, section="", caller=None, **shown)
    return HTMLResponse(text, problem["status"], dict(headers))


def _usable(
    params: Mapping[str, str], problem: Mapping[str, Any], candidates: Sequence[AccountCandidate]
) -> dict[str, str]:
    """Return the parameters that did not cause the problem, so that no link leads to it again."""
    wrong = {each["pointer"].removeprefix("/query/") for each in problem["errors"]}
    if problem["code"] == "unknown_snapshot":
        wrong.add("as_of")
    if candidates:
        wrong.add("parent")
    return {name: value for name, value in params.items() if name not in wrong and len(value) <= PARAMETER_LIMIT}
