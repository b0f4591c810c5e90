"""A published snapshot round-trips, or is refused with the reason."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.errors import HomeError, UnknownSnapshot
from models.home import Home
from serving.snapshots import snapshot_files, stored_tables
from serving.snapshots.snapshot_files import SnapshotFiles

JULY = datetime(2026, 7, 1, tzinfo=UTC)


def test_a_snapshot_round_trips(publish: Any, frame: pd.DataFrame, tmp_path: Any) -> None:
    home = Home(tmp_path)
    path = publish(home, frame, JULY)
    read = SnapshotFiles(home).at(JULY)
    pd.testing.assert_frame_equal(read.frame, frame, check_exact=True)
    assert read.metadata.model_dump() == {
        "as_of": JULY,
        "origin": "a test",
        "data_through": JULY,
        "horizon_days": 90,
        "catalogue_version": CATALOGUE.version,
        "feeds": {"support": None, "usage": JULY},
        "jumped": (),
        "records": {},
        "open_questions": (),
    }
    before = path.read_bytes()
    publish(home, frame, JULY)
    assert path.read_bytes() == before


def test_dates_are_listed_in_order_and_the_latest_is_the_last(publish: Any, frame: pd.DataFrame, tmp_path: Any) -> None:
    snapshots, few = SnapshotFiles(Home(tmp_path)), frame.head(2)
    assert snapshots.dates() == []
    with pytest.raises(UnknownSnapshot, match="no snapshot has been scored yet"):
        snapshots.latest()
    noon = datetime(2026, 7, 1, 12, 30, 5, tzinfo=UTC)
    for as_of in (noon, datetime(2025, 12, 31, tzinfo=UTC), JULY):
        publish(snapshots.home, few, as_of)
    for name in ("notes.txt", "2026-13-01.parquet", ".2026-08-01-0.unfinished.parquet", "2026-08-01.parquet.bak"):
        (snapshots.home.snapshots / name).write_text("not a snapshot")
    assert snapshots.dates() == [datetime(2025, 12, 31, tzinfo=UTC), JULY, noon]
    assert snapshots.latest().metadata.as_of == noon


def test_an_unknown_date_names_the_nearest(publish: Any, frame: pd.DataFrame, tmp_path: Any) -> None:
    snapshots = SnapshotFiles(Home(tmp_path))
    with pytest.raises(UnknownSnapshot, match="there is none yet"):
        snapshots.at(JULY)
    for day in range(1, 29, 7):
        publish(snapshots.home, frame.head(1), datetime(2026, 6, day, tzinfo=UTC))
    with pytest.raises(UnknownSnapshot, match="the nearest: 2026-06-08, 2026-06-15, 2026-06-22"):
        snapshots.at(datetime(2026, 6, 14, tzinfo=UTC))


def test_features_of_another_version_are_refused(publish: Any, frame: pd.DataFrame, tmp_path: Any) -> None:
    other = Catalogue(tuple(CATALOGUE.values())[:-1])
    publish(Home(tmp_path), frame, JULY, other)
    with pytest.raises(HomeError, match=rf"(?s){other.version}.*{CATALOGUE.version}.*score it again"):
        SnapshotFiles(Home(tmp_path)).at(JULY)


@pytest.mark.parametrize("harm", ["cut", "text", "empty", "facts", "columns", "date", "folder"])
def test_a_broken_file_is_named(publish: Any, frame: pd.DataFrame, tmp_path: Any, harm: str) -> None:
    path = publish(Home(tmp_path), frame.head(3), JULY)
    table = pq.read_table(path)
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif harm == "text":
        path.write_text("secret-value")
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "facts":
        pq.write_table(table.replace_schema_metadata({"renewcast": '{"as_of": "secret-value"}'}), path)
    elif harm == "columns":
        pq.write_table(table.drop_columns(["contract.arr"]), path)
    elif harm == "date":
        os.rename(path, path.with_name("2026-07-02.parquet"))
        path = path.with_name("2026-07-02.parquet")
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(HomeError, match=rf"{path.name} cannot be used") as caught:
        SnapshotFiles(Home(tmp_path)).latest()
    assert "secret-value" not in str(caught.value)


def test_too_large_files_are_not_read(
    publish: Any, frame: pd.DataFrame, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(Home(tmp_path), frame.head(3), JULY)
    for module, name, word in (
        (snapshot_files, "UNPACKED_LIMIT", "uncompressed bytes"),
        (stored_tables, "FILE_LIMIT", "is larger than"),
    ):
        monkeypatch.setattr(module, name, 10)
        with pytest.raises(HomeError, match=word):
            SnapshotFiles(Home(tmp_path)).at(JULY)


def test_a_failed_write_leaves_the_old_snapshot(
    publish: Any, frame: pd.DataFrame, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = publish(Home(tmp_path), frame.head(3), JULY)
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot_files.pq, "write_table", full)
    with pytest.raises(HomeError, match="No space left"):
        publish(Home(tmp_path), frame.head(2), JULY)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
