"""The trend of an account: what was published, over HTTP and on its page."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from features.utils import formatting as words
from models.artifacts.champion import load_champion
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.pages.account_trend import trend_chart
from serving.scoring.publish_predictions import publish_batch
from serving.snapshots.scored_snapshot import score_published
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store.database import Store

DATES = [datetime(2026, 5, 20, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)]
SETTINGS = ServiceSettings(open_locally=True, retry_seconds=0.05)
PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def published(
    scored_home: Any,
    champions: Any,
    frame: pd.DataFrame,
    publish: Callable[..., Path],
    copy_home: Callable[[Home, Path], Home],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Home, dict[str, list[dict[str, Any]]]]:
    """A home that published three dates, the last one twice and by another model; and what it published, by account."""
    home = copy_home(scored_home.home, tmp_path_factory.mktemp("trend") / "home")
    publish(home, frame.assign(**{"outcomes.nps_last": 9.0})[frame["account_id"] != "a07"].reset_index(drop=True), DATES[0])
    snapshots, expected = SnapshotFiles(home), dict[str, list[dict[str, Any]]]()
    store = Store.of(home, SETTINGS.store_address)
    for date, version in zip([*DATES, DATES[-1]], ("1", "1", "1", "2"), strict=True):
        if version == "2":
            champions.promote(home, version, seed=2)
        answers = list(score_published(snapshots, load_champion(home), date).answers())
        publish_batch(store, answers)
        for answer in answers:
            own = expected.setdefault(answer["account_id"], [])
            own[:] = [each for each in own if each["as_of"] != answer["as_of"]] + [answer]
    store.close()
    return home, expected


@pytest.fixture(scope="module")
def trending(published: tuple[Home, Any]) -> Iterator[TestClient]:
    with TestClient(create_app(published[0], SETTINGS), client=("127.0.0.1", 1)) as client:
        yield client


def test_the_trend_is_what_was_published_last_at_each_date(trending: TestClient, published: tuple[Home, Any]) -> None:
    for account, answers in published[1].items():
        trend = trending.get(f"/v1/accounts/{account}/trend").json()
        assert trend["account_id"] == account
        assert [point["prediction_id"] for point in trend["points"]] == [answer["prediction_id"] for answer in answers]
        for point, answer in zip(trend["points"], answers, strict=True):
            assert point["as_of"] == answer["as_of"]
            for target in ("churn", "expansion"):
                assert {name: point[target][name] for name in ("status", "probability", "interval", "band")} == {
                    name: answer[target][name] for name in ("status", "probability", "interval", "band")
                }
            assert point["health_score"] == answer["health"]["score"]
    assert len(published[1]["a05"]) == 3
    assert len(published[1]["a07"]) == 2, "not active at the first date"


def test_the_trend_marks_the_dates_with_another_model(trending: TestClient) -> None:
    points = trending.get("/v1/accounts/a05/trend").json()["points"]
    assert [point["churn"]["model_version"] for point in points] == ["1", "1", "2"]
    assert [point["replaced"] for point in points] == [[], [], ["churn_model", "expansion_model"]]


def test_a_trend_can_be_limited(trending: TestClient) -> None:
    def dates(**query: Any) -> list[str]:
        return [point["as_of"] for point in trending.get("/v1/accounts/a05/trend", params=query).json()["points"]]

    assert dates(limit=2) == ["2026-06-01", "2026-07-01"]
    assert dates(until="2026-06-30") == ["2026-05-20", "2026-06-01"]
    assert trending.get("/v1/accounts/a05/trend", params={"limit": 0}).status_code == 422
    assert trending.get("/v1/accounts/nothing/trend").status_code == 404
    assert trending.get("/v1/accounts/a05/trend", params={"until": "2026-01-01"}).status_code == 404


def _section(page: str) -> str:
    found = re.search(r'<section class="card" aria-labelledby="trend">.*?</section>.*?</section>', page, re.DOTALL)
    assert found is not None
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0])))


def test_the_page_shows_the_published_figures_and_the_changes(trending: TestClient) -> None:
    for account in ("a05", "a07"):
        text = _section(trending.get(f"/accounts/{account}", headers=PAGE).text)
        for point in trending.get(f"/v1/accounts/{account}/trend").json()["points"]:
            row = words.day(point["as_of"])
            for target in ("churn", "expansion"):
                interval = " to ".join(words.percent(each) for each in point[target]["interval"])
                row += f" {words.percent(point[target]['probability'])} {interval}"
            assert row in text
        changes = trending.get(f"/v1/accounts/{account}/changes").json()
        for target in ("churn", "expansion"):
            assert f"{changes[target]['text']}." in text
            for driver in changes[target]["drivers"]:
                assert driver["text"] in text
                assert words.signed(driver["contribution_log_odds"], 2) in text


def test_chart_and_export_have_the_interval_of_both_probabilities(trending: TestClient) -> None:
    points = trending.get("/v1/accounts/a05/trend").json()["points"]
    rows = list(csv.DictReader(io.StringIO(trending.get("/exports/trend.csv/accounts/a05").text)))
    for row, point in zip(rows, points[::-1], strict=True):
        for target in ("churn", "expansion"):
            assert [float(row[f"{target}_low"]), float(row[f"{target}_high"])] == point[target]["interval"]
    chart = trend_chart(points)
    assert chart["areas"].keys() == {"churn", "expansion"}
    assert all(chart["areas"].values())
    page = trending.get("/accounts/a05", headers=PAGE).text
    for areas in chart["areas"].values():
        assert all(f'points="{area}"' in page for area in areas)
    unknown = [point | {"expansion": point["expansion"] | {"interval": None}} for point in points]
    assert trend_chart(unknown)["areas"]["expansion"] == []


def test_the_page_compares_with_any_earlier_date(trending: TestClient) -> None:
    page = trending.get("/accounts/a05", params={"since": "2026-05-20"}, headers=PAGE).text
    changes = trending.get("/v1/accounts/a05/changes", params={"since": "2026-05-20"}).json()
    assert "What changed since 20 May 2026" in _section(page)
    assert changes["churn"]["text"] in _section(page)
    assert '<option value="2026-05-20" selected>' in page
    assert trending.get("/accounts/a05", params={"since": ""}, headers=PAGE).status_code == 200
    assert trending.get("/accounts/a05", params={"since": "2026-07-01"}, headers=PAGE).status_code == 422
    assert trending.get("/accounts/a05", params={"since": "2026-05-21"}, headers=PAGE).status_code == 404


def test_the_page_says_what_is_missing(trending: TestClient, own_home: Home) -> None:
    first = _section(trending.get("/accounts/a05", params={"as_of": "2026-05-20"}, headers=PAGE).text)
    assert "Predictions of one date have been published (20 May 2026)" in first
    assert "There is no earlier snapshot to compare with" in first
    with TestClient(create_app(own_home, SETTINGS), client=("127.0.0.1", 1)) as client:
        assert "No predictions of this account have been published" in _section(client.get("/accounts/a05", headers=PAGE).text)


def test_the_page_names_what_another_model_had_published(trending: TestClient) -> None:
    text = _section(trending.get("/accounts/a05", headers=PAGE).text)
    point = trending.get("/v1/accounts/a05/trend").json()["points"][1]
    assert f"Published at 1 Jun 2026: {words.percent(point['churn']['probability'])}, by model version 1." in text
    assert "New model version" in text


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_trend_fits_the_window(
    published: tuple[Home, Any], listening: Callable[..., Any], visit: Callable[..., Any], width: int, scheme: str
) -> None:
    with listening(create_app(published[0], SETTINGS)) as address:
        there = visit(address, viewport={"width": width, "height": 900}, color_scheme=scheme)
        assert there.open("/accounts/a05").status == 200
        there.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert there.sideways == 0
        there.page.select_option("#since", "2026-05-20")
        there.page.wait_for_url("**since=2026-05-20*")
        assert there.page.locator("#moved").inner_text() == "What changed since 20 May 2026"
        assert there.troubles == []
