"""Sidecars of snapshots round-trip, or are refused with their name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.errors import HomeError
from models.home import Home
from serving.snapshots import sidecars
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar, sidecar_path, write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles

AT = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def snapshots(tmp_path: Path) -> SnapshotFiles:
    return SnapshotFiles(Home(tmp_path / "home"))


def test_a_sidecar_round_trips(snapshots: SnapshotFiles) -> None:
    assert read_sidecar(snapshots, AT, "measures") is None
    document = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}
    path = write_sidecar(snapshots, AT, "measures", document)
    assert read_sidecar(snapshots, AT, "measures") == document
    first = path.read_bytes()
    write_sidecar(snapshots, AT, "measures", {"other": 1})
    assert read_sidecar(snapshots, AT, "measures") == {"other": 1}, "a new file is read again"
    write_sidecar(snapshots, AT, "measures", document)
    assert path.read_bytes() == first
    assert read_sidecar(snapshots, AT, "accounts") is None
    assert snapshots.dates() == [], "a companion is no snapshot"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-20],
        lambda text: "[]",
        lambda text: text.replace("2026-07-01", "2026-07-02"),
        lambda text: text.replace('"measures"', '"accounts"'),
        lambda text: text.replace('"format":1', '"format":2'),
        lambda text: text.replace('"format":1', '"format":1,"more":1'),
    ],
)
def test_a_broken_sidecar_is_refused(snapshots: SnapshotFiles, spoil: Any) -> None:
    path = write_sidecar(snapshots, AT, "measures", {"secret": "value"})
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(HomeError, match="cannot be used") as caught:
        read_sidecar(snapshots, AT, "measures")
    assert "value" not in str(caught.value)


def test_size_names_and_numbers_are_checked(snapshots: SnapshotFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("../evil", "", "A", "a" * 60, "a.b"):
        with pytest.raises(ValueError, match="name"):
            write_sidecar(snapshots, AT, name, {})
    with pytest.raises(ValueError, match="Out of range"):
        write_sidecar(snapshots, AT, "measures", {"x": float("nan")})
    write_sidecar(snapshots, AT, "measures", {"x": "y" * 200})
    monkeypatch.setattr(sidecars, "SIZE_LIMIT", 100)
    with pytest.raises(HomeError, match="larger than 100"):
        write_sidecar(snapshots, AT, "accounts", {"x": "y" * 200})
    sidecars._read.cache_clear()
    with pytest.raises(HomeError, match="larger than 100"):
        read_sidecar(snapshots, AT, "measures")
    assert not sidecar_path(snapshots, AT, "accounts").exists()


def test_a_scoring_stores_the_facts_of_every_account(scored_home: Any) -> None:
    result = read_sidecar(SnapshotFiles(scored_home.home), AT, ACCOUNTS)
    assert result is not None
    assert result["contractual"] is True
    assert sorted(result["accounts"]) == [f"a{i:02d}" for i in range(39)]
    one = result["accounts"]["a00"]
    assert (one["since"], one["renewal_at"], one["seats"], one["csm"]) == ("2024-01-01", "2027-01-01", 20.0, None)
