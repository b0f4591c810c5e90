"""Error pages for browsers, with the same problem details that programs get as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import HTMLResponse

from serving.html.templates import render_template


def problem_page(problem: Mapping[str, Any], headers: Mapping[str, str]) -> HTMLResponse:
    """Render a problem from `serving.http.problem_details`. It contains nothing of the request's content."""
    text = render_template("problem.html", title=problem["title"], section="", caller=None, problem=problem)
    return HTMLResponse(text, problem["status"], dict(headers))
