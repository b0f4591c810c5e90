"""The quarterly review from the command line to a signature in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

QUARTER = "2026Q3"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: A review is gathered from years of weeks, and signed with the data looked at again: a proof.
pytestmark = pytest.mark.slow
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
WAIT = 120_000


@pytest.fixture(scope="module")
def home(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("review") / "home"
    shutil.copytree(world.home, place, ignore=shutil.ignore_patterns("rollups", "store.sqlite*"))
    return place


@pytest.fixture(scope="module")
def folder(world: Any, home: Path, renewcast: Any) -> Path:
    done = renewcast("review", world.signals, "--quarter", QUARTER, "--capacity", "15", home=home)
    assert "Look at" in done.stdout
    (found,) = (home / "reviews").iterdir()
    return Path(found)


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "review.json").read_text())
    return found


def test_all_fifteen_sections_are_there_and_no_figure_is_made_up(told: dict[str, Any]) -> None:
    assert told["schema_version"] == 1
    assert told["quarter"] == QUARTER
    assert told["decision"]["weights"]["answer"] in ("keep", "change", "not_enough_evidence")
    assert told["definitions"]["accounts_with_churn"] <= told["definitions"]["accounts"]
    assert told["impact"]["capacity"] == 15
    figures = [f for f in _figures(told) if f["value"] is None or f["low"] is not None]
    assert len(figures) > 30
    for figure in figures:
        assert figure["value"] is not None or figure["low"] is figure["high"] is None
        assert figure["low"] is None or figure["low"] < figure["high"]
    # Bands share the portfolio out: their events and snapshots are the whole.
    bands = told["churn_by_band"]["bands"]
    assert bands[-1]["captured"]["value"] == pytest.approx(1.0)


def _figures(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if set(value) == {"value", "low", "high", "events"}:
            yield value
        else:
            for part in value.values():
                yield from _figures(part)
    elif isinstance(value, list):
        for part in value:
            yield from _figures(part)


def test_the_page_stands_alone(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    assert "<script" not in page
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)), "every picture has ids of its own"
    assert page.count("<figure>") >= 8
    assert len(re.findall(r"<svg role=\"img\" aria-labelledby", page)) == page.count("<figure>")


def test_the_same_review_again_takes_its_own_place(world: Any, home: Path, folder: Path, told: dict[str, Any], renewcast: Any) -> None:
    renewcast("review", world.signals, "--quarter", QUARTER, "--capacity", "15", home=home)
    assert [each.name for each in (home / "reviews").iterdir()] == [folder.name]
    again = json.loads((folder / "review.json").read_text())
    assert again | {"created_at": ""} == told | {"created_at": ""}


def test_a_quarter_that_has_not_matured_says_what_is_lacking(world: Any, home: Path, renewcast: Any) -> None:
    done = renewcast("review", world.signals, "--quarter", "2027Q2", home=home, expect=2)
    assert "days short of 2027-04-01" in done.stderr
    done = renewcast("review", world.signals, "--quarter", "summer", home=home, expect=2)
    assert "such as 2026Q3" in done.stderr


def _propose(folder: Path, home: Path) -> Path:
    """A home whose review proposes to change the weights, whatever the evidence says."""
    shutil.copytree(home, folder)
    file = next((folder / "reviews").iterdir()) / "review.json"
    review = json.loads(file.read_text())
    weights = dict(review["sign_off"]["weights"])
    first, second = list(weights)[:2]
    weights[first] += 5
    weights[second] -= 5
    review["sign_off"] |= {"proposed_weights": weights, "proposed_bands": review["sign_off"]["bands"]}
    file.write_text(json.dumps(review))
    return folder


def test_from_its_date_on_scores_use_the_version_and_rollback_takes_it_back(
    world: Any, home: Path, folder: Path, renewcast: Any, tmp_path: Path
) -> None:
    place = _propose(tmp_path / "home", home)

    def version(as_of: str) -> str:
        done = renewcast("health", world.signals, "--as-of", as_of, "--account", account, "--json", home=place)
        return str(json.loads(done.stdout)["health"]["rubric_version"])

    board = renewcast("health", world.signals, "--as-of", "2026-09-29", "--json", home=place)
    account = json.loads(board.stdout)["accounts"][0]["account_id"]
    people = ("--author", "author", "--reviewer", "reviewer")
    sign = ("approve", folder.name, "--owner", "owner", "--effective", "2026-10-05")
    assert "same person" in renewcast(*sign, "--author", "one", "--reviewer", "ONE", home=place, expect=2).stderr
    assert "is in force from 2026-10-05" in renewcast(*sign, *people, home=place).stdout
    assert (version("2026-10-04"), version("2026-10-05")) == ("2026Q3", "2026Q4")
    assert "was approved" in renewcast(*sign, *people, home=place, expect=2).stderr
    listed = json.loads(renewcast("reviews", "--json", home=place).stdout)
    assert [each["state"] for each in listed["reviews"]] == ["approved"]
    renewcast("approve", "--rollback", *people, "--why", "a mistake", home=place)
    assert version("2026-10-05") == "2026Q3"


@pytest.fixture
def service(home: Path, folder: Path, renewcast: Any, tmp_path: Path) -> Iterator[tuple[str, str, Path]]:
    """A running service with an open review: its address, an admin's key, its home."""
    place = tmp_path / "home"
    shutil.copytree(home, place)
    made = renewcast("keys", "create", "admin", "--scope", "admin", "--scope", "predict", "--json", home=place)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RENEWCAST_", "MLFLOW_"))}
    own = Path(__file__).resolve().parents[2] / "notebooks" / "examples" / "own-features.toml"
    more = {"RENEWCAST_HOME": str(place), "RENEWCAST_FEATURES": str(own), "RENEWCAST_OPEN_LOCALLY": "true"}
    process = subprocess.Popen(
        [sys.executable, "-m", "renewcast", "serve", "--port", str(port)],
        env=environment | more, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/livez", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "the service has stopped"
                time.sleep(0.2)
        yield address, json.loads(made.stdout)["key"], place
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_in_a_browser_figures_match_two_sign_one_is_refused_and_it_prints(
    service: tuple[str, str, Path], told: dict[str, Any]
) -> None:
    from playwright.sync_api import expect, sync_playwright

    address, key, home = service
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 390, "height": 800})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
        page.on("request", lambda asked: None if asked.url.startswith(address) else complaints.append(asked.url))
        page.goto(f"{address}/reviews")
        page.get_by_role("link", name=QUARTER).click()
        expect(page.locator("[data-figure=headline]")).to_have_text(told["decision"]["headline"])
        expect(page.locator("[data-figure=accounts_with_churn]")).to_have_text(str(told["definitions"]["accounts_with_churn"]))
        for outcome in ("churn", "expansion"):
            for row in told[f"{outcome}_by_band"]["bands"]:
                shown = page.locator(f"[data-figure={outcome}-{row['band']}]")
                expect(shown).to_contain_text(f"{100 * row['rate']['value']:.1f}%")
        for each in told["disagreements"]:
            expect(page.locator(f"[data-figure={each['kind']}]")).to_have_text(str(each["accounts"]))
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth"), "it fits a phone"
        assert page.locator("h2").count() == 15
        answer = page.locator("#sign-answer")
        for name, value in (("author", "one"), ("reviewer", " One"), ("owner", "owner"), ("key", key)):
            page.fill(f"[name={name}]", value)
        page.click("button[value=approve]")
        expect(answer).to_contain_text("same person", timeout=WAIT)
        assert not (home / "rubrics" / "history.json").exists()
        page.fill("[name=reviewer]", "another")
        page.click("button[value=approve]")
        expect(answer).to_have_text("Approved.", timeout=WAIT)
        (decided,) = json.loads((home / "rubrics" / "history.json").read_text())["decisions"]
        assert (decided["author"], decided["reviewer"], decided["what"]) == ("one", "another", "approved")
        page.reload()
        expect(page.locator("#decided")).to_contain_text("is approved")
        assert page.locator("#sign-form").count() == 0
        printed = page.pdf(format="A4")
        assert printed.startswith(b"%PDF")
        assert len(printed) > 20_000
        browser.close()
    assert complaints == []
