"""Proxy settings: calls to this machine bypass any proxy set by HTTP_PROXY."""

from __future__ import annotations

import os

LOCAL = ("127.0.0.1", "localhost", "::1")


def bypass_proxies_locally() -> None:
    """Add this machine to NO_PROXY for this process and its children."""
    entries = [entry.strip() for name in ("NO_PROXY", "no_proxy") for entry in os.environ.get(name, "").split(",")]
    if "*" in entries:
        return
    # Some libraries read the upper-case name, some the lower-case one.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(dict.fromkeys([*filter(None, entries), *LOCAL]))
