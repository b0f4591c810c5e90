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

import numpy as np
import pytest
from fastapi.testclient import TestClient

from features.contract.current_contract import reset_declarations
from models.health.rubric import load_rubric
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from training.review.document import QuarterlyReview
from training.review.html.render import render
from training.review.html.section_charts import draw_section_charts
from training.review.sections.judgments import judge

QUARTER = "2026Q3"
SHIPPED = load_rubric().version
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: A review reads years of data, and an approval reads them again, so these tests are slow.
pytestmark = pytest.mark.slow
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT = 120_000


@pytest.fixture(scope="module")
def home(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("review") / "home"
    shutil.copytree(world.home, place, ignore=shutil.ignore_patterns("rollups", "store.sqlite*"))
    return place


@pytest.fixture(scope="module")
def folder(world: Any, home: Path, renewcast: Any) -> Path:
    result = renewcast("review", world.signals, "--quarter", QUARTER, "--capacity", "15", home=home)
    assert "index.html" in result.stdout
    (results,) = (home / "reviews").iterdir()
    return Path(results)


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads((folder / "review.json").read_text())
    return payload


def test_all_fifteen_sections_have_valid_figures(document: dict[str, Any]) -> None:
    assert document["schema_version"] == 1
    assert document["quarter"] == QUARTER
    assert document["decision"]["weights"]["answer"] in ("keep", "change", "not_enough_evidence")
    assert document["definitions"]["accounts_with_churn"] <= document["definitions"]["accounts"]
    assert document["impact"]["capacity"] == 15
    figures = [f for f in _figures(document) if f["value"] is None or f["low"] is not None]
    assert len(figures) > 30
    for figure in figures:
        assert figure["value"] is not None or figure["low"] is figure["high"] is None
        assert figure["low"] is None or figure["low"] < figure["high"]
    # The bands cover the whole portfolio.
    bands = document["churn_by_band"]["bands"]
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


def test_the_page_compares_renewal_calls_with_outcomes(document: dict[str, Any]) -> None:
    assert document["judgments"] is None, "the signals have no judgments"
    rng = np.random.default_rng(1)
    churned, accounts = (rng.random(200) < 0.3).astype(float), np.array([f"a{i}" for i in range(200)], dtype=object)
    calls = np.where(churned > 0, rng.integers(0, 2, 200), rng.integers(1, 3, 200)).astype(float)
    judged = judge("renewal_call", calls, churned, accounts, rng.uniform(0, 100, 200), rng.normal(size=200), 240)
    review = QuarterlyReview.model_validate(document).model_copy(update={"judgments": judged})
    page = render(review, draw_section_charts(review.plain()))
    section = page.split("<h3>Judgment of the team</h3>")[1].split("</section>")[0]
    assert "200 of 240 accounts had a renewal call that had not expired" in section
    assert "adds to the health score" in section
    assert section.count("<tr>") == 1 + 3 + 1 + 2


def test_the_page_is_self_contained(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    assert "<script" not in page
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)), "ids are unique across charts"
    assert page.count("<figure>") >= 8
    assert len(re.findall(r"<svg [^>]*role=\"img\" aria-label=", page)) == page.count("<figure>")


