"""Proxies: calls to this machine never go through one, whatever HTTP_PROXY says."""

from __future__ import annotations

import os

LOCAL = ("127.0.0.1", "localhost", "::1")


def bypass_proxies_locally() -> None:
    """Add this machine to NO_PROXY, for every library of this process and its children that obeys it."""
    given = [entry.strip() for name in ("NO_PROXY", "no_proxy") for entry in os.environ.get(name, "").split(",")]
    if "*" in given:
        return
    # Libraries read one spelling or the other.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(dict.fromkeys([*filter(None, given), *LOCAL]))
