"""The resources, each in a file of its own. Handlers are thin: they find out what is asked, and hand back what others
say."""

from __future__ import annotations

from fastapi import APIRouter

from serving.door import needs
from serving.pages import account, cohorts, model, packs, portfolio, reference, review, signing_in, static
from serving.pages import renewals as renewals_page
from serving.pages import worklist as worklist_page
from serving.resources import (
    accounts,
    invocations,
    jobs,
    predictions,
    process,
    published,
    records,
    renewals,
    reviews,
    worklist,
)

router = APIRouter()
# Those that are asked for most come first, since routes are tried one after another.
for _resource in (predictions, accounts, published, renewals, worklist):
    router.include_router(_resource.router, dependencies=[needs("predict")])
for _resource in (process, invocations, jobs, reviews):
    # These say for each operation who may call it.
    router.include_router(_resource.router)
router.include_router(records.router, dependencies=[needs("write")])
for _page in (static, signing_in, reference):
    router.include_router(_page.router)
for _page in (portfolio, cohorts, packs, account, model, renewals_page, worklist_page, review):
    router.include_router(_page.router, dependencies=[needs("predict")])
