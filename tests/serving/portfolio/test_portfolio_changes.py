"""What changed the portfolio between two dates, and the KPIs of the published dates."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import renewcast
from features.utils.formatting import day, in_unit
from models.home import Home, current_home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.snapshots.sidecars import KPIS, read_sidecar, write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles

SETTINGS = ServiceSettings(open_locally=True, retry_seconds=0.05)
MAY, JUNE, JULY = (datetime(2026, month, day, tzinfo=UTC) for month, day in ((5, 20), (6, 1), (7, 1)))
PAGE = {"Accept": "text/html"}


def _other(frame: pd.DataFrame) -> pd.DataFrame:
    """Another date: a00 is not a customer yet, a01 has another id, a02 has a smaller ARR, a03 an unknown one."""
    other = frame.copy()
    arr = other["contract.arr"].astype(float)
    other["contract.arr"] = np.where(other["account_id"] == "a02", arr / 2, np.where(other["account_id"] == "a03", np.nan, arr))
    other["account_id"] = other["account_id"].where(other["account_id"] != "a01", "gone")
    other["outcomes.nps_last"] = 2.0
    return other[other["account_id"] != "a00"].reset_index(drop=True)


@pytest.fixture(scope="module")
def changed(
    scored_home: Any, frame: pd.DataFrame, publish: Callable[..., Path], copy_home: Callable[[Home, Path], Home],
    tmp_path_factory: pytest.TempPathFactory,
) -> Home:  # fmt: skip
    home = copy_home(scored_home.home, tmp_path_factory.mktemp("changed") / "home")
    publish(home, _other(frame), MAY)
    snapshots = SnapshotFiles(home)
    kpis = read_sidecar(snapshots, JULY, KPIS)
    assert kpis is not None
    earlier = {
        name: report | {"measures": [each | {"value": 0.5 if each["measure"] == "nrr" else None} for each in report["measures"]]}
        for name, report in kpis.items()
    }
    write_sidecar(snapshots, MAY, KPIS, earlier)
    return home


@pytest.fixture(scope="module")
def serving(changed: Home) -> Any:
    with TestClient(create_app(changed, SETTINGS), client=("127.0.0.1", 1)) as client:
        yield client


def _get(client: TestClient, path: str, **query: Any) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("query", [{}, {"segment": "enterprise"}, {"health": "yellow"}, {"risk": "high"}])
def test_the_parts_and_the_accounts_add_up_to_the_change_of_the_total(serving: TestClient, query: dict[str, str]) -> None:
    changes = _get(serving, "/v1/portfolio/changes", since="2026-05-20", limit=200, **query)
    now = _get(serving, "/v1/portfolio", **query)["whole"]
    assert changes["now"] == now
    change = now["expected_churned_arr"] - changes["before"]["expected_churned_arr"]
    assert changes["change"] == pytest.approx(change)
    assert math.fsum(part["change"] for part in changes["parts"].values()) == pytest.approx(change)
    assert math.fsum(each["change"] for each in changes["accounts"]) == pytest.approx(change)
    assert changes["more_accounts"] == 0
    if not query:
        assert changes["before"] == _get(serving, "/v1/portfolio", as_of="2026-05-20")["whole"]


def test_each_account_has_its_kind_and_the_largest_come_first(serving: TestClient) -> None:
    changes = _get(serving, "/v1/portfolio/changes", since="2026-05-20", limit=200)
    kinds = {each["account_id"]: each["kind"] for each in changes["accounts"]}
    assert (kinds["a00"], kinds["a01"], kinds["gone"], kinds["a03"]) == ("new", "new", "left", "known_now")
    sizes = [abs(each["change"]) for each in changes["accounts"]]
    assert sizes == sorted(sizes, reverse=True)
    assert {name: part["accounts"] for name, part in changes["parts"].items() if name not in ("probability", "arr")} == {
        "new": 2, "left": 1, "known_now": 1, "unknown_now": 0,
    }  # fmt: skip
    for each in changes["accounts"]:
        if each["kind"] == "probability_or_arr":
            prediction = _get(serving, f"/v1/accounts/{each['account_id']}/changes", since="2026-05-20")["churn"]
            assert each["text"] == prediction["text"]
            assert each["churn_probability"] == prediction["now"]["probability"]
    # Read backward, every change has the opposite sign.
    assert changes["parts"]["arr"]["change"] > 0, "only a02 doubled its ARR"
    shortened = _get(serving, "/v1/portfolio/changes", since="2026-05-20", limit=3)
    assert shortened["accounts"] == changes["accounts"][:3]
    assert shortened["more_accounts"] == len(changes["accounts"]) - 3


def test_kpis_have_the_published_value_of_each_date(serving: TestClient, changed: Home) -> None:
    trend = _get(serving, "/v1/portfolio/measures/trend")
    assert trend["dates"] == ["2026-05-20", "2026-07-01"], "no KPIs were published on 1 June"
    latest = {each["measure"]: each["value"] for each in _get(serving, "/v1/portfolio/measures")["measures"]}
    lines = {each["measure"]: each["values"] for each in trend["measures"]}
    assert {name: values[-1] for name, values in lines.items()} == latest
    assert lines["nrr"][0] == 0.5
    assert lines["grr"][0] is None
    assert _get(serving, "/v1/portfolio/measures/trend", limit=1)["dates"] == ["2026-07-01"]
    assert _get(serving, "/v1/portfolio/measures/trend", as_of="2026-06-01")["dates"] == ["2026-05-20"]


@pytest.mark.parametrize("options", [{}, {"as_of": "2026-06-01"}, {"period": "quarter", "limit": "1"}, {"health": "green"}])
def test_the_command_has_the_trend_of_the_service(serving: TestClient, changed: Home, options: dict[str, str]) -> None:
    current_home.cache_clear()
    arguments = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", value)]
    environment = {"RENEWCAST_HOME": str(changed.root)}
    result = CliRunner().invoke(renewcast.app, ["trends", "--json", *arguments], env=environment)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == _get(serving, "/v1/portfolio/measures/trend", **options)
    shown = CliRunner().invoke(renewcast.app, ["trends", *arguments], env=environment)
    assert "Net revenue retention" in shown.stdout or "NRR" in shown.stdout
    assert ("only accounts with: health green" in shown.stdout) is ("health" in options)


def test_mistakes_are_refused(serving: TestClient, own_home: Home) -> None:
    for query, status in (({"since": "2026-07-01"}, 422), ({"since": "2026-06-02"}, 404), ({"csm": "no one"}, 422)):
        assert serving.get("/v1/portfolio/changes", params=query).status_code == status, query
    assert serving.get("/v1/portfolio/changes", params={"as_of": "2026-05-20"}).status_code == 404


def test_the_page_shows_the_kpis_of_the_two_compared_dates(serving: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    trend = _get(serving, "/v1/portfolio/measures/trend")
    between = {
        **trend,
        "dates": [trend["dates"][0], "2026-06-01", trend["dates"][1]],
        "measures": [{**each, "values": [each["values"][0], 0.25, each["values"][1]]} for each in trend["measures"]],
    }
    monkeypatch.setattr("serving.pages.trends.kpi_trend", lambda *_, **__: between)
    assert "1 Jun 2026</th>" in serving.get("/trends", headers=PAGE).text.partition('data-export="kpis"')[2]
    chosen = trend["dates"][0]
    page = serving.get("/trends", params={"since": chosen}, headers=PAGE).text
    shown = re.findall(r'<th scope="col" class="number">(\d+ \w+ \d{4})</th>', page.partition('data-export="kpis"')[2])
    assert shown == [day(chosen), day(trend["dates"][-1])]
    retention = next(each for each in trend["measures"] if each["title"] == "Net revenue retention")
    row = page.partition('data-export="kpis"')[2].partition("Net revenue retention</th>")[2].partition("</tr>")[0]
    values = re.findall(r'<td class="number"[^>]*><span[^>]*>([^<]*)</span>', row)
    assert values == [in_unit(retention["values"][place], retention["unit"]) for place in (0, -1)]


def test_the_page_shows_the_same(serving: TestClient) -> None:
    page = serving.get("/trends", params={"since": "2026-05-20"}, headers=PAGE)
    assert page.status_code == 200, page.text[:500]
    text = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))
    changes = _get(serving, "/v1/portfolio/changes", since="2026-05-20")
    assert "What changed since 20 May 2026" in text
    for each in changes["accounts"]:
        assert each["text"] in text
    assert "Net revenue retention" in text
    assert "50.0%" in text
    filtered = serving.get("/trends", params={"health": "yellow"}, headers=PAGE)
    assert "Health is unknown for accounts that have left" in filtered.text
    first = serving.get("/trends", params={"as_of": "2026-05-20"}, headers=PAGE)
    assert "There is no earlier snapshot to compare with" in first.text
