"""Rendering of pages with Jinja2 templates, in which every value is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from features.utils import formatting
from features.utils.open_questions import uncertainty
from models.predictions.schema import OPEN_QUESTIONS
from models.predictions.target_predictions import WHY_NOT_SCORED
from serving.html import prose
from serving.html.assets import static
from serving.html.exports import PageExports, export_href, export_response, requested_export
from serving.html.links import account_href, json_href, report_href, with_query
from serving.html.navigation import SECTIONS, link_query

FORMATS = (
    "money", "short_money", "signed_short_money", "percent", "number", "signed", "in_unit", "format_as", "count_of",
    "verb_for", "days_ahead", "day", "short_day", "minute", "plain",
)  # fmt: skip
"""The functions of `features.utils.formatting` that templates use as filters."""


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the environment of the templates in ``serving/html/templates``.

    Every value is escaped, and an undefined name is an error.
    """
    templates = Environment(
        loader=PackageLoader("serving.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.globals |= {call.__name__: call for call in (static, account_href, json_href, report_href, with_query)}
    templates.globals["sections"] = SECTIONS
    templates.filters |= {name: getattr(formatting, name) for name in FORMATS}
    templates.filters |= {show.__name__: show for show in (prose.prose, prose.prose_inline, prose.breakable)}
    templates.filters["amount_text"] = amount_text
    templates.filters["why_not_scored"] = WHY_NOT_SCORED.__getitem__
    return templates


def amount_text(value: float | None) -> str:
    """Return an amount as the text of a field of a form, without the decimals of a whole number; empty if unknown."""
    return "" if value is None else f"{value:.0f}" if value.is_integer() else str(value)


def mark_uncertain(request: Request, questions: Sequence[str]) -> None:
    """Have the page of a request say that its figures are uncertain, if the mapping has open questions.

    Parameters
    ----------
    request : the request.
    questions : the open questions.
    """
    setattr(request.state, OPEN_QUESTIONS, questions)


def render_page(
    request: Request,
    template: str,
    *,
    title: str,
    section: str = "",
    status: int = 200,
    exports: Callable[[Mapping[str, Any]], PageExports] | None = None,
    **shown: Any,
) -> Response:
    """Render a page, or the export of it that the request asks for.

    Parameters
    ----------
    template : a file in ``serving/html/templates`` that extends base.html.
    title : the text of the window title and the main heading.
    section : the name of its entry in `serving.html.navigation`.
    exports : returns the exports of the page from the variables of its template.
    shown : the variables of the template. ``query`` is the query string that links between pages carry; by default
        that of `serving.html.navigation.link_query`.
    """
    if exports is not None and (wanted := requested_export(request)) is not None:
        return export_response(exports(shown), *wanted)
    caller = getattr(request.state, "caller", None)
    uncertain = uncertainty(getattr(request.state, OPEN_QUESTIONS, ()))
    carried = link_query(request.query_params)
    context = {"query": carried, "export": None if exports is None else partial(export_href, request), **shown}
    return HTMLResponse(
        render_template(template, title=title, section=section, caller=caller, uncertain=uncertain, **context), status
    )


def download_links(export: Callable[..., str], name: str, words: str, chart: bool) -> Markup:
    """Return the links to the files of a table or a chart, as templates show them.

    Parameters
    ----------
    export : returns the URL of an export from its name and form.
    name, words : the name and the title of the table or the chart.
    chart : whether it is a chart.
    """
    macros: Any = environment().get_template("macros.html").module
    links: Markup = (macros.chart_downloads if chart else macros.downloads)(export, name, words)
    return links


def render_template(template: str, **shown: Any) -> str:
    """Render a template.

    base.html needs title, section and caller (`serving.http.authentication.Caller` or None), and shows ``uncertain``.
    """
    return environment().get_template(template).render(**shown)
