"""The leadership report: one report for route and command, capacity by the ratios, and value against cost."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from features.kpi.contributions import ACQUISITION
from features.signals.signals import OpenSignals
from models.artifacts.champion import load_champion
from serving.leadership.csm_capacity import NO_CSM, csm_capacity
from serving.leadership.published_report import published_leadership
from serving.leadership.report import leadership_report
from serving.leadership.report_from_signals import leadership_inputs
from serving.leadership.schemas import Leadership
from serving.leadership.unit_economics import NO_ARR, NO_COSTS, NONE_ACQUIRED, unit_economics
from serving.portfolio.contribution_rows import ROW_COLUMNS, ContributionRows
from serving.portfolio.kpi_filter import KpiFilter
from serving.schemas.account_filter import EVERYONE, AccountFilter
from serving.scoring.score_portfolio import assess_portfolio
from serving.snapshots.account_attributes import AccountAttributes
from serving.snapshots.sidecars import accounts_document
from tests.serving.conftest import AS_OF

NAN = float("nan")


@pytest.mark.parametrize("chosen", [EVERYONE, AccountFilter(parent="a00"), AccountFilter(segment="mid-market"), AccountFilter(risk="low")])
def test_the_route_gives_the_report_of_the_command(client: TestClient, scored_home: Any, signals: OpenSignals, chosen: AccountFilter) -> None:
    champion = load_champion(scored_home.home)
    assessment = assess_portfolio(signals, AS_OF, scored_home.home, champion)[0]
    attributes = AccountAttributes.of(assessment, accounts_document(signals, AS_OF, 90))
    selection = attributes.select(chosen)
    inputs = leadership_inputs(signals, assessment, scored_home.home, champion, selection)
    assert inputs.forecast_unknown is None
    only = KpiFilter.of(attributes, chosen) if chosen.chosen else None
    report = leadership_report(inputs, assessment, selection, only, "parent")
    answer = client.get("/v1/portfolio/leadership", params={"by": "parent", **chosen.chosen}).json()
    Leadership.model_validate(answer)
    assert _rounded(report) == _rounded(answer)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def test_the_bridge_ends_at_the_arr_of_the_portfolio_and_explains_nrr(client: TestClient) -> None:
    report, whole = client.get("/v1/portfolio/leadership").json(), client.get("/v1/portfolio").json()["whole"]
    steps = {each["step"]: each for each in report["bridge"]["steps"]}
    assert steps["arr_end"]["arr"] == pytest.approx(whole["arr"])
    assert steps["arr_end"]["accounts"] == whole["accounts"]
    nrr = next(each for each in report["retention"] if each["measure"] == "nrr")
    assert nrr["left_out"] == steps["in_grace"]["accounts"] == 0
    kept = steps["arr_start"]["arr"] - steps["churned"]["arr"] - steps["contracted"]["arr"] + steps["expanded"]["arr"]
    assert nrr["numerator"] == pytest.approx(kept)
    assert nrr["denominator"] == pytest.approx(steps["arr_start"]["arr"])
    for name in ("groups", "cohorts"):
        for place, step in enumerate(report["bridge"]["steps"]):
            assert round(sum(each["bridge"]["steps"][place]["arr"] for each in report[name]), 4) == step["arr"]


def _accounts(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(values, dtype=object if name in ("csm", "segment", "account_id") else float) for name, values in columns.items()})


def test_the_load_of_a_csm_is_the_sum_of_the_shares_of_the_accounts() -> None:
    # By the shipped rules a CSM has 15 enterprise, 40 mid-market, 150 SMB or 1000 self-serve accounts.
    accounts = _accounts(
        csm=["Ana"] * 16 + ["Bo"] * 20 + [None, "Bo"],
        segment=["enterprise"] * 16 + ["mid-market"] * 20 + ["SMB", None],
        arr=[200_000.0] * 16 + [50_000.0] * 20 + [6_000.0, NAN],
        at_risk=[1_000.0] * 16 + [NAN] * 22,
    )
    capacity = csm_capacity(accounts)
    ana, bo = capacity["by_csm"]
    assert (ana["csm"], ana["load"], ana["over"], ana["arr"]) == ("Ana", pytest.approx(16 / 15), True, 3_200_000.0)
    assert (bo["load"], bo["over"], bo["accounts"], bo["segment_unknown"]) == (pytest.approx(0.5), False, 21, 1)
    assert bo["accounts_by_segment"] == {"mid-market": 20}
    assert (ana["expected_churned_arr"], bo["expected_churned_arr"]) == (16_000.0, None)
    assert (capacity["csms"], capacity["without_csm"], capacity["over"]) == (2, 1, 1)
    assert capacity["csms_needed"] == pytest.approx(16 / 15 + 20 / 40 + 1 / 150)
    segments = {each["segment"]: each for each in capacity["by_segment"]}
    assert list(segments) == ["enterprise", "mid-market", "SMB", None]
    assert (segments["enterprise"]["accounts_per_csm"], segments["enterprise"]["ratio"]) == (16.0, 15)
    assert (segments["SMB"]["csms"], segments["SMB"]["accounts_per_csm"]) == (0, None)
    assert (segments[None]["ratio"], segments[None]["csms_needed"]) == (None, None)


def test_a_csm_with_exactly_the_allowed_accounts_is_not_over() -> None:
    n = 15
    full = csm_capacity(_accounts(csm=["Ana"] * n, segment=["enterprise"] * n, arr=[2e5] * n, at_risk=[1.0] * n))
    assert (full["over"], full["by_csm"][0]["over"]) == (0, False)
    no_account = csm_capacity(_accounts(csm=[None], segment=["SMB"], arr=[6e3], at_risk=[1.0]))
    assert (no_account["unknown"], no_account["by_csm"], no_account["csms_needed"]) == (NO_CSM, [], pytest.approx(1 / 150))


def _economics(costs: list[float], acquired: list[tuple[float, float]], margin: float = 0.5, **missing: str) -> dict[str, Any]:
    accounts = _accounts(account_id=["a", "b", "c"], segment=["SMB"] * 3, arr=[10_000.0, 20_000.0, NAN], cost=costs)
    values = [{"account_id": "a", "lifetime_years": 4.0, "value": 20_000.0}, {"account_id": "b", "lifetime_years": 2.0, "value": 20_000.0}]
    life = {"accounts": values, "margin": margin, "limit_years": 5.0, "assumption": "x", "unknown": 1}
    rows = [(ACQUISITION, f"n{i}", "SMB", cost, NAN if cost != cost else arr, NAN if cost != cost else arr, False) for i, (cost, arr) in enumerate(acquired)]
    acquired_rows = ContributionRows.of(pd.DataFrame(rows, columns=list(ROW_COLUMNS)))
    return unit_economics(accounts, life, acquired_rows, missing)


def test_ltv_to_cac_is_of_the_accounts_with_both_and_payback_of_those_that_began() -> None:
    economics = _economics([5_000.0, NAN, 7_000.0], [(6_000.0, 8_000.0), (2_000.0, 0.0), (NAN, 9_000.0)])
    (whole, segment) = economics["whole"], economics["by_segment"][0]
    assert whole["lifetime_value"] == 40_000.0
    assert whole["lifetime_years"] == 3.0
    assert (whole["acquisition_cost"], whole["cost_accounts"], whole["ltv_to_cac"]) == (5_000.0, 1, 4.0)
    # 8,000 of cost against 8,000 × 0.5 a year, with the account that left.
    assert (whole["acquired_accounts"], whole["payback_months"], whole["payback_unknown"]) == (2, 24.0, None)
    assert {**segment, "segment": None} == whole
    assert economics["cost_unknown"] is None


def test_without_costs_ratio_and_payback_are_unknown_and_never_zero() -> None:
    nothing = _economics([NAN] * 3, [])
    assert nothing["cost_unknown"] == NO_COSTS
    assert [nothing["whole"][name] for name in ("acquisition_cost", "ltv_to_cac", "payback_months", "payback_unknown")] == [None, None, None, NO_COSTS]
    assert _economics([1.0, NAN, NAN], [])["whole"]["payback_unknown"] == NONE_ACQUIRED
    assert _economics([1.0, NAN, NAN], [(5.0, 0.0)])["whole"]["payback_unknown"] == NO_ARR
    assert _economics([0.0, NAN, NAN], [(5.0, 1.0)])["whole"]["ltv_to_cac"] is None
    assert _economics([1.0, NAN, NAN], [(5.0, 1.0)], nrr="risk is unknown")["whole"]["payback_unknown"] == "risk is unknown"


def test_a_margin_scales_value_and_payback(client: TestClient) -> None:
    full, half = (client.get("/v1/portfolio/leadership", params={"margin": margin}).json()["economics"]["whole"] for margin in (1, 0.5))
    assert half["lifetime_value"] == pytest.approx(full["lifetime_value"] / 2)
    assert half["lifetime_years"] == pytest.approx(full["lifetime_years"])
    for wrong in ({"margin": 0}, {"margin": 2}, {"years": 0}, {"by": "product"}):
        assert client.get("/v1/portfolio/leadership", params=wrong).status_code == 422


def test_a_page_with_a_margin_shows_the_figures_of_the_route(client: TestClient) -> None:
    economics = client.get("/v1/portfolio/leadership", params={"margin": 0.8, "by": "region"}).json()["economics"]
    page = client.get("/leadership?margin=80&by=region", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert economics["whole"]["payback_unknown"] == NO_COSTS
    assert NO_COSTS in page.text
    assert not np.isnan(economics["whole"]["lifetime_value"])


def test_the_lists_of_groups_and_csms_are_sorted_and_searched_apart(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    people = _accounts(csm=["Ana", "Ben", "Cleo"] * 2, segment=["SMB"] * 6, arr=[5e3, 1e3, 3e3] * 2, at_risk=[1.0] * 6)

    def with_csms(*arguments: Any) -> dict[str, Any]:
        return {**published_leadership(*arguments), "capacity": csm_capacity(people)}

    monkeypatch.setattr("serving.pages.leadership.published_leadership", with_csms)
    asked = {"csms_sort": "arr", "csms_way": "up", "sort": "arr_end", "way": "down"}

    def rows(name: str, **more: str) -> list[dict[str, str]]:
        return list(csv.DictReader(client.get(f"/exports/{name}.csv/leadership", params=asked | more).text.splitlines()))

    assert [each["csm"] for each in rows("csms")] == ["Ben", "Cleo", "Ana"]
    groups = rows("groups")
    amounts = [float(each["end_arr"]) for each in groups]
    assert len(groups) > 1
    assert amounts == sorted(amounts, reverse=True)
    name = next(each["group"] for each in groups if each["group"])
    assert [each["group"] for each in rows("groups", q=name.upper(), csms_q="ben")] == [name]
    page = client.get("/leadership", params=asked | {"csms_q": "cl"}, headers={"Accept": "text/html"}).text
    listed = page.partition('data-export="csms"')[2].partition("</table>")[0]
    assert [name in listed for name in ("Ana", "Ben", "Cleo")] == [False, False, True]
    assert name in page.partition('data-export="groups"')[2].partition("</table>")[0]
    assert 'name="csms_q" value="cl"' in page.partition('id="q"')[0], "a search of groups keeps that of CSMs"
    monkeypatch.setattr("serving.pages.leadership.GROUPS", 2)
    second = client.get("/leadership", params=asked | {"csms_page": "2"}, headers={"Accept": "text/html"}).text
    assert [name in second.partition('data-export="csms"')[2].partition("</table>")[0] for name in ("Ana", "Ben", "Cleo")] == [True, False, False]
