"""Work on accounts with plain forms: start, assign, snooze, note and close, by several people at the same time."""

from __future__ import annotations

import csv
import html
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from models.home import Home
from models.rules.plays import Cause
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.html.links import account_href
from serving.http.api_keys import create_key
from serving.store.database import Store

BROWSER = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
HOSTILE = "<script>alert(1)</script> & \u202e 'note'"


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.fixture(scope="module")
def home(paged_home: Home, copy_home: Callable[[Home, Path], Home], tmp_path_factory: pytest.TempPathFactory) -> Home:
    return copy_home(paged_home, tmp_path_factory.mktemp("work") / "home")


@pytest.fixture(scope="module")
def people(home: Home) -> Iterator[dict[str, TestClient]]:
    """Two people with browsers who have signed in, and one who may only read."""
    scopes = {"Ada": ["write", "predict"], "Grace": ["write", "predict"], "Reader": ["predict"]}
    with Store.of(home).begin() as connection:
        secrets = {name: create_key(connection, name, granted)[1] for name, granted in scopes.items()}
    app = create_app(home, ServiceSettings())
    with TestClient(app):
        clients = {name: TestClient(app, headers=BROWSER, follow_redirects=False) for name in scopes}
        for name, client in clients.items():
            assert client.post("/sign-in", data={"key": secrets[name]}).status_code == 303
        yield clients


def worklist(client: TestClient) -> list[dict[str, Any]]:
    payload: list[dict[str, Any]] = client.get("/v1/worklist?capacity=100", headers={"Accept": "application/json"}).json()["accounts"]
    return payload


def fields(page: str, action: str) -> dict[str, str]:
    """The fields of the form with this action, as a browser sends them without a button."""
    form = re.search(rf'<form[^>]*action="{re.escape(html.escape(action))}".*?</form>', page, re.DOTALL)
    assert form is not None, action
    inputs = re.findall(r'<input[^>]* name="(\w+)" value="([^"]*)"', form[0])
    texts = re.findall(r'<textarea[^>]* name="(\w+)"[^>]*>\n?(.*?)</textarea>', form[0], re.DOTALL)
    chosen = re.findall(r'<select[^>]* name="(\w+)"[^>]*>.*?<option value="([^"]*)"', form[0], re.DOTALL)
    return {name: html.unescape(value) for name, value in [*inputs, *texts, *chosen]}


def test_the_journey_of_one_play_from_the_worklist_to_its_result(people: dict[str, TestClient]) -> None:
    ada, grace = people["Ada"], people["Grace"]
    item = worklist(ada)[0]
    href = account_href(item["account_id"])
    page = ada.get("/worklist?capacity=50").text
    form = fields(page, href)
    assert (form["play"], form["next"], form["assignee"]) == (item["play"]["name"], "/worklist?capacity=50", item["csm"])
    started = ada.post(href, data={**form, "do": "start", "assignee": "Ada", "note": HOSTILE})
    assert (started.status_code, started.headers["location"]) == (303, "/worklist?capacity=50")
    after = ada.get("/worklist?capacity=50").text
    assert "started, assigned to Ada" in text_of(after)
    assert f'action="{href}"' not in after, "off the list"
    assert "Open the intervention" not in ada.get("/worklist?capacity=50").text, "the message is shown once"
    (link,) = set(re.findall(r'<a href="(/interventions/int_\w+)">', after[after.index('role="status"') : after.index("</main>")]))
    shown = grace.get(link).text
    assert HOSTILE not in shown
    assert html.escape(HOSTILE).replace("&#x27;", "&#39;") in shown
    form = fields(shown, link)
    snoozed = grace.post(link, data={**form, "assignee": "Grace", "note": "back on Monday", "days": "7"})
    assert (snoozed.status_code, snoozed.headers["location"]) == (303, link)
    text = text_of(grace.get(link).text)
    assert "assigned to Grace, snoozed until" in text
    assert f"{item['name']} : assigned to Grace" in text, "the message"
    listed = text_of(grace.get("/interventions?state=snoozed&assignee=Grace").text)
    assert "assigned to Grace, snoozed until" in listed
    for query, expected in (("state=all&sort=started&way=up&q=" + quote(item["name"]), True), ("state=all&q=not+an+account", False)):
        assert (f'href="{link}' in grace.get(f"/interventions?{query}").text) is expected
        assert (link.removeprefix("/interventions/") in grace.get(f"/exports/interventions.csv/interventions?{query}").text) is expected
    account = grace.get(href).text
    assert "In progress" in text_of(account)
    closed = grace.post(link, data={**fields(grace.get(link).text, link), "result": "saved"})
    assert closed.status_code == 303
    history = text_of(ada.get(href).text).partition("Work history")[2]
    assert [word for word in ("closed: saved", "snoozed until", "started") if word in history] == ["closed: saved", "snoozed until", "started"]
    assert "Ada" in history
    assert "back on Monday" in history
    assert "Done" in text_of(ada.get(href).text)
    exported = list(csv.DictReader(ada.get(f"/exports/actions.csv{link}").text.splitlines()))
    assert exported[0]["action"] == "closed: saved"
    assert len(exported) == 3
    assert f'href="/exports/actions.csv{link}"' in ada.get(link).text
    results = ada.get("/v1/interventions:results", headers={"Accept": "application/json"}).json()
    displayed = text_of(ada.get("/interventions").text)
    for each in results["by_play"]:
        assert f"{each['play'].replace('_', ' ')} {each['open']} {each['saved']} {each['lost']} {each['no_effect']} unknown {each['why_unknown']}" in displayed


