"""Reading the specs of the portfolio's measures: the rows of a source, and then what is told of the whole of it.

The rows are read as those of the other specs are (`tables.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from fenced import Said, SpecError, Topic, Written, table_of, topic_of, topics_of

from features.kpi.definitions import BY_CODE, MEASURES
from features.signals.signals import read_signals
from features.sources.base import from_tables
from features.utils.dates import parse_instant
from features.utils.periods import period_ending
from models.health.rubric import load_rubric
from models.rules.kpi_targets import TargetOf, measures_file
from serving.portfolio.kpi_report import kpi_report

HERE = Path(__file__).resolve().parent / "measures"
UNKNOWN, NOTHING = "?", "-"
EXPECTED, OPTIONS = "measures", "options"
NUMBERS, TEXTS = ("numerator", "denominator", "value", "last", "left_out"), ("group", "unknown")

HOW_TO_READ = """\
Each case shows the rows of a source, by table of the [data contract](contract.md), and then KPIs at `as_of`, over the
`period` that ends there. `last` is the value over the period before. `?` is unknown, `-` is nothing. Numbers may be
written as fractions. `left_out` counts the accounts for which the KPI is unknown. Omitted columns are as in
[What a snapshot knows](point-in-time.md): every feed is complete from 2020 on, and an account without a subscription
shown has one of 1200 that has been running since its `created_at`.
"""


@dataclass(frozen=True)
class Case(Said):
    """One thing said, the rows that show it, and what is expected."""

    source: dict[str, Any]
    options: dict[str, str]

    def found(self) -> dict[tuple[str | None, str], dict[str, Any]]:
        """What is told, by group (None: the whole) and measure."""
        as_of = parse_instant(self.options["as_of"])
        signals = read_signals(from_tables(self.source, "a spec", text=True), parse_instant("2027-01-01"), parse_instant("2020-01-01"))
        told = kpi_report(signals, period_ending(as_of, self.options["period"]), load_rubric(), 90)
        whole = {(None, m["measure"]): m | {"last": m["last"]["value"]} for m in told["measures"]}
        groups = told["by"]["segment"]
        # The group of which it is not known has no name either.
        return {(group["group"], m["measure"]): m for group in groups for m in group["measures"]} | whole

    def differences(self) -> list[str]:
        """What is told otherwise than expected, in words."""
        found, wrong = self.found(), []
        for row in self.expected.dicts():
            told = found[None if row.get("group", NOTHING) == NOTHING else row["group"], row["measure"]]
            for name in (*NUMBERS, "unknown"):
                if name in row and not _same(told[name], row[name], name):
                    wrong.append(f"{row['measure']}: {name} is {told[name]}, expected {row[name]}")
        return wrong


def read_topics(tables: ModuleType, folder: Path = HERE) -> tuple[Topic, ...]:
    """The topics, in the order of their files' names; ``tables`` is the module that reads the rows."""
    return topics_of(folder, partial(_case, tables))


def read_topic(tables: ModuleType, name: str, text: str) -> Topic:
    """One file, whose cases show the rows, options, and what is expected."""
    return topic_of(name, text, partial(_case, tables))


def _case(tables: ModuleType, written: Written) -> Case:
    where = written.where
    if [name for name, _ in written.fences][-2:] != [OPTIONS, EXPECTED]:
        raise SpecError(f"{where}: every case ends with {OPTIONS} and {EXPECTED}")
    rows = tuple(tables.rows_of(where, name, text) for name, text in written.fences[:-2])
    options, expected = (table_of(where, name, text) for name, text in written.fences[-2:])
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
    source = tables.Case(written.topic, written.title, "", rows, expected).source()
    return Case(written.topic, written.title, written.prose, (*rows, options), expected, source, options.dicts()[0])


def _same(got: Any, expected: str, name: str) -> bool:
    if expected in (UNKNOWN, NOTHING):
        return got is None
    if name == "unknown":
        return bool(got == expected)
    return got is not None and abs(float(got) - float(Fraction(expected))) < 1e-9


def definitions() -> str:
    """Every measure as a table in Markdown, with its target."""
    targets = {target.measure: target for target in measures_file().targets}
    lines = ["| code | KPI | numerator | denominator | over | better | target |", "|---|---|---|---|---|---|---|"]
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
