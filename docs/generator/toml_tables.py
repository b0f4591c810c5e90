"""A TOML file of rules as readable tables, with its comments as the explanation."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from docs.generator.markdown import code, table

_BOUNDS = {"at_least": "≥", "at_most": "≤", "above": ">", "below": "<", "percentile_below": "percentile <"}
CONDITIONS = ("all", "any")
"""The keys of conditions, which are shown in one column."""
_HEADER = re.compile(r"\[+([\w.-]+)\]+")
_KEY = re.compile(r"([\w-]+)\s*=")

Comments = Mapping[tuple[str, str], str]
"""The comment above each key or header, by path of the table (with positions in lists) and key ('' for a header)."""


def introduction(text: str, title: str = "") -> str:
    """The comment that opens the file as Markdown, without ``title`` if it begins with it."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    comment = _paragraphs(lines).removeprefix(f"{title}: ")
    return comment[:1].upper() + comment[1:]


def comments(text: str) -> Comments:
    """The comments of a file, without the one at its start."""
    results: dict[tuple[str, str], str] = {}
    positions: dict[str, int] = {}
    path, above, opened = "", [], False
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#") and line.startswith("#"):
            above.append(stripped.removeprefix("#").strip())
            continue
        if header := _HEADER.fullmatch(stripped):
            path = _located(header[1], positions, stripped.startswith("[["))
            key = ""
        elif line[:1].isalpha() and (entry := _KEY.match(line)):
            key = entry[1]
        else:
            if not stripped and not opened:
                above, opened = [], True
            continue
        if above and opened:
            results[path, key] = " ".join(above)
        above, opened = [], True
    return results


def sections(text: str) -> Iterator[str]:
    """The file's tables as Markdown, each under a heading with the name of its key. The version is left out."""
    content = {key: value for key, value in tomllib.loads(text).items() if key != "version"}
    yield from _mapping(content, "", comments(text), "###")


def value_text(value: Any) -> str:
    """A value as a cell shows it."""
    if isinstance(value, list):
        return ", ".join(map(value_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return code(value) if isinstance(value, str) and re.fullmatch(r"[\w.]+", value) else str(value)


def conditions_text(rule: Mapping[str, Any]) -> str:
    """The conditions of a rule in one line."""
    every, some = ([_condition(each) for each in rule.get(key, ())] for key in ("all", "any"))
    if some and every:
        return f"{' and '.join(every)} and ({' or '.join(some)})"
    return " and ".join(every) or " or ".join(some)


def _condition(condition: Mapping[str, Any]) -> str:
    bound = next(name for name in condition if name in _BOUNDS)
    return f"`{condition['feature']}` {_BOUNDS[bound]} {condition[bound]:g}"


def _mapping(content: Mapping[str, Any], path: str, above: Comments, marks: str) -> Iterator[str]:
    plain = {key: value for key, value in content.items() if not _nested(value)}
    if plain:
        rows = [(code(key), value_text(value), above.get((path, key), "")) for key, value in plain.items()]
        yield table(("key", "value", "note"), rows)
    for key, value in content.items():
        inner = f"{path}.{key}".removeprefix(".")
        if isinstance(value, dict):
            yield f"{marks} `{inner}`"
            yield above.get((inner, ""), "")
            yield from _mapping(value, inner, above, marks)
        elif _nested(value):
            yield f"{marks} `{inner}`"
            yield _rows(value, inner, above)
            for i, rule in enumerate(value):
                for part in (name for name in rule if name not in CONDITIONS and _nested(rule[name])):
                    yield f"{marks}# `{inner}`, {rule.get('name') or rule.get('title') or i + 1}: `{part}`"
                    yield _rows(rule[part], f"{inner}.{i}.{part}", above)


def _rows(rules: list[dict[str, Any]], path: str, above: Comments) -> str:
    named = (key for rule in rules for key in rule if key not in CONDITIONS and not _nested(rule[key]))
    keys = list(dict.fromkeys(named))
    rows = [
        (*(value_text(rule.get(key, "")) for key in keys), conditions_text(rule), above.get((f"{path}.{i}", ""), ""))
        for i, rule in enumerate(rules)
    ]
    return table((*keys, "condition", "note"), rows)


def _nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _located(header: str, positions: dict[str, int], is_list: bool) -> str:
    """The path of a header with the position of each list that it lies in."""
    parts: list[str] = []
    names = header.split(".")
    for depth, name in enumerate(names):
        parts.append(name)
        path = ".".join(parts)
        if is_list and depth == len(names) - 1:
            positions[path] = positions.get(path, -1) + 1
        if path in positions:
            parts.append(str(positions[path]))
    return ".".join(parts)


def _paragraphs(lines: list[str]) -> str:
    """Comment lines as Markdown: `  word  text` is an entry of a list, and deeper lines go on with it."""
    result: list[str] = []
    for line in lines:
        if entry := re.match(r" {2}(\S+) {2,}(.*)", line):
            if result and not result[-1].startswith(("- ", "  ")):
                result.append("")
            result.append(f"- `{entry[1]}`: {entry[2]}")
        elif result and line.startswith("   ") and result[-1].startswith(("- ", "  ")):
            result.append(f"  {line.strip()}")
        else:
            if result and result[-1].startswith(("- ", "  ")):
                result.append("")
            result.append(line)
    return "\n".join(result).strip()
