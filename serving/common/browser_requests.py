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
#: What only those add who pass requests on: RFC 7239, RFC 9110 (Via), RFC 8586 (CDN-Loop), and what products use.
_FORWARDED = frozenset(
    {"forwarded", "via", "cdn-loop", "client-ip", "proxy-connection", "max-forwards", "x-real-ip", "x-client-ip"}
    | {"true-client-ip", "x-true-client-ip", "x-cluster-client-ip", "x-proxyuser-ip", "x-remote-ip", "x-remote-addr"}
    | {"x-originating-ip", "x-host", "x-scheme", "x-url-scheme", "x-via", "front-end-https", "wl-proxy-client-ip"}
)
_FORWARDED_PREFIXES = (
    *("x-forwarded", "x-original", "x-proxy", "x-envoy-", "x-amz-cf-", "x-amzn-", "x-azure-", "x-arr-", "x-appengine-"),
    *("x-cloud-trace", "x-vercel-", "x-nf-", "x-varnish", "cf-", "fly-", "fastly-", "cloudfront-", "akamai-"),
    *("tailscale-", "ngrok-", "x-goog-", "x-ms-", "x-akamai"),
)


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


def is_cross_origin(headers: Headers) -> bool:
    """Whether a browser says that another site made this request, as Go's `net/http.CrossOriginProtection` tells it: by
    Sec-Fetch-Site, or by Origin where that is not sent. A program says neither."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc != headers.get("host")
    except ValueError:
        # No site at all.
        return True


def is_local_name(host: str) -> bool:
    """Whether a Host header names this machine: localhost (RFC 6761) or a loopback address. A site that lets its own
    name lead to 127.0.0.1 (DNS rebinding) names itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def is_forwarded(headers: Headers) -> bool:
    """Whether a proxy, a load balancer or a content network has passed the request on: any of the headers that they
    add, also where an underscore stands for the hyphen."""
    names = (name.replace("_", "-") for name in headers)
    return any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIXES) for name in names)


def wants_page(headers: Mapping[str, str]) -> bool:
    """Whether the caller would rather read a page than JSON: browsers name text/html, programs do not."""
    accept = headers.get("accept", "").lower()
    return HTML in accept and "json" not in accept
