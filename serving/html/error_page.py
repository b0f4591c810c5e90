"""An error as a page, for whoever asked for one with a browser: the same problem that programs get as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import HTMLResponse

from serving.html.templates import render


def problem_page(problem: Mapping[str, Any], headers: Mapping[str, str]) -> HTMLResponse:
    """``problem`` as `serving.http.problem_details` has it. It holds nothing of what was sent."""
    told = render("problem.html", title=problem["title"], section="", caller=None, problem=problem)
    return HTMLResponse(told, problem["status"], dict(headers))
