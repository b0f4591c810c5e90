"""URLs of pages, for account ids of any characters, and safe redirects after a sign-in."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

#: Browsers drop these segments from a path, even when percent-encoded (WHATWG URL standard, "single-dot" and
#: "double-dot" segments), so such an account id goes into the query string.
_DOTS = frozenset({".", ".."})
#: The last path segments of an account's reports. An account id that ends with one goes into the query string too.
REPORTS = ("qbr", "plan")
#: The maximum length of a redirect path; a longer one is ignored.
NEXT_LIMIT = 2000


def account_href(account_id: str, query: str = "") -> str:
    """Return the URL of an account's page, with the id percent-encoded.

    Parameters
    ----------
    query : more parameters, including the question mark.
    """
    if account_id in _DOTS or account_id.endswith(tuple(f"/{each}" for each in REPORTS)):
        return f"/accounts/?{urlencode({'id': account_id})}{query.replace('?', '&')}"
    return f"/accounts/{quote(account_id, safe='')}{query}"


def report_href(account_id: str, report: str, params: Mapping[str, object] | None = None) -> str:
    """Return the URL of an account's report.

    Parameters
    ----------
    account_id : the account.
    report : qbr or plan.
    params : query parameters.

    Returns
    -------
    str
    """
    if account_id in _DOTS:
        return with_query(f"/accounts//{report}", {"id": account_id, **(params or {})})
    return with_query(f"/accounts/{quote(account_id, safe='')}/{report}", params or {})


def json_href(account_id: str, resource: str) -> str:
    """Return the URL of an account's JSON resource.

    Parameters
    ----------
    account_id : the account.
    resource : such as ``prediction`` or ``health``.

    Returns
    -------
    str
    """
    return f"/v1/accounts/{quote(account_id, safe='')}/{resource}"


def with_query(path: str, params: Mapping[str, object]) -> str:
    """Add query parameters to a path.

    Parameters
    ----------
    path : the path, without a query.
    params : the parameters in their order; those that are None or empty are left out.

    Returns
    -------
    str
    """
    query = urlencode({name: value for name, value in params.items() if value not in (None, "")})
    return f"{path}?{query}" if query else path


def without(params: Mapping[str, object], *names: str) -> dict[str, object]:
    """Return the query parameters without some of them."""
    return {name: value for name, value in params.items() if name not in names}


def local_path(wanted: str | None) -> str:
    """Return where to redirect after a sign-in: ``wanted`` if it is a path of this service, else the portfolio page."""
    if wanted is None or len(wanted) > NEXT_LIMIT or not wanted.isprintable():
        return "/"
    # A second slash or a backslash would start another host's name.
    if not wanted.startswith("/") or wanted[1:2] in ("/", "\\"):
        return "/"
    return wanted
