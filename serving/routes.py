"""The resources, each in a file of its own. Handlers are thin: they find out what is asked, and hand back what others
say."""

from __future__ import annotations

from fastapi import APIRouter

from serving.resources import accounts, invocations, predictions, process

router = APIRouter()
for _resource in (process, predictions, accounts, invocations):
    router.include_router(_resource.router)
