"""Rows are described by their digest, counts and source, and never by their values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.registry.dataset_input import DatasetRows, dataset_of

# MLflow has two types for a local folder.
pytestmark = pytest.mark.filterwarnings("ignore:The specified dataset source can be interpreted")
ACCOUNTS, DATES = np.array(["secret-1", "secret-2"], dtype=object), ("2026-01-01", "2026-01-08")


def _rows(origin: str, label: float = 1.0, value: float = 7.25) -> DatasetRows:
    as_of = pd.Series(pd.to_datetime(DATES, utc=True))
    matrix = np.full((2, 3), value)
    columns = {"contract.arr": "number", "contract.plan": "category"}
    return DatasetRows.of("acme: churn", "training", origin, columns, ACCOUNTS, as_of, np.array([0.0, label]), matrix)


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ("postgresql://user@host/db?schema=s", {"tags": {"address": "postgresql://user@host/db?schema=s"}}),
        ("s3://bucket/prefix", {"uri": "s3://bucket/prefix"}),
    ],
)
def test_the_source_is_the_address(origin: str, source: dict[str, Any]) -> None:
    described = dataset_of(_rows(origin)).to_dict()
    assert json.loads(described["source"]) == source
    profile = {"num_rows": 2, "accounts": 2, "rows_with_outcome": 1, "first": "2026-01-01", "last": "2026-01-08"}
    assert json.loads(described["profile"]) == profile
    assert "secret" not in json.dumps(described)
    assert "7.25" not in json.dumps(described)


def test_a_folder_is_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "signals").mkdir()
    monkeypatch.chdir(tmp_path)
    assert json.loads(dataset_of(_rows("signals")).to_dict()["source"]) == {"uri": str(tmp_path / "signals")}


def test_the_digest_changes_with_labels_and_features() -> None:
    digests = {_rows("x").digest, _rows("x").digest, _rows("x", label=0.0).digest, _rows("x", value=7.5).digest}
    assert len(digests) == 3
