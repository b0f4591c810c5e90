"""Reviews over HTTP: who can see and sign them, and that scores change without a restart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import renewcast
from features.signals.signals import OpenSignals
from models.health.rubric import load_rubric
from models.health.rubric_versions import read_history, sha256
from models.health.score_calibration import SCORES
from models.home import Home
from models.reviews.sign_off import Signer, SignOffRequest, sign
from serving import review_sign_off
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.http.api_keys import create_key, revoke_key
from serving.scoring.score_portfolio import score
from serving.snapshots.sidecars import KPIS, read_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store.database import Store
from serving.store.tables import webhook_deliveries
from serving.webhooks.endpoints import add_endpoint

NAME = "2026Q2-five-dimensions-0000abcd"
DATA = "duckdb-1:abc"
WEIGHTS = {"usage": 35.0, "engagement": 20.0, "support": 15.0, "outcomes": 20.0, "relationship": 10.0}
BODY = {"owner": "owner", "effective": "2026-07-02"}
ADDRESS = f"/v1/reviews/{NAME}/approval"
LATER = datetime(2026, 7, 8, tzinfo=UTC)


@pytest.fixture
def home(own_home: Home) -> Home:
    champion = own_home.champion_file
    from models.artifacts.champion import load_champion

    bundle = load_champion(own_home).bundles["churn"]
    assert champion.is_file()
    decided = {"answer": "change", "words": "change", "reasons": ["so the evidence says"]}
    output = {
        "schema_version": 1, "id": NAME, "quarter": "2026Q2", "created_at": "2026-07-01T08:00:00Z",
        "decision": {"headline": "Change <the weights>.", "weights": decided, "bands": decided, "effective": "2026-07-02"},
        "sign_off": {
            "rubric": "five-dimensions", "version": load_rubric().version, "model": "1", "signals": "signals",
            "data_through": "2026-07-01T00:00:00+00:00",
            "hashes": {"data": DATA, "rubric": sha256(load_rubric().text), "model": bundle.fingerprint},
            "proposed_weights": WEIGHTS, "proposed_bands": {"green": 70.0, "yellow": 40.0, "red": 0.0},
            "meaning": None, "earliest_effective": "2026-07-01",
        },
    }  # fmt: skip
    folder = own_home.reviews / NAME
    folder.mkdir(parents=True)
    (folder / "review.json").write_text(json.dumps(output))
    page = '<!doctype html><html lang="en"><head><title>a review</title><style>p{color:red}</style></head><body><!--sign-off--></body></html>'
    (folder / "index.html").write_text(page)
    return own_home


@pytest.fixture
def client(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    # What the data say is the fingerprint's test's business; reading them is the end-to-end test's.
    monkeypatch.setattr(review_sign_off, "current_fingerprint", lambda *_: DATA)
    settings = ServiceSettings(open_locally=True, retry_seconds=0.05)
    with TestClient(create_app(home, settings), client=("127.0.0.1", 1)) as opened:
        yield opened


def key_of(home: Home, name: str, *scopes: str) -> dict[str, str]:
    """The header of a new key."""
    with Store.of(home).begin() as connection:
        return {"X-API-Key": create_key(connection, name, scopes or ("admin",))[1]}


@pytest.fixture
def admin(home: Home) -> dict[str, str]:
    return key_of(home, "Ada")


@pytest.fixture
def other(home: Home) -> dict[str, str]:
    return key_of(home, "Grace")


def approve(home: Home) -> None:
    """Sign as both people, without a service."""
    for key, name in (("key_a", "Ada"), ("key_b", "Grace")):
        sign(home, NAME, Signer(key, name), SignOffRequest(owner="owner", effective="2026-07-02"), data_fingerprint=DATA)


def test_the_list_the_document_and_the_pages_agree(client: TestClient) -> None:
    listed = client.get("/v1/reviews").json()
    assert [(each["id"], each["state"]) for each in listed["data"]] == [(NAME, "open")]
    payload = client.get(f"/v1/reviews/{NAME}").json()
    assert (payload["state"], payload["review"]["id"]) == ("open", NAME)
    board = client.get("/reviews").text
    assert "Change &lt;the weights&gt;." in board
    page = client.get(f"/reviews/{NAME}")
    assert "<style" not in page.text
    assert 'class="signature"' in page.text
    assert "it does not know who you are" in page.text, "open on this machine, no one is known"
    assert 'value="2026-07-02"' in page.text, "the earliest date, after the scores of the first"
    assert "unsafe" not in page.headers["content-security-policy"]
    style = client.get(f"/reviews/{NAME}/style.css")
    assert (style.text, style.headers["content-type"]) == ("p{color:red}", "text/css; charset=utf-8")
    assert [each for each in re.findall(r'<a href="([^"]+)"', page.text) if each == "/worklist"], "the navigation"
    assert "<!--sign-off-->" not in client.get(f"/reviews/{NAME}/file").text
    assert client.get("/v1/reviews/2020Q1-none-00000000").status_code == 404
    assert client.get("/v1/reviews/..%2f..%2fetc").status_code in (404, 422)


def test_only_an_admin_key_can_sign(client: TestClient, home: Home) -> None:
    for address, body in ((ADDRESS, BODY), (f"/v1/reviews/{NAME}/rollback", {})):
        assert client.post(address, json=body).status_code == 403, "no one on this machine without a key either"
        assert client.post(address, json=body, headers=key_of(home, "reader", "predict", "write")).status_code == 403
    assert read_history(home).decisions == read_history(home).pending == ()


@pytest.mark.parametrize("name", ["Ada", "ＡＤＡ", "Аda", "a d a"])
def test_one_person_with_two_keys_cannot_sign_twice(client: TestClient, home: Home, admin: dict[str, str], name: str) -> None:
    assert client.post(ADDRESS, json=BODY, headers=admin).json()["state"] == "pending"
    for again in (admin, key_of(home, name)):
        response = client.post(ADDRESS, json=BODY, headers=again)
        assert (response.status_code, response.json()["code"]) == (409, "same_person")
        assert "same person" in response.json()["detail"]
    assert read_history(home).decisions == ()


@pytest.mark.parametrize("what", ["approval", "rollback"])
def test_the_first_signature_of_a_revoked_key_lapses(
    client: TestClient, home: Home, admin: dict[str, str], other: dict[str, str], what: str
) -> None:
    """A stolen key cannot sign after it has been revoked."""
    address, body = f"/v1/reviews/{NAME}/{what}", BODY if what == "approval" else {}
    if what == "rollback":
        approve(home)
    before = read_history(home).decisions
    assert client.post(address, json=body, headers=admin).json()["state"] == "pending"
    with Store.of(home).begin() as connection:
        revoke_key(connection, read_history(home).pending[0].signature.key)
    refused = client.post(address, json={}, headers=other)
    assert (refused.status_code, refused.json()["code"]) == (409, "changed_since_review")
    assert "its key was revoked" in refused.json()["detail"]
    assert (read_history(home).decisions, read_history(home).pending) == (before, ())


def test_different_terms_are_rejected_and_named(client: TestClient, admin: dict[str, str], other: dict[str, str]) -> None:
    first = client.post(ADDRESS, json=BODY, headers=admin).json()["pending"]["signature"]["sha256"]
    response = client.post(ADDRESS, json=BODY | {"owner": "another"}, headers=other)
    assert (response.status_code, response.json()["code"]) == (409, "changed_since_review")
    assert "owner: owner, not another" in response.json()["detail"]
    body = BODY | {"owner": "another", "first_signature": first}
    assert client.post(ADDRESS, json=body, headers=other).json()["state"] == "pending", "who has seen it may replace it"


def test_a_body_cannot_contain_names(client: TestClient, admin: dict[str, str]) -> None:
    response = client.post(ADDRESS, json=BODY | {"author": "Ada", "reviewer": "Grace"}, headers=admin)
    assert response.status_code == 422


def test_a_session_signs_with_the_key_of_its_login(home: Home, monkeypatch: pytest.MonkeyPatch, other: dict[str, str]) -> None:
    monkeypatch.setattr(review_sign_off, "current_fingerprint", lambda *_: DATA)
    secret = key_of(home, "Ada")["X-API-Key"]
    with TestClient(create_app(home, ServiceSettings()), client=("127.0.0.1", 1)) as client:
        client.post("/sign-in", data={"key": secret, "next": "/"})
        assert "You sign as <b>Ada</b>" in client.get(f"/reviews/{NAME}").text
        assert client.post(ADDRESS, json={"owner": "owner"}).json()["pending"]["signature"]["name"] == "Ada"
        assert client.post(ADDRESS, json={}).json()["code"] == "same_person"
        page = client.get(f"/reviews/{NAME}").text
        assert "who signed first. The second signature needs another person's key" in page
        assert client.post(ADDRESS, json={}, headers=other).json()["state"] == "approved"
        assert client.get(f"/v1/reviews/{NAME}").json()["decision"]["reviewer"] == "Grace"


def fields(page: str, form: str) -> dict[str, str]:
    """The fields of a form of the page, by its id, as a browser sends them without scripts."""
    found = re.search(rf'<form class="signature" id="{form}" method="post" action="/reviews/{NAME}".*?</form>', page, re.DOTALL)
    assert found is not None, page
    return dict(re.findall(r'<input[^>]* name="(\w+)"(?:[^>]* value="([^"]*)")?', found[0]))


def test_two_people_sign_and_roll_back_without_scripts(home: Home, monkeypatch: pytest.MonkeyPatch, other: dict[str, str]) -> None:
    monkeypatch.setattr(review_sign_off, "current_fingerprint", lambda *_: DATA)
    reader, grace = key_of(home, "Reader", "predict")["X-API-Key"], other["X-API-Key"]
    address, state = f"/reviews/{NAME}", f"/v1/reviews/{NAME}"
    with TestClient(create_app(home, ServiceSettings()), client=("127.0.0.1", 1), headers={"Accept": "text/html"}) as client:
        client.post("/sign-in", data={"key": key_of(home, "Ada")["X-API-Key"], "next": "/"})

        def post(form: str, **typed: str) -> Any:
            return client.post(address, data={**fields(client.get(address).text, form), **typed}, follow_redirects=False)

        assert client.post(address, data={"decide": "approve"}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert post("first", owner="owner").status_code == 422, "without a button"
        first = post("first", owner="owner", decide="approve")
        assert (first.status_code, first.headers["location"]) == (303, f"{address}#sign-off")
        assert client.get(state).json()["pending"]["signature"]["name"] == "Ada"
        for key in ("wrong", reader):
            assert post("second", decide="same", key=key).status_code == 422
        assert client.get(state).json()["state"] == "pending"
        assert post("second", decide="same", key=grace).status_code == 303
        assert (client.get(state).json()["state"], client.get(state).json()["decision"]["reviewer"]) == ("approved", "Grace")
        assert post("back", decide="same", why="too early").status_code == 303
        assert client.get(state).json()["pending"]["what"] == "rolled_back"
        assert post("second", decide="same", key=grace).status_code == 303
    assert [each.what for each in read_history(home).decisions] == ["approved", "rolled_back"]


def test_pending_signatures_are_listed_and_lapsed_ones_are_marked(
    client: TestClient, home: Home, admin: dict[str, str], other: dict[str, str], publish: Callable[..., Path], frame: pd.DataFrame
) -> None:
    begun = client.post(ADDRESS, json={"owner": "owner"}, headers=admin).json()["pending"]
    assert client.get("/v1/reviews").json()["pending"] == [begun]
    payload = client.get(f"/v1/reviews/{NAME}").json()
    assert (payload["state"], payload["pending"], payload["earliest_effective"]) == ("pending", begun, begun["effective"])
    assert "Waiting for a second signature" in client.get("/reviews").text
    assert f'name="first_signature" value="{begun["signature"]["sha256"]}"' in client.get(f"/reviews/{NAME}").text
    wrong = client.post(ADDRESS, json={"first_signature": "0" * 64}, headers=other)
    assert (wrong.status_code, wrong.json()["code"]) == (409, "changed_since_review")
    publish(home, frame, LATER)
    page = client.get(f"/reviews/{NAME}").text
    assert "This signature is no longer valid: 2 Jul 2026 is too early for this rubric: scores of 8 Jul 2026 already exist" in page
    assert 'value="2026-07-09"' in page, "what is prefilled is the earliest date of now"
    late = client.post(ADDRESS, json={}, headers=other)
    assert (late.status_code, late.json()["code"]) == (409, "changed_since_review")
    assert client.get(f"/v1/reviews/{NAME}").json()["state"] == "open"


def test_a_signature_is_idempotent_and_takes_effect_without_a_restart(
    client: TestClient, home: Home, admin: dict[str, str], other: dict[str, str], publish: Callable[..., Path], frame: pd.DataFrame
) -> None:
    store = Store.of(home)
    with store.begin() as connection:
        add_endpoint(connection, "https://example.com/hook", ["calibration.approved"], True)
    account = "a00"
    publish(home, frame, LATER)
    # Scores of the eighth were given by now, so the version begins later.
    early = client.post(ADDRESS, json=BODY, headers=admin)
    assert "scores of 8 Jul 2026 already exist" in early.json()["detail"]
    first = client.post(ADDRESS, json=BODY | {"effective": "2026-07-09"}, headers=admin)
    assert (first.status_code, first.json()["state"]) == (201, "pending"), first.text
    with store.read() as connection:
        assert connection.execute(webhook_deliveries.select()).all() == [], "nothing is approved yet"
    second = client.post(ADDRESS, json={}, headers=other)
    assert (second.status_code, second.json()["state"]) == (201, "approved"), second.text
    payload = second.json()["decision"]
    assert payload["version"]["version"] == "2026Q3"
    publish(home, frame, datetime(2026, 7, 15, tzinfo=UTC))
    versions = {
        day: client.get(f"/v1/accounts/{account}/health", params={"as_of": day}).json()["rubric_version"]
        for day in ("2026-07-01", "2026-07-08", "2026-07-15")
    }
    assert versions == {"2026-07-01": load_rubric().version, "2026-07-08": load_rubric().version, "2026-07-15": "2026Q3"}
    # Enqueued again, as a start after a crash does, it is still one delivery, under the decision's own id.
    review_sign_off.notify_missed_approvals(home, store)
    with store.read() as connection:
        rows: list[Any] = connection.execute(webhook_deliveries.select()).all()
    assert [(row.event, row.event_id) for row in rows] == [("calibration.approved", payload["id"])]
    again = client.post(ADDRESS, json=BODY, headers=admin)
    assert (again.status_code, again.json()["code"]) == (409, "already_decided")
    assert "retry_after" not in again.json()


def test_a_change_since_the_review_is_a_conflict(client: TestClient, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_sign_off, "current_fingerprint", lambda *_: "duckdb-1:other")
    response = client.post(ADDRESS, json=BODY, headers=admin)
    assert (response.status_code, response.json()["code"]) == (409, "changed_since_review")


@pytest.mark.slow
def test_the_published_batch_uses_the_version_in_force(home: Home, signals: OpenSignals, tmp_path: Path) -> None:
    approve(home)
    score(signals, LATER, tmp_path / "rows.csv", home, store=Store.of(home))
    result = read_sidecar(SnapshotFiles(home), LATER, KPIS)
    assert result is not None
    assert {each["rubric_version"] for each in result.values()} == {read_history(home).decisions[-1].version.version}


@pytest.mark.slow
def test_the_measures_command_uses_the_version_in_force(
    home: Home, tables: Any, to_arrow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(home)
    for name, rows in tables.items():
        pq.write_table(to_arrow(name, rows), tmp_path / f"{name}.parquet")
    monkeypatch.setattr("models.home.current_home", lambda: home)

    def version(as_of: str, *more: str) -> str:
        arguments = ["portfolio", str(tmp_path), "--as-of", as_of, "--period", "month", "--json", *more]
        result = CliRunner().invoke(renewcast.app, arguments)
        assert result.exit_code == 0, result.output
        return str(json.loads(result.stdout)["rubric_version"])

    approved = read_history(home).decisions[-1].version.version
    assert approved != load_rubric().version
    assert (version("2026-07-01"), version("2026-07-02")) == (load_rubric().version, approved)
    assert version("2026-07-02", "--rubric", "five-dimensions") == approved


@pytest.fixture
def folder(tables: Any, to_arrow: Any, tmp_path: Path) -> Path:
    """The signals as files, for the command line."""
    place = tmp_path / "signals"
    place.mkdir()
    for name, rows in tables.items():
        pq.write_table(to_arrow(name, rows), place / f"{name}.parquet")
    return place


@pytest.fixture
def cli(home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that runs a command on the home and returns its output."""
    monkeypatch.setattr(review_sign_off, "current_fingerprint", lambda *_: DATA)
    monkeypatch.setenv("RENEWCAST_HOME", str(home.root))

    def run(*requested: object) -> str:
        result = CliRunner().invoke(renewcast.app, [*map(str, requested)])
        assert result.exit_code == 0, (requested, result.output, result.exception)
        return str(result.stdout)

    return run