def test_each_table_and_chart_of_the_page_can_be_downloaded(home: Path, folder: Path, document: dict[str, Any]) -> None:
    places = re.findall(r"<!--files:(table|chart):([a-z0-9-]+)-->", (folder / "index.html").read_text())
    charts = [name for kind, name in places if kind == "chart"]
    assert sorted(charts) == sorted(json.loads((folder / "charts.json").read_text()))
    assert len(charts) >= 8
    with TestClient(create_app(Home(home), ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        page = client.get(f"/reviews/{folder.name}").text
        assert "<!--files" not in page
        for name in charts:
            svg = client.get(f"/exports/{name}.svg/reviews/{folder.name}")
            assert svg.status_code == 200
            assert "currentColor" not in svg.text
        names = {name for kind, name in places if kind == "table"}
        exported = set(re.findall(r'href="/exports/([a-z0-9-]+)\.csv/', page))
        assert exported <= names
        assert len(exported) >= 12
        tables = {name: client.get(f"/exports/{name}.csv/reviews/{folder.name}").text.splitlines() for name in exported}
        for name in exported:
            assert client.get(f"/exports/{name}.xlsx/reviews/{folder.name}").content[:2] == b"PK", name
    assert len(tables["quality"]) == 1 + len(document["data_quality"]["dimensions"])
    bands = document["churn_by_band"]
    rates = [line.split(",")[4] for line in tables["churn-by-band"][1:]]
    assert [float(rate) if rate else None for rate in rates] == [
        each["rate"]["value"] for each in (*bands["bands"], {"rate": bands["overall"]})
    ]


def test_its_wide_tables_have_labels_for_phones(folder: Path) -> None:
    tables = re.findall(r"<table.*?</table>", (folder / "index.html").read_text(), re.DOTALL)
    wide = [table for table in tables if len(re.findall(r"<th[\s>]", table.split("</thead>")[0])) >= 4]
    assert len(wide) >= 12
    for table in wide:
        assert table.startswith('<table class="cards">'), table[:100]
        assert all("data-label=" in cell for cell in re.findall(r"<td[^>]*>", table)), table[:300]


def test_repeating_a_review_replaces_it(
    world: Any, home: Path, folder: Path, document: dict[str, Any], renewcast: Any
) -> None:
    renewcast("review", world.signals, "--quarter", QUARTER, "--capacity", "15", home=home)
    assert [each.name for each in (home / "reviews").iterdir()] == [folder.name]
    again = json.loads((folder / "review.json").read_text())
    assert again | {"created_at": ""} == document | {"created_at": ""}


def test_a_quarter_without_matured_snapshots_reports_what_is_missing(world: Any, home: Path, renewcast: Any) -> None:
    result = renewcast("review", world.signals, "--quarter", "2027Q2", home=home, expect=2)
    assert "days before 2027-04-01" in result.stderr
    result = renewcast("review", world.signals, "--quarter", "summer", home=home, expect=2)
    assert "such as 2026Q3" in result.stderr


def _keep(folder: Path, home: Path) -> Path:
    """Copy the home, with a review that proposes no change."""
    shutil.copytree(home, folder)
    file = next((folder / "reviews").iterdir()) / "review.json"
    review = json.loads(file.read_text())
    review["sign_off"] |= {"proposed_weights": None, "proposed_bands": None}
    file.write_text(json.dumps(review))
    return folder


def _propose(folder: Path, home: Path) -> Path:
    """Copy the home, with a review that proposes a change of the weights."""
    shutil.copytree(home, folder)
    file = next((folder / "reviews").iterdir()) / "review.json"
    review = json.loads(file.read_text())
    weights = dict(review["sign_off"]["weights"])
    first, second = list(weights)[:2]
    weights[first] += 5
    weights[second] -= 5
    # The decision record contains the score calibration of the version, including unknown values.
    meaning = review["score_reliability"]["meaning"]
    assert meaning is not None
    review["sign_off"] |= {
        "proposed_weights": weights,
        "proposed_bands": review["sign_off"]["bands"],
        "meaning": meaning | {"later": None},
    }
    file.write_text(json.dumps(review))
    return folder


def _key(renewcast: Any, home: Path, name: str) -> str:
    created = renewcast("keys", "create", name, "--scope", "admin", "--json", home=home)
    return str(json.loads(created.stdout)["key"])


def _check_commands_and_pages(world: Any, home: Path, renewcast: Any, tmp_path: Path, version: str) -> None:
    """Check that commands and pages that read the history of rubrics still work after a decision."""
    renewcast("health", world.signals, "--as-of", "2026-10-05", home=home)
    renewcast("score", world.signals, "--as-of", "2026-10-05", "--out", tmp_path / "rows.csv", home=home)
    portfolio = renewcast("portfolio", world.signals, "--as-of", "2026-10-05", "--json", home=home)
    assert json.loads(portfolio.stdout)["rubric_version"] == version
    (listed,) = json.loads(renewcast("reviews", "--json", home=home).stdout)["reviews"]
    board = json.loads(renewcast("health", world.signals, "--as-of", "2026-10-05", "--json", home=home).stdout)
    account = board["accounts"][0]["account_id"]
    with pytest.MonkeyPatch.context() as patch:
        # The home was trained with custom features.
        patch.setenv("RENEWCAST_FEATURES", str(world.own_features))
        reset_declarations()
        app = create_app(Home(home), ServiceSettings(open_locally=True))
        with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1)) as client:
            pages = (
                "/",
                "/reviews",
                f"/reviews/{listed['id']}",
                "/worklist",
                "/renewals",
                "/model",
                f"/accounts/{account}",
            )
            for path in (*pages, "/readyz"):
                answer = client.get(path)
                assert answer.status_code == 200, (path, answer.text)
    reset_declarations()


