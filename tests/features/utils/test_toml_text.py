"""Any TOML file is either parsed within limits or rejected with one clear error."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.contract.declarations import read_declarations
from features.custom.config_file import parse_custom_file
from features.errors import RenewcastError
from features.utils.toml_text import DEPTH_LIMIT, SIZE_LIMIT, TomlError, parse_toml, read_toml_text
from models.peer_groups.rule_files import Rules, parse_rules, read_rules_text
from training.config import read_config

DEEP = 100_000
HOSTILE = {
    "lists": "a = " + "[" * DEEP,
    "closed lists": "a = " + "[" * 2000 + "]" * 2000,
    "inline tables": "a = " + "{a=" * DEEP,
    "a dotted key": "a" + ".a" * DEEP + " = 1",
    "a dotted key with quotes and spaces": '"a"' + " . 'b'" * DEEP + " = 1",
    "a table's name": "[a" + ".a" * DEEP + "]",
    "a list of tables": "[[a" + ".a" * 60 + "]]",
    "a dotted key within": "a = {b" + ".a" * DEEP + " = 1}",
    "lists within the limits of the parser": "a = " + "[" * 60 + "]" * 60,
    "nested tables": "\n".join("[" + ".".join("a" * n) + "]\nb = 1" for n in range(1, 40)),
    "a number": "a = " + "9" * 100_000,
    "a size": "#" * (SIZE_LIMIT + 1),
    "control characters": "a = '\x1b[2J\x00'",
    "not UTF-8": "\udcff",
    "nothing closed": "a = '''",
    "a date": "a = 2026-99-99",
    "twice": "a = 1\na = 2",
}
READERS: dict[str, Callable[[Path], Any]] = {
    "custom features": lambda path: parse_custom_file(read_declarations(path)),
    "rules and rubrics": lambda path: parse_rules(read_rules_text(path), path.name, Rules),
    "settings": read_config,
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_rejects_hostile_files_quickly(tmp_path: Path, what: str, reader: str) -> None:
    path = tmp_path / "hostile.toml"
    path.write_bytes(HOSTILE[what].encode("utf-8", "surrogateescape"))
    started = time.perf_counter()
    with pytest.raises(RenewcastError) as caught:
        READERS[reader](path)
    assert "hostile.toml" in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert time.perf_counter() - started < 5


def test_files_within_the_limits_are_parsed() -> None:
    text = f"a{'.a' * (DEPTH_LIMIT - 2)} = 1\nb = '{'x.' * 1000}'\nc = {'[' * (DEPTH_LIMIT - 2)}{']' * (DEPTH_LIMIT - 2)}\n"
    assert parse_toml(text) == tomllib.loads(text)


@given(st.text("[]{}=.,'\"a1#\n \\", max_size=200))
def test_any_text_is_parsed_as_by_the_standard_library_or_rejected(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(TomlError):
            parse_toml(text)
    else:
        try:
            assert parse_toml(text) == expected
        except TomlError as caught:
            if "nested" not in str(caught):
                raise


def test_windows_line_endings_are_supported(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"a = '''x\r\ny'''\r\nb = 1\r\n")
    assert parse_toml(read_toml_text(path)) == {"a": "x\ny", "b": 1}
