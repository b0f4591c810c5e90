"""Static files of the pages, with a content hash in their addresses."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


class Asset(NamedTuple):
    """One file: the name under which it is served, its bytes and its media type."""

    served_as: str
    content: bytes
    media_type: str


@lru_cache(maxsize=1)
def assets() -> dict[str, Asset]:
    """The files by their names here, read once."""
    found = {}
    for file in files("serving.html").joinpath("static").iterdir():
        stem, _, kind = file.name.rpartition(".")
        if kind in TYPES:
            content = file.read_bytes()
            mark = hashlib.sha256(content).hexdigest()[:12]
            found[file.name] = Asset(f"{stem}.{mark}.{kind}", content, TYPES[kind])
    return found


def static(name: str) -> str:
    """The address of a file of `serving/html/static`.

    Raises
    ------
    KeyError : there is none of that name.
    """
    return f"/static/{assets()[name].served_as}"
