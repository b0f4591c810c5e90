"""The generated page, the catalogue and a snapshot list the same features."""

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


def _output(*arguments: str) -> str:
    result = CliRunner().invoke(renewcast.app, ["features", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_page_equals_the_output_of_the_command() -> None:
    """If this fails, run `make docs-reference`."""
    assert DOCUMENT.read_text(encoding="utf-8") == markdown(CATALOGUE) == _output("--markdown")


def test_the_page_the_catalogue_and_a_snapshot_list_the_same_features(make_signals: Any) -> None:
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


def test_json_has_one_record_per_feature() -> None:
    output = json.loads(_output("--json"))
    assert output["version"] == CATALOGUE.version
    assert output["windows"] == list(CATALOGUE.windows)
    assert [record["name"] for record in output["features"]] == list(CATALOGUE)
    assert output["features"] == json.loads(json.dumps(CATALOGUE.dictionary()))


def test_the_terminal_output_shows_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    output = _output()
    assert all(name in output for name in CATALOGUE)
    assert f"{len(CATALOGUE)} features" in output