def test_scores_use_an_approved_version_from_its_date_until_a_rollback(
    world: Any, home: Path, folder: Path, renewcast: Any, tmp_path: Path
) -> None:
    place = _propose(tmp_path / "home", home)

    def version(as_of: str) -> str:
        result = renewcast("health", world.signals, "--as-of", as_of, "--account", account, "--json", home=place)
        return str(json.loads(result.stdout)["health"]["rubric_version"])

    board = renewcast("health", world.signals, "--as-of", "2026-09-29", "--json", home=place)
    account = json.loads(board.stdout)["accounts"][0]["account_id"]
    ada, grace, lookalike = (_key(renewcast, place, name) for name in ("Ada Example", "Grace Example", "Аda Example"))
    sign = ("approve", folder.name)
    assert "no API key was given" in renewcast(*sign, home=place, expect=2).stderr
    assert "is not valid" in renewcast(*sign, "--key", "rc_nonsense", home=place, expect=2).stderr
    assert (
        "One signature is missing"
        in renewcast(*sign, "--owner", "owner", "--effective", "2026-10-05", "--key", ada, home=place).stdout
    )
    for same in (ada, lookalike):
        assert "same person" in renewcast(*sign, "--key", same, home=place, expect=2).stderr
    assert version("2026-10-05") == SHIPPED, "one signature changes nothing"
    assert "is in force from 5 Oct 2026" in renewcast(*sign, "--key", grace, home=place).stdout
    assert (version("2026-10-04"), version("2026-10-05")) == (SHIPPED, "2026Q4")
    _check_commands_and_pages(world, place, renewcast, tmp_path, "2026Q4")
    assert "was approved" in renewcast(*sign, "--key", ada, home=place, expect=2).stderr
    listed = json.loads(renewcast("reviews", "--json", home=place).stdout)
    assert [each["state"] for each in listed["reviews"]] == ["approved"]
    back = ("approve", "--rollback", "--why", "a mistake", "--key")
    renewcast(*back, grace, home=place)
    assert "same person" in renewcast(*back, grace, home=place, expect=2).stderr
    assert "is in force again" in renewcast(*back, ada, home=place).stdout
    assert version("2026-10-05") == SHIPPED
    _check_commands_and_pages(world, place, renewcast, tmp_path, SHIPPED)
    # The default date is allowed, and the review can be signed again.
    for key in (ada, grace):
        renewcast(*sign, "--owner", "owner", "--key", key, home=place)


@pytest.mark.parametrize("proposal", [_propose, _keep], ids=["a change", "to keep"])
@pytest.mark.parametrize("how", [("--owner", "owner"), ("--reject", "--why", "not now")], ids=["approve", "reject"])
def test_decisions_without_a_change_need_two_signatures(
    world: Any, home: Path, folder: Path, renewcast: Any, tmp_path: Path, how: tuple[str, ...], proposal: Any
) -> None:
    if (approves := "--reject" not in how) and proposal is _propose:
        pytest.skip("the approval of a change is tested with versions and dates")
    place = proposal(tmp_path / "home", home)
    for name in ("Ada Example", "Grace Example"):
        renewcast("approve", folder.name, *how, "--key", _key(renewcast, place, name), home=place)
    (listed,) = json.loads(renewcast("reviews", "--json", home=place).stdout)["reviews"]
    assert listed["state"] == ("approved" if approves else "rejected")
    _check_commands_and_pages(world, place, renewcast, tmp_path, SHIPPED)


