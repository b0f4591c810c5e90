"""Positions in TOML text are where a reader of the file finds the value."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from features.utils.toml_positions import Keys, TomlPositions

TEXT = '''about = "x" # tables.a = 1
[sources.billing] # [not.a.table]
uri = 'a''' + "'" + '''
options.x = { deep = [1, "two", { three = 3 }], 'odd.key' = """
y""" }

[[tables.usage]]
query = "SELECT 1"
[[tables.usage]]
query = """
SELECT \\
   é, x
FROM t"""
[tables.plain]
"quoted" = 1'''


@pytest.mark.parametrize(
    ("keys", "line", "column"),
    [
        (("about",), 1, 9),
        (("sources", "billing"), 2, 1),
        (("sources", "billing", "uri"), 3, 7),
        (("sources", "billing", "options", "x", "deep", 1), 4, 26),
        (("sources", "billing", "options", "x", "deep", 2, "three"), 4, 43),
        (("sources", "billing", "options", "x", "odd.key"), 4, 61),
        (("tables", "usage", 0, "query"), 8, 9),
        (("tables", "usage", 1, "query"), 10, 9),
        (("tables", "plain", "quoted"), 15, 12),
        (("tables", "plain", "absent"), 14, 1),
    ],
)  # fmt: skip
def test_values(keys: Keys, line: int, column: int) -> None:
    position = TomlPositions(TEXT).of(keys)
    assert position is not None
    assert (position.line, position.column) == (line, column)
    tomllib.loads(TEXT)


def test_characters_within_a_text() -> None:
    positions = TomlPositions(TEXT)
    query = tomllib.loads(TEXT)["tables"]["usage"][1]["query"]
    assert query == "SELECT é, x\nFROM t"
    for line, column, expected in ((1, 1, (11, 1)), (1, 8, (12, 4)), (1, 11, (12, 7)), (2, 6, (13, 6)), (2, 0, (13, 1))):
        position = positions.inside(("tables", "usage", 1, "query"), line, column)
        assert position is not None
        assert (position.line, position.column) == expected


def test_escapes_count_as_one_character() -> None:
    text = 'a = "x\\"\\u00e9\\n y"'
    position = TomlPositions(text).inside(("a",), 2, 2)
    assert position is not None
    assert text[position.column - 1] == "y"


@pytest.mark.parametrize("text", ["", "a = ", 'a = "', "a = [", "[", "a", "a = {b", '"'])
def test_broken_text_gives_no_error(text: str) -> None:
    TomlPositions(text).of(("a",))


_TEXTS = st.text(alphabet="ab \n\t\"'\\é#=[]{}", max_size=12)
_VALUES = st.recursive(_TEXTS | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3))


@given(st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=3), _VALUES, max_size=4))
def test_every_value_of_a_written_file_has_a_position(content: dict[str, Any]) -> None:
    text = tomlkit.dumps(content)
    positions = TomlPositions(text)
    for name, value in content.items():
        position = positions.of((name,))
        assert position is not None
        rest = text.split("\n")[position.line - 1][position.column - 1 :]
        if isinstance(value, int):
            assert rest.startswith(str(value))
        if isinstance(value, str):
            assert rest[0] in "\"'"
