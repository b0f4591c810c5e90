"""The rows of a body are those of the data contract."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from features.contract.extra_tables import parse_extra_tables
from features.contract.schema import TABLES
from serving.schemas.signal_rows import ROW_MODELS, row_models, tables_model


def test_tables_and_columns_are_the_contracts() -> None:
    assert list(ROW_MODELS) == list(TABLES)
    for name, row in ROW_MODELS.items():
        assert tuple(row.model_fields) == TABLES[name].names
        required = {field for field, info in row.model_fields.items() if info.is_required()}
        assert required == set(TABLES[name].required) - {"account_id"}


def test_whole_numbers_may_be_written_with_a_point() -> None:
    row: Any = ROW_MODELS["accounts"].model_validate({"created_at": "2024-01-01", "employees": 5.0})
    assert row.employees == 5
    for wrong in (5.5, "5", True, 1e300, float("inf")):
        with pytest.raises(ValidationError):
            ROW_MODELS["accounts"].model_validate({"created_at": "2024-01-01", "employees": wrong})


@pytest.mark.parametrize("text", ["2024-02-29", "2024-02-29T00:00:00Z", "2024-02-29T01:00:00+01:00", "2024-02-29T00:00"])
def test_instants_are_read_as_utc(text: str) -> None:
    row: Any = ROW_MODELS["accounts"].model_validate({"created_at": text})
    assert row.created_at.isoformat() == "2024-02-29T00:00:00+00:00"


@pytest.mark.parametrize("wrong", ["", "2023-02-29", "now", "1e5", 5, None, "-infinity", "2200-01-01", "1899-12-31"])
def test_what_is_no_instant_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        ROW_MODELS["accounts"].model_validate({"created_at": wrong})


def test_rows_of_an_extra_table_are_validated_like_the_contracts() -> None:
    columns = {"votes": {"kind": "int", "min": 0}, "topic": {"kind": "string", "values": ["idea"]}, "open": "bool"}
    (posts,) = parse_extra_tables([{"name": "own_posts", "time": "posted_at", "columns": columns}], "mine.toml")
    model = tables_model(row_models(TABLES | {posts.name: posts}))
    accounts = {"accounts": [{"created_at": "2024-01-01"}]}
    row = {"posted_at": "2026-01-01", "votes": 3.0, "topic": "idea", "open": True, "event_id": "1", "loaded_at": "2026-01-02"}
    signals: Any = model.model_validate(accounts | {"own_posts": [row]})
    assert signals.own_posts[0].votes == 3
    for wrong in ({"votes": -1}, {"votes": "3"}, {"topic": "rant"}, {"posted_at": None}, {"topic": "x" * 2000}, {"open": 1}):
        with pytest.raises(ValidationError, match=r"own_posts\.0"):
            model.model_validate(accounts | {"own_posts": [row | wrong]})
    with pytest.raises(ValidationError, match="own_others"):
        model.model_validate(accounts | {"own_others": []})
    assert "own_posts" in model.model_json_schema()["properties"]