@pytest.fixture
def service(home: Path, folder: Path, renewcast: Any, tmp_path: Path) -> Iterator[tuple[str, tuple[str, str], Path]]:
    """Run a service with an open review that proposes a change; yield its address, two keys and its home."""
    place = _propose(tmp_path / "home", home)
    keys = tuple(_key(renewcast, place, name) for name in ("Ada Example", "Grace Example"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RENEWCAST_", "MLFLOW_"))}
    own = Path(__file__).resolve().parents[2] / "notebooks" / "examples" / "own-features.toml"
    more = {"RENEWCAST_HOME": str(place), "RENEWCAST_FEATURES": str(own), "RENEWCAST_OPEN_LOCALLY": "true"}
    more |= {"RENEWCAST_RELOAD_WAIT_SECONDS": "60"}
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
        yield address, (keys[0], keys[1]), place
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_whole_review_has_no_violation_at_any_width_or_scheme(
    world: Any, service: tuple[str, tuple[str, str], Path]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.goto(f"{service[0]}/reviews")
            page.get_by_role("link", name=QUARTER).click()
            assert page.locator("h2").count() == 15
            page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            results = axe.run(page, options={"resultTypes": ["violations"]}).response
            assert results["passes"]
            found += [
                f"{width} {scheme}: {each['id']}: {node['html'][:200]}"
                for each in results["violations"]
                for node in each["nodes"][:3]
            ]
            page.close()
        browser.close()
    assert not found, "\n".join(found)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_review_page_in_a_browser_with_sign_off_rollback_and_print(
    world: Any, service: tuple[str, tuple[str, str], Path], document: dict[str, Any], renewcast: Any, tmp_path: Path
) -> None:
    from playwright.sync_api import expect, sync_playwright

    address, (ada, grace), home = service
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 390, "height": 800})
        complaints: list[str] = []
        page.on(
            "console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None
        )
        page.on("request", lambda request: None if request.url.startswith(address) else complaints.append(request.url))
        page.goto(f"{address}/reviews")
        page.get_by_role("link", name=QUARTER).click()
        expect(page.locator("[data-figure=headline]")).to_have_text(document["decision"]["headline"])
        expect(page.locator("[data-figure=accounts_with_churn]")).to_have_text(
            str(document["definitions"]["accounts_with_churn"])
        )
        for outcome in ("churn", "expansion"):
            for row in document[f"{outcome}_by_band"]["bands"]:
                figure = page.locator(f"[data-figure={outcome}-{row['band']}]")
                expect(figure).to_contain_text(f"{100 * row['rate']['value']:.1f}%")
        for each in document["disagreements"]:
            expect(page.locator(f"[data-figure={each['kind']}]")).to_have_text(str(each["accounts"]))
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth"), (
            "the page fits the width of a phone"
        )
        assert page.locator("h2").count() == 15
        history = home / "rubrics" / "history.json"
        page.fill("#first [name=owner]", "owner")
        page.fill("#first [name=key]", ada)
        page.click("#first button[value=approve]")
        expect(page.locator("#waiting")).to_contain_text("Ada Example has signed the approval", timeout=WAIT)
        page.fill("#second [name=key]", ada)
        page.click("#second button")
        expect(page.locator("#second output")).to_contain_text("same person", timeout=WAIT)
        assert json.loads(history.read_text())["decisions"] == []
        page.fill("#second [name=key]", grace)
        page.click("#second button")
        expect(page.locator("#decided")).to_contain_text("is approved", timeout=WAIT)
        (decided,) = json.loads(history.read_text())["decisions"]
        assert (decided["author"], decided["reviewer"], decided["what"]) == ("Ada Example", "Grace Example", "approved")
        for path in ("/", "/reviews", "/worklist", "/model", "/readyz"):
            assert page.request.get(f"{address}{path}").status == 200, path
        page.get_by_text("Roll back this version").click()
        page.fill("#back [name=key]", grace)
        page.click("#back button")
        expect(page.locator("#waiting")).to_contain_text("Grace Example has signed the rollback", timeout=WAIT)
        page.fill("#second [name=key]", ada)
        page.click("#second button")
        expect(page.locator("#first")).to_be_visible(timeout=WAIT)
        assert [each["what"] for each in json.loads(history.read_text())["decisions"]] == ["approved", "rolled_back"]
        for path in ("/", "/reviews", "/worklist", "/model", "/readyz"):
            assert page.request.get(f"{address}{path}").status == 200, path
        printed = page.pdf(format="A4")
        assert printed.startswith(b"%PDF")
        assert len(printed) > 20_000
        browser.close()
    assert complaints == []
    _check_commands_and_pages(world, home, renewcast, tmp_path, SHIPPED)
