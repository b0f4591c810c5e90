"""Errors of the program's own JSON files name the file, the key and the fix, never a value."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from features.errors import BundleError, HomeError
from models.json_files import read_json_file


class _Content(BaseModel):
    names: list[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "content.json"


def test_a_valid_file_is_read(file: Path) -> None:
    file.write_text('{"names": ["a"]}')
    assert read_json_file(file, _Content, "names", "write it again", strict=True) == _Content(names=["a"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "content.json cannot be read"),
        ('{"names": ["a", 4711]}', "content.json: key names.1: Input should be a valid string"),
        ("{", "Invalid JSON"),
        (f'{{"names": ["{"a" * 100}"]}}', "content.json is larger than 99 bytes"),
    ],
)
def test_a_broken_file_is_reported_without_its_values(file: Path, text: str | None, problem: str) -> None:
    if text is not None:
        file.write_text(text)
    with pytest.raises(BundleError, match=problem) as caught:
        read_json_file(file, _Content, "a list of names", "write it again", error=BundleError, limit=99)
    assert (caught.value.expected, caught.value.cure) == ("a list of names", "write it again")
    assert "4711" not in str(caught.value)


def test_strict_reading_refuses_a_repeated_key(file: Path) -> None:
    file.write_text('{"names": ["a"], "names": ["b"]}')
    assert read_json_file(file, _Content, "", "").names == ["b"]
    with pytest.raises(HomeError, match="a key occurs twice"):
        read_json_file(file, _Content, "", "", strict=True)
