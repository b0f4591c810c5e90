"""A CSM's Monday in a browser: ten tasks from the sign-in to a signed review, each within a few clicks."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pptx import Presentation

from features.signals.signals import OpenSignals
from features.utils.formatting import percent, short_money
from models.health.rubric import load_rubric
from models.home import Home
from serving import review_sign_off
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.http.api_keys import create_key
from serving.leadership.arr_bridge import STEP_WORDS
from serving.portfolio.publish_kpis import publish_kpis
from serving.schemas.interventions import InterventionRequest
from serving.scoring.score_portfolio import score
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store.database import Store
from serving.store.records import Author
from serving.worklist.intervention_changes import start_intervention
from tests.serving.conftest import AS_OF, CSMS, EARLIER, Champions, Tables, publish, with_renewals

pytestmark = pytest.mark.slow
#: The fingerprint of the data of the open review.
DATA = "duckdb-1:abc"
CSM, QUARTER = "Ana Diaz", "2026Q3"
assert CSM in CSMS
#: Clicks for each task on a wide screen. On a phone, each use of the navigation takes one more, to open the menu.
LIMITS = {
    "find my three riskiest renewals": 2,
    "say why": 1,
    "start a play": 1,
    "close another": 3,
    "see what changed": 1,
    "export the list": 2,
    "prepare a customer's review": 5,
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


@pytest.fixture(scope="module")
def scored(
    champions: Champions,
    add_review: Callable[[Home], str],
    tables: Tables,
    make_signals: Callable[..., OpenSignals],
    tmp_path_factory: pytest.TempPathFactory,
) -> Home:
    """A home that scored accounts with renewals, losses and growth, and an earlier date in which NPS was lower."""
    place = tmp_path_factory.mktemp("monday")
    signals, home = make_signals(with_renewals(tables), "2026-07-01"), Home(place / "home")
    champions.promote(home, "1")
    score(signals, AS_OF, place / "rows.csv", home)
    snapshots = SnapshotFiles(home)
    publish_kpis(signals, snapshots, AS_OF, snapshots.at(AS_OF).frame, load_rubric(), 90)
    publish(home, champions.frame.assign(**{"outcomes.nps_last": 2.0}), EARLIER)
    add_review(home)
    return home


@pytest.fixture
def keys(
    scored: Home, copy_home: Callable[[Home, Path], Home], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Home, dict[str, str]]:
    """A home with an open review, and the keys of three people."""
    home = copy_home(scored, tmp_path / "home")
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

        def api(path: str, **query: str) -> Any:
            headers = {"Authorization": f"Bearer {secrets[CSM]}"}
            own = {} if path.startswith("/v1/accounts/") else {"csm": CSM}
            answer = page.request.get(address + path, params={**own, **query}, headers=headers)
            assert answer.ok, answer.text()
            return answer.json()

        def download(link: Any) -> Path:
            with page.expect_download() as begun:
                day.click(link)
            return Path(begun.value.path())

        with day.task("find my three riskiest renewals"):
            day.go("Renewals")
            day.choose("Period", QUARTER)
            due = [each for each in api("/v1/renewals", period=QUARTER)["accounts"] if not each["overdue"]]
            riskiest = sorted(due, key=lambda each: -each["expected_lost_arr"])[:3]
            assert len({each["expected_lost_arr"] for each in riskiest}) == 3
            accounts = page.locator("#due tbody th a")
            assert accounts.all_inner_texts()[:3] == [each["name"] for each in riskiest]
        with day.task("say why"):
            day.click(accounts.first)
            reasons = page.locator("section", has=page.locator("#why")).locator(".reasons .text")
            reasons.first.wait_for()
            prediction = api(f"/v1/accounts/{riskiest[0]['account_id']}/prediction")
            assert prediction["reasons"]
            for shown, reason in zip(reasons.all_inner_texts(), prediction["reasons"], strict=True):
                assert shown.startswith(reason["text"])
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
            assert page.locator("#moved").inner_text() == "What changed since 1 Jun 2026"
            changed = api("/v1/portfolio/changes")["accounts"]
            table = page.locator("table[data-export=accounts] tbody tr")
            assert table.count() == len(changed) > 0
            caused = [each for each in changed if re.match(r"Churn \S+% → \S+%: \S", each["text"])]
            assert caused
            for each in caused:
                assert each["text"] in re.sub(r"\s+", " ", table.filter(has_text=each["name"]).inner_text())
        with day.task("export the list"):
            day.go("Worklist")
            listed = page.locator("section", has=page.locator("#list")).locator("tbody th a")
            content = download(page.get_by_role("link", name="Worklist as CSV")).read_text()
            assert [row["name"] for row in csv.DictReader(io.StringIO(content))] == listed.all_inner_texts()
        with day.task("prepare a customer's review"):
            name = listed.first.inner_text()
            day.click(listed.first)
            day.click(page.get_by_role("link", name=re.compile("Business review")).first)
            page.wait_for_url("**/qbr?**")
            day.click(page.get_by_role("link", name="Customer edition"))
            page.wait_for_url("**edition=customer*")
            assert page.locator(".editions [aria-current=page]").inner_text() == "Customer edition"
            document = download(page.get_by_role("link", name="HTML file")).read_text()
            deck = Presentation(str(download(page.get_by_role("link", name="Presentation (PPTX)"))))
            slides = " ".join(s.text_frame.text for slide in deck.slides for s in slide.shapes if s.has_text_frame)
            for text in (day.main, document, slides):
                assert name in text
            for text in (document, slides):
                assert "churn" not in text.lower()
                assert "internal edition" not in text.lower()
        with day.task("say what renews in a quarter and how sure that is"):
            day.go("Renewals")
            day.choose("Period", QUARTER)
            whole = api("/v1/renewals", period=QUARTER)["whole"]
            assert f"{short_money(whole['arr'])} {whole['accounts']} accounts" in day.main
            assert whole["grr"]["interval"][0] < whole["grr"]["interval"][1]
            low, high = (percent(each) for each in whole["grr"]["interval"])
            assert f"{percent(whole['grr']['expected'])} {low} to {high}" in day.main
            low, high = (short_money(each) for each in whole["renewed_arr"]["interval"])
            forecast = page.locator("table[data-export=forecast]").inner_text()
            assert f"{low} to {high}" in re.sub(r"\s+", " ", forecast)
        with day.task("explain the move of NRR"):
            day.go("Leadership")
            report = api("/v1/portfolio/leadership")
            nrr = next(each for each in report["retention"] if each["measure"] == "nrr")
            row = page.locator("table[data-export=kpis] tbody tr", has_text="Net revenue retention")
            assert nrr["value"] != nrr["last"]["value"]
            for value in (nrr["value"], nrr["last"]["value"]):
                assert percent(value) in row.inner_text()
            steps = {each["step"]: each for each in report["bridge"]["steps"]}
            assert steps.keys() >= {"arr_start", "new", "expanded", "contracted", "churned", "arr_end"}
            for step, each in steps.items():
                label = page.locator("th", has_text=re.compile(rf"^\s*{STEP_WORDS[step]}"))
                row = page.locator("table[data-export=bridge] tbody tr").filter(has=label)
                assert short_money(each["arr"]) in row.first.inner_text()
            start, *moves = (steps[step]["arr"] for step in ("arr_start", "expanded", "contracted", "churned"))
            assert nrr["value"] == pytest.approx((start + moves[0] - moves[1] - moves[2]) / start)
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
        print(json.dumps(day.clicks))
