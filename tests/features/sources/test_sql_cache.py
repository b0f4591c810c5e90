"""The SQL cache returns the same text as a new translation, and never another user's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import features
from features.aggregation.expressions import bucket_rows
from features.aggregation.passes import BucketPass
from features.contract.schema import TABLES
from features.definitions.aggregations import Count, Sum
from features.sources import sql_cache
from features.sources.sql_cache import SqlCache


def gathering(**more: object) -> BucketPass:
    return BucketPass("usage", "occurred_at", "known_at", 7, (Sum("usage", "quantity", value=_quantity), Count("usage", "rows", **more)))


def _quantity(rows: object) -> object:
    return rows.quantity  # type: ignore[attr-defined]


# Declared as a function of the package, because other functions are not used as keys.
_quantity.__module__ = "features.test"


def never() -> str:
    pytest.fail("generated again")


def written_cache(file: Path, text: str = "SELECT 1") -> Path:
    texts = SqlCache(file)
    assert texts.text(bucket_rows, (gathering(),), lambda: text) == text
    texts.write()
    return file


def test_another_process_reads_the_cache(tmp_path: Path) -> None:
    again = SqlCache(written_cache(tmp_path / "texts.json"))
    assert again.text(bucket_rows, (gathering(),), never) == "SELECT 1"


@pytest.mark.parametrize(
    "other",
    [gathering(ago=7), gathering(column="minutes"), BucketPass("usage", "occurred_at", "known_at", 1, ()), TABLES["usage"]],
)
def test_other_arguments_have_other_texts(tmp_path: Path, other: object) -> None:
    again = SqlCache(written_cache(tmp_path / "texts.json"))
    assert again.text(bucket_rows, (other,), lambda: "SELECT 2") == "SELECT 2"


def test_closures_are_distinguished_by_their_cell_contents(tmp_path: Path) -> None:
    def column(name: str) -> object:
        def pick(rows: object) -> object:
            return rows[name]  # type: ignore[index]

        pick.__module__ = "features.test"
        return pick

    texts = SqlCache(tmp_path / "texts.json")
    assert texts.text(bucket_rows, (gathering(where=column("a")),), lambda: "a") == "a"
    assert texts.text(bucket_rows, (gathering(where=column("b")),), lambda: "b") == "b"
    assert texts.text(bucket_rows, (gathering(where=column("a")),), never) == "a"


def test_arguments_without_a_key_are_not_cached(tmp_path: Path) -> None:
    texts = SqlCache(tmp_path / "texts.json")
    for text in ("one", "two"):
        assert texts.text(bucket_rows, (gathering(where=object()),), lambda text=text: text) == text


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"stamp": 1}', '{"stamp": "of other code", "texts": {}}'])
def test_outdated_or_damaged_files_are_discarded(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "texts.json"
    file.write_text(broken)
    written_cache(file, "SELECT 2")
    assert list(json.loads(file.read_text())["texts"].values()) == ["SELECT 2"]


def test_a_file_that_others_can_write_is_ignored(tmp_path: Path) -> None:
    file = written_cache(tmp_path / "texts.json")
    assert file.stat().st_mode & 0o077 == 0
    file.chmod(0o666)
    assert SqlCache(file).text(bucket_rows, (gathering(),), lambda: "SELECT 2") == "SELECT 2"


def test_nothing_is_written_without_a_home(tmp_path: Path) -> None:
    written_cache(tmp_path / "none" / "texts.json")
    assert not (tmp_path / "none").exists()


def test_a_process_uses_the_cache_that_it_enables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written_cache(tmp_path / "texts.json", "SELECT 3")
    monkeypatch.setattr(sql_cache, "_cache", None)
    monkeypatch.setattr(sql_cache.atexit, "register", lambda write: None)
    assert sql_cache.cached_sql(bucket_rows, (gathering(),), lambda: "SELECT 4") == "SELECT 4"
    sql_cache.enable_sql_cache(file)
    assert sql_cache.cached_sql(bucket_rows, (gathering(),), never) == "SELECT 3"


@pytest.mark.parametrize("changed", ["errors.py", "families/usage.py", "aggregation/expressions.py", "sources/sql_cache.py"])
def test_a_change_anywhere_in_the_package_changes_the_stamp(tmp_path: Path, changed: str) -> None:
    package = tmp_path / "features"
    shutil.copytree(Path(features.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))

    def stamp() -> str:
        code = "from features.sources import sql_cache; print(sql_cache.__file__, sql_cache._stamp())"
        file, value = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True, env={"PYTHONPATH": str(tmp_path)}).split()
        assert Path(file).is_relative_to(tmp_path)
        return value

    before = stamp()
    with (package / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert stamp() != before
