"""Read the specs of snapshots: Markdown files with the rows of a source and the expected snapshot as ASCII tables.

`HOW_TO_READ` explains how a spec is written. It is the introduction of the page that shows the specs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from case_files import CaseText, SpecCase, SpecError, Table, Topic, parse_table, read_folder, read_text

from features.catalogue.catalogue import CATALOGUE, KEYS
from features.contract.schema import TABLES
from features.errors import BadRequest
from features.utils.dates import Grid, parse_instant

HERE = Path(__file__).resolve().parent
ACCOUNT, BEGINNING, END = "a", "2020-01-01", "2025-01-01"
UNKNOWN, NULL, ABSENT = "?", "-", "absent"
EXPECTED, OPTIONS = "snapshot", "options"
OPTION_DEFAULTS = {"history_from": BEGINNING, "data_through": END}
DEFAULTS = {
    "accounts": {"created_at": BEGINNING},
    "subscriptions": {"started_at": BEGINNING, "arr": "1200"},
    "support": {"severity": "normal"},
}
"""Default values of omitted columns, by table; ``account_id`` is `ACCOUNT` in all tables."""

HOW_TO_READ = f"""\
Each case shows the rows of a source, by table of the data contract, and then the expected snapshot.

- In the rows, `{NULL}` is null. An instant without a time is midnight. An instant without a time zone is in UTC.
- In the snapshot, `{UNKNOWN}` means unknown, and `{ABSENT}` means that the snapshot has no row for the account at that date. The
  snapshot has no other rows than those shown. Numbers may be written as fractions.
- Columns that do not matter are omitted. Then `account_id` is `{ACCOUNT}`, `created_at` and `started_at` are {BEGINNING}, `arr`
  is 1200, and `severity` is normal. A case without `accounts` has the single account `{ACCOUNT}`. A case without `subscriptions`
  and `orders` has one subscription for every account, which has been running since its `created_at`.
- Every feed is complete from {BEGINNING} on (`history_from`), and nothing at or after {END} is read (`data_through`), unless
  `options` says otherwise. With `{NULL}` in `options`, the value is determined from the rows.
