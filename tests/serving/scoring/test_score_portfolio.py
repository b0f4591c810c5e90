"""A scored file is the same for the same signals, in every format, and is never partly written."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from features.errors import BadRequest, BundleError, HomeError
from features.signals.signals import OpenSignals
from models.artifacts.champion import load_champion
from models.home import Home
from models.rules.history import WEEKS
from serving.scoring.score_portfolio import assess_portfolio, score
from serving.snapshots.snapshot_files import SnapshotFiles

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
COLUMNS = [
    "account_id", "name", "as_of",
    "churn_status", "churn_probability", "churn_low", "churn_high", "churn_risk_score", "churn_band", "churn_involuntary",
    "expansion_status", "expansion_probability", "expansion_low", "expansion_high", "expansion_risk_score",
    "expansion_band", "expansion_ready", "health_score", "health_band", "health_rubric",
    "health_meant_churn", "health_change_7d", "segment", "stage", "alerts_raised", "early_warnings", "watch",
    "play", "play_kind", "play_by", "play_due", "play_because", "onboarding_missed", "expansion_type",
    "expansion_withdrawn", "expansion_find_out", "expansion_points",
    *(name for k in range(1, 6) for name in (f"reason_{k}", f"reason_{k}_stability")), "churn_explained_note", "churn_model_version", "expansion_model_version",
]  # fmt: skip


def test_one_row_per_active_account_in_the_agreed_columns(scored_home: Any) -> None:
    lines = scored_home.summary.out.read_text(encoding="utf-8").splitlines()
    # Strictly JSON: the words NaN and Infinity are refused.
    rows = [json.loads(line, parse_constant=lambda word: pytest.fail(word)) for line in lines]
    assert all(list(row) == COLUMNS for row in rows)
    assert [row["account_id"] for row in rows] == [f"a{i:02d}" for i in range(39)], "sorted; a39 has left"
    assert {row["as_of"] for row in rows} == {"2026-07-01"}
    assert rows[-1]["churn_status"] == "insufficient_history"
    assert rows[-1]["churn_probability"] is None
    assert scored_home.summary.rows == 39
    assert dict(scored_home.summary.versions) == {"churn": "1", "expansion": "1"}
    assert "1 of 39 accounts has no probability of churn or expansion: less than 7 days as a customer" in scored_home.summary.notes
    assert not any("_" in note for note in scored_home.summary.notes), "sentences, not codes"


@pytest.fixture(scope="module")
def files(scored_home: Any, signals: OpenSignals, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same scoring in every format."""
    folder = tmp_path_factory.mktemp("files")
    result: list[float] = []
    others = [
        score(signals, scored_home.summary.as_of, folder / f"rows{suffix}", scored_home.home, lambda share, _: result.append(share)).out
        for suffix in (".csv", ".parquet")
    ]
    assert result == [*sorted(result[: len(result) // 2])] * 2, "progress only goes forward"
    assert (result[0], result[-1]) == (0.0, 1.0)
    return {path.suffix: path for path in [scored_home.summary.out, *others]}


def test_the_three_formats_read_back_equal(files: dict[str, Path]) -> None:
    expected = [json.loads(line) for line in files[".ndjson"].read_text(encoding="utf-8").splitlines()]
    assert pq.read_table(files[".parquet"]).to_pylist() == expected
    with files[".csv"].open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    for row, right in zip(read, expected, strict=True):
        for name, value in right.items():
            if value is None:
                assert row[name] == ""
            elif isinstance(value, bool):
                assert row[name] == ("true" if value else "false")
            elif isinstance(value, float):
                assert row[name] == repr(value)
            else:
                assert row[name] == str(value)


def test_shuffled_and_repeated_rows_give_identical_files(
    make_signals: Callable[..., OpenSignals], tables: Any, files: dict[str, Path], own_home: Home, tmp_path: Path, scored_home: Any
) -> None:
    rng = random.Random(3)
    # Two equal rows of subscriptions without an id of their own are two subscriptions.
    again = {name: [] if name == "subscriptions" else rng.sample(rows, len(rows) // 3) for name, rows in tables.items()}
    mixed = {name: rows + again[name] for name, rows in tables.items()}
    for rows in mixed.values():
        rng.shuffle(rows)
    source = make_signals(mixed, "2026-07-01")
    for suffix in (".csv", ".parquet"):
        summary = score(source, scored_home.summary.as_of, tmp_path / f"again{suffix}", own_home)
        assert summary.out.read_bytes() == files[suffix].read_bytes()
    assert summary.published.read_bytes() == scored_home.summary.published.read_bytes()


def test_later_signals_do_not_change_the_answers_of_an_earlier_date(
    make_signals: Callable[..., OpenSignals], tables: Any, own_home: Home, tmp_path: Path, scored_home: Any
) -> None:
    later = tables | {
        "usage": [*tables["usage"], {"account_id": "a01", "occurred_at": "2026-07-20", "user_id": "u1", "minutes": 900.0}]
    }
    summary = score(make_signals(later), scored_home.summary.as_of, tmp_path / "rows.ndjson", own_home)
    assert summary.out.read_bytes() == scored_home.summary.out.read_bytes()
    assert summary.published.read_bytes() == scored_home.summary.published.read_bytes()


def test_a_continuing_risk_has_its_first_date(signals: OpenSignals, scored_home: Any) -> None:
    """Its key is the same every week. The test follows one alert through the last weeks of the signals."""
    champion, keys = load_champion(scored_home.home), dict[str, list[str]]()
    for weeks in (2, 1, 0):
        assessment, _, _ = assess_portfolio(signals, AS_OF - timedelta(weeks=weeks), scored_home.home, champion)
        for account, alerts in zip(assessment.account_ids, assessment.rule_results.alerts, strict=True):
            keys.setdefault(account, []).extend(f"{a.key} {a.by}" for a in alerts if a.code == "churn_risk")
    oldest = AS_OF - timedelta(weeks=WEEKS)
    lasting = [result for result in keys.values() if len(result) == 3 and result[0].split()[0] > f"churn_risk:{oldest:%Y-%m-%d}"]
    assert lasting
    assert all(len(set(result)) == 1 for result in lasting)


def test_without_a_champion_only_the_health_score_is_known(
    signals: OpenSignals, tmp_path: Path, scored_home: Any
) -> None:
    home = Home(tmp_path / "new")
    summary = score(signals, scored_home.summary.as_of, tmp_path / "rows.ndjson", home)
    rows = [json.loads(line) for line in summary.out.read_text().splitlines()]
    assert {row["churn_status"] for row in rows} == {"no_model"}
    assert {row["churn_probability"] for row in rows} == {None}
    assert {row["health_rubric"] for row in rows} == {"five-dimensions"}
    assert "no champion yet" in summary.words()
    assert "churn without a model" in summary.words()
    assert SnapshotFiles(home).dates() == [scored_home.summary.as_of]


def test_stale_feeds_and_formula_like_ids_have_notes_and_are_unchanged(
    make_signals: Callable[..., OpenSignals], tables: Any, own_home: Home, tmp_path: Path, scored_home: Any
) -> None:
    ids = {"a01": "=1+1", "a02": "@sum"}
    renamed = {
        name: [row | {"account_id": ids.get(row["account_id"], row["account_id"])} for row in rows]
        for name, rows in tables.items()
    }
    renamed["outcomes"] = [row for row in renamed["outcomes"] if row["occurred_at"] < "2025"]
    summary = score(make_signals(renamed, "2026-07-01"), scored_home.summary.as_of, tmp_path / "rows.csv", own_home)
    assert any("formula: account_id (2)" in note for note in summary.notes)
    assert any("the newest outcomes row is 912 days old" in note for note in summary.notes)
    with summary.out.open(newline="") as file:
        assert set(ids.values()) < {row["account_id"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", ["rows.xls", "rows", "rows.CSV"])
def test_an_unsupported_format_is_rejected(signals: OpenSignals, own_home: Home, scored_home: Any, name: str) -> None:
    with pytest.raises(BadRequest, match=r"\.csv, \.parquet, \.ndjson, \.xlsx"):
        score(signals, scored_home.summary.as_of, own_home.root / name, own_home)
    assert not (own_home.root / name).exists()


def test_a_failure_leaves_no_files(signals: OpenSignals, own_home: Home, scored_home: Any, tmp_path: Path) -> None:
    shutil.rmtree(own_home.snapshots)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HomeError):
        score(signals, scored_home.summary.as_of, tmp_path / "file" / "rows.csv", own_home)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadRequest, match="is a folder"):
        score(signals, scored_home.summary.as_of, tmp_path / "folder.csv", own_home)
    with pytest.raises(BadRequest, match="no account is active"):
        score(signals, scored_home.summary.as_of.replace(year=2020), tmp_path / "rows.csv", own_home)
    (own_home.bundle_folder("churn", "1") / "model.txt").write_text("changed")
    with pytest.raises(BundleError, match=r"model\.txt was changed"):
        score(signals, scored_home.summary.as_of, tmp_path / "rows.csv", own_home)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.csv", "own"]
    assert SnapshotFiles(own_home).dates() == []

