"""Stored KPIs add up and agree with the predictions of the accounts."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.kpi.definitions import KPIS
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.portfolio.kpi_schemas import PortfolioKpis
from serving.snapshots.sidecars import sidecar_path
from serving.snapshots.snapshot_files import SnapshotFiles

SUMS = ("numerator", "denominator", "left_out")


@pytest.fixture(scope="module")
def payload(client: TestClient) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/v1/portfolio/measures").json()
    PortfolioKpis.model_validate(answer)
    return answer


def test_every_kpi_is_listed_once_with_a_value_or_a_reason(payload: dict[str, Any]) -> None:
    assert [m["measure"] for m in payload["measures"]] == [m.code for m in KPIS]
    for m in payload["measures"]:
        assert (m["value"] is None) == (m["unknown"] is not None)
        assert (m["met"] is None) == (m["target"] is None or m["value"] is None)
    by = {m["measure"]: m for m in payload["measures"]}
    assert by["save_rate"]["unknown"] == "the source has no interventions"
    assert by["qbr_completion"]["unknown"] == "the source has no engagement"


@pytest.mark.parametrize("division", ["segment", "csm", "region", "parent"])
def test_the_groups_add_up_to_the_total(payload: dict[str, Any], division: str) -> None:
    for i, whole in enumerate(payload["measures"]):
        parts = [group["measures"][i] for group in payload["by"][division]]
        assert {part["measure"] for part in parts} == {whole["measure"]}
        for name in SUMS:
            total = math.fsum(part[name] or 0.0 for part in parts)
            assert total == pytest.approx(whole[name] or 0.0), whole["measure"]


def test_kpis_agree_with_the_portfolio_summary(payload: dict[str, Any], client: TestClient) -> None:
    glance = client.get("/v1/portfolio").json()
    by = {m["measure"]: m for m in payload["measures"]}
    bands = {part["band"]: part["accounts"] for part in glance["by_health_band"]}
    scored = sum(bands.values()) - bands["insufficient_data"]
    for band in ("green", "yellow", "red"):
        assert (by[f"{band}_share"]["numerator"], by[f"{band}_share"]["denominator"]) == (bands[band], scored)
    assert by["mean_health"]["value"] == pytest.approx(glance["whole"]["mean_health"])
    assert by["mean_health"]["left_out"] == glance["whole"]["health_unknown"]


def test_advocates_are_green_and_promoters(payload: dict[str, Any], client: TestClient) -> None:
    every = [client.get(f"/v1/accounts/a{i:02d}/health").json() for i in range(39)]
    nps = _latest_nps(client)
    wanted = {a["account_id"] for a in every if a["band"] == "green" and nps.get(a["account_id"], 0) >= 9}
    assert {a["account_id"] for a in payload["advocates"]} == wanted
    assert [a["arr"] for a in payload["advocates"]] == sorted((a["arr"] for a in payload["advocates"]), reverse=True)
    assert {m["measure"]: m for m in payload["measures"]}["advocates"]["value"] == len(wanted)


def _latest_nps(client: TestClient) -> dict[str, float]:
    frame = client.app.state.live.current().latest.assessment.frame  # type: ignore[attr-defined]
    return dict(zip(frame["account_id"], frame["outcomes.nps_last"], strict=True))


def test_year_and_quarter_are_both_stored(payload: dict[str, Any], client: TestClient) -> None:
    quarter = client.get("/v1/portfolio/measures?period=quarter").json()
    starts = (payload["period"]["start"], quarter["period"]["start"], quarter["as_of"])
    assert starts == ("2025-07-01", "2026-04-01", "2026-07-01"), "twelve months by default"
    year, three = ({m["measure"]: m for m in answer["measures"]} for answer in (payload, quarter))
    assert [each["nrr"]["target"]["value"] for each in (year, three)] == [1.1, pytest.approx(1.1**0.25)]
    for code, m in year.items():
        assert three[code]["quarter"] is None
        wanted = {name: three[code][name] for name in m["last"]} if m["over"] == "period" else None
        assert m["quarter"] == wanted, "the quarter next to the year is that of the quarter's own answer"
    assert client.get("/v1/portfolio/measures?period=week").status_code == 422


def test_a_snapshot_without_kpis_is_not_found(client: TestClient, own_home: Home) -> None:
    earlier = client.get("/v1/portfolio/measures?as_of=2026-06-01")
    assert (earlier.status_code, earlier.json()["code"]) == (404, "unknown_snapshot")
    snapshots = SnapshotFiles(own_home)
    path = sidecar_path(snapshots, snapshots.dates()[-1], "measures")
    path.write_text("{}", encoding="utf-8")
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as broken:
        answer = broken.get("/v1/portfolio/measures")
    assert answer.status_code >= 500
    assert "measures.json cannot be used" in answer.text
