"""A CSM's Monday in a browser: ten tasks from the sign-in to a signed review, each within a few clicks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.artifacts.champion import load_champion
from models.health.rubric import load_rubric
from models.health.rubric_versions import sha256
from models.home import Home
from serving import review_sign_off
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.http.api_keys import create_key
from serving.schemas.interventions import InterventionRequest
from serving.store.database import Store
from serving.store.records import Author
from serving.worklist.intervention_changes import start_intervention
from tests.serving.pages.conftest import CSMS

pytestmark = pytest.mark.slow
REVIEW, DATA = "2026Q2-five-dimensions-0000abcd", "duckdb-1:abc"
CSM = CSMS[0]
#: Clicks for each task on a wide screen. On a phone, each use of the navigation takes one more, to open the menu.
LIMITS = {
    "find my three riskiest renewals": 2,
    "say why": 1,
    "start a play": 1,
    "close another": 3,
    "see what changed": 1,
    "export the list": 2,
    "prepare a customer's review": 2,
    "say what renews in a quarter and how sure that is": 2,
    "explain the move of NRR": 1,
    "sign the quarterly review": 4,
}


class Monday:
    """A page of the browser, and the clicks that each task takes."""

    def __init__(self, page: Any, *, phone: bool) -> None:
        self.page, self._phone = page, phone
        self.clicks: dict[str, int] = {}
        self._task = ""
        self._menus = 0

    @contextmanager
    def task(self, words: str) -> Iterator[None]:
        self._task, self._menus, self.clicks[words] = words, 0, 0
        yield
        assert self.clicks[words] <= LIMITS[words] + self._menus, words

    def click(self, what: Any) -> None:
        self.clicks[self._task] += 1
        what.click()

    def choose(self, label: str, value: str) -> None:
        """Choose a value, which applies at once, and wait for the page with it."""
        self.clicks[self._task] += 1
        self.page.get_by_label(label, exact=True).select_option(value)
        self.page.wait_for_url(f"**={value}*")

    def go(self, words: str) -> None:
        """Follow an entry of the navigation."""
        if self._phone:
            self._menus += 1
            self.click(self.page.locator(".menu summary"))
        self.click(self.page.locator("header nav:visible").get_by_role("link", name=words, exact=True))
        self.page.locator("h1", has_text=words).wait_for()

    @property
    def main(self) -> str:
        return re.sub(r"\s+", " ", self.page.locator("main").inner_text())


def _add_review(home: Home) -> None:
    """Write an open review, as `renewcast review` does."""
    bundle, rubric = load_champion(home).bundles["churn"], load_rubric()
    answer = {"answer": "keep", "words": "keep", "reasons": ["so the evidence says"]}
    review = {
        "schema_version": 1, "id": REVIEW, "quarter": "2026Q2", "created_at": "2026-07-01T08:00:00Z",
        "decision": {"headline": "Keep the weights.", "weights": answer, "bands": answer, "effective": "2026-07-01"},
        "sign_off": {
            "rubric": rubric.name, "version": rubric.version, "model": "1", "signals": "signals",
            "data_through": "2026-07-01T00:00:00+00:00",
            "hashes": {"data": DATA, "rubric": sha256(rubric.text), "model": bundle.fingerprint},
            "proposed_weights": None, "proposed_bands": None, "meaning": None, "earliest_effective": "2026-07-01",
        },
    }  # fmt: skip
    folder = home.reviews / REVIEW
    folder.mkdir(parents=True)
    (folder / "review.json").write_text(json.dumps(review))
    (folder / "index.html").write_text(
        '<!doctype html><html lang="en"><head><title>a review</title><link rel="icon" href="data:,"></head><body><h1>Review</h1><!--sign-off--></body></html>'
    )


@pytest.fixture
def keys(
    paged_home: Home, copy_home: Callable[[Home, Path], Home], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Home, dict[str, str]]:
    """A home with a review, and with a play that someone runs for an account of the CSM; the keys of three people."""
    home = copy_home(paged_home, tmp_path / "home")
    _add_review(home)
    monkeypatch.setattr(review_sign_off, "current_fingerprint", lambda *_: DATA)
    store, secrets = Store.of(home), {}
    with store.begin() as connection:
        for name in ("Ada Example", "Grace Example"):
            secrets[name] = create_key(connection, name, ["admin"])[1]
        secrets[CSM] = create_key(connection, "Cy Example", ["predict", "write"], CSM)[1]
    return home, secrets


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_ten_tasks_of_a_monday(
    keys: tuple[Home, dict[str, str]], listening: Any, visit: Any, size: tuple[int, int]
) -> None:
    home, secrets = keys
    app = create_app(home, ServiceSettings())
    with listening(app) as address:
        state, store = app.state.live.current(), app.state.store
        now = datetime.now(UTC).isoformat()
        running = {"account_id": "a06", "occurred_at": now, "play": "low_adoption", "assignee": CSM}
        start_intervention(store, Author("k", CSM), InterventionRequest.model_validate(running), state)
        there = visit(address, viewport={"width": size[0], "height": size[1]}, accept_downloads=True)
        page, day = there.page, Monday(there.page, phone=size[0] < 600)
        dead_ends: list[str] = []
        page.on("response", lambda answer: answer.status >= 400 and dead_ends.append(f"{answer.status} {answer.url}"))
        there.open("/")
        page.fill("#key", secrets[CSM])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("My accounts:").wait_for()

        with day.task("find my three riskiest renewals"):
            day.go("Renewals")
            day.choose("Period", "2027Q1")
            accounts = page.locator("#due tbody th a")
            assert accounts.count() >= 3
        with day.task("say why"):
            day.click(accounts.first)
            page.get_by_role("heading", name="Why the model predicts this risk").wait_for()
        with day.task("start a play"):
            day.click(page.locator("button[value=start]").first)
            page.get_by_role("status").filter(has_text="started").wait_for()
        with day.task("close another"):
            day.go("Worklist")
            rows = page.locator("section", has=page.locator("#running")).locator("tbody tr")
            assert rows.count() == 2
            day.click(rows.last.locator("summary"))
            day.click(rows.last.get_by_role("button", name="Saved"))
            page.get_by_role("status").filter(has_text="saved").wait_for()
            assert rows.count() == 1
        with day.task("see what changed"):
            day.go("Trends")
            assert page.locator("#moved").inner_text() == "What changed since 1 Jul 2026"
        with day.task("export the list"):
            day.go("Worklist")
            with page.expect_download() as download:
                day.click(page.get_by_role("link", name="Worklist as CSV"))
            assert "account_id" in Path(download.value.path()).read_text()
        with day.task("prepare a customer's review"):
            day.click(page.locator("section", has=page.locator("#list")).locator("tbody th a").first)
            day.click(page.get_by_role("link", name=re.compile("Business review")).first)
            page.wait_for_url("**/qbr?**")
            assert page.locator("main section").count() >= 4
        with day.task("say what renews in a quarter and how sure that is"):
            day.go("Renewals")
            day.choose("Period", "2027Q1")
            assert re.search(r"Due \S+ \d+ accounts", day.main)
            # This small company has too few past renewals for a forecast, and the page says so.
            assert "80% interval" in day.main or page.locator("section[aria-label=Notes] p").count() > 0
        with day.task("explain the move of NRR"):
            day.go("Trends")
            assert page.locator("tr", has_text="Net revenue retention").first.is_visible()
        with day.task("sign the quarterly review"):
            day.go("Reviews")
            day.click(page.get_by_role("link", name="2026Q2"))
            for form, name, button in (("#first", "Ada Example", "approve"), ("#second", "Grace Example", "same")):
                page.fill(f"{form} [name=key]", secrets[name])
                if form == "#first":
                    page.fill("#first [name=owner]", "owner")
                day.click(page.locator(f"{form} button[value={button}]"))
                page.locator("#waiting" if form == "#first" else "#decided").wait_for()
        assert dead_ends == []
        assert there.troubles == []
