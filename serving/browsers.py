"""What tells a browser's request from a program's: its cookie, where it comes from, and whether it wants a page."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HTML = "text/html"
_NAME = "renewcast_session"


def cookie_name(scheme: str) -> str:
    """The session's cookie. Over TLS its name makes browsers refuse one that another host of the domain has set."""
    return f"__Host-{_NAME}" if scheme == "https" else _NAME


def session_token(headers: Headers, scheme: str) -> str | None:
    """The token of a session, if the request carries one."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(cookie_name(scheme))
    except CookieError:
        return None
    return found.value if found is not None and found.value else None


def from_another_site(headers: Headers) -> bool:
    """Whether a browser says that another site made this request, as Go's `net/http.CrossOriginProtection` tells it: by
    Sec-Fetch-Site, or by Origin where that is not sent. A program says neither."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def is_local_name(host: str) -> bool:
    """Whether a Host header names this machine. A site that lets its own name lead to 127.0.0.1 (DNS rebinding) would
    name itself; a name without a dot is nobody's on the net."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return "." not in name or name.endswith(".localhost")


def wants_page(headers: Mapping[str, str]) -> bool:
    """Whether the caller would rather read a page than JSON: browsers name text/html, programs do not."""
    accept = headers.get("accept", "").lower()
    return HTML in accept and "json" not in accept
