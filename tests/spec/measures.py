"""Read the specs of the KPIs: the rows of a source, and then the KPIs of the portfolio.

The rows are read in the same way as those of the other specs (`tables.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from case_files import CaseText, SpecCase, SpecError, Topic, parse_table, read_folder, read_text

from features.kpi.definitions import BY_CODE, KPIS
from features.signals.signals import read_signals
from features.sources.base import from_tables
from features.utils.dates import parse_instant
from features.utils.periods import period_ending
from models.health.rubric import load_rubric
from models.rules.kpi_targets import KpiTarget, kpi_targets_file
from serving.portfolio.kpi_report import kpi_report

HERE = Path(__file__).resolve().parent / "measures"
UNKNOWN, NOTHING = "?", "-"
EXPECTED, OPTIONS = "measures", "options"
NUMBERS, TEXTS = ("numerator", "denominator", "value", "last", "left_out"), ("group", "unknown")

HOW_TO_READ = """\
Each case shows the rows of a source, by table of the [data contract](contract.md), and then KPIs at `as_of`, over the
`period` that ends there. `last` is the value over the period before. `?` means unknown, `-` means none. Numbers may be
written as fractions. `left_out` counts the accounts for which the KPI is unknown. Omitted columns have the defaults of
[What a snapshot knows](point-in-time.md): every feed is complete from 2020 on, and an account without a subscription in
the tables has one of 1200 that has been running since its `created_at`.
"""


@dataclass(frozen=True)
class Case(SpecCase):
    """One statement, the rows that show it, and the expected KPIs."""

    source: dict[str, Any]
    options: dict[str, str]

    def results(self) -> dict[tuple[str | None, str], dict[str, Any]]:
        """Return the computed KPIs by group (None: the whole portfolio) and KPI."""
        as_of = parse_instant(self.options["as_of"])
        signals = read_signals(from_tables(self.source, "a spec", text=True), parse_instant("2027-01-01"), parse_instant("2020-01-01"))
        report = kpi_report(signals, period_ending(as_of, self.options["period"]), load_rubric(), 90)
        whole = {(None, m["measure"]): m | {"last": m["last"]["value"]} for m in report["measures"]}
        groups = report["by"]["segment"]
        # The group of accounts with an unknown segment has no name either.
        return {(group["group"], m["measure"]): m for group in groups for m in group["measures"]} | whole

    def differences(self) -> list[str]:
        """Describe each value that differs from the expected one."""
        result, wrong = self.results(), []
        for row in self.expected.dicts():
            kpi = result[None if row.get("group", NOTHING) == NOTHING else row["group"], row["measure"]]
            for name in (*NUMBERS, "unknown"):
                if name in row and not _same(kpi[name], row[name], name):
                    wrong.append(f"{row['measure']}: {name} is {kpi[name]}, expected {row[name]}")
        return wrong


def read_topics(tables: ModuleType, folder: Path = HERE) -> tuple[Topic, ...]:
    """Read the topics of a folder, in the order of their file names; ``tables`` is the module that reads the rows."""
    return read_folder(folder, partial(_case, tables))


def read_topic(tables: ModuleType, name: str, text: str) -> Topic:
    """Read one file."""
    return read_text(name, text, partial(_case, tables))


def _case(tables: ModuleType, case_text: CaseText) -> Case:
    where = case_text.where
    if [name for name, _ in case_text.fences][-2:] != [OPTIONS, EXPECTED]:
        raise SpecError(f"{where}: every case ends with {OPTIONS} and {EXPECTED}")
    rows = tuple(tables.rows_of(where, name, text) for name, text in case_text.fences[:-2])
    options, expected = (parse_table(where, name, text) for name, text in case_text.fences[-2:])
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
    source = tables.Case(case_text.topic, case_text.title, "", rows, expected).source()
    return Case(case_text.topic, case_text.title, case_text.prose, (*rows, options), expected, source, options.dicts()[0])


def _same(actual: Any, expected: str, name: str) -> bool:
    if expected in (UNKNOWN, NOTHING):
        return actual is None
    if name == "unknown":
        return bool(actual == expected)
    return actual is not None and abs(float(actual) - float(Fraction(expected))) < 1e-9


def definitions() -> str:
    """Return every KPI with its target as a table in Markdown."""
    targets = {target.measure: target for target in kpi_targets_file().targets}
    lines = ["| code | KPI | numerator | denominator | over | better | target |", "|---|---|---|---|---|---|---|"]
    spans = {"period": "the period", "month": "the month that ended 30 days before", "year": "a year", "instant": "at its end"}
    for m in KPIS:
        numerator = m.numerator if m.factor == 1.0 else f"{m.factor:g} times: {m.numerator}"
        cells = (
            f"`{m.code}`", m.title, numerator, m.denominator or "none: a sum", spans[m.over], m.better or "",
            _target(targets.get(m.code)),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _target(target: KpiTarget | None) -> str:
    if target is None:
        return ""
    words = {"above": "above", "at_least": "at least", "below": "below"}[target.bound]
    better = "" if target.better is None else f", better {target.better:g}"
    return f"{words} {target.value:g}{better}{' a year' if target.per else ''}"