def sign_by_cli(cli: Callable[..., str], keys: list[str], *more: str) -> str:
    """Sign as two people in turn and return the second response."""
    assert "One signature is missing" in cli("approve", *more, "--key", keys[0])
    return cli("approve", *more[:1], *(("--reject",) if "--reject" in more else ()), "--key", keys[1])


def press(client: TestClient, form: str, button: str, key: str, **typed: str) -> dict[str, Any]:
    """Sign in and press a button of a form on the review's page, as the script of the page does.

    The values of the fields are posted to the address of the form, with the origin of the page.
    """
    client.post("/sign-in", data={"key": key, "next": "/"})
    match = re.search(rf'<form class="signature" id="{form}"([^>]*)>(.*?)</form>', client.get(f"/reviews/{NAME}").text, re.S)
    assert match, f"the page has no form {form}"
    data = dict(re.findall(r'data-(\w+)="([^"]*)"', match[1]))
    assert re.search(rf'<button name="decide" value="{button}">', match[2])
    fields = {}
    for tag in re.findall(r"<input [^>]*>", match[2]):
        name, value = (re.search(rf'{what}="([^"]*)"', tag) for what in ("name", "value"))
        assert name
        fields[name[1]] = value[1] if value else ""
    assert set(typed) <= set(fields), "only what the form asks for is typed"
    assert "key" not in fields, "who is signed in types no key"
    body: dict[str, Any] = {name: value for name, value in (fields | typed).items() if value and name != "what"}
    if data["address"].endswith("/approval"):
        body["reject"] = button == "reject"
    if body.get("reject"):
        body.pop("effective", None)
    if "first" in data:
        body["first_signature"] = data["first"]
    for foreign in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}):
        assert client.post(data["address"], json=body, headers=foreign).status_code == 403, "another site signs nothing"
    assert client.post(data["address"], data=body).status_code in (403, 415), "nor does a plain form"
    response = client.post(data["address"], json=body, headers={"Sec-Fetch-Site": "same-origin"})
    assert response.status_code == 201, response.text
    return dict(response.json())


