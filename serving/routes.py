"""The resources, each in a file of its own. Handlers are thin: they find out what is asked, and hand back what others
say."""

from __future__ import annotations

from fastapi import APIRouter

from serving.door import needs
from serving.pages import account, portfolio, reference, review, signing_in, static
from serving.resources import accounts, invocations, jobs, predictions, process, published, records, reviews

router = APIRouter()
for _resource in (process, invocations, jobs, reviews):
    # These say for each operation who may call it.
    router.include_router(_resource.router)
for _resource in (predictions, accounts, published):
    router.include_router(_resource.router, dependencies=[needs("predict")])
for _page in (static, signing_in, reference):
    router.include_router(_page.router)
for _page in (portfolio, account, review):
    router.include_router(_page.router, dependencies=[needs("predict")])
router.include_router(records.router, dependencies=[needs("write")])
