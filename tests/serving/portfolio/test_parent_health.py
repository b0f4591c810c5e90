"""A rubric may say that the health of a parent is that of its worst child; it is shown wherever parents are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.health.rubric import RUBRICS
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.portfolio.account_health import AccountHealth
from serving.portfolio.account_hierarchy import AccountHierarchy


@pytest.fixture(scope="module", params=["worst_child", "arr_weighted_mean"])
def rule(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def company_client(
    rule: str, scored_home: Any, champions: Any, copy_home: Callable[[Home, Path], Home], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """The shared home under a rubric with the rule."""
    rules = tmp_path_factory.mktemp("rules")
    (rules / "rubrics").mkdir()
    text = (RUBRICS / "five-dimensions.toml").read_text(encoding="utf-8")
    text = text.replace("\nminimum_coverage", f'\nparent_health = "{rule}"\nminimum_coverage', 1)
    (rules / "rubrics" / "five-dimensions.toml").write_text(text, encoding="utf-8")
    home = copy_home(scored_home.home, tmp_path_factory.mktemp("company") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RENEWCAST_RULES", str(rules))
        # A model brings the rubric that it was trained with.
        champions.promote(home, "2")
        with TestClient(create_app(home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
            yield client


def _hierarchy(client: TestClient, account: str) -> dict[str, Any]:
    payload: dict[str, Any] = client.get(f"/v1/accounts/{account}/hierarchy").json()
    AccountHierarchy.model_validate(payload)
    return payload


def test_the_health_of_a_parent_follows_from_its_children(company_client: TestClient, rule: str) -> None:
    payload = _hierarchy(company_client, "a00")
    accounts = [payload["own"], *payload["below"]]
    scored = [each for each in accounts if each["health"] is not None]
    health = payload["company_health"]
    assert (health["rule"], health["scored"], health["unscored"]) == (rule, len(scored), len(accounts) - len(scored))
    worst = min(scored, key=lambda each: each["health"])
    assert health["worst"] == worst["account_id"]
    total = sum(each["arr"] for each in scored)
    mean = round(sum(each["arr"] * each["health"] for each in scored) / total, 1)
    assert health["score"] == {"worst_child": worst["health"], "arr_weighted_mean": mean}[rule]
    # The accounts keep their own scores, so that these can be added up.
    assert company_client.get("/v1/accounts/a00/prediction").json()["health"]["score"] == payload["own"]["health"]
    # a03 is below a01, which is below a00; a02 has no children, and a39 has left.
    below = {each["account_id"]: each["parent_health"] for each in payload["below"]}
    assert below["a01"]["scored"] + below["a01"]["unscored"] == 2
    assert below["a02"] is None
    left = _hierarchy(company_client, "a39")["own"]["parent_health"]
    assert (left["scored"] + left["unscored"], left["worst"] in ("a05", None)) == (1, True)


def test_all_answers_and_pages_show_the_same_health(company_client: TestClient, rule: str) -> None:
    health = _hierarchy(company_client, "a00")["company_health"]
    breakdown = company_client.get("/v1/accounts/a00/health").json()
    AccountHealth.model_validate(breakdown)
    assert breakdown["parent_health"] == health
    assert company_client.get("/v1/accounts/a10/health").json()["parent_health"] is None
    groups = company_client.get("/v1/portfolio/groups", params={"by": "parent"}).json()["groups"]
    assert {each["group"]: each["parent_health"] for each in groups}["a00"] == health
    words = {"worst_child": "of the worst account of the company", "arr_weighted_mean": "weighted by ARR"}[rule]
    for path in ("/accounts/a00", "/accounts/a03", "/?group=parent", "/?q=a00"):
        assert words in company_client.get(path).text, path
    assert words not in company_client.get("/accounts/a10").text


def test_by_default_the_health_of_a_parent_is_its_own(client: TestClient) -> None:
    payload = _hierarchy(client, "a00")
    assert (payload["company_health"]["rule"], payload["company_health"]["score"]) == ("own", payload["own"]["health"])
    assert _hierarchy(client, "a39")["company_health"]["band"] == "insufficient_data"
    assert "Company health" not in client.get("/?group=parent").text
