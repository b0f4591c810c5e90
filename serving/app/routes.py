"""The resources, each in a file of its own. Handlers are thin: they find out what is asked, and hand back what others
say."""

from __future__ import annotations

from serving.pages import account, account_reports, api_reference, cohorts, model_card, portfolio, sign_in, static_files
from serving.pages import renewals as renewals_page
from serving.pages import reviews as review
from serving.pages import worklist as worklist_page
from serving.routers import (
    accounts,
    interventions,
    jobs,
    mlflow_invocations,
    predictions,
    probes,
    published_predictions,
    renewals,
    reviews,
    worklist,
)

# Those that are asked for most come first, since routes are tried one after another. Each says who may call it; they
# are taken as they are, for FastAPI would put each together a second time if their routers were included.
ROUTES = [
    route
    for part in (
        *(predictions, accounts, published_predictions, renewals, worklist),
        *(probes, mlflow_invocations, jobs, reviews),
        interventions,
        *(static_files, sign_in, api_reference),
        *(portfolio, cohorts, account_reports, account, model_card, renewals_page, worklist_page, review),
    )
    for route in part.router.routes
]
