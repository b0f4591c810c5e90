"""The signals of one account in a request follow the contract, and ignored parts are named."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from features.catalogue.catalogue import CATALOGUE
from features.contract.current_contract import current_tables
from features.families.peers import FEATURES as PEER_FEATURES
from features.signals.signals import OpenSignals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.sources.memory.columns import UnsupportedError
from features.sources.memory.engine import MemoryEngine
from features.utils.dates import Grid
from models.artifacts.home_portfolio import signals_portfolio
from models.artifacts.portfolio_identity import PortfolioIdentity
from models.home import Home
from models.predictions.schema import Prediction
from models.targets import TARGETS
from serving.app.app import create_app
from serving.common.errors import InvalidBody, TooSlow
from serving.common.settings import ServiceSettings
from serving.schemas.predictions import PredictionRequest
from serving.schemas.signal_rows import ROW_MODELS, row_models
from serving.scoring import score_payload
from serving.scoring.score_payload import SignalsScorer, _arrow
from serving.scoring.score_portfolio import score, score_weeks
from serving.snapshots.live_state import LiveStateManager

Body = Callable[[str], dict[str, Any]]
AS_OF = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def ask(client: TestClient) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def post(body: dict[str, Any]) -> dict[str, Any]:
        answer = client.post("/v1/predictions", json=body)
        assert answer.status_code == 200, answer.text
        payload: dict[str, Any] = answer.json()
        return payload | {"scored_at": None}

    return post


@pytest.fixture(scope="module")
def plain(ask: Callable[..., Any], body_of: Body) -> dict[str, Any]:
    """The answer for a05."""
    return ask(body_of("a05"))


@pytest.fixture
def body(body_of: Body) -> dict[str, Any]:
    """The body for a05, to be changed."""
    return copy.deepcopy(body_of("a05"))


def test_signals_that_the_contract_ignores_change_nothing(
    ask: Callable[..., Any], body: dict[str, Any], plain: dict[str, Any]
) -> None:
    tables = body["signals"]
    # Rows in another order, sent twice, at or after as_of, and without the account's id.
    tables["usage"] = tables["usage"][::-1] + tables["usage"][:4]
    tables["usage"] += [{"occurred_at": "2026-07-01T00:00:00Z", "minutes": 5000}, {"occurred_at": "2026-08-01"}]
    tables["subscriptions"][0] |= {"ended_at": "2026-07-15", "end_reason": "cancelled"}
    for row in [*tables["accounts"], *tables["support"]]:
        del row["account_id"]
    assert ask(body) == plain


def test_a_missing_table_is_unknown_and_an_empty_table_has_no_events(
    ask: Callable[..., Any], body: dict[str, Any]
) -> None:
    messages = []
    for usage in (None, []):
        body["signals"]["usage"] = usage
        messages.append(" ".join(reason["text"] for reason in ask(body)["reasons"]))
    assert "in the last 28 days: not known" in messages[0]
    assert "in the last 28 days: 0 " in messages[1]


def test_skipped_and_undeclared_parts_are_named(
    ask: Callable[..., Any], body: dict[str, Any], plain: dict[str, Any]
) -> None:
    assert plain["warnings"] == [{"code": "health_insufficient_data", "coverage": 0.45}]
    body["signals"]["usage"][0] |= {"color": "red", "x" * 100: 1}
    del body["history_from"]
    result = ask(body)["warnings"]
    assert {"code": "ignored_fields", "table": "usage", "fields": ["color"], "count": 2} in result
    assert {"code": "history_from_not_given"} in result


def test_an_account_with_orders_is_not_scored_by_a_model_of_contracts(ask: Callable[..., Any]) -> None:
    orders = [{"occurred_at": f"2026-0{m}-11", "amount": 120.5, "product": "p"} for m in range(1, 7)]
    body = {"account_id": "n", "as_of": "2026-07-01", "signals": {"accounts": [{"created_at": "2025-01-01"}], "orders": orders}}
    result = ask(body)
    assert (result["churn"]["status"], result["churn"]["probability"]) == ("out_of_scope", None)
    lacking = {warning["target"]: warning for warning in result["warnings"] if warning["code"] == "inputs_unknown"}
    assert lacking["churn"]["share"] > 0.5
    assert set(lacking["churn"]["tables"]) >= {"subscriptions", "usage"}


def test_another_input_gives_another_id(
    ask: Callable[..., Any], body: dict[str, Any], plain: dict[str, Any]
) -> None:
    body["signals"]["usage"].append({"occurred_at": "2026-06-28", "user_id": "u1", "minutes": 3})
    assert ask(body)["prediction_id"] != plain["prediction_id"]


def _job(scored_home: Any, body: dict[str, Any], rows_limit: int = 1000) -> SignalsScorer:
    home: Home = scored_home.home
    return SignalsScorer(PredictionRequest.model_validate(body), LiveStateManager(home, ServiceSettings()).current(), rows_limit=rows_limit)


def test_slow_signals_are_interrupted_and_the_service_continues(
    scored_home: Any, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: Any, **more: Any) -> Any:
        time.sleep(1.0)
        return score_weeks(*arguments, **more)

    monkeypatch.setattr(score_payload, "score_weeks", slow)
    with TestClient(create_app(scored_home.home, ServiceSettings(open_locally=True, request_seconds=0.1)), client=("127.0.0.1", 1)) as client:
        answer = client.post("/v1/predictions", json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "too_slow")
        # On a busy machine even this may take longer than the tenth of a second that a request has here.
        assert any(client.get("/livez").status_code == 200 for _ in range(50))


def test_too_many_rows_are_rejected(scored_home: Any, body_of: Body) -> None:
    with pytest.raises(InvalidBody, match="rows") as caught:
        _job(scored_home, body_of("a05"), rows_limit=3)()
    assert caught.value.faults[0].pointer == "/signals"


def _scored_frames(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """Return a list that gets the features of every body that is scored from now on."""
    frames: list[pd.DataFrame] = []

    def recording(*arguments: Any, **more: Any) -> Any:
        weeks = score_weeks(*arguments, **more)
        frames.append(weeks.assessment.frame)
        return weeks

    monkeypatch.setattr(score_payload, "score_weeks", recording)
    return frames


@pytest.mark.parametrize("published", [True, False], ids=["published", "trained only"])
def test_what_the_portfolio_cannot_record_is_unknown_in_a_body_too(
    signals: OpenSignals, champions: Any, body_of: Body, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, published: bool
) -> None:
    records = {"support": {"severity": frozenset({"normal"})}, "outcomes": {"kind": frozenset({"nps"})}}
    stated = replace(signals, records=records)
    scored = SimpleNamespace(home=Home(tmp_path / "home"))
    if published:
        champions.promote(scored.home, "1")
        score(stated, AS_OF, tmp_path / "rows.csv", scored.home)
    else:
        champions.promote(scored.home, "1", portfolio=PortfolioIdentity.of(signals_portfolio(stated)))
    batch = snapshot(stated, Grid.single(AS_OF)).set_index("account_id")
    frames = _scored_frames(monkeypatch)
    _job(scored, body_of("a05"))()
    unknown = ["support.severe_91d", "outcomes.goals_met_182d"]
    assert batch[unknown].isna().all(axis=None)
    assert snapshot(signals, Grid.single(AS_OF))[unknown].notna().any(axis=None)
    # Only a published portfolio knows the rates of an account's peers.
    names = [name for name in CATALOGUE if published or name not in {feature.name for feature in PEER_FEATURES}]
    pd.testing.assert_frame_equal(frames[0].set_index("account_id")[names], batch.loc[["a05"], names])


@pytest.mark.parametrize("account", ["a05", "a38"])
def test_past_outcomes_and_peers_are_those_of_the_published_snapshot(
    scored_home: Any, body_of: Body, monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    frames = _scored_frames(monkeypatch)
    _job(scored_home, body_of(account))()
    latest = LiveStateManager(scored_home.home, ServiceSettings()).current().latest
    assert latest is not None
    published = latest.assessment.frame
    names = [name for name in CATALOGUE if name.split(".")[0] in ("contract", "peers", "portfolio")]
    assert published["peers.plan_churn_364d"].notna().all()
    rows = [frame.set_index("account_id").loc[[account], names] for frame in (frames[0], published)]
    pd.testing.assert_frame_equal(*rows, check_exact=True)


def test_without_a_published_snapshot_the_rates_of_peers_are_unknown(
    scored_home: Any, body_of: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_payload, "read_peer_totals", lambda latest: None)
    unknown: list[bool] = []

    def recording(*arguments: Any, **more: Any) -> Any:
        weeks = score_weeks(*arguments, **more)
        unknown.append(more["is_unknown"]("peers.plan_churn_364d"))
        unknown.append(bool(weeks.assessment.frame["peers.plan_churn_364d"].isna().all()))
        return weeks

    monkeypatch.setattr(score_payload, "score_weeks", recording)
    _job(scored_home, body_of("a05"))()
    assert unknown == [True, True]


@pytest.mark.parametrize("account", ["a05", "a38"])
def test_the_database_computes_the_same_answer(
    scored_home: Any, body_of: Body, monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    answers = [_job(scored_home, body_of(account))()]
    reasons = []

    def refuse(*_: Any) -> None:
        reasons.append("refused")
        raise UnsupportedError("refused")

    monkeypatch.setattr(MemoryEngine, "create_arrow_view", refuse)
    answers.append(_job(scored_home, body_of(account))())
    assert reasons
    assert [answer | {"scored_at": None} for answer in answers[:1]] == [answer | {"scored_at": None} for answer in answers[1:]]


def test_interrupted_scoring_ends(scored_home: Any, body_of: Body) -> None:
    job = _job(scored_home, body_of("a05"))
    job.interrupt()
    with pytest.raises(TooSlow):
        job()


@pytest.mark.parametrize("ended", ["2026-03-01", "2026-06-30"], ids=["a while ago", "just now"])
def test_an_inactive_account_has_no_numbers(client: TestClient, body_of: Any, ended: str) -> None:
    body = copy.deepcopy(body_of("a05"))
    body["signals"]["subscriptions"][0] |= {"ended_at": ended, "end_reason": "cancelled"}
    payload = client.post("/v1/predictions", json=body).json()
    Prediction.model_validate(payload)
    for target in TARGETS:
        answer = payload[target]
        assert answer["status"] == "out_of_scope"
        assert {answer[name] for name in ("probability", "interval", "risk_score", "band", "percentile")} == {None}
        assert all(each["probability"] is None for each in answer["by_horizon"])
    assert (payload["health"]["score"], payload["health"]["band"]) == (None, "insufficient_data")
    assert (payload["reasons"], payload["plays"], payload["alerts"], payload["early_warnings"]) == ([], [], [], [])
    assert {"code": "not_active", "table": "subscriptions"} in payload["warnings"]
    flat = client.post("/v1/predictions", params={"view": "flat"}, json=body).json()
    assert (flat["churn_status"], flat["churn_probability"]) == ("out_of_scope", None)
    (item,) = client.post("/v1/predictions:batch", json={"items": [body]}).json()["results"]
    assert (item["status"], item["prediction"]["churn"]["status"]) == (200, "out_of_scope")


def test_executives_act_as_in_the_published_portfolio_and_never_without_one(
    client: TestClient, own_home: Home, body_of: Body
) -> None:
    """An account in a request cannot be ranked. Its plays agree with the published ones, or a warning says what is unknown."""
    listed = client.get("/v1/worklist", params={"capacity": 1000}).json()["accounts"]
    theirs = [item["account_id"] for item in listed if item["play"]["who"] == "executives"]
    others = [item["account_id"] for item in listed if item["play"]["who"] != "executives"]
    assert theirs
    chosen = [*theirs, *others[:3]]
    published = {each: client.post("/v1/predictions", json={"account_id": each}).json() for each in chosen}
    fresh = {each: client.post("/v1/predictions", json=body_of(each)).json() for each in published}
    for account, payload in fresh.items():
        assert [p["who"] for p in payload["plays"]] == [p["who"] for p in published[account]["plays"]], account
    for file in own_home.snapshots.glob("*.parquet"):
        file.unlink()
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as alone:
        for account in fresh:
            payload = alone.post("/v1/predictions", json=body_of(account)).json()
            assert all(p["who"] != "executives" for p in payload["plays"])
            named = payload["segment"] in (None, "enterprise", "mid-market")
            exceeds_capacity = named and any(p["who"] == "csm" and p["severity"] == "high" for p in payload["plays"])
            assert ({"code": "executives_room_not_known"} in payload["warnings"]) == exceeds_capacity


def test_fields_outside_the_contract_distinguish_events() -> None:
    failed = {"occurred_at": "2026-06-10", "kind": "payment_failed", "amount": 100.0}
    bodies = {
        "accounts": [{"created_at": "2025-01-01"}],
        "subscriptions": [{"started_at": "2025-01-01", "arr": 10.0}] * 2,
        "billing": [failed | {"invoice_id": f"i{i}"} for i in (1, 2, 3, 3)],
    }
    rows = {name: [ROW_MODELS[name].model_validate(row) for row in some] for name, some in bodies.items()}
    source = from_tables({name: _arrow(name, some, "a") for name, some in rows.items()}, "a test")
    assert read_signals(source).rows == {"accounts": 1, "subscriptions": 2, "billing": 3}


def test_rows_of_an_extra_table_become_events(declare: Any) -> None:
    declare("[[tables]]\nname = 'own_posts'\ntime = 'posted_at'\nidentity = 'post_id'\ncolumns = { votes = 'int' }")
    models = row_models(current_tables())
    post: dict[str, Any] = {"posted_at": "2026-06-10", "votes": 1}
    versions = [post | {"post_id": "p"}, post | {"post_id": "p", "votes": 2, "loaded_at": "2026-06-12"}]
    bodies = {
        "accounts": [{"created_at": "2025-01-01"}],
        "subscriptions": [{"started_at": "2025-01-01", "arr": 10.0}],
        "own_posts": [post, post, post | {"url": "x"}, *versions],
    }
    rows = {name: [models[name].model_validate(row) for row in some] for name, some in bodies.items()}
    source = from_tables({name: _arrow(name, some, "a") for name, some in rows.items()}, "a test")
    signals = read_signals(source)
    # Equal rows are one event, a field outside the declaration distinguishes events, and rows of one id are versions.
    assert signals.rows["own_posts"] == 4
    assert signals.versioned == {"own_posts"}
    without = from_tables({name: _arrow(name, some[:3], "a") for name, some in rows.items()}, "a test")
    assert "post_id" not in without.tables["own_posts"].columns
