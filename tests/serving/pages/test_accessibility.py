"""Every page, at both widths, light and dark: no violation that axe-core finds (WCAG 2.2 AA and its best practices)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from serving.html.links import account_href, report_href

PAGES = [
    *("/", "/?health=red", "/?q=unknown", "/worklist", "/worklist?capacity=1", "/alerts", "/interventions", "/renewals", "/trends", "/trends?as_of=2026-07-01", "/leadership", "/leadership?as_of=2026-07-01", "/cohorts", "/model", "/docs"),
    *("/accounts/a05", account_href('"><img src=x onerror=alert(1)>'), report_href("a05", "qbr"), report_href("..", "plan")),
    *("/reviews", "/views", "/sign-in", "/accounts/unknown", "/nowhere"),
]
WIDTHS = {"desktop": {"viewport": {"width": 1280, "height": 900}}, "phone": {"viewport": {"width": 390, "height": 844}}}

# Four times more than twenty pages.
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", list(WIDTHS))
def test_no_page_has_a_violation(live: str, visit: Callable[..., Any], width: str, scheme: str) -> None:
    axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
    there = visit(live, color_scheme=scheme, **WIDTHS[width])
    found = []
    for path in PAGES:
        there.open(path)
        there.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        results = axe_playwright.Axe().run(there.page).response
        assert results["passes"], path
        found += [
            f"{path}: {violation['id']}: {violation['help']}: {node['html'][:200]}"
            for violation in results["violations"]
            for node in violation["nodes"][:3]
        ]
    assert not found, "\n".join(found)