"""


@dataclass(frozen=True)
class Case(SpecCase):
    """One statement, the rows that show it, and the expected snapshot; ``not_yet`` says why the engine still fails it."""

    not_yet: str = ""

    @property
    def options(self) -> dict[str, str]:
        overrides = next((t.dicts()[0] for t in self.tables if t.name == OPTIONS), {})
        return OPTION_DEFAULTS | overrides

    def source(self) -> dict[str, pa.Table]:
        """Return the tables with defaults, as text: the engine parses them like those of a CSV file."""
        tables_by_name = {t.name: t for t in self.tables if t.name != OPTIONS}
        tables_by_name.setdefault("accounts", Table("accounts", ("account_id",), ((ACCOUNT,),)))
        rows = {name: [_defaults(name) | row for row in table.dicts()] for name, table in tables_by_name.items()}
        if not {"subscriptions", "orders"} & set(rows):
            rows["subscriptions"] = [
                _defaults("subscriptions") | {"account_id": r["account_id"], "started_at": r["created_at"]}
                for r in rows["accounts"]
            ]
        columns = {n: tuple(_defaults(n) | dict.fromkeys(tables_by_name[n].columns if n in tables_by_name else ())) for n in rows}
        return {
            n: pa.table({c: pa.array([_cell(r[c]) for r in rows[n]], pa.string()) for c in columns[n]}) for n in rows
        }

    def grid(self) -> Grid:
        """Return the expected dates. Their distances must be equal and in whole days."""
        as_ofs = sorted({parse_instant(row["as_of"]) for row in self.expected.dicts()})
        steps = {after - before for before, after in pairwise(as_ofs)} or {timedelta(days=1)}
        step = steps.pop()
        if steps or step % timedelta(days=1):
            raise SpecError(f"{self.id}: the distances between the as_ofs are not whole and equal days")
        return Grid(as_ofs[0], step.days, len(as_ofs))


def read_topics(folder: Path = HERE) -> tuple[Topic, ...]:
    """Read the topics of a folder, in the order of their file names."""
    return read_folder(folder, _case)


def read_topic(name: str, text: str) -> Topic:
    """Read one file."""
    return read_text(name, text, _case)


def _case(case_text: CaseText) -> Case:
    where = case_text.where
    prose, _, not_yet = (part.strip() for part in case_text.prose.partition("Not yet so:"))
    if not prose:
        raise SpecError(f"{where}: no sentence that says what the case shows")
    tables = [rows_of(where, name, text) for name, text in case_text.fences]
    names = [t.name for t in tables]
    if names.count(EXPECTED) != 1 or names[-1] != EXPECTED:
        raise SpecError(f"{where}: every case ends with one table named {EXPECTED}")
    if len(set(names)) < len(names):
        raise SpecError(f"{where}: a table is given twice; it has {', '.join(names)}")
    case = Case(case_text.topic, case_text.title, prose, tuple(tables[:-1]), tables[-1], " ".join(not_yet.split()))
    _check_accounts(where, case)
    case.grid()
    return case


def rows_of(where: str, name: str, text: str) -> Table:
    """Read a table of the contract, of options or of the expectation, and check its columns."""
    if name not in (*TABLES, OPTIONS, EXPECTED):
        raise SpecError(f"{where}, table {name!r}: no such table; there are {', '.join((*TABLES, OPTIONS, EXPECTED))}")
    table = parse_table(where, name, text)
    _check_columns(f"{where}, table {name!r}", table)
    return table


def _check_columns(where: str, table: Table) -> None:
    if table.name == EXPECTED:
        _check_expected(where, table)
        return
    if table.name == OPTIONS:
        allowed, missing = tuple(OPTION_DEFAULTS), ()
        if len(table.rows) != 1:
            raise SpecError(f"{where}: needs one row")
    else:
        contract = TABLES[table.name]
        allowed = contract.names
        missing = tuple(c for c in contract.required if c not in (*table.columns, *_defaults(table.name)))
    if unknown := [c for c in table.columns if c not in allowed]:
        raise SpecError(f"{where}: no column {', '.join(unknown)}; there are {', '.join(allowed)}")
    if missing:
        raise SpecError(f"{where}: the columns {', '.join(missing)} are required")


def _check_expected(where: str, table: Table) -> None:
    features = table.columns[len(KEYS) :]
    if table.columns[: len(KEYS)] != KEYS or not features:
        raise SpecError(f"{where}: needs the columns {', '.join(KEYS)} and at least one feature")
    if unknown := [f for f in features if f not in CATALOGUE]:
        raise SpecError(f"{where}: no feature {', '.join(unknown)}")
    if not table.rows:
        raise SpecError(f"{where}: expects nothing")
    keys = []
    for row in table.dicts():
        try:
            keys.append((row["account_id"], parse_instant(row["as_of"])))
        except BadRequest:
            raise SpecError(f"{where}: {row['as_of']!r} is not an instant") from None
        values = [row[f] for f in features]
        if ABSENT in values and set(values) != {ABSENT}:
            raise SpecError(f"{where}: an absent row has {ABSENT} in every feature")
        for feature, value in zip(features, values, strict=True):
            if CATALOGUE[feature].kind == "number" and value not in (UNKNOWN, ABSENT):
                _number(f"{where}, {feature}", value)
    if len(set(keys)) < len(keys):
        raise SpecError(f"{where}: the same account and as_of twice")


def _check_accounts(where: str, case: Case) -> None:
    accounts = set(case.source()["accounts"]["account_id"].to_pylist())
    if unexpected := {row["account_id"] for row in case.expected.dicts()} - accounts:
        raise SpecError(f"{where}: expects accounts that do not exist: {', '.join(sorted(unexpected))}")


def _defaults(table: str) -> dict[str, str]:
    return {"account_id": ACCOUNT, **DEFAULTS.get(table, {})}


def _cell(text: str) -> str | None:
    return None if text == NULL else text


def _number(where: str, text: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise SpecError(f"{where}: {text!r} is neither a number nor a fraction, {UNKNOWN} or {ABSENT}") from None


def expected_rows(case: Case) -> Iterator[tuple[tuple[str, str], dict[str, float | str | None] | None]]:
    """Yield (account, as_of in ISO 8601) and the expected values: None for unknown, and None for an absent row."""
    for row in case.expected.dicts():
        key = (row["account_id"], parse_instant(row["as_of"]).isoformat())
        features = {f: row[f] for f in case.expected.columns[len(KEYS) :]}
        if ABSENT in features.values():
            yield key, None
            continue
        yield key, {
            f: None if v == UNKNOWN else _number(f, v) if CATALOGUE[f].kind == "number" else v for f, v in features.items()
        }
