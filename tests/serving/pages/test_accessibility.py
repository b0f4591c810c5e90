"""Every page, at both widths, light and dark: no violation that axe-core finds (WCAG 2.2 AA and its best practices)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.html.links import account_href, report_href
from serving.schemas.interventions import InterventionRequest
from serving.store.database import Store
from serving.store.records import Author
from serving.store.saved_views import save_view
from serving.worklist.intervention_changes import start_intervention

CUSTOMER = {"edition": "customer"}
PAGES = [
    *(
        "/",
        "/?health=red",
        "/?q=unknown",
        "/worklist",
        "/worklist?capacity=1",
        "/alerts",
        "/interventions",
        "/renewals",
        "/trends",
        "/trends?as_of=2026-07-01",
        "/leadership",
        "/leadership?as_of=2026-07-01",
        "/leadership?as_of=2026-07-01&by=csm&health=green",
        "/cohorts",
        "/onboarding",
        "/churned",
        "/churned?as_of=2026-07-01",
        "/model",
        "/docs",
    ),
    *("/accounts/a05", account_href('"><img src=x onerror=alert(1)>')),
    *(
        report_href(account, report, edition)
        for account in ("a05", "..")
        for report in ("qbr", "plan")
        for edition in ({}, CUSTOMER)
    ),
    *("/reviews", "/views", "/sign-in", "/accounts/unknown", "/nowhere", "/leadership?margin=900"),
]
#: Reports as files, which have a style sheet of their own.
REPORT_FILES = [
    f"/v1/accounts/a05/{report}/file?{when}format=html&edition={edition}"
    for report, when in (("qbr", "quarter=2026Q2&"), ("plan", ""))
    for edition in ("internal", "customer")
]
#: The pages of a home to which nothing has been published.
EMPTY = [
    *("/", "/worklist", "/alerts", "/renewals", "/trends", "/cohorts", "/leadership", "/churned"),
    *("/reviews", "/interventions", "/views", "/model", "/docs"),
]
WIDTHS = {"desktop": {"viewport": {"width": 1280, "height": 900}}, "phone": {"viewport": {"width": 390, "height": 844}}}
#: Schemes differ in colours only, so all other rules are checked once.
SCHEMES: dict[str, dict[str, Any]] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
#: On the page of the API, one operation looks like another, and all of them together take a minute.
OPENED = 30

# Four times more than forty pages.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def worked(
    paged_home: Home,
    add_review: Callable[[Home], str],
    copy_home: Callable[[Home, Path], Home],
    listening: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, str, str]]:
    """A service with a saved view, a running intervention and an open review; its address, and the paths of these."""
    home = copy_home(paged_home, tmp_path_factory.mktemp("worked") / "home")
    review = add_review(home)
    store = Store.of(home)
    with store.begin() as connection:
        save_view(connection, None, "Red accounts", "/worklist", "health=red", "a person")
    wanted = {
        "account_id": "a06",
        "occurred_at": datetime.now(UTC).isoformat(),
        "play": "low_adoption",
        "note": "A note",
    }
    started = start_intervention(store, Author("k", "a person"), InterventionRequest.model_validate(wanted))
    with listening(create_app(home, ServiceSettings(open_locally=True))) as address:
        yield address, f"/interventions/{started.id}", f"/reviews/{review}"


@pytest.fixture(scope="module")
def empty(listening: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of a home to which nothing has been published."""
    with listening(
        create_app(Home(tmp_path_factory.mktemp("empty") / "home"), ServiceSettings(open_locally=True))
    ) as address:
        yield address


@pytest.mark.parametrize("scheme", list(SCHEMES))
@pytest.mark.parametrize("width", list(WIDTHS))
def test_no_page_has_a_violation(
    worked: tuple[str, str, str], empty: str, visit: Callable[..., Any], width: str, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    options = {"resultTypes": ["violations"], **SCHEMES[scheme]}
    unfold = f"[...document.querySelectorAll('details')].slice(0, {OPENED}).forEach(each => each.open = true)"
    found = []
    for address, paths in ((worked[0], [*PAGES, *worked[1:], "/accounts/a06"]), (empty, EMPTY)):
        there = visit(address, color_scheme=scheme, **WIDTHS[width])
        for path in paths:
            there.open(path)
            there.page.evaluate(unfold)
            results = axe.run(there.page, options=options).response
            assert results["passes"], path
            found += [
                f"{path}: {violation['id']}: {violation['help']}: {node['html'][:200]}"
                for violation in results["violations"]
                for node in violation["nodes"][:3]
            ]
    for path in REPORT_FILES:
        # The service offers them for download, so the browser opens their content.
        there = visit(worked[0], color_scheme=scheme, **WIDTHS[width])
        there.page.set_content(there.page.request.get(worked[0] + path).text())
        results = axe.run(there.page, options=options).response
        assert results["passes"], path
        found += [
            f"{path}: {each['id']}: {node['html'][:200]}" for each in results["violations"] for node in each["nodes"][:3]
        ]
    assert not found, "\n".join(found)
