"""How a page is written: templates of Jinja2, in which every value is escaped."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from features.utils import formatting
from serving.html import prose
from serving.html.assets import static
from serving.html.links import account_href, json_href, pack_href, with_query
from serving.html.navigation import SECTIONS

FORMATS = (
    "money", "short_money", "percent", "number", "signed", "in_unit", "format_as", "count_of", "days_ahead",
    "day", "short_day", "minute", "plain",
)  # fmt: skip
"""The functions of `features.utils.formatting` that templates use as filters."""


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates of `serving/pages/templates`. Everything is escaped, a name that is not given is an error."""
    made = Environment(
        loader=PackageLoader("serving.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {call.__name__: call for call in (static, account_href, json_href, pack_href, with_query)}
    made.globals["sections"] = SECTIONS
    made.filters |= {name: getattr(formatting, name) for name in FORMATS}
    made.filters |= {show.__name__: show for show in (prose.prose, prose.prose_inline, prose.breakable)}
    return made


def page(
    request: Request,
    template: str,
    *,
    title: str,
    section: str = "",
    status: int = 200,
    **shown: Any,
) -> HTMLResponse:
    """A page.

    Parameters
    ----------
    template : a file of `serving/pages/templates` that extends base.html.
    title : what the window and the first heading say.
    section : the entry of the navigation that it belongs to, by its name in `serving.html.navigation`.
    shown : what the template shows.
    """
    caller = getattr(request.state, "caller", None)
    return HTMLResponse(render(template, title=title, section=section, caller=caller, **shown), status)


def render(template: str, **shown: Any) -> str:
    """The text of a page; base.html wants title, section and caller (`serving.http.authentication.Caller`, or None)."""
    return environment().get_template(template).render(**shown)
