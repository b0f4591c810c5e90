"""Ids that cannot be part of a URL are refused in bodies, and every CSV warns about spreadsheet formulas."""

from __future__ import annotations

import copy
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from models.home import Home
from models.predictions.table_export import formula_note
from serving.app.app import create_app
from serving.cli.context import frame_writer
from serving.common.settings import ServiceSettings
from serving.scoring.score_portfolio import score

BAD = ("a\nb", "a\x1b[2J", "a\x85", "a\u2028", "a\n", "", "x" * 513)


@pytest.mark.parametrize("bad", BAD)
def test_bodies_with_an_unsafe_id_are_refused(client: TestClient, body_of: Any, bad: str) -> None:
    own = copy.deepcopy(body_of("a05"))
    own["signals"]["usage"][0]["account_id"] = bad
    requests = [
        ("/v1/predictions", {"account_id": bad}),
        ("/v1/predictions", {**body_of("a05"), "account_id": bad}),
        ("/v1/predictions", own),
        ("/v1/interventions", {"account_id": bad, "kind": "call", "occurred_at": "2026-07-01"}),
        ("/v1/outcomes", {"account_id": bad, "kind": "lost", "occurred_at": "2026-07-01"}),
    ]
    for path, body in requests:
        answer = client.post(path, json=body)
        assert answer.status_code == 422, path
        assert "account_id" in answer.text
        assert bad == "" or bad not in answer.text


def test_a_csv_over_http_warns_as_the_command_does(own_home: Home, make_signals: Any, tables: Any, tmp_path: Path) -> None:
    named = {name: [dict(row, account_id="=" + row["account_id"]) if row["account_id"] == "a05" else row for row in rows] for name, rows in tables.items()}
    summary = score(make_signals(named), datetime(2026, 7, 1, tzinfo=UTC), tmp_path / "x.csv", own_home)
    (warned,) = [note for note in summary.notes if "formula" in note]
    assert "account_id (1)" in warned
    settings = ServiceSettings(open_locally=True, retry_seconds=0.05)
    with TestClient(create_app(own_home, settings), client=("127.0.0.1", 1)) as client:
        for form, expected in (("csv", warned), ("ndjson", None)):
            place = client.post("/v1/jobs", json={"format": form}).headers["location"]
            for _ in range(400):
                payload = client.get(place).json()
                if payload["state"] in ("finished", "failed"):
                    break
                time.sleep(0.05)
            assert (payload["state"], payload["notes"]) == ("finished", expected)


def test_every_table_that_a_command_writes_warns(tmp_path: Path) -> None:
    frame = pd.DataFrame({"account_id": ["a", "=b", "+c"], "csm": ["@x", None, "y"], "n": [-1.0, 2.0, 3.0], "flag": [True, False, True]})
    note = formula_note(frame, ".csv")
    assert note is not None
    assert "account_id (2), csm (1)" in note
    assert formula_note(frame, ".parquet") is None
    assert formula_note(frame[["n", "flag"]], ".csv") is None
    assert note in frame_writer(frame)(tmp_path / "x.csv")
    assert "note" not in frame_writer(frame)(tmp_path / "x.ndjson")
