"""The resources, each in a file of its own. Handlers are thin: they find out what is asked, and hand back what others
say."""

from __future__ import annotations

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

# Those that are asked for most come first, since routes are tried one after another. Each says who may call it; they
# are taken as they are, for FastAPI would put each together a second time if their routers were included.
ROUTES = [
    route
    for part in (
        *(predictions, accounts, published, renewals, worklist),
        *(process, invocations, jobs, reviews),
        records,
        *(static, signing_in, reference),
        *(portfolio, cohorts, packs, account, model, renewals_page, worklist_page, review),
    )
    for route in part.router.routes
]