def test_any_play_of_the_playbook_can_be_started_the_recommended_one_first(people: dict[str, TestClient], home: Home) -> None:
    ada = people["Ada"]
    playbook = {*get_args(Cause), "onboarding", "renewal"} - {"use_increase"}
    accounts = csv.DictReader(ada.get("/exports/accounts.csv/").text.splitlines())
    without = next(each["account_id"] for each in accounts if not each["play"] and not each["work"])
    first = worklist(ada)[0]
    for account, recommended in ((first["account_id"], first["play"]["name"]), (without, "")):
        page = ada.get(account_href(account)).text
        form = re.search(r'<form class="work".*?</form>', page, re.DOTALL)
        assert form is not None
        offered = re.findall(r'<option value="(\w*)">', form[0])
        assert offered[0] == recommended
        assert len(offered) == len(set(offered))
        assert set(offered) - {""} == playbook
        assert ("required" in form[0]) is (recommended == "")
        other = next(each for each in offered[1:] if each != recommended)
        assert ada.post(account_href(account), data={**fields(page, account_href(account)), "play": other, "do": "start"}).status_code == 303
        recorded = ada.get("/v1/interventions", params={"account_id": account}, headers={"Accept": "application/json"}).json()["data"][0]
        assert recorded["play"] == other


def test_the_arr_that_was_saved_or_lost_is_recorded_and_corrected_on_pages(people: dict[str, TestClient]) -> None:
    ada, grace = people["Ada"], people["Grace"]
    href = account_href(worklist(ada)[0]["account_id"])
    ada.post(href, data={"do": "start"})
    link = re.findall(r"/interventions/int_\w+", ada.get(href).text)[0]

    def recorded() -> dict[str, Any]:
        one: dict[str, Any] = ada.get(f"/v1{link}", headers={"Accept": "application/json"}).json()
        return one

    for page in (href, link, "/alerts?show=suppressed", "/worklist"):
        if (at := ada.get(page).text.find(f'action="{link}"')) >= 0:
            assert 'name="arr"' in ada.get(page).text[at:], page
    for wrong in ("24,000", "-1", "nan", "1e9", "<b>", "9" * 16):
        refused = ada.post(link, data={**fields(ada.get(link).text, link), "arr": wrong, "note": "kept", "assignee": "Ada", "result": "saved"})
        again = fields(refused.text, link)
        assert (refused.status_code, again["arr"], again["note"], again["assignee"]) == (422, wrong, "kept", "Ada")
        assert "Enter an amount of 0 or more in digits" in text_of(refused.text)
        assert 'aria-invalid="true"' in refused.text
        assert recorded()["version"] == 1, "nothing is stored"
    assert ada.post(link, data={**again, "arr": " 24000.50 ", "result": "saved"}).status_code == 303
    assert (recorded()["result"], recorded()["arr"]) == ("saved", 24000.5)
    stale = grace.post(link, data={**again, "arr": "x", "do": "save"})
    assert stale.status_code == 409, "what others changed comes before what is wrong with the form"
    form = fields(ada.get(link).text, link)
    assert form["arr"] == "24000.5"
    assert ada.post(link, data={**form, "do": "save"}).status_code == 303
    assert recorded()["version"] == 2, "nothing has changed"
    for corrected, expected in (("0", 0.0), ("12000", 12000.0), ("", None)):
        assert ada.post(link, data={**fields(ada.get(link).text, link), "arr": corrected, "do": "save"}).status_code == 303
        assert recorded()["arr"] == expected
    assert ada.post(link, data={**fields(ada.get(link).text, link), "arr": "500", "result": "lost"}).status_code == 303
    assert (recorded()["result"], recorded()["arr"]) == ("lost", 500.0)


