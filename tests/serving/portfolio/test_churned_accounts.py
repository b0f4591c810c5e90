"""The accounts that churned: each with its end, reason, lost ARR and what was predicted before it left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.signals.signals import OpenSignals
from models.health.rubric import load_rubric
from models.home import Home
from serving.app.app import create_app
from serving.common.errors import StoreDown
from serving.common.settings import ServiceSettings
from serving.portfolio.churned_accounts import ChurnedAccounts
from serving.portfolio.publish_kpis import publish_kpis
from serving.scoring.publish_predictions import publish_batch
from serving.scoring.score_portfolio import score
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store.database import Store
from tests.serving.conftest import AS_OF, EARLIER, Champions, Tables, publish, with_renewals

BROWSER = {"Accept": "text/html"}
#: The last period of some accounts. a11 and a39 have left, too; the others stay.
ENDS = {
    "a06": {"ended_at": "2026-06-20", "end_reason": "cancelled"},  # within the grace of 30 days: it may come back
    "a07": {"ended_at": "2026-04-10", "end_reason": "nonpayment"},
    "a08": {"ended_at": "2025-06-30", "end_reason": "cancelled"},  # before the twelve months
}
#: Published predictions: account, date, churn band and probability, health band and score, active alert.
PUBLISHED = """
a11 2026-04-24 medium 0.20 yellow 55 -
a11 2026-05-08 high   0.61 red    31 into_red
a39 2026-02-20 low    0.03 yellow 64 -
a07 2026-01-02 high   0.70 red    20 into_red
"""


def _published() -> dict[str, list[dict[str, Any]]]:
    batches: dict[str, list[dict[str, Any]]] = {}
    for line in PUBLISHED.strip().splitlines():
        account, as_of, band, probability, health, points, alert = line.split()
        batches.setdefault(as_of, []).append(
            {
                "prediction_id": f"prd_{account}_{as_of}",
                "account_id": account,
                "as_of": f"{as_of}T00:00:00Z",
                "churn": {"band": band, "probability": float(probability)},
                "expansion": {"model": None},
                "health": {"band": health, "score": float(points), "agreement": None, "explained_by": None},
                "alerts": [] if alert == "-" else [{"key": f"{alert}:{as_of}", "code": alert, "raised": False}],
                "model": None,
            }
        )
    return batches


@pytest.fixture(scope="module")
def home(
    champions: Champions,
    tables: Tables,
    make_signals: Callable[..., OpenSignals],
    tmp_path_factory: pytest.TempPathFactory,
) -> Home:
    place = tmp_path_factory.mktemp("churned")
    rows, home = with_renewals(tables), Home(place / "home")
    rows["subscriptions"] = [row | ENDS.get(row["account_id"], {}) for row in rows["subscriptions"]]
    signals = make_signals(rows, "2026-07-01")
    champions.promote(home, "1")
    score(signals, AS_OF, place / "rows.csv", home)
    snapshots = SnapshotFiles(home)
    publish_kpis(signals, snapshots, AS_OF, snapshots.at(AS_OF).frame, load_rubric(), 90)
    publish(home, champions.frame, EARLIER)
    store = Store.of(home)
    for batch in _published().values():
        publish_batch(store, batch)
    store.close()
    return home


@pytest.fixture(scope="module")
def there(home: Home) -> Iterator[TestClient]:
    with TestClient(create_app(home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        yield client




def _ask(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/portfolio/churned", params=query)
    assert answer.status_code == 200, answer.text
    payload: dict[str, Any] = answer.json()
    ChurnedAccounts.model_validate(payload)
    return payload


def test_the_accounts_that_left_in_twelve_months_with_the_last_prediction_before(there: TestClient, tables: Tables) -> None:
    """a07 was predicted more than 90 days before it left, which says nothing."""
    found = _ask(there)
    rows = [
        (each["account_id"], each["ended_at"][:10], each["reason"], each["kind"], (each["predicted_as_of"] or "-")[:10],
         each["health_score"], each["churn_probability"], each["warned"], each["warned_by"])
        for each in found["accounts"]
    ]  # fmt: skip
    assert rows == [
        ("a11", "2026-05-15", "cancelled", "voluntary", "2026-05-08", 31.0, 0.61, True, ["churn_high", "health_red", "into_red"]),
        ("a07", "2026-04-10", "nonpayment", "involuntary", "-", None, None, None, []),
        ("a39", "2026-03-01", "cancelled", "voluntary", "2026-02-20", 64.0, 0.03, False, []),
    ]
    assert (found["churned_accounts"], found["predicted_accounts"], found["warned_accounts"]) == (3, 2, 1)
    arr = {row["account_id"]: row["arr"] for row in tables["subscriptions"]}
    assert found["churned_arr"] == pytest.approx(arr["a11"] + arr["a07"] + arr["a39"])
    assert {each["reason"]: each["arr"] for each in found["by_reason"]} == {
        "cancelled": pytest.approx(arr["a11"] + arr["a39"]),
        "nonpayment": arr["a07"],
    }


def test_the_arr_is_that_of_the_bridge(there: TestClient) -> None:
    bridge = there.get("/v1/portfolio/leadership").json()["bridge"]["steps"]
    step = next(each for each in bridge if each["step"] == "churned")
    found = _ask(there)
    assert (found["churned_accounts"], found["churned_arr"]) == (step["accounts"], pytest.approx(step["arr"]))


def test_the_last_quarter_and_the_first_accounts(there: TestClient) -> None:
    quarter = _ask(there, period="quarter", limit=1)
    assert [each["account_id"] for each in quarter["accounts"]] == ["a11"]
    assert (quarter["churned_accounts"], quarter["more_accounts"]) == (2, 1)


@pytest.mark.parametrize("name", ["csm", "region", "segment"])
def test_the_groups_of_a_filter_add_up(there: TestClient, name: str) -> None:
    whole = _ask(there)
    values = {each["csm"] if name == "csm" else each.get(name) for each in whole["accounts"]}
    values = values if name != "region" else {"EMEA", "Americas"}
    parts = [_ask(there, **{name: value or "(none)"}) for value in values]
    assert sum(each["churned_accounts"] for each in parts) == whole["churned_accounts"]
    assert sum(each["churned_arr"] for each in parts) == pytest.approx(whole["churned_arr"])
    assert all(each["filter"][name] for each in parts)


def test_a_filter_that_is_unknown_for_accounts_that_left_gives_the_reason(there: TestClient) -> None:
    found = _ask(there, health="green")
    assert (found["accounts"], found["unknown"]) == ([], "health is unknown for accounts that have left")
    assert "health is unknown for accounts that have left" in there.get("/churned?health=green", headers=BROWSER).text


def test_a_snapshot_of_an_earlier_release_has_no_list(there: TestClient) -> None:
    assert there.get("/v1/portfolio/churned", params={"as_of": "2026-06-01"}).status_code == 404
    page = there.get("/churned?as_of=2026-06-01", headers=BROWSER)
    assert page.status_code == 200
    assert "Not stored with this snapshot" in page.text


@pytest.mark.parametrize("query", ["period=month", "limit=-1", "csm=no+such+person"])
def test_invalid_parameters_are_refused(there: TestClient, query: str) -> None:
    assert there.get(f"/v1/portfolio/churned?{query}").status_code == 422


def test_the_page_lists_the_accounts_without_the_store(
    there: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise StoreDown("the store does not answer", "a store", "wait")

    monkeypatch.setattr("serving.portfolio.churned_accounts.last_predictions", fails)
    page = there.get("/churned", headers=BROWSER)
    assert page.status_code == 200
    assert "Company a11" in page.text
    assert there.get("/v1/portfolio/churned").status_code == 503
