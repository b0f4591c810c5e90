"""Addresses of sources for messages."""

from __future__ import annotations

from features.sources import postgres
from features.sources.base import STORES
from features.sources.object_store import parse_address


def shown_address(address: str) -> str:
    """Return an address without a password."""
    scheme, sign, _ = address.partition("://")
    if sign and scheme in postgres.SCHEMES:
        return postgres.masked_address(address)
    return parse_address(address).origin if sign and scheme.lower() in STORES else address
