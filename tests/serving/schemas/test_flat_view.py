"""The flat view: the same answer as scalar fields, under names that a CRM takes, the same for every account."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.predictions.columns import flat_columns, flat_view
from models.predictions.schema import Prediction
from serving.schemas.flat_view import PREFIX_LIMIT, FlatPrediction

AT = "/v1/accounts/{}/prediction"
FLAT = {"view": "flat"}


@pytest.mark.parametrize("account", ["a05", "a22", "a38"])
def test_a_flat_answer_says_what_the_nested_one_says(client: TestClient, account: str) -> None:
    nested, result = (client.get(AT.format(account), params=view).json() for view in ({}, FLAT))
    FlatPrediction.model_validate(result)
    low, high = nested["churn"]["interval"] or [None, None]
    play, reasons = next(iter(nested["plays"]), {}), [reason["text"] for reason in nested["reasons"]]
    expected = {
        "account_id": account,
        "as_of": nested["as_of"],
        "prediction_id": nested["prediction_id"],
        "churn_status": nested["churn"]["status"],
        "churn_probability": nested["churn"]["probability"],
        "churn_interval_low": low,
        "churn_interval_high": high,
        "churn_risk_score": nested["churn"]["risk_score"],
        "churn_band": nested["churn"]["band"],
        "expansion_ready": nested["expansion"]["ready"],
        "health_score": nested["health"]["score"],
        "health_band": nested["health"]["band"],
        "health_rubric": nested["health"]["rubric"],
        "open_alerts": len(nested["alerts"]),
        "play_act": play.get("act"),
        "play_due": play.get("due"),
        "warning_codes": "; ".join(dict.fromkeys(each["code"] for each in nested["warnings"])) or None,
        "churn_model_version": nested["model"]["version"],
        "churn_explained_note": (nested["churn"]["explained"] or {}).get("note"),
        "expansion_explained_note": (nested["expansion"]["explained"] or {}).get("note"),
    } | {
        f"reason_{k + 1}_stability": nested["reasons"][k]["stability"] if k < len(reasons) else None for k in range(3)
    } | {f"reason_{k + 1}_text": reasons[k] if k < len(reasons) else None for k in range(3)}
    assert {name: result[name] for name in expected} == expected


def test_every_account_has_the_same_fields_and_every_field_is_a_scalar(client: TestClient, scored_home: Any) -> None:
    scored = client.app.state.live.current().latest  # type: ignore[attr-defined]
    result = [flat_view(scored.answer(account), Prediction) for account in scored.assessment.account_ids]
    assert {tuple(each) for each in result} == {tuple(field.name for field in flat_columns(Prediction))}
    kinds = {"text": str, "number": float, "whole": int, "truth": bool}
    for field in flat_columns(Prediction):
        assert {type(each[field.name]) for each in result} <= {kinds[field.kind], type(None)}, field.name


def test_the_prefix_stands_before_every_name(client: TestClient) -> None:
    payload = client.get(AT.format("a05"), params=FLAT).json()
    prefixed = client.get(AT.format("a05"), params=FLAT | {"prefix": "renewcast_"}).json()
    assert prefixed == {f"renewcast_{name}": value for name, value in payload.items()}


def test_the_names_are_taken_by_crms_with_the_longest_prefix_too() -> None:
    names = [field.name for field in flat_columns(Prediction)]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), "Salesforce takes neither __ nor a _ at the end"
        assert PREFIX_LIMIT + len(name) <= 40


@pytest.mark.parametrize("prefix", ["", "x", "renewcast_", "R2_d2_"])
def test_prefixes_that_are_taken(client: TestClient, prefix: str) -> None:
    assert client.get(AT.format("a05"), params=FLAT | {"prefix": prefix}).status_code == 200


@pytest.mark.parametrize("prefix", ["_x", "1x", "a__b", "a__", "a b", "ä", "x\n", "a-b", "x" * 17])
def test_prefixes_that_are_not(client: TestClient, prefix: str) -> None:
    answer = client.get(AT.format("a05"), params=FLAT | {"prefix": prefix})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/query/prefix"


def test_a_prefix_without_the_view_that_it_belongs_to_is_a_mistake(client: TestClient) -> None:
    answer = client.post("/v1/predictions?prefix=x_", json={"account_id": "a05"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "flat_missing"


def test_every_endpoint_offers_the_flat_view(client: TestClient, body_of: Any) -> None:
    by_get = client.get(AT.format("a05"), params=FLAT).json()
    assert client.post("/v1/predictions", params=FLAT, json={"account_id": "a05"}).json() == by_get
    items = {"items": [{"account_id": "a05"}]}
    assert client.post("/v1/predictions:batch", params=FLAT, json=items).json()["results"][0]["prediction"] == by_get
    fresh = client.post("/v1/predictions", params=FLAT, json=body_of("a05")).json()
    assert set(fresh) == set(by_get)
    assert fresh["churn_probability"] == pytest.approx(by_get["churn_probability"], abs=1e-9)
    assert fresh["churn_percentile"] is None


def test_the_fields_are_documented(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()["components"]["schemas"]["FlatPrediction"]
    assert list(schema["properties"]) == [field.name for field in flat_columns(Prediction)]
    assert all(schema["properties"][field.name]["description"] for field in flat_columns(Prediction))
