"""`renewcast check` through the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

CLOSING = "1 active account, ARR 1, renewal dates unknown"


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
    assert result.stdout.rstrip().splitlines()[-1] == CLOSING
    assert "what was read" not in result.stdout
    assert "SECRET" not in result.stdout + result.stderr


def test_full_lists_files_columns_and_accounts(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    text = " ".join(renewcast("check", tiny, "--full", home=tmp_path / "home").stdout.split())
    assert "usage usage.parquet: account_id, occurred_at, user_id, minutes" in text
    assert "usage 1 of 1 account; in the last 90 days 1 of 1 active ones" in text
    assert "SECRET" not in text


def test_html_is_one_file_without_scripts_or_foreign_addresses(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    result = renewcast("check", tiny, "--html", file, home=tmp_path / "home")
    assert str(file) in "".join(result.stdout.split())
    page = file.read_text(encoding="utf-8")
    assert CLOSING in page
    assert "usage.minutes rose 60-fold in the week of 2025-04-07" in page
    # One picture per feed; a single account for half a year has a history of accounts and ARR.
    assert re.findall(r'aria-label="([^"]*) by week, from 1 on', page) == ["Active accounts", "ARR"]
    assert len(re.findall(r'aria-label="Rows per week of (\w+)', page)) == 2
    assert "<script" not in page
    addresses = set(re.findall(r"[a-z]+://[^\s\"')<]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert len(page) < 200_000
    assert "SECRET" not in page


def test_html_of_a_broken_contract_lists_the_errors(renewcast: Any, tiny: Path, tmp_path: Path, to_arrow: Any) -> None:
    pq.write_table(
        to_arrow("usage", [{"account_id": "unknown", "occurred_at": "2025-01-02", "minutes": -1.0}]),
        tiny / "usage.parquet",
    )
    file = tmp_path / "report.html"
    renewcast("check", tiny, "--html", file, home=tmp_path / "home", expect=2)
    page = file.read_text(encoding="utf-8")
    assert "usage.minutes: a value below 0 in 1 row" in page
    assert "Do you recognize" not in page


def test_a_file_that_cannot_be_written_is_one_message(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    result = renewcast("check", tiny, "--html", tmp_path / "a file" / "report.html", home=tmp_path / "home", expect=2)
    assert "report.html" in result.stderr
    assert result.stdout == ""


def test_json_contains_everything(renewcast: Any, tiny: Path, tmp_path: Path) -> None:
    payload = json.loads(renewcast("check", tiny, "--json", home=tmp_path / "home").stdout)
    assert payload["ok"] is True
    assert payload["rows"]["usage"] == 504
    assert {"errors", "findings", "notes", "origin", "sufficiency"} <= set(payload)
    assert payload["feeds"]["tables"]["usage"]["jumps"][0]["ratio"] == 60
    assert [h["days"] for h in payload["horizons"]] == [30, 60, 90, 180]
    assert payload["verdict"]["ready"] == []
    assert payload["portfolio"]["line"] == CLOSING
    assert payload["tables"][2]["place"] == "usage.parquet"
    assert "SECRET" not in json.dumps(payload)


def test_a_broken_contract_is_exit_code_2_with_the_same_keys(
    renewcast: Any, tiny: Path, tmp_path: Path, to_arrow: Any
) -> None:
    row = {"account_id": "unknown", "occurred_at": "2025-01-02", "minutes": -1.0}
    pq.write_table(to_arrow("usage", [row]), tiny / "usage.parquet")
    payload = json.loads(renewcast("check", tiny, "--json", home=tmp_path / "home", expect=2).stdout)
    assert payload["ok"] is False
    assert payload["horizons"] == []
    assert payload["feeds"]["tables"]["usage"]["rows"] == 1
    assert payload["verdict"]["summary"].startswith("not usable")
