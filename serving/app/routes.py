"""All routes of the service. Each resource has a module with thin handlers: they read the request and call others."""

from __future__ import annotations

from serving.pages import (
    account,
    account_reports,
    api_reference,
    churned_accounts,
    cohorts,
    leadership,
    model_card,
    onboarding,
    portfolio,
    sign_in,
    static_files,
    trends,
)
from serving.pages import alerts as alerts_page
from serving.pages import interventions as interventions_page
from serving.pages import renewals as renewals_page
from serving.pages import reviews as review
from serving.pages import saved_views as saved_views_page
from serving.pages import worklist as worklist_page
from serving.pages.exports.routes import export_routes
from serving.routers import (
    accounts,
    alerts,
    holdout,
    interventions,
    jobs,
    mlflow_invocations,
    predictions,
    probes,
    published_predictions,
    renewals,
    reviews,
    saved_views,
    worklist,
)
from serving.routers import churned_accounts as churned_accounts_router
from serving.routers import leadership as leadership_router
from serving.routers import onboarding as onboarding_router

# The most used routes come first, since they are tried in order. Each route declares its required scope. The routes are
# used directly, since including their routers would make FastAPI build each of them a second time.
ROUTES = [
    route
    for part in (
        *(predictions, accounts, leadership_router, churned_accounts_router, published_predictions, renewals, worklist),
        *(onboarding_router, alerts, holdout),
        *(probes, mlflow_invocations, jobs, reviews),
        *(interventions, saved_views),
        *(static_files, sign_in, api_reference),
        *(portfolio, cohorts, account_reports, account, model_card, renewals_page, worklist_page, review),
        *(alerts_page, interventions_page, trends, leadership, churned_accounts, onboarding, saved_views_page),
    )
    for route in part.router.routes
]
PAGES = (
    portfolio,
    cohorts,
    account_reports,
    account,
    model_card,
    renewals_page,
    worklist_page,
    review,
    alerts_page,
    interventions_page,
    trends,
    leadership,
    churned_accounts,
    onboarding,
)
"""The pages with exports, in the order of their routes."""
ROUTES += [route for page in PAGES for route in export_routes(page.router.routes)]
