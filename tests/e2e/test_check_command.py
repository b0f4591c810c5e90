"""`renewcast check` through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest


@pytest.fixture
def tiny(tmp_path: Path, to_arrow: Any) -> Path:
    """Return valid signals of one account whose minutes became seconds."""
    place = tmp_path / "tiny"
    place.mkdir()
    days = [f"2025-{month:02}-{day:02}" for month in range(1, 7) for day in range(1, 29)]
    minutes = [300.0 if day >= "2025-04-07" else 5.0 for day in days]
    tables = {
        "accounts": [{"account_id": "SECRET", "created_at": "2025-01-01"}],
        "subscriptions": [{"account_id": "SECRET", "started_at": "2025-01-01", "arr": 1.0}],
        "usage": [
            {"account_id": "SECRET", "occurred_at": day, "minutes": m, "user_id": f"SECRET{k}"}
            for day, m in zip(days, minutes, strict=True)
            for k in range(3)
        ],
    }
    for name, rows in tables.items():
        pq.write_table(to_arrow(name, rows), place / f"{name}.parquet")
    return place


def test_the_verdict_comes_last_and_no_value_is_printed(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    result = renewcast("check", tiny, home=tmp_path / "home")
    assert "usage.minutes rose 60-fold in the week of 2025-04-07" in " ".join(result.stdout.split())
    assert "not enough data to train" in result.stdout[result.stdout.index("verdict") :]
    assert "SECRET" not in result.stdout + result.stderr


def test_json_contains_everything(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    payload = json.loads(renewcast("check", tiny, "--json", home=tmp_path / "home").stdout)
    assert payload["ok"] is True
    assert payload["rows"]["usage"] == 504
    assert {"errors", "findings", "notes", "origin", "sufficiency"} <= set(payload)
    assert payload["feeds"]["tables"]["usage"]["jumps"][0]["ratio"] == 60
    assert [h["days"] for h in payload["horizons"]] == [30, 60, 90, 180]
    assert payload["verdict"]["ready"] == []
    assert "SECRET" not in json.dumps(payload)


def test_a_broken_contract_is_exit_code_2_with_the_same_keys(renewcast: Any, tiny: Path, tmp_path: Path, to_arrow: Any) -> None:
    row = {"account_id": "unknown", "occurred_at": "2025-01-02", "minutes": -1.0}
    pq.write_table(to_arrow("usage", [row]), tiny / "usage.parquet")
    payload = json.loads(renewcast("check", tiny, "--json", home=tmp_path / "home", expect=2).stdout)
    assert payload["ok"] is False
    assert payload["horizons"] == []
    assert payload["feeds"]["tables"]["usage"]["rows"] == 1
    assert payload["verdict"]["summary"].startswith("not usable")