def test_a_stale_form_is_answered_with_the_changes_of_others_and_the_own_text(people: dict[str, TestClient]) -> None:
    ada, grace = people["Ada"], people["Grace"]
    href = account_href(worklist(ada)[0]["account_id"])
    ada.post(href, data={"do": "start"})
    link = re.findall(r"/interventions/int_\w+", ada.get(href).text)[0]
    form = fields(grace.get(link).text, link)
    assert ada.post(link, data={**form, "note": "Ada spoke to them", "do": "save"}).status_code == 303
    refused = grace.post(link, data={**form, "note": "Grace wrote\r\ntwo lines", "assignee": "Grace", "result": "lost"})
    assert refused.status_code == 409
    text = text_of(refused.text)
    assert "Ada spoke to them" in text
    assert "Nothing of yours was stored. You wanted to close it as lost." in text
    again = fields(refused.text, link)
    assert (again["version"], again["was_assigned"], again["assignee"], again["note"].replace("\r\n", "\n")) == ("2", "", "Grace", "Grace wrote\ntwo lines")
    assert grace.post(link, data={**again, "result": "lost"}).status_code == 303
    notes = [entry["note"] for entry in grace.get(f"/v1{link}", headers={"Accept": "application/json"}).json()["history"]]
    assert notes == [None, "Ada spoke to them", "Grace wrote\ntwo lines"]


def test_a_field_that_the_second_person_did_not_touch_keeps_the_value_of_the_first(people: dict[str, TestClient]) -> None:
    ada, grace = people["Ada"], people["Grace"]
    href = account_href(worklist(ada)[0]["account_id"])
    ada.post(href, data={"do": "start"})
    link = re.findall(r"/interventions/int_\w+", ada.get(href).text)[0]
    form = fields(grace.get(link).text, link)
    assert ada.post(link, data={**form, "assignee": "Ada", "do": "save"}).status_code == 303
    refused = grace.post(link, data={**form, "note": "a note", "do": "save"})
    again = fields(refused.text, link)
    assert (refused.status_code, again["assignee"], again["note"]) == (409, "Ada", "a note")
    assert grace.post(link, data={**again, "do": "save"}).status_code == 303
    assert grace.get(f"/v1{link}", headers={"Accept": "application/json"}).json()["assignee"] == "Ada"


def test_forms_that_two_people_send_at_once_lose_nothing(people: dict[str, TestClient]) -> None:
    href = account_href(worklist(people["Ada"])[0]["account_id"])
    begin = threading.Barrier(2)

    def start(name: str) -> Any:
        begin.wait()
        return name, people[name].post(href, data={"do": "start", "note": f"text of {name}"})

    with ThreadPoolExecutor(2) as pool:
        answers = dict(pool.map(start, ("Ada", "Grace")))
    first, second = sorted(answers, key=lambda name: answers[name].status_code)
    assert [answers[name].status_code for name in (first, second)] == [303, 409]
    page = answers[second].text
    assert "Someone else has started a play for this account" in text_of(page)
    assert f"text of {first}" in text_of(page)
    link = re.findall(r'action="(/interventions/int_\w+)"', page)[0]
    form = fields(page, link)
    assert form["note"] == f"text of {second}"
    assert people[second].post(link, data={**form, "do": "save"}).status_code == 303
    notes = [entry["note"] for entry in people["Reader"].get(f"/v1{link}", headers={"Accept": "application/json"}).json()["history"]]
    assert notes == [f"text of {first}", f"text of {second}"]


def test_a_snooze_is_listed_and_ended_early(people: dict[str, TestClient]) -> None:
    ada, grace = people["Ada"], people["Grace"]
    item = worklist(ada)[-1]
    href = account_href(item["account_id"])
    for page in ("/worklist?capacity=100", href):
        assert ada.post(href, data={"days": "7", "next": page}).status_code == 303
        shown = grace.get("/worklist?capacity=100").text
        assert item["account_id"] in html.unescape(shown.partition('data-export="snoozed"')[2].partition("</table>")[0])
        assert item["account_id"] in grace.get("/exports/snoozed.csv/worklist").text.replace('""', '"')
        assert item["account_id"] not in {each["account_id"] for each in worklist(grace)}
        assert 'value="resume"' in grace.get(page).text
        ended = grace.post(href, data={"do": "resume", "next": page})
        assert (ended.status_code, ended.headers["location"]) == (303, page)
        assert "snooze ended" in text_of(grace.get(page).text)
        assert item["account_id"] in {each["account_id"] for each in worklist(ada)}
    assert people["Reader"].post(href, data={"do": "resume"}).status_code == 403
    history = text_of(ada.get(href).text).partition("Work history")[2]
    assert 0 < history.index("snooze ended") < history.index("plays snoozed until")


