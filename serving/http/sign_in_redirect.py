"""Redirect of a browser to the sign-in page, and back afterwards."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from serving.html.links import local_path, with_query
from serving.html.templates import render_page

PATH = "/sign-in"


def redirect_to_sign_in(scope: Scope) -> Response:
    """Return the response to an unauthenticated request for a page.

    A link on another site comes without the cookie, since browsers do not send it across sites. In that case a small
    page requests the same address again from this site, with the cookie.
    """
    request, here = Request(scope), _here(scope)
    if request.headers.get("sec-fetch-site") == "cross-site":
        return render_page(request, "redirect.html", title="One moment", here=here)
    return RedirectResponse(with_query(PATH, {"next": None if here == "/" else here}), 303)


def _here(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path, query = raw.partition(b"?")[0].decode("latin-1"), scope.get("query_string", b"").decode("latin-1")
    return local_path(f"{path}?{query}" if query else path)
