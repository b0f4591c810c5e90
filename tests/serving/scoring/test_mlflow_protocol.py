"""MLflow's scoring protocol: the same probabilities as the bundle's scorer, also through MLflow's client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import uvicorn
from fastapi.testclient import TestClient

from models.artifacts.champion import load_champion
from models.home import Home
from models.scorer.scorer import Scorer
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.scoring.mlflow_protocol import InvocationResponse, _encoded

MARKER = "Zq7-secret"
CHURN = "/invocations"


@pytest.fixture(scope="module")
def scorer(scored_home: Any) -> Scorer:
    return load_champion(scored_home.home).bundles["churn"].scorer


@pytest.fixture(scope="module")
def rows(frame: pd.DataFrame, scorer: Scorer) -> pd.DataFrame:
    """Rows of features, some unknown."""
    return frame[list(scorer.features)].reset_index(drop=True)


def plain(frame: pd.DataFrame) -> list[list[Any]]:
    return [[None if pd.isna(value) else value for value in row] for row in frame.astype(object).to_numpy().tolist()]


def bodies(frame: pd.DataFrame) -> dict[str, Any]:
    """The same rows in each of the formats."""
    data, names = plain(frame), list(frame.columns)
    records = [dict(zip(names, row, strict=True)) for row in data]
    return {
        "dataframe_split": {"columns": names, "data": data},
        "split with an index": {"dataframe_split": {"columns": names, "data": data, "index": list(range(len(data)))}},
        "dataframe_records": records,
        "without nulls": {"dataframe_records": [{k: v for k, v in row.items() if v is not None} for row in records]},
        "instances": records,
        "inputs": {name: [row[name] for row in records] for name in names},
        "inputs as records": {"inputs": records},
    }


def ask(client: TestClient, body: Any, path: str = CHURN, status: int = 200) -> dict[str, Any]:
    answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    payload: dict[str, Any] = answer.json()
    if status == 200:
        InvocationResponse.model_validate(payload)
    assert MARKER not in answer.text or "ignored_columns" in answer.text
    return payload


def same(result: dict[str, Any], scorer: Scorer, frame: pd.DataFrame) -> None:
    expected = scorer.predict(frame)
    for name in ("probability", "low", "high"):
        results = np.array([row[name] for row in result["predictions"]])
        assert np.abs(results - getattr(expected, name)).max() <= 1e-12


@pytest.mark.parametrize("how", ["dataframe_split", "split with an index", "dataframe_records", "without nulls", "instances", "inputs", "inputs as records"])
def test_every_format_gives_the_scorers_probabilities(client: TestClient, scorer: Scorer, rows: pd.DataFrame, how: str) -> None:
    body = bodies(rows)[how]
    result = ask(client, body if " " in how else {how: body})
    same(result, scorer, rows)
    assert result["model"] == {"name": "churn", "version": "1", "alias": "champion"}
    assert result["warnings"] == []


def test_columns_are_matched_by_name_and_not_by_position(client: TestClient, scorer: Scorer, rows: pd.DataFrame) -> None:
    turned = rows[rows.columns[::-1]]
    same(ask(client, {"dataframe_split": bodies(turned)["dataframe_split"]}), scorer, rows)


def test_predictions_equal_those_of_the_portfolio(client: TestClient, frame: pd.DataFrame, rows: pd.DataFrame) -> None:
    records = ask(client, {"dataframe_records": bodies(rows)["dataframe_records"]})["predictions"]
    for account, row in zip(frame["account_id"], records, strict=True):
        answer = client.get(f"/v1/accounts/{account}/prediction").json()["churn"]
        if answer["status"] == "scored":
            assert (row["probability"], [row["low"], row["high"]]) == (answer["probability"], answer["interval"])


def test_each_row_is_scored_independently(client: TestClient, rows: pd.DataFrame) -> None:
    records = bodies(rows)["dataframe_records"]
    many = ask(client, {"instances": records * 60})["predictions"]
    assert len(many) == 60 * len(records) > 2048
    alone = [ask(client, {"instances": [record]})["predictions"][0] for record in records[:3]]
    assert many[: len(records)] * 60 == many
    assert alone == many[:3]


@pytest.mark.parametrize("place", ["query", "params", "both"])
def test_the_target_is_chosen_in_the_query_or_in_params(client: TestClient, scored_home: Any, rows: pd.DataFrame, place: str) -> None:
    body = {"inputs": bodies(rows)["inputs"]}
    if place != "query":
        body["params"] = {"target": "expansion"}
    result = ask(client, body, CHURN if place == "params" else f"{CHURN}?target=expansion")
    assert result["model"]["name"] == "expansion"
    same(result, load_champion(scored_home.home).bundles["expansion"].scorer, rows)


def test_unknown_columns_missing_columns_and_unknown_categories_have_warnings(
    client: TestClient, scorer: Scorer, rows: pd.DataFrame
) -> None:
    few = rows.drop(columns=["usage.events_28d"]).assign(**{"contract.plan": "never seen"})
    sent = few.assign(**{"account_id": "a05", "as_of": "2026-07-01", "own.thing": 1.0, "x" * 100: 1.0})
    result = ask(client, {"dataframe_split": bodies(sent)["dataframe_split"]})
    same(result, scorer, few)
    assert result["warnings"] == [
        {"code": "ignored_columns", "columns": ["own.thing"], "count": 2},
        {"code": "features_missing", "features": [name for name in scorer.features if name not in few]},
        {"code": "unknown_category", "feature": "contract.plan", "rows": len(few)},
    ]


def test_nan_from_mlflows_client_is_unknown(client: TestClient, scorer: Scorer, rows: pd.DataFrame) -> None:
    some = rows.assign(**{"contract.arr": np.nan})
    split = {"columns": list(some.columns), "data": some.astype(object).to_numpy().tolist()}
    assert "NaN" in json.dumps(split)
    same(ask(client, {"dataframe_split": split}), scorer, some)


def test_no_rows_have_no_predictions(client: TestClient) -> None:
    for body in ({"instances": []}, {"inputs": {}}, {"dataframe_split": {"columns": ["usage.events_28d"], "data": []}}):
        assert ask(client, body)["predictions"] == []


USE = "usage.events_28d"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "", "one_format"),
        ({"instances": [{USE: 1}], "inputs": {USE: [1]}}, "", "one_format"),
        ({"params": {"target": "churn"}}, "", "one_format"),
        ({"instances": [{USE: 1}], MARKER: 1}, "", "unknown_field"),
        ({"instances": [[1.0]]}, "/instances/0", "dict_type"),
        ({"instances": [{MARKER: 1}]}, "/instances", "no_feature"),
        ({"instances": [{USE: MARKER}]}, "/instances", "not_a_number"),
        ({"instances": [{USE: 10**400}]}, "/instances/0", "float_type"),
        ({"instances": [{USE: [1]}]}, "/instances/0", "float_type"),
        ({"inputs": {USE: [1], "contract.arr": [1, 2]}}, "/inputs", "wrong_length"),
        ({"dataframe_split": {"columns": [USE], "data": [[1], [1, 2]]}}, "/dataframe_split/data/1", "wrong_length"),
        ({"dataframe_split": {"columns": [USE, USE], "data": [[1, 2]]}}, "/dataframe_split/columns", "repeated"),
        ({"dataframe_split": {"data": [[1]]}}, "/dataframe_split/columns", "missing"),
        ({"dataframe_records": {USE: 1}}, "/dataframe_records", "list_type"),
        ({"instances": [{USE: 1}], "params": {"target": MARKER}}, "/params/target", "literal_error"),
    ],
)  # fmt: skip
def test_an_item_that_cannot_be_scored_is_reported_at_its_position(client: TestClient, body: Any, pointer: str, code: str) -> None:
    result = ask(client, body, status=422)
    assert (pointer, code) in [(fault["pointer"], fault["code"]) for fault in result["errors"]]


def test_two_targets_in_one_call_are_a_mistake(client: TestClient) -> None:
    body = {"instances": [{USE: 1}], "params": {"target": "expansion"}}
    result = ask(client, body, f"{CHURN}?target=churn", 422)
    assert result["errors"][0]["pointer"] == "/params/target"


def test_rows_without_most_inputs_of_the_model_are_rejected(client: TestClient, rows: pd.DataFrame) -> None:
    result = ask(client, {"instances": [{USE: 1}]}, status=422)
    assert result["errors"][0]["code"] == "inputs_unknown"
    assert "of the model's gain lies in features that are unknown in every row" in result["detail"]
    # One row that knows them is enough: the others are accounts of the same portfolio.
    complete_rows = rows.dropna().iloc[:1].to_dict("records")
    assert len(ask(client, {"instances": [{USE: 1}, *complete_rows]})["predictions"]) == 2


def test_the_number_of_rows_is_limited(scored_home: Any, rows: pd.DataFrame) -> None:
    complete_rows = rows.dropna().iloc[0].to_dict()
    with TestClient(create_app(scored_home.home, ServiceSettings(open_locally=True, body_limit_rows=2)), client=("127.0.0.1", 1)) as client:
        assert len(ask(client, {"instances": [complete_rows] * 2})["predictions"]) == 2
        result = ask(client, {"instances": [complete_rows] * 3}, status=422)
    assert result["errors"] == [{"pointer": "/instances", "code": "too_many_rows", "detail": "at most 2 rows"}]


def test_without_a_model_nothing_is_scored_and_ping_says_so(own_home: Home, champions: Any) -> None:
    champions.promote(own_home, "2", targets=("churn",))
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True, retry_seconds=0.05)), client=("127.0.0.1", 1)) as client:
        assert "for expansion" in ask(client, {"instances": [{USE: 1}]}, f"{CHURN}?target=expansion", 503)["detail"]
        assert client.get("/ping").status_code == 200
        own_home.champion_file.unlink()
        assert client.get("/ping").json()["code"] == "not_ready"
        assert client.get("/health").status_code == 503


@pytest.fixture(scope="module")
def port(scored_home: Any) -> Iterator[int]:
    """The service on a real port, as a separate application in a thread."""
    app = create_app(scored_home.home, ServiceSettings(open_locally=True))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(20)


@pytest.mark.filterwarnings("ignore::Warning")  # what MLflow's own modules warn of when they are loaded
def test_mlflows_own_client_gets_the_probabilities(port: int, scorer: Scorer, rows: pd.DataFrame, scored_home: Any) -> None:
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    client = ScoringServerClient("127.0.0.1", port)
    client.wait_server_ready(timeout=20)
    assert client.get_version()
    for target in ("churn", "expansion"):
        result = client.invoke(rows, params={"target": target}).get_predictions()
        expected = load_champion(scored_home.home).bundles[target].scorer.predict(rows)
        assert list(result.columns) == ["probability", "low", "high"]
        assert np.abs(result["probability"] - expected.probability).max() <= 1e-12
        assert np.abs(result["high"] - expected.high).max() <= 1e-12
    records = client.invoke(bodies(rows)["dataframe_records"]).get_predictions()
    assert np.abs(records["probability"] - scorer.predict(rows).probability).max() <= 1e-12
    with pytest.raises(Exception, match="422"):
        client.invoke(rows.rename(columns=lambda name: f"not {name}"))


def test_columns_are_encoded_like_a_data_frame(scorer: Scorer, rows: pd.DataFrame) -> None:
    some = rows.head(6).astype(object).where(rows.head(6).notna(), None)
    category = next(iter(scorer.categories))
    number = next(name for name in scorer.features if name not in scorer.categories)
    some[category] = [None, "never seen", float("nan"), *scorer.categories[category]][:3] * 2
    some[number] = [None, float("inf"), float("-inf"), float("nan"), True, 3.5]
    some = some.drop(columns=scorer.features[-1])
    expected = scorer.encode(some.astype({number: float}))
    encoded = _encoded(scorer, {name: some[name].tolist() for name in some.columns}, len(some), "/x")
    np.testing.assert_array_equal(encoded.matrix, expected.matrix)
    assert encoded.missing == expected.missing == (scorer.features[-1],)
    assert {name: rows.tolist() for name, rows in encoded.unseen.items()} == {
        name: rows.tolist() for name, rows in expected.unseen.items()
    }