def test_the_page_of_alerts_starts_and_snoozes(people: dict[str, TestClient]) -> None:
    ada = people["Ada"]
    payload = ada.get("/v1/alerts/active", headers={"Accept": "application/json"}).json()
    page = ada.get("/alerts").text
    listed = re.findall(r'class="account"><a href="([^"]+)"', page)
    assert len(listed) == len(payload["accounts"]) > 2
    href, other = (html.unescape(each) for each in listed[:2])
    assert ada.post(href, data={**fields(page, href), "do": "start"}).headers["location"] == "/alerts"
    assert ada.post(other, data={**fields(page, other), "days": "14", "note": "asked to wait"}).headers["location"] == "/alerts"
    after = ada.get("/alerts").text
    assert "plays snoozed until" in text_of(after)
    counted = ada.get("/v1/alerts/active", headers={"Accept": "application/json"}).json()
    running, gone = counted["suppressed_accounts"], payload["done_accounts"]
    assert (running, counted["snoozed_accounts"]) == (payload["suppressed_accounts"] + 1, payload["snoozed_accounts"] + 1)
    assert f'show=suppressed">{running} with a play in progress</a>' in after
    assert f'show=snoozed">{counted["snoozed_accounts"]} snoozed</a>' in after
    suppressed, snoozed = (ada.get(f"/alerts?show={show}").text for show in ("suppressed", "snoozed"))
    for account, shown, others in ((href, suppressed, snoozed), (other, snoozed, suppressed)):
        link = f'"account"><a href="{html.escape(account)}"'
        assert (link in shown, link in others, link in after) == (True, False, False)
    link = re.findall(r"/interventions/int_\w+", suppressed.partition(html.escape(href))[2])[0]
    assert ada.post(link, data={**fields(suppressed, link), "result": "saved"}).status_code == 303
    assert ada.post(other, data={**fields(snoozed, other), "do": "resume"}).headers["location"] == "/alerts?show=snoozed"
    again = ada.get("/alerts").text
    assert f'show=done">{gone + 1} done</a>' in again
    assert f'"account"><a href="{html.escape(other)}"' in again
    done = ada.get("/alerts?show=done").text
    assert html.escape(href) in re.findall(r'"account"><a href="([^"]+)"', done)
    exported = {show: ada.get(f"/exports/alerts.csv/alerts?show={show}").text.count("\n") - 1 for show in ("", "done", "snoozed")}
    assert exported == {"": len(listed) - 1, "done": gone + 1, "snoozed": payload["snoozed_accounts"]}


def test_who_may_not_write_sees_no_forms_and_other_sites_cannot_send_them(people: dict[str, TestClient]) -> None:
    reader, ada = people["Reader"], people["Ada"]
    href = account_href(worklist(ada)[0]["account_id"])
    ada.post(href, data={"do": "start"})
    link = re.findall(r"/interventions/int_\w+", ada.get(href).text)[0]
    for path in ("/worklist", "/alerts", href, link):
        assert 'method="post" action="/accounts' not in reader.get(path).text
        assert 'method="post" action="/interventions' not in reader.get(path).text
    assert reader.post(link, data={"version": "1", "do": "save", "note": "x"}).status_code == 403
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert ada.post(link, data={"version": "1", "do": "save", "note": "x"}, headers=cross).status_code == 403
    for wrong in ({}, {"version": "1"}, {"version": "x", "do": "save"}, {"version": "1", "days": "8"}, {"version": "1", "result": "won"}, {"version": "1", "do": "save", "note": "n" * 2000}):
        answer = ada.post(link, data=wrong)
        assert answer.status_code == 422, wrong
        assert "nnn" not in answer.text
    elsewhere = ada.post(link, data={"version": "1", "do": "save", "note": "x", "next": "//evil.example"})
    assert elsewhere.headers["location"] == "/"
    assert ada.get("/interventions/int_unknown").status_code == 404


def test_the_journey_works_in_a_browser_without_scripts(people: dict[str, TestClient], home: Home, listening: Any, visit: Callable[..., Any]) -> None:
    with listening(create_app(home, ServiceSettings(open_locally=True))) as address:
        there = visit(address, java_script_enabled=False, viewport={"width": 390, "height": 844})
        there.open("/worklist?capacity=10")
        row = there.page.locator("tbody tr", has=there.page.locator("form.work")).first
        name = row.locator("th a").inner_text()
        row.locator("summary").click()
        row.get_by_label("Assignee").fill("Ada")
        row.get_by_label("Note").fill("call on Tuesday")
        row.get_by_role("button", name="Start").click()
        status = there.page.locator("p.notice[role=status]")
        assert "started, assigned to Ada" in status.inner_text()
        status.get_by_role("link", name="Open the intervention").click()
        assert there.page.locator("main .soft a").first.inner_text() == name
        there.page.get_by_label("Note").fill("renewed")
        there.page.get_by_role("button", name="Saved").click()
        assert "closed: saved" in there.page.locator("p.notice[role=status]").inner_text()
        assert there.troubles == []
