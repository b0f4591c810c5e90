"""Any JSON leads to a result or a 4xx problem, never to a failure of the service."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.contract.schema import TABLES
from serving.schemas.predictions import Problem

NAMES = ["account_id", "as_of", "signals", "history_from", *TABLES, "occurred_at", "started_at", "arr", "kind", "value"]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["2026-07-01", "2026-02-30", "nps", "a05", "=1+1", "\x00", "inf", "1e999"]),
)  # fmt: skip
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner, max_size=6),
    max_leaves=25,
)
_quiet = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


def _held(client: TestClient, body: Any) -> None:
    answer = client.post("/v1/predictions", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 404, 422), answer.text
    if answer.status_code != 200:
        Problem.model_validate(answer.json())


@settings(max_examples=60, **_quiet)
@given(documents)
def test_any_document(client: TestClient, body: Any) -> None:
    _held(client, body)


@settings(max_examples=60, **_quiet)
@given(st.dictionaries(st.sampled_from(NAMES[:4]), documents, min_size=1))
def test_any_content_with_valid_names(client: TestClient, body: Any) -> None:
    _held(client, {"account_id": "a05"} | body)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1e308, 5e-324, 9.3e14])
TEXTS = st.text(max_size=8) | st.sampled_from(["\x00", "'; drop table", "competitor", "é" * 100])
INSTANTS = st.datetimes().map(lambda at: at.isoformat()) | st.sampled_from(["1900-01-01", "2026-06-30T23:59:59.999999Z"])


# The bodies are worked through in earnest, half a second each, so they are few and are not shrunk.
@settings(max_examples=6, phases=(Phase.explicit, Phase.reuse, Phase.generate), **_quiet)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.data()), min_size=1, max_size=3))
def test_rows_of_the_right_types_with_strange_values(
    client: TestClient, body_of: Callable[[str], dict[str, Any]], changes: list[tuple[int, Any]]
) -> None:
    body = copy.deepcopy(body_of("a05"))
    kinds = {"string": TEXTS, "instant": INSTANTS, "float": NUMBERS, "int": st.integers(0, 2**53), "bool": st.booleans()}
    for place, data in changes:
        table = list(body["signals"])[place % len(body["signals"])]
        columns = [c for c in TABLES[table].columns if c.name != "account_id"]
        column = columns[place % len(columns)]
        values = st.sampled_from(column.values) if column.values else kinds[column.kind]
        body["signals"][table][place % len(body["signals"][table])][column.name] = data.draw(values)
    _held(client, body)


SOME = {"string": "EUR", "instant": "2026-06-01", "float": 1.0, "int": 1, "bool": True}
VALUES = [(name, c.name, value) for name, table in TABLES.items() for c in table.columns for value in c.values or ()]


@pytest.mark.parametrize("rows", ["all rows", "one row"])
@pytest.mark.parametrize(("table", "column", "value"), VALUES)
def test_every_value_of_the_contract_is_answered(
    client: TestClient, body_of: Callable[[str], dict[str, Any]], table: str, column: str, value: str, rows: str
) -> None:
    body = copy.deepcopy(body_of("a05"))
    columns = [c for c in TABLES[table].columns if c.required and c.name != "account_id"]
    required = {c.name: c.values[0] if c.values else SOME[c.kind] for c in columns}
    changed = body["signals"].setdefault(table, [required])
    for row in changed if rows == "all rows" else changed[:1]:
        row |= {column: value} | ({"value": 5.0} if column == "kind" and table == "outcomes" else {})
    answer = client.post("/v1/predictions", json=body)
    assert answer.status_code == 200, answer.text


@settings(max_examples=60, **_quiet)
@given(st.text(min_size=1, max_size=30), st.text(max_size=30) | st.sampled_from(["2026-07-01T00:00:00-23:59", "9999-12-31"]))
def test_any_address(client: TestClient, account: str, as_of: str) -> None:
    answer = client.get(f"/v1/accounts/{quote(account, safe='')}/prediction", params={"as_of": as_of})
    assert answer.status_code in (404, 422)
    Problem.model_validate(answer.json())