def everything_answers(cli: Callable[..., str], home: Home, folder: Path, out: Path, version: str) -> None:
    """Run the commands and pages that read the history of rubrics and must work after a decision."""
    at = ("--as-of", "2026-07-08")
    listed = json.loads(cli("health", folder, *at, "--json"))
    account = listed["accounts"][0]["account_id"]
    assert json.loads(cli("health", folder, *at, "--account", account, "--json"))["health"]["rubric_version"] == version
    cli("score", folder, *at, "--out", out)
    assert out.stat().st_size > 1000
    assert json.loads(cli("portfolio", folder, *at, "--json"))["rubric_version"] == version
    assert NAME.partition("-")[0] in cli("reviews")
    with TestClient(create_app(home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        for path in ("/readyz", "/", "/reviews", f"/reviews/{NAME}", "/worklist", "/renewals", "/model", f"/accounts/{account}"):
            assert client.get(path).status_code == 200, path
        response = client.get(f"/v1/accounts/{account}/health", params={"as_of": "2026-07-08"})
        assert response.json()["rubric_version"] == version


def keep_as_it_is(home: Home) -> None:
    """Let the review propose no change."""
    file = home.reviews / NAME / "review.json"
    payload = json.loads(file.read_text())
    payload["sign_off"] |= {"proposed_weights": None, "proposed_bands": None}
    payload["decision"]["weights"]["answer"] = payload["decision"]["bands"]["answer"] = "keep"
    file.write_text(json.dumps(payload))


@pytest.mark.parametrize(
    ("what", "channel"),
    [
        ("rollback", "command"),
        *(
            pytest.param(what, channel, marks=pytest.mark.slow)
            for what in ("change", "keep", "reject change", "reject keep", "rollback")
            for channel in ("command", "page")
            if (what, channel) != ("rollback", "command")
        ),
    ],
)
def test_all_commands_and_pages_work_after_every_decision(
    cli: Callable[..., str], home: Home, folder: Path, tmp_path: Path, what: str, channel: str
) -> None:
    if "keep" in what:
        keep_as_it_is(home)
    ada, grace = (key_of(home, name)["X-API-Key"] for name in ("Ada", "Grace"))
    rejects = what.startswith("reject")
    if channel == "command":
        output = sign_by_cli(cli, [ada, grace], NAME, *(["--reject", "--why", "not now"] if rejects else ["--owner", "owner"]))
        assert ("was rejected" if rejects else "is approved") in output
        if what == "rollback":
            assert "One signature is missing" in cli("approve", "--rollback", "--why", "a mistake", "--key", grace)
            assert "is in force again" in cli("approve", "--rollback", "--key", ada)
    else:
        with TestClient(create_app(home, ServiceSettings()), client=("127.0.0.1", 1)) as client:
            typed = {"why": "not now"} if rejects else {"owner": "owner"}
            assert press(client, "first", "reject" if rejects else "approve", ada, **typed)["state"] == "pending"
            result = press(client, "second", "reject" if rejects else "same", grace)
            assert result["state"] == ("rejected" if rejects else "approved")
            if what == "rollback":
                assert press(client, "back", "same", grace, why="a mistake")["state"] == "pending"
                assert press(client, "second", "same", ada)["state"] == "rolled_back"
    last = read_history(home).decisions[-1]
    assert last.what == ("rejected" if rejects else "rolled_back" if what == "rollback" else "approved")
    assert (last.author, last.reviewer) == (("Grace", "Ada") if what == "rollback" else ("Ada", "Grace"))
    assert len({each.key for each in last.signatures}) == 2
    everything_answers(cli, home, folder, tmp_path / "rows.csv", "2026Q3" if what == "change" else load_rubric().version)
    # What was taken back can be signed again, in the same way.
    assert json.loads(cli("reviews", "--json"))["reviews"][0]["state"] == {
        "rollback": "open"
    }.get(what, "rejected" if rejects else "approved")


@pytest.mark.slow
def test_a_history_with_keys_left_out_by_an_earlier_release_is_read(
    cli: Callable[..., str], home: Home, folder: Path, tmp_path: Path
) -> None:
    """Earlier sign-offs left out unknown values such as `meaning.later`, and the history became unreadable."""
    file = home.reviews / NAME / "review.json"
    review = json.loads(file.read_text())
    even = [0.1] * len(SCORES)
    meaning = {
        "rate": even, "low": even, "high": even, "rows": 100, "accounts": 40, "accounts_with_churn": 10,
        "first": "2026-01-01", "last": "2026-03-01", "bands": [], "later": None,
    }  # fmt: skip
    review["sign_off"]["meaning"] = meaning
    file.write_text(json.dumps(review))
    ada, grace = (key_of(home, name)["X-API-Key"] for name in ("Ada", "Grace"))
    sign_by_cli(cli, [ada, grace], NAME, "--owner", "owner")
    history = json.loads(home.rubric_history.read_text())
    assert "later" in history["decisions"][0]["meaning"]

    def without_unknowns(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: without_unknowns(v) for k, v in value.items() if v is not None}
        return [without_unknowns(v) for v in value] if isinstance(value, list) else value

    old = without_unknowns({"schema_version": 1, "decisions": history["decisions"]})
    del old["decisions"][0]["signatures"]
    assert "later" not in old["decisions"][0]["meaning"]
    home.rubric_history.write_text(json.dumps(old))
    everything_answers(cli, home, folder, tmp_path / "rows.csv", "2026Q3")
    # It can be taken back as well.
    assert "One signature is missing" in cli("approve", "--rollback", "--why", "a mistake", "--key", grace)
    assert "is in force again" in cli("approve", "--rollback", "--key", ada)
    everything_answers(cli, home, folder, tmp_path / "rows.csv", load_rubric().version)
