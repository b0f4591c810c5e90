"""Reading the specs of the portfolio's measures: the rows of a source, and then what is told of the whole of it.

Whatever cannot be understood is refused. The rows are read as those of the other specs are (`tables.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from features.clock import parse_instant
from features.kpi.measure import BY_CODE, MEASURES
from features.kpi.period import period_ending
from features.signals import read_signals
from features.source import from_tables
from models.rubric import load_rubric
from models.rules.measures import TargetOf, measures_file
from serving.measures.told import measures_told

HERE = Path(__file__).resolve().parent / "measures"
UNKNOWN, NOTHING = "?", "-"
EXPECTED, OPTIONS = "measures", "options"
NUMBERS, TEXTS = ("numerator", "denominator", "value", "last", "left_out"), ("group", "unknown")

HOW_TO_READ = """\
Each case shows the rows of a source, by the names of the data contract's tables, and then measures of the portfolio at
`as_of`, over the `period` that ends there. `last` is the value over the period before. `?` is unknown, `-` is nothing;
numbers may be written as fractions. `left_out` counts the accounts of which it is not known. What a table leaves out is
as in `features/POINT_IN_TIME.md`: every feed is complete from 2020 on, and an account without a subscription shown has
one of 1200 that runs since its `created_at`.
"""


class SpecError(Exception):
    """A spec that cannot be understood: where, and why."""


@dataclass(frozen=True)
class Case:
    """One thing said, the rows that show it, and what is expected."""

    topic: str
    title: str
    prose: str
    tables: tuple[Any, ...]
    expected: Any
    source: dict[str, Any]
    options: dict[str, str]

    @property
    def id(self) -> str:
        return f"{self.topic}-{re.sub(r'[^a-z0-9]+', '-', self.title.lower()).strip('-')}"

    def found(self) -> dict[tuple[str | None, str], dict[str, Any]]:
        """What is told, by group (None: the whole) and measure."""
        as_of = parse_instant(self.options["as_of"])
        signals = read_signals(from_tables(self.source, "a spec", text=True), parse_instant("2027-01-01"), parse_instant("2020-01-01"))
        told = measures_told(signals, period_ending(as_of, self.options["period"]), load_rubric(), 90)
        whole = {(None, m["measure"]): m | {"last": m["last"]["value"]} for m in told["measures"]}
        groups = told["by"]["segment"]
        return whole | {(group["group"], m["measure"]): m for group in groups for m in group["measures"]}

    def differences(self) -> list[str]:
        """What is told otherwise than expected, in words."""
        found, wrong = self.found(), []
        for row in self.expected.dicts():
            told = found[row.get("group"), row["measure"]]
            for name in (*NUMBERS, "unknown"):
                if name in row and not _same(told[name], row[name], name):
                    wrong.append(f"{row['measure']}: {name} is {told[name]}, expected {row[name]}")
        return wrong


@dataclass(frozen=True)
class Topic:
    """A file of cases."""

    name: str
    title: str
    prose: str
    cases: tuple[Case, ...]


def read_topics(tables: ModuleType, folder: Path = HERE) -> tuple[Topic, ...]:
    """The topics, in the order of their files' names; ``tables`` is the module that reads the rows."""
    topics = tuple(read_topic(tables, p.stem, p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.md")))
    if not topics:
        raise SpecError(f"{folder} holds no spec")
    return topics


def read_topic(tables: ModuleType, name: str, text: str) -> Topic:
    """One file: ``# title``, prose, then for each case ``## title``, prose, the rows, options, and what is expected."""
    before, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    if not before.startswith("# ") or not sections:
        raise SpecError(f"{name}: a title and at least one case are needed")
    title, _, prose = before.removeprefix("# ").partition("\n")
    return Topic(name, title.strip(), prose.strip() + "\n", tuple(_case(tables, name, s) for s in sections))


def _case(tables: ModuleType, topic: str, section: str) -> Case:
    title, _, body = section.partition("\n")
    where, pieces = f"{topic}, {title!r}", re.split(r"^```(.*)\n", body, flags=re.MULTILINE)
    if len(pieces) % 4 != 1 or any(p.strip() for p in (*pieces[3::4], *pieces[4::4])):
        raise SpecError(f"{where}: a fence that is not closed, or text after the tables")
    if not pieces[0].strip():
        raise SpecError(f"{where}: no sentence that says what is shown")
    named = [(pieces[i].strip(), pieces[i + 1]) for i in range(1, len(pieces), 4)]
    if [name for name, _ in named][-2:] != [OPTIONS, EXPECTED]:
        raise SpecError(f"{where}: every case ends with {OPTIONS} and {EXPECTED}")
    rows = tuple(tables._table(where, name, text) for name, text in named[:-2])
    options, expected = (_plain(tables, where, name, text) for name, text in named[-2:])
    if set(options.columns) != {"as_of", "period"} or len(options.rows) != 1:
        raise SpecError(f"{where}: options are one as_of and one period")
    allowed = {"measure", *NUMBERS, *TEXTS}
    if not expected.rows or "measure" not in expected.columns or not set(expected.columns) <= allowed:
        raise SpecError(f"{where}: {EXPECTED} has a measure and any of {', '.join(sorted(allowed))}")
    for row in expected.dicts():
        if row["measure"] not in BY_CODE:
            raise SpecError(f"{where}: there is no measure {row['measure']}")
        for name in NUMBERS:
            if row.get(name, NOTHING) not in (UNKNOWN, NOTHING):
                Fraction(row[name])
    shown = (*rows, options)
    source = tables.Case(topic, title, "", rows, expected).source()
    return Case(topic, title.strip(), pieces[0].strip(), shown, expected, source, options.dicts()[0])


def _plain(tables: ModuleType, where: str, name: str, text: str) -> Any:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 3 or not re.fullmatch(r"[-+ ]*-[-+ ]*", lines[1]):
        raise SpecError(f"{where}: table {name!r} lacks its line of dashes, or rows")
    columns, *rows = (tuple(cell.strip() for cell in line.split("|")) for line in (lines[0], *lines[2:]))
    if any(len(row) != len(columns) or "" in row for row in rows):
        raise SpecError(f"{where}: table {name!r} has a row of other columns, or an empty cell")
    return tables.Table(name, columns, tuple(rows))


def _same(got: Any, expected: str, name: str) -> bool:
    if expected in (UNKNOWN, NOTHING):
        return got is None
    if name == "unknown":
        return bool(got == expected)
    return got is not None and abs(float(got) - float(Fraction(expected))) < 1e-9


def definitions() -> str:
    """Every measure as a table in Markdown, with its target."""
    targets = {target.measure: target for target in measures_file().targets}
    lines = ["| measure | what | numerator | denominator | over | good | target |", "|---|---|---|---|---|---|---|"]
    over = {"period": "the period", "month": "the month that ended 30 days before", "year": "a year", "instant": "at its end"}
    for m in MEASURES:
        above = m.numerator if m.factor == 1.0 else f"{m.factor:g} times: {m.numerator}"
        cells = (
            f"`{m.code}`", m.title, above, m.denominator or "none: a sum", over[m.over], m.better or "",
            _target(targets.get(m.code)),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _target(target: TargetOf | None) -> str:
    if target is None:
        return ""
    words = {"above": "above", "at_least": "at least", "below": "below"}[target.bound]
    better = "" if target.better is None else f", better {target.better:g}"
    return f"{words} {target.value:g}{better}{' a year' if target.per else ''}"
