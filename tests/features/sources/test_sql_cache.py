"""SQL texts kept between processes: the same as made anew, and never someone else's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.aggregation.expressions import rolled_up
from features.aggregation.passes import Gathering
from features.contract.schema import TABLES
from features.definitions.aggregations import Count, Sum
from features.sources.sql_cache import KeptTexts


def gathering(**more: object) -> Gathering:
    return Gathering("usage", "occurred_at", "known_at", 7, (Sum("usage", "quantity", value=_quantity), Count("usage", "rows", **more)))


def _quantity(rows: object) -> object:
    return rows.quantity  # type: ignore[attr-defined]


# As a function of the package: those of other places are not told by their name.
_quantity.__module__ = "features.test"


def never() -> str:
    pytest.fail("made anew")


def kept(file: Path, text: str = "SELECT 1") -> Path:
    texts = KeptTexts(file)
    assert texts.text(rolled_up, (gathering(),), lambda: text) == text
    texts.write()
    return file


def test_another_process_finds_what_one_has_written(tmp_path: Path) -> None:
    again = KeptTexts(kept(tmp_path / "texts.json"))
    assert again.text(rolled_up, (gathering(),), never) == "SELECT 1"


@pytest.mark.parametrize(
    "other",
    [gathering(ago=7), gathering(column="minutes"), Gathering("usage", "occurred_at", "known_at", 1, ()), TABLES["usage"]],
)
def test_other_arguments_have_texts_of_their_own(tmp_path: Path, other: object) -> None:
    again = KeptTexts(kept(tmp_path / "texts.json"))
    assert again.text(rolled_up, (other,), lambda: "SELECT 2") == "SELECT 2"


def test_functions_made_at_run_time_are_told_apart_by_what_they_hold(tmp_path: Path) -> None:
    def made(name: str) -> object:
        def pick(rows: object) -> object:
            return rows[name]  # type: ignore[index]

        pick.__module__ = "features.test"
        return pick

    texts = KeptTexts(tmp_path / "texts.json")
    assert texts.text(rolled_up, (gathering(where=made("a")),), lambda: "a") == "a"
    assert texts.text(rolled_up, (gathering(where=made("b")),), lambda: "b") == "b"
    assert texts.text(rolled_up, (gathering(where=made("a")),), never) == "a"


def test_what_does_not_tell_what_it_is_is_made_anew(tmp_path: Path) -> None:
    texts = KeptTexts(tmp_path / "texts.json")
    for text in ("one", "two"):
        assert texts.text(rolled_up, (gathering(where=object()),), lambda text=text: text) == text


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"stamp": 1}', '{"stamp": "of other code", "texts": {}}'])
def test_a_file_of_other_code_or_a_broken_one_is_begun_anew(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "texts.json"
    file.write_text(broken)
    kept(file, "SELECT 2")
    assert list(json.loads(file.read_text())["texts"].values()) == ["SELECT 2"]


def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    file = kept(tmp_path / "texts.json")
    assert file.stat().st_mode & 0o077 == 0
    file.chmod(0o666)
    assert KeptTexts(file).text(rolled_up, (gathering(),), lambda: "SELECT 2") == "SELECT 2"


def test_nothing_is_written_where_there_is_no_home(tmp_path: Path) -> None:
    kept(tmp_path / "none" / "texts.json")
    assert not (tmp_path / "none").exists()
