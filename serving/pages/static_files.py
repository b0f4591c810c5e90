"""The static files of the pages, each at a URL with its content hash.

The content of such a URL never changes, so browsers cache it for a year.
"""

from __future__ import annotations

from functools import lru_cache

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from serving.html.assets import Asset, assets

FOREVER = "public, max-age=31536000, immutable"

router = APIRouter()


@lru_cache(maxsize=1)
def _served() -> dict[str, Asset]:
    return {asset.served_as: asset for asset in assets().values()}


@router.get("/static/{name}", include_in_schema=False)
def get_static(name: str) -> Response:
    """Return one static file."""
    asset = _served().get(name)
    if asset is None:
        raise HTTPException(404)
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": FOREVER})
