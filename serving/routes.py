"""The resources, each in a file of its own. Handlers are thin: they find out what is asked, and hand back what others
say."""

from __future__ import annotations

from fastapi import APIRouter

from serving.door import needs
from serving.resources import jobs, predictions, process, published, records

router = APIRouter()
router.include_router(process.router)
router.include_router(jobs.router)
for _resource in (predictions, published):
    router.include_router(_resource.router, dependencies=[needs("predict")])
router.include_router(records.router, dependencies=[needs("write")])
