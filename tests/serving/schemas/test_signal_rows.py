"""The rows of a body are those of the data contract."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from features.contract.schema import TABLES
from serving.schemas.signal_rows import ROW_MODELS


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
