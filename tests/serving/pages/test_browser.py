"""The pages in a real browser: no errors, no external requests, usable with a keyboard and on phones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from models.health.rubric_versions import read_history
from models.home import Home
from serving import review_sign_off
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.html.links import account_href, report_href
from serving.html.navigation import SECTIONS
from serving.http.api_keys import create_key, revoke_key
from serving.store.database import Store

Visiting = Callable[..., Any]
PAGES = ["/", "/accounts/a05", account_href('"><img src=x onerror=alert(1)>'), "/renewals", "/worklist", "/alerts", "/interventions", "/cohorts", "/churned?as_of=2026-07-01", "/onboarding", "/trends", "/leadership?as_of=2026-07-01", report_href("a05", "qbr"), report_href("..", "plan"), "/model", "/docs", "/views", "/reviews", "/sign-in"]
PHONE = {"viewport": {"width": 360, "height": 740}}


@pytest.mark.parametrize("options", [{"color_scheme": "light"}, {"color_scheme": "dark", **PHONE}], ids=["light", "dark phone"])
def test_pages_open_without_an_error_and_fit_the_window(live: str, visit: Visiting, options: dict[str, Any]) -> None:
    there = visit(live, **options)
    for path in PAGES:
        assert there.open(path).status == 200
        assert there.page.locator("h1").count() == 1
        assert there.sideways == 0, path
        there.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert there.sideways == 0, f"{path}, all opened"
    assert there.troubles == []
    assert "taken" not in there.page.title()


def test_a_review_is_signed_without_scripts_on_a_phone(
    paged_home: Home, copy_home: Callable[[Home, Path], Home], add_review: Callable[[Home], str], visit: Visiting, listening: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = copy_home(paged_home, tmp_path / "home")
    review = add_review(home)
    monkeypatch.setattr(review_sign_off, "current_fingerprint", lambda *_: "duckdb-1:abc")
    with Store.of(home).begin() as connection:
        secret = create_key(connection, "Ada", ("admin",))[1]
    with listening(create_app(home, ServiceSettings(open_locally=True))) as address:
        there = visit(address, java_script_enabled=False, **PHONE)
        there.open("/reviews")
        there.page.get_by_role("link", name="2026Q2").click()
        assert there.page.locator("td", has_text="1").first.get_attribute("data-label") == "Two"
        assert there.sideways == 0
        there.page.fill("#first [name=owner]", "owner")
        there.page.fill("#first [name=key]", secret)
        there.page.locator("#first button[value=approve]").click()
        assert "Ada has signed the approval" in there.page.locator("#waiting").inner_text()
        there.page.locator(".menu summary").first.click()
        there.page.get_by_role("link", name="Reviews", exact=True).last.click()
        assert "Waiting for a second signature" in there.page.locator("main").inner_text()
        assert there.troubles == []
    assert review == read_history(home).pending[0].review


def test_dark_and_light_mode_are_readable(live: str, visit: Visiting) -> None:
    """Text stands out from its ground by 4.5:1 (WCAG 2.2, AA)."""
    for scheme in ("light", "dark"):
        there = visit(live, color_scheme=scheme)
        there.open("/")
        ground = there.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (_luminance(ground) < 0.1) is (scheme == "dark")
        pairs = there.page.evaluate(
            """[...document.querySelectorAll('.chip, .soft, .fine, th, td, button, nav a, label')].map(each => {
                let behind = each;
                while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)' && behind.parentElement) behind = behind.parentElement;
                return [each.className + ' ' + each.tagName, getComputedStyle(each).color, getComputedStyle(behind).backgroundColor];
            })"""
        )
        assert len(pairs) > 100
        faint = {name for name, ink, paper in pairs if _contrast(ink, paper) < 4.5}
        assert not faint, scheme


def test_sorting_and_filtering_work_with_the_keyboard(live: str, visit: Visiting) -> None:
    there = visit(live)
    there.open("/")
    there.page.keyboard.press("Tab")
    assert there.page.evaluate("document.activeElement.textContent") == "Skip to main content"
    there.page.keyboard.press("Enter")
    assert there.page.evaluate("document.activeElement.id") == "main"
    there.page.locator("thead a", has_text="Health").focus()
    there.page.keyboard.press("Enter")
    there.page.wait_for_url("**sort=health**")
    assert there.page.locator("th[aria-sort=ascending]").inner_text().startswith("Health")
    there.page.locator(".book-form summary").focus()
    there.page.keyboard.press("Enter")
    there.page.locator("#filter-csm").focus()
    there.page.keyboard.press("ArrowDown")
    there.page.locator(".book-form button").focus()
    there.page.keyboard.press("Enter")
    there.page.wait_for_url("**csm=**")
    chosen = there.page.locator("#filter-csm").input_value()
    assert set(there.page.locator("td[data-label=CSM]").all_inner_texts()) == {chosen}
    assert "sort=health" in there.page.url
    there.page.locator("#q").fill("half")
    there.page.keyboard.press("Enter")
    there.page.wait_for_url("**q=half**")
    assert there.troubles == []


@pytest.mark.parametrize("account", ["a/b c?d#e", "..", "100% \\ ü", "50%25 off"])
def test_links_work_for_any_account_id(live: str, visit: Visiting, account: str) -> None:
    there = visit(live)
    there.open("/?size=100&sort=account")
    there.page.locator(f'.account a[href="{account_href(account)}"]').click()
    there.page.wait_for_url(re.compile("/accounts/"))
    assert account in there.page.locator("main .head p.soft").first.inner_text()
    assert there.troubles == []


def test_choosing_a_date_works_with_the_keyboard_and_links_to_a_review(live: str, visit: Visiting) -> None:
    there = visit(live)
    there.open("/accounts/a05")
    there.page.get_by_label("as of").focus()
    there.page.keyboard.press("ArrowDown")
    there.page.wait_for_url("**as_of=2026-07-01**")
    there.page.get_by_role("link", name="Account plan").click()
    there.page.wait_for_url("**/accounts/a05/plan?as_of=2026-07-01")
    there.page.get_by_role("link", name="Business review").click()
    there.page.wait_for_url("**/accounts/a05/qbr?quarter=2026Q3&as_of=2026-07-01")
    assert there.page.get_by_label("Quarter", exact=True).input_value() == "2026Q3"
    there.page.get_by_label("Quarter", exact=True).select_option("2026Q2")
    there.page.wait_for_url("**quarter=2026Q2**")
    there.page.get_by_role("heading", name="Health and risk").wait_for()
    assert there.troubles == []


def test_pages_work_without_scripts(live: str, visit: Visiting) -> None:
    there = visit(live, java_script_enabled=False)
    there.open("/")
    there.page.locator(".book-form summary").click()
    there.page.locator("#filter-health").select_option("insufficient_data")
    there.page.locator(".book-form").get_by_role("button", name="Apply").click()
    assert "health=insufficient_data" in there.page.url


def test_every_page_is_in_the_menu_of_a_phone_and_in_the_row_of_a_wide_screen(live: str, visit: Visiting) -> None:
    phone = visit(live, java_script_enabled=False, **PHONE)
    phone.open("/")
    links = phone.page.locator("header nav a:visible")
    assert links.count() == 0
    phone.page.locator(".menu summary").click()
    assert links.all_inner_texts() == [each.words for each in SECTIONS]
    assert phone.sideways == 0
    links.filter(has_text="Worklist").click()
    assert phone.page.locator("h1").inner_text() == "Worklist"
    assert phone.page.locator(".menu summary").inner_text() == "Menu: Worklist"
    wide = visit(live)
    wide.open("/worklist")
    assert wide.page.locator("header nav a:visible").all_inner_texts() == [each.words for each in SECTIONS]
    assert not wide.page.locator(".menu").is_visible()


@pytest.fixture(scope="module")
def guarded(paged_home: Home, listening: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Store]]:
    """A service that asks for a key, and its store."""
    store = f"sqlite:///{tmp_path_factory.mktemp('guarded') / 'store.sqlite'}"
    app = create_app(paged_home, ServiceSettings(store=SecretStr(store)))
    with listening(app) as address:
        yield address, app.state.store


def test_a_session_lasts_until_the_key_is_revoked(guarded: tuple[str, Store], visit: Visiting) -> None:
    address, store = guarded
    with store.begin() as connection:
        key, secret = create_key(connection, "the CS team", ["predict"])
    there = visit(address)
    there.open("/worklist?capacity=10")
    there.page.locator("#key").fill(secret)
    there.page.keyboard.press("Enter")
    there.page.wait_for_url("**/worklist?capacity=10")
    assert there.page.locator(".who").inner_text() == "the CS team"
    assert there.page.evaluate("document.cookie") == "", "no script can read it"
    assert there.troubles == []
    with store.begin() as connection:
        revoke_key(connection, key.id)
    there.page.reload()
    assert there.page.url.startswith(f"{address}/sign-in")
    there.page.locator("#key").fill(secret)
    there.page.keyboard.press("Enter")
    there.page.get_by_role("alert").wait_for()


def test_sign_out_in_the_browser(guarded: tuple[str, Store], visit: Visiting) -> None:
    address, store = guarded
    with store.begin() as connection:
        _, secret = create_key(connection, "the CS team", ["predict"])
    there = visit(address)
    there.open("/")
    there.page.locator("#key").fill(secret)
    there.page.keyboard.press("Enter")
    there.page.get_by_role("button", name="Sign out").click()
    there.page.wait_for_url("**/sign-in")
    there.open("/")
    assert there.page.url.startswith(f"{address}/sign-in")


def _luminance(color: str) -> float:
    """Relative luminance of ``rgb(…)`` (WCAG 2.2)."""
    parts = [float(part) / 255 for part in re.findall(r"[\d.]+", color)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
