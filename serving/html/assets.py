"""Static files of the pages, with a content hash in their URLs."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


class Asset(NamedTuple):
    """One file.

    Parameters
    ----------
    served_as : the file name in its URL, with a content hash.
    content : its bytes.
    media_type : its media type.
    """

    served_as: str
    content: bytes
    media_type: str


@lru_cache(maxsize=1)
def assets() -> dict[str, Asset]:
    """Read the files once and return them by file name."""
    by_name = {}
    for file in files("serving.html").joinpath("static").iterdir():
        stem, _, kind = file.name.rpartition(".")
        if kind in TYPES:
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:12]
            by_name[file.name] = Asset(f"{stem}.{digest}.{kind}", content, TYPES[kind])
    return by_name


def style_sheet() -> str:
    """Return the style sheets of the pages as one text, for files that contain theirs."""
    return "\n".join(assets()[name].content.decode() for name in ("pages.css", "frame.css"))


def static(name: str) -> str:
    """Return the URL of a file in ``serving/html/static``.

    Raises
    ------
    KeyError : there is no file of that name.
    """
    return f"/static/{assets()[name].served_as}"
