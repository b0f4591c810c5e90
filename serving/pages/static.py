"""The files that pages need beside themselves, each at an address that holds its content's hash.

What is at such an address never changes, so browsers keep it for a year and ask for it once.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
FOREVER = "public, max-age=31536000, immutable"

router = APIRouter()


class Asset(NamedTuple):
    """One file: the name under which it is served, its bytes and its media type."""

    served_as: str
    content: bytes
    media_type: str


@lru_cache(maxsize=1)
def assets() -> dict[str, Asset]:
    """The files by their names here, read once."""
    found = {}
    for file in files("serving.pages").joinpath("static").iterdir():
        stem, _, kind = file.name.rpartition(".")
        if kind in TYPES:
            content = file.read_bytes()
            mark = hashlib.sha256(content).hexdigest()[:12]
            found[file.name] = Asset(f"{stem}.{mark}.{kind}", content, TYPES[kind])
    return found


def static(name: str) -> str:
    """The address of a file of `serving/pages/static`.

    Raises
    ------
    KeyError : there is none of that name.
    """
    return f"/static/{assets()[name].served_as}"


@lru_cache(maxsize=1)
def _served() -> dict[str, Asset]:
    return {asset.served_as: asset for asset in assets().values()}


@router.get("/static/{name}", include_in_schema=False)
def get_static(name: str) -> Response:
    """One file."""
    asset = _served().get(name)
    if asset is None:
        raise HTTPException(404)
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": FOREVER})
