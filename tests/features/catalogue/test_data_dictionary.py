"""The documents, the catalogue and a snapshot hold together."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import renewcast
from features.catalogue.catalogue import CATALOGUE
from features.catalogue.data_dictionary import markdown
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "reference" / "generated" / "features.md"


def _told(*arguments: str) -> str:
    done = CliRunner().invoke(renewcast.app, ["features", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_document_is_what_the_command_prints() -> None:
    """Where this fails: `make docs-reference`."""
    assert DOCUMENT.read_text(encoding="utf-8") == markdown(CATALOGUE) == _told("--markdown")


def test_the_document_the_catalogue_and_a_snapshot_name_the_same_features(make_signals: Any) -> None:
    signals = make_signals(
        {
            "accounts": [{"account_id": "a", "created_at": "2024-01-01"}],
            "subscriptions": [{"account_id": "a", "started_at": "2024-01-01", "arr": 1.0}],
        },
        "2026-07-01",
    )
    columns = snapshot(signals, Grid.single(datetime(2026, 6, 1, tzinfo=UTC))).columns.tolist()
    documented = re.findall(r"^\| `([a-z0-9_.]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert columns == ["account_id", "as_of", *CATALOGUE]
    assert sorted(documented) == sorted(CATALOGUE)


def test_json_holds_one_record_per_feature() -> None:
    told = json.loads(_told("--json"))
    assert told["version"] == CATALOGUE.version
    assert told["windows"] == list(CATALOGUE.windows)
    assert [record["name"] for record in told["features"]] == list(CATALOGUE)
    assert told["features"] == json.loads(json.dumps(CATALOGUE.dictionary()))


def test_the_list_for_people_shows_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    told = _told()
    assert all(name in told for name in CATALOGUE)
    assert f"{len(CATALOGUE)} features" in told
