"""Properties of browser requests: session cookie, origin, proxies and whether a page is wanted."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HTML = "text/html"
_COOKIE = "renewcast_session"
_VIEW_COOKIE = "renewcast_view"
#: Headers that only proxies add: RFC 7239, RFC 9110 (Via), RFC 8586 (CDN-Loop), and those of common products.
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
    """Return the name of the session cookie. Over TLS, the ``__Host-`` prefix makes browsers reject a cookie that
    another host of the domain sets."""
    return f"__Host-{_COOKIE}" if scheme == "https" else _COOKIE


def view_cookie_name(scheme: str) -> str:
    """Return the name of the cookie with the accounts that a person wants to see, named like `cookie_name`."""
    return f"__Host-{_VIEW_COOKIE}" if scheme == "https" else _VIEW_COOKIE


def session_token(headers: Headers, scheme: str) -> str | None:
    """Return the session token of a request's cookie.

    Parameters
    ----------
    headers : the headers of the request.
    scheme : http or https, which sets the name of the cookie.

    Returns
    -------
    str or None
        None without a cookie.
    """
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(cookie_name(scheme))
    except CookieError:
        return None
    return cookie.value if cookie is not None and cookie.value else None


def is_cross_origin(headers: Headers) -> bool:
    """Return whether another site made a browser send this request.

    The rule is that of Go's `net/http.CrossOriginProtection`: Sec-Fetch-Site decides, or Origin if that header is
    absent. Programs send neither.
    """
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc != headers.get("host")
    except ValueError:
        # The origin is not a valid URL.
        return True


def is_local_name(host: str) -> bool:
    """Return whether a Host header names this machine: localhost (RFC 6761) or a loopback address.

    In a DNS rebinding attack, a site's own name resolves to 127.0.0.1, but the header still holds the site's name.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def is_forwarded(headers: Headers) -> bool:
    """Return whether a proxy, a load balancer or a content delivery network forwarded the request.

    Any header that they add counts, also with underscores instead of hyphens.
    """
    names = (name.replace("_", "-") for name in headers)
    return any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIXES) for name in names)


def wants_page(headers: Mapping[str, str]) -> bool:
    """Return whether the caller prefers a page to JSON: browsers accept text/html by name, programs do not."""
    accept = headers.get("accept", "").lower()
    return HTML in accept and "json" not in accept
