"""Addresses of pages: how an id of any characters gets into one, and where a sign-in may lead."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

#: Browsers drop these from a path however they are written (WHATWG URL standard, "single-dot" and "double-dot"
#: segments), so an account of such a name is asked for beside the path.
_DOTS = frozenset({".", ".."})
#: Addresses of an account's page go on with these for its documents, so an id that ends so is asked for like a dot.
PACKS = ("qbr", "plan")
#: A longer address (characters) to go back to is dropped.
NEXT_LIMIT = 2000


def account_href(account_id: str, query: str = "") -> str:
    """The address of an account's page; slashes, spaces and all else in its id are percent-encoded.

    Parameters
    ----------
    query : further parameters, written with their question mark.
    """
    if account_id in _DOTS or account_id.endswith(tuple(f"/{each}" for each in PACKS)):
        return f"/accounts/?{urlencode({'id': account_id})}{query.replace('?', '&')}"
    return f"/accounts/{quote(account_id, safe='')}{query}"


def pack_href(account_id: str, pack: str, asked: Mapping[str, object] | None = None) -> str:
    """The address of an account's business review or plan, asked for with these parameters."""
    if account_id in _DOTS:
        return with_query(f"/accounts//{pack}", {"id": account_id, **(asked or {})})
    return with_query(f"/accounts/{quote(account_id, safe='')}/{pack}", asked or {})


def json_href(account_id: str, what: str) -> str:
    """The address of what the API says of an account: its prediction, or its health."""
    return f"/v1/accounts/{quote(account_id, safe='')}/{what}"


def with_query(path: str, asked: Mapping[str, object]) -> str:
    """``path`` with the parameters that are not None and not empty, in their order."""
    told = urlencode({name: value for name, value in asked.items() if value not in (None, "")})
    return f"{path}?{told}" if told else path


def own_path(wanted: str | None) -> str:
    """Where to go on from a sign-in: ``wanted`` if it is an address of this service, else the first page."""
    if wanted is None or len(wanted) > NEXT_LIMIT or not wanted.isprintable():
        return "/"
    # A second slash, also one written backwards, would begin another host's name.
    if not wanted.startswith("/") or wanted[1:2] in ("/", "\\"):
        return "/"
    return wanted
