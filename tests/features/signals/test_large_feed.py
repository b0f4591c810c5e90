"""A feed read in place gives the same snapshots as a copied table, with and without stored state."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.aggregation import rollup
from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.errors import SignalsError
from features.signals.signals import read_signals
from features.snapshots import snapshot as snapshots
from features.snapshots.snapshot import snapshot
from features.sources.base import Source
from features.sources.open_source import open_source
from features.utils.dates import Grid

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
USAGE = Catalogue(tuple(f for f in CATALOGUE.values() if f.table in ("usage", "accounts") and f.name != "usage.seats_used_share"))
GRID = Grid(AS_OF - timedelta(days=21), 7, 4)
ACCOUNTS = [{"account_id": a, "created_at": "2025-01-01"} for a in "abc"]
SUBSCRIPTIONS = [{"account_id": a, "started_at": "2025-01-01", "arr": 100.0} for a in "abc"]


def _row(
    account: str,
    days_ago: float,
    user: int | None,
    feature: str | None,
    late: float | None,
    minutes: float | None,
    quantity: float | None = None,
) -> dict[str, Any]:
    at = AS_OF - timedelta(days=days_ago)
    return {
        "account_id": account,
        "occurred_at": at.isoformat(),
        "user_id": f"u{user}" if user else None,
        "feature": feature,
        "minutes": minutes,
        "quantity": quantity,
        "loaded_at": None if late is None else (at + timedelta(days=late)).isoformat(),
    }


_rows = st.lists(
    st.builds(
        _row,
        st.sampled_from("abc"),
        st.sampled_from([0.25, 1, 3.5, 7, 8, 13.9, 14, 20, 21, 27, 28, 35, 56, 90, 91, 98, 182, 300]),
        st.sampled_from([None, 1, 2, 3, 4]),
        st.sampled_from([None, "f", "g", "login"]),
        st.sampled_from([None, 0, 0.5, 6, 15, 40]),
        st.sampled_from([None, 1.5]),
        # Halves of the ten-thousandths in which sums are computed.
        st.sampled_from([None, 0.00005, -0.00025, 2.00015, -3.0]),
    ),
    min_size=1,
    max_size=30,
)
_quiet = settings(
    max_examples=4,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def write_files(tmp_path: Path, to_arrow: Any) -> Callable[..., Path]:
    """Return a function that writes a source with usage in several files."""

    def write(*files: list[dict[str, Any]], at: str = "source") -> Path:
        place = tmp_path / at
        shutil.rmtree(place, ignore_errors=True)
        (place / "usage").mkdir(parents=True)
        pq.write_table(to_arrow("accounts", ACCOUNTS), place / "accounts.parquet")
        pq.write_table(to_arrow("subscriptions", SUBSCRIPTIONS), place / "subscriptions.parquet")
        for i, rows in enumerate(files):
            blank = _row("a", 1, 1, "f", 0, 1.0)
            pq.write_table(to_arrow("usage", [*rows, blank]).slice(0, len(rows)), place / "usage" / f"{i}.parquet")
        return place

    return write


def _built(place: Path, *, copied: bool = False, rollup_folder: Path | None = None, grid: Grid = GRID) -> pd.DataFrame:
    signals = read_signals(open_source(place), AS_OF, copied_up_to=10**9 if copied else 0, rollup_folder=rollup_folder)
    assert ("usage" in signals.feeds) is not copied
    try:
        return snapshot(signals, grid, catalogue=USAGE, rollup_folder=rollup_folder)
    finally:
        signals.close()


@pytest.mark.slow
@_quiet
@given(_rows, st.randoms(use_true_random=False), st.integers(1, 40))
def test_reading_in_place_equals_copying(
    write_files: Any, monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]], rng: random.Random, at_once: int
) -> None:
    monkeypatch.setattr(rollup, "PART_ROWS", at_once)
    monkeypatch.setattr(snapshots, "PARALLEL_MIN_BUCKETS", at_once)
    monkeypatch.setattr(snapshots, "available_cpus", lambda: 2)
    again = [dict(r, loaded_at=rng.choice([r["loaded_at"], AS_OF.isoformat()])) for r in rng.sample(rows, len(rows) // 2)]
    place = write_files(rows, again) if again else write_files(rows)
    pd.testing.assert_frame_equal(_built(place), _built(place, copied=True), check_exact=True)


@pytest.mark.slow
@_quiet
@given(st.lists(_rows, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_stored_state_does_not_change_results(write_files: Any, tmp_path: Path, files: list[Any], rng: random.Random) -> None:
    rollup_folder = tmp_path / "rollup_folder"
    shutil.rmtree(rollup_folder, ignore_errors=True)
    # Rows of earlier files are repeated, with the same or another arrival.
    for i in range(1, len(files)):
        old = [row for file in files[:i] for row in file]
        files[i] = files[i] + [
            dict(r, loaded_at=rng.choice([r["loaded_at"], AS_OF.isoformat()])) for r in rng.sample(old, len(old) // 3)
        ]
    for i in range(1, len(files) + 1):
        place = write_files(*files[:i])
        pd.testing.assert_frame_equal(_built(place, rollup_folder=rollup_folder), _built(place, copied=True), check_exact=True)
    earlier = Grid(AS_OF - timedelta(days=35), 7, 2)
    pd.testing.assert_frame_equal(
        _built(place, rollup_folder=rollup_folder, grid=earlier), _built(place, copied=True, grid=earlier), check_exact=True
    )


FIRST = [_row("a", d, d % 3, "f", 0, 1.0) for d in range(8, 120)]
SECOND = [_row("b", 2, 1, "g", 0, 2.0), _row("a", 30, 2, "f", 28, 1.0)]


@pytest.mark.parametrize("bare", [0, 1])
def test_a_column_that_some_files_lack_is_unknown_there_only(write_files: Any, tmp_path: Path, bare: int) -> None:
    rollup_folder = tmp_path / "rollup_folder"
    whole = _built(write_files(FIRST, SECOND), copied=True)
    for files in ([FIRST], [FIRST, SECOND]):
        place = write_files(*files)
        file = place / "usage" / f"{bare}.parquet"
        if file.exists():
            pq.write_table(pq.read_table(file).drop_columns(["minutes", "feature"]), file)
        result = _built(place, rollup_folder=rollup_folder)
    pd.testing.assert_frame_equal(result, _built(place, copied=True), check_exact=True)
    result, whole = result.set_index(["account_id", "as_of"]), whole.set_index(["account_id", "as_of"])
    pd.testing.assert_series_equal(result["usage.events_28d"], whole["usage.events_28d"])
    minutes = result.loc[("b", pd.Timestamp(AS_OF)), "usage.minutes_7d"]
    assert minutes == 2.0 if bare == 0 else pd.isna(minutes) or minutes == 0.0


def test_only_new_files_are_read(write_files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rollup_folder, read = tmp_path / "rollup_folder", []
    of_files = rollup.Feed.of_files
    monkeypatch.setattr(rollup.Feed, "of_files", lambda self, files, end: (read.append([f.name for f in files]), of_files(self, files, end))[1])
    _built(write_files(FIRST), rollup_folder=rollup_folder)
    _built(write_files(FIRST), rollup_folder=rollup_folder)
    assert read == [["0.parquet"]]
    _built(write_files(FIRST, SECOND), rollup_folder=rollup_folder)
    assert read[1] == ["1.parquet"]


def test_only_new_files_are_checked(write_files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rollup_folder, looked = tmp_path / "rollup_folder", []
    restricted_to = Source.restricted_to

    def recorded(self: Source, name: str, files: Any) -> Any:
        if name == "usage":
            looked.append(None if files is None else [file.name for file in files])
        return restricted_to(self, name, files)

    monkeypatch.setattr(Source, "restricted_to", recorded)
    _built(write_files(FIRST), rollup_folder=rollup_folder)
    _built(write_files(FIRST, SECOND), rollup_folder=rollup_folder)
    _built(write_files(FIRST, SECOND), rollup_folder=rollup_folder)
    assert looked == [["0.parquet"], ["1.parquet"], []]


def test_violations_in_a_new_file_have_positions_in_the_whole_source(write_files: Any, tmp_path: Path) -> None:
    rollup_folder = tmp_path / "rollup_folder"
    _built(write_files(FIRST), rollup_folder=rollup_folder)
    broken = [_row("a", 3, 1, "f", 0, -1.0), _row("z", 3, 1, "f", 0, 1.0)]
    with pytest.raises(SignalsError, match=rf"(?s)minutes.*row {len(FIRST) + 1}\).*account_id.*row {len(FIRST) + 2}\)"):
        _built(write_files(FIRST, broken), rollup_folder=rollup_folder)
    with pytest.raises(SignalsError, match="minutes"):
        _built(write_files(FIRST, broken), rollup_folder=rollup_folder)


def test_rows_after_the_cutoff_are_not_recorded_as_valid(write_files: Any, tmp_path: Path) -> None:
    rollup_folder = tmp_path / "rollup_folder"
    later = [_row("a", -3, 1, "f", 0, -1.0), _row("a", 3, 1, "f", 0, 1.0)]
    place = write_files(FIRST, later)
    _built(place, rollup_folder=rollup_folder)
    with pytest.raises(SignalsError, match="minutes"):
        read_signals(open_source(place), AS_OF + timedelta(days=7), copied_up_to=0, rollup_folder=rollup_folder)


@pytest.mark.parametrize("change", ["a file is gone", "a file was changed", "the state is broken", "a piece is missing"])
def test_damaged_or_outdated_state_is_rebuilt(write_files: Any, tmp_path: Path, change: str) -> None:
    rollup_folder = tmp_path / "rollup_folder"
    _built(write_files(FIRST, SECOND), rollup_folder=rollup_folder)
    if change == "a file is gone":
        place = write_files(FIRST)
    elif change == "a file was changed":
        place = write_files(FIRST[:50], SECOND)
    else:
        place = write_files(FIRST, SECOND)
        victim = next(rollup_folder.rglob("state.json" if change == "the state is broken" else "*-1.arrow"))
        if change == "the state is broken":
            victim.write_text("{")
        else:
            victim.unlink()
    pd.testing.assert_frame_equal(_built(place, rollup_folder=rollup_folder), _built(place, copied=True), check_exact=True)


@pytest.mark.parametrize("name", ["files.json", "state.json", "sound.json", "crowd.json"])
def test_records_with_other_content_are_written_again(write_files: Any, tmp_path: Path, name: str) -> None:
    rollup_folder, place = tmp_path / "rollup_folder", write_files(FIRST, SECOND)
    result = _built(place, rollup_folder=rollup_folder)
    for content in (b"[1]", b'[["a", 1]]', b'{"a": 1}', b"null", b"\xff"):
        records = list(rollup_folder.rglob(name)) or [rollup_folder / "usage" / name]
        for record in records:
            record.write_bytes(content)
        pd.testing.assert_frame_equal(_built(place, rollup_folder=rollup_folder), result, check_exact=True)
        # The last is written only if a measure has many keys.
        assert name == "crowd.json" or all(record.read_bytes().startswith(b'{"') and record.read_bytes() != content for record in records)


def test_too_many_keys_for_bitsets_become_rows(write_files: Any, tmp_path: Path) -> None:
    rollup_folder = tmp_path / "rollup_folder"
    many = [_row("a", 10, 1, f"f{i}", 0, 1.0) for i in range(70)]
    _built(write_files(FIRST), rollup_folder=rollup_folder)
    place = write_files(FIRST, many)
    frame = _built(place, rollup_folder=rollup_folder)
    assert frame["usage.features_used_28d"].max() == 71
    pd.testing.assert_frame_equal(frame, _built(place, copied=True), check_exact=True)


def test_a_file_without_statistics_is_read(write_files: Any, tmp_path: Path) -> None:
    place = write_files(FIRST)
    table = pq.read_table(place / "usage" / "0.parquet")
    pq.write_table(table, place / "usage" / "0.parquet", write_statistics=False)
    pq.write_table(pa.concat_tables([table.slice(0, 3)]), place / "usage" / "1.parquet")
    rollup_folder = tmp_path / "rollup_folder"
    pd.testing.assert_frame_equal(_built(place, rollup_folder=rollup_folder), _built(place, copied=True), check_exact=True)
