"""Snoozes over HTTP and on the pages: a play is off every list until its end date, and the ARR bridge still adds up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from models.home import Home
from models.rules.intervention_effects import InterventionRecord, SnoozeRecord, active_snoozes, intervention_status
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.http.api_keys import create_key
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store.database import Store
from serving.store.tables import records
from serving.worklist import interventions
from serving.worklist.first_due import open_plays_before
from serving.worklist.interventions import read_recorded_before
from serving.worklist.schemas import WorklistResponse

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
BROWSER = {"Accept": "text/html"}


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


@pytest.fixture
def client(own_home: Home) -> Iterator[TestClient]:
    app = create_app(own_home, ServiceSettings(open_locally=True))
    with TestClient(app, client=("127.0.0.1", 1), follow_redirects=False) as opened:
        yield opened


def listed(client: TestClient, capacity: int = 1000) -> dict[str, Any]:
    payload: dict[str, Any] = client.get("/v1/worklist", params={"capacity": capacity}).json()
    WorklistResponse.model_validate(payload)
    return payload


def snooze(client: TestClient, account: str, days: int = 7, **more: Any) -> Any:
    return client.post(f"/v1/accounts/{account}/snoozes", json={"until": in_days(days), **more.pop("body", {})}, **more)


def assert_adds_up(payload: dict[str, Any]) -> None:
    bridge = dict(payload["bridge"])
    assert sum(value for name, value in bridge.items() if name != "portfolio") == pytest.approx(bridge["portfolio"])


def test_a_snooze_takes_the_play_off_every_list_immediately(client: TestClient) -> None:
    before = listed(client)
    first = before["accounts"][0]
    account = first["account_id"]
    assert before["snoozed"] == 0
    answer = snooze(client, account, 14, body={"play": first["play"]["name"], "note": "on leave"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["id"].startswith("sno_")
    after = listed(client)
    assert account not in {item["account_id"] for item in after["accounts"]}
    assert (after["snoozed"], len(after["accounts"])) == (1, len(before["accounts"]) - 1)
    assert after["interventions"] == before["interventions"], "a snooze is no intervention"
    assert after["bridge"]["snoozed"] == pytest.approx(first["arr_at_risk"])
    assert_adds_up(after)
    assert after["bridge"]["portfolio"] == before["bridge"]["portfolio"]
    worklist = client.get("/worklist?capacity=100", headers=BROWSER).text
    assert f'/accounts/{account}"' not in worklist.partition('data-export="snoozed"')[0]
    assert "minus snoozed" in worklist
    page = client.get(f"/accounts/{account}", headers=BROWSER).text
    day = date.fromisoformat(in_days(14))
    assert f"Snoozed until {day.day} {day:%b %Y}" in page
    assert "return on that date" in page
    portfolio = client.get("/", params={"q": account}, headers=BROWSER).text
    assert '<span class="soft">snoozed</span>' in portfolio
    with_play = client.get("/", params={"q": account, "only": "play"}, headers=BROWSER).text
    assert f'class="account"><a href="/accounts/{account}"' not in with_play
    assert f'class="account"><a href="/accounts/{account}"' in portfolio


def test_the_play_returns_on_the_end_date(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    account = listed(client)["accounts"][0]["account_id"]
    assert snooze(client, account, 7).status_code == 201

    class Clock(datetime):
        ahead = 0

        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(days=cls.ahead)

    monkeypatch.setattr(interventions, "datetime", Clock)
    for ahead, off in ((0, True), (6, True), (7, False), (30, False)):
        Clock.ahead = ahead
        assert (account not in {item["account_id"] for item in listed(client)["accounts"]}) is off, ahead


def test_a_later_snooze_replaces_the_earlier_one(client: TestClient) -> None:
    account = listed(client)["accounts"][0]["account_id"]
    for days in (30, 7):
        assert snooze(client, account, days).status_code == 201
    day = date.fromisoformat(in_days(7))
    assert f"Snoozed until {day.day} {day:%b %Y}" in client.get(f"/accounts/{account}", headers=BROWSER).text
    assert listed(client)["snoozed"] == 1


@pytest.mark.parametrize(
    ("until", "code"),
    [
        (in_days(-1), "not_in_the_future"),
        (in_days(91), "too_far_ahead"),
        ("9999-12-31", "too_far_ahead"),
        ("2026-02-30", "not_a_date"),
        ("2026-W40-1", "not_a_date"),
        ("soon", "not_a_date"),
        (7, "string_type"),
        (None, "string_type"),
    ],
)
def test_an_invalid_date_is_refused(client: TestClient, until: Any, code: str) -> None:
    answer = client.post("/v1/accounts/a05/snoozes", json={"until": until})
    assert answer.status_code == 422
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [("/until", code)]
    assert listed(client)["snoozed"] == 0


def test_the_last_allowed_date_is_accepted_and_unknown_accounts_or_fields_are_refused(client: TestClient) -> None:
    assert snooze(client, "a05", 90).status_code == 201
    unknown = snooze(client, "a999-secret")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_account")
    assert "a999-secret" not in unknown.text
    assert snooze(client, "a05", body={"days": 7}).status_code == 422
    assert client.post("/v1/accounts/a05/snoozes", content=b"until=x").status_code == 415


def test_the_same_key_snoozes_once(client: TestClient, own_home: Home) -> None:
    headers = {"Idempotency-Key": "one"}
    first, again = snooze(client, "a05", headers=headers), snooze(client, "a05", headers=headers)
    assert first.json() == again.json()
    assert snooze(client, "a05", 8, headers=headers).status_code == 422
    with Store.of(own_home).read() as connection:
        stored = connection.execute(records.select().where(records.c.what == "snooze")).all()
    assert len(stored) == 1
    assert json.loads(stored[0].document) == {"until": in_days(7)}


def test_snoozing_requires_write_scope(own_home: Home) -> None:
    with Store.of(own_home).begin() as connection:
        reader = create_key(connection, "reader", ("predict",))[1]
        writer = create_key(connection, "writer", ("predict", "write"))[1]
    with TestClient(create_app(own_home, ServiceSettings()), follow_redirects=False) as guarded:
        assert snooze(guarded, "a05").status_code == 401
        for secret, status in ((reader, 403), (writer, 201)):
            assert snooze(guarded, "a05", headers={"X-API-Key": secret}).status_code == status
        form = {"days": "7"}
        assert guarded.post("/accounts/a05", data=form, headers={"X-API-Key": reader}).status_code == 403
        text = guarded.get("/accounts/a05", headers={"X-API-Key": reader, **BROWSER}).text
        assert 'class="work"' not in text


@pytest.mark.parametrize("days", [7, 14, 30])
def test_the_form_on_the_page_snoozes(client: TestClient, days: int) -> None:
    account = listed(client)["accounts"][0]["account_id"]
    page = client.get(f"/accounts/{account}", headers=BROWSER).text
    form = re.search(r'<form class="work" method="post" action="([^"]+)"', page)
    assert form is not None
    assert f'name="days" value="{days}"' in page
    own = {"Sec-Fetch-Site": "same-origin", **BROWSER}
    answer = client.post(form[1], data={"days": str(days), "play": "low_engagement"}, headers=own)
    assert (answer.status_code, answer.headers["location"]) == (303, form[1])
    day = date.fromisoformat(in_days(days))
    text = client.get(form[1], headers=BROWSER).text
    assert f"Snoozed until {day.day} {day:%b %Y}" in text
    assert f"plays snoozed until {day.day} {day:%b %Y}" in text


@pytest.mark.parametrize("days", ["", "0", "8", "-7", "seven", "7.0", "91"])
def test_other_form_values_are_refused(client: TestClient, days: str) -> None:
    account = listed(client)["accounts"][0]["account_id"]
    assert client.post(f"/accounts/{account}", data={"days": days}).status_code == 422
    cross_site = client.post(f"/accounts/{account}", data={"days": "7"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert cross_site.status_code == 403
    assert client.post("/accounts/a999-secret", data={"days": "7"}).status_code == 404
    assert listed(client)["snoozed"] == 0


def test_a_snoozed_play_gets_a_new_due_date(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A play that was due during the snooze is not overdue."""
    from serving.worklist import first_due

    snapshots = SnapshotFiles(own_home)
    monkeypatch.setattr(first_due, "previous_publication", lambda *_: AS_OF)
    due = {account: {"low_engagement": AS_OF.date()} for account in ("a05", "a06", "a07")}
    monkeypatch.setattr(first_due, "read_due_dates", lambda *_: due)
    later = AS_OF + timedelta(days=7)
    with Store.of(own_home).begin() as connection:
        for account, until in (("a05", "2026-07-03"), ("a06", "2026-06-29")):
            document = json.dumps({"until": until})
            at = AS_OF - timedelta(days=3)
            row = {"id": account, "what": "snooze", "account_id": account, "occurred_at": at, "recorded_at": at}
            connection.execute(records.insert().values(**row, recorded_by="x", document=document))
    assert set(open_plays_before(snapshots, later, [], read_recorded_before(own_home, later))) == {"a06", "a07"}


ACCOUNTS = st.sampled_from("abc")
INSTANTS = st.integers(0, 100).map(lambda days: AS_OF + timedelta(days=days))


@given(
    st.lists(st.builds(SnoozeRecord, ACCOUNTS, INSTANTS, INSTANTS.map(datetime.date)), max_size=8),
    INSTANTS.map(datetime.date),
)
def test_the_last_snooze_applies_until_its_end_date(snoozes: list[SnoozeRecord], day: date) -> None:
    active = active_snoozes(snoozes, day)
    for account in "abc":
        own = [one for one in snoozes if one.account_id == account]
        last = [one.until for one in own if one.recorded_at == max(each.recorded_at for each in own)]
        assert active.get(account) == next((until for until in last[-1:] if until > day), None)
    under_way = InterventionRecord("a", AS_OF, held_out=False)
    assert intervention_status([under_way], AS_OF, active) == dict.fromkeys(active, "snoozed") | {"a": "under_way"}
