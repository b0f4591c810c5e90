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

import pandas as pd
from case_files import CaseText, SpecCase, SpecError, Topic, parse_table, read_folder, read_text

from features.kpi.arr_bridge import AMOUNTS
from features.kpi.cohort_retention import account_lives
from features.kpi.definitions import BY_CODE, KPIS
from features.revenue.arr import people
from features.signals.signals import OpenSignals, read_signals
from features.sources.base import from_tables
from features.utils.dates import parse_instant
from features.utils.periods import Period, period_ending
from models.health.rubric import load_rubric
from models.rules.kpi_targets import KpiTarget, kpi_targets_file
from serving.leadership.arr_bridge import arr_bridge
from serving.leadership.report import GROUP_KPIS, retention_groups, start_years
from serving.leadership.unit_economics import unit_economics
from serving.portfolio.contribution_rows import KpiSum
from serving.portfolio.kpi_report import account_groups, kpi_contributions, kpi_report
from serving.portfolio.kpi_values import kpi_value

HERE = Path(__file__).resolve().parent / "measures"
UNKNOWN, NOTHING = "?", "-"
EXPECTED, LEADERSHIP, OPTIONS = "measures", "leadership", "options"
NUMBERS, TEXTS = ("numerator", "denominator", "value", "last", "left_out"), ("group", "unknown")
FIGURES = ("nrr", "grr", "logo_retention", "payback_months", *AMOUNTS, *(f"{step} accounts" for step in AMOUNTS))
"""The figures of the leadership report."""

HOW_TO_READ = """\
Each case shows the rows of a source, by table of the [data contract](contract.md), and then KPIs at `as_of`, over the
`period` that ends there. `last` is the value over the period before. `?` means unknown, `-` means none. Numbers may be
written as fractions. `left_out` counts the accounts for which the KPI is unknown. `leadership` has
figures of the leadership report: the ARR of each step of the bridge, its accounts, and others. Omitted columns have the defaults of
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
        period = period_ending(as_of, self.options["period"])
        if self.expected.name == LEADERSHIP:
            return _leadership(signals, period, float(self.options.get("margin", 1.0)))
        report = kpi_report(signals, period, load_rubric(), 90)
        whole = {(None, m["measure"]): m | {"last": m["last"]["value"]} for m in report["measures"]}
        groups = report["by"]["segment"]
        # The group of accounts with an unknown segment has no name either.
        return {(group["group"], m["measure"]): m for group in groups for m in group["measures"]} | whole

    def differences(self) -> list[str]:
        """Describe each value that differs from the expected one."""
        result, wrong = self.results(), []
        if self.expected.name == LEADERSHIP:
            figures = [(_group(row), row["figure"], row["value"]) for row in self.expected.dicts()]
            computed = [(*key, value, result[key[0], key[1]]) for *key, value in figures]
            return [f"{n} of {g}: {x}, expected {v}" for g, n, v, x in computed if not _same(x, v, "unknown" if n == "unknown" else n)]
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
    first, last = [name for name, _ in case_text.fences][-2:]
    if first != OPTIONS or last not in (EXPECTED, LEADERSHIP):
        raise SpecError(f"{where}: every case ends with {OPTIONS}, and {EXPECTED} or {LEADERSHIP}")
    rows = tuple(tables.rows_of(where, name, text) for name, text in case_text.fences[:-2])
    options, expected = (parse_table(where, name, text) for name, text in case_text.fences[-2:])
    if set(options.columns) - {"margin"} != {"as_of", "period"} or len(options.rows) != 1:
        raise SpecError(f"{where}: options are one as_of and one period")
    if last == LEADERSHIP:
        return _leadership_case(tables, case_text, rows, options, expected)
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


def _leadership_case(tables: ModuleType, case_text: CaseText, rows: Any, options: Any, expected: Any) -> Case:
    if set(expected.columns) != {"group", "figure", "value"}:
        raise SpecError(f"{case_text.where}: {LEADERSHIP} has group, figure and value")
    if unknown := {row["figure"] for row in expected.dicts()} - {*FIGURES, "unknown"}:
        raise SpecError(f"{case_text.where}: there are no figures {', '.join(sorted(unknown))}")
    source = tables.Case(case_text.topic, case_text.title, "", rows, expected).source()
    return Case(case_text.topic, case_text.title, case_text.prose, (*rows, options), expected, source, options.dicts()[0])


def _group(row: dict[str, str]) -> str | None:
    return None if row["group"] == NOTHING else row["group"]


def _leadership(signals: OpenSignals, period: Period, margin: float) -> dict[tuple[str | None, str], Any]:
    """Return the figures of the leadership report by group (a segment, or the year of the start) and name."""
    lives = account_lives(signals, period.end)
    contributions = kpi_contributions(signals, period, load_rubric(), 90, lives=lives)
    accounts = account_groups(people(signals))
    accounts = accounts.assign(cohort=accounts["account_id"].map(start_years(lives)))
    rows, missing = contributions.now.rows.with_groups(accounts), contributions.now.missing
    sums, span = rows.sums(), {"name": period.name, "start": "", "end": ""}
    whole = {"group": None, "bridge": arr_bridge(sums, missing, span)}
    whole |= {code: kpi_value(BY_CODE[code], sums.get(code, KpiSum()), missing) for code in GROUP_KPIS}
    nothing = {"accounts": [], "margin": margin, "limit_years": 5.0, "assumption": "", "unknown": 0}
    no_account = pd.DataFrame({"account_id": [], "segment": [], "arr": [], "cost": []}).astype({"account_id": object, "segment": object})
    economics = unit_economics(no_account, nothing, rows, missing)["whole"]
    figures: dict[tuple[str | None, str], Any] = {
        (None, "payback_months"): economics["payback_months"], (None, "unknown"): economics["payback_unknown"]
    }  # fmt: skip
    groups = [group for by in ("segment", "cohort") for group in retention_groups(by, rows, missing, span)]
    for group in (*groups, whole):
        name = group["group"]
        figures |= {(name, code): group[code]["value"] for code in GROUP_KPIS}
        for step in group["bridge"]["steps"] or ():
            figures |= {(name, step["step"]): step["arr"], (name, f"{step['step']} accounts"): step["accounts"]}
    return figures


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
