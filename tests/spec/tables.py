"""Reading the specs: Markdown files whose fenced ASCII tables say what goes in and what a snapshot then knows.

How a spec is written stands in `HOW_TO_READ`, which opens the page that shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from fenced import Said, SpecError, Table, Topic, Written, table_of, topic_of, topics_of

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
"""What a column that a table leaves out holds in every row; ``account_id`` is `ACCOUNT` in all tables."""

HOW_TO_READ = f"""\
Each case shows the rows of a source, by the names of the data contract's tables, and then what a snapshot knows.

- In the rows, `{NULL}` is null. An instant without a time is its midnight, and without a zone is in UTC.
- In the snapshot, `{UNKNOWN}` is unknown and `{ABSENT}` says that the snapshot has no row for the account then. It has no rows but
  those shown. Numbers may be written as fractions.
- To keep the tables small, a column that does not matter is left out: `account_id` is then `{ACCOUNT}`, `created_at` and
  `started_at` are {BEGINNING}, `arr` is 1200, `severity` is normal. A case without `accounts` has the one account
  `{ACCOUNT}`; one without `subscriptions` and `orders` has, for every account, one subscription that runs since its `created_at`.
- Every feed is complete from {BEGINNING} on (`history_from`), and nothing at or after {END} is read (`data_through`), unless
  `options` says otherwise; `{NULL}` there leaves it to be found from the rows.
"""


@dataclass(frozen=True)
class Case(Said):
    """One thing said, the rows that show it, and what is expected; ``not_yet`` is why the engine fails it still."""

    not_yet: str = ""

    @property
    def options(self) -> dict[str, str]:
        given = next((t.dicts()[0] for t in self.tables if t.name == OPTIONS), {})
        return OPTION_DEFAULTS | given

    def source(self) -> dict[str, pa.Table]:
        """The contract tables, defaults filled in, as text: the engine parses them as it does a CSV file's."""
        given = {t.name: t for t in self.tables if t.name != OPTIONS}
        given.setdefault("accounts", Table("accounts", ("account_id",), ((ACCOUNT,),)))
        rows = {name: [_defaults(name) | row for row in table.dicts()] for name, table in given.items()}
        if not {"subscriptions", "orders"} & set(rows):
            rows["subscriptions"] = [
                _defaults("subscriptions") | {"account_id": r["account_id"], "started_at": r["created_at"]}
                for r in rows["accounts"]
            ]
        columns = {n: tuple(_defaults(n) | dict.fromkeys(given[n].columns if n in given else ())) for n in rows}
        return {
            n: pa.table({c: pa.array([_cell(r[c]) for r in rows[n]], pa.string()) for c in columns[n]}) for n in rows
        }

    def grid(self) -> Grid:
        """The dates of the expectation, which must lie whole and equal days apart."""
        as_ofs = sorted({parse_instant(row["as_of"]) for row in self.expected.dicts()})
        steps = {after - before for before, after in pairwise(as_ofs)} or {timedelta(days=1)}
        step = steps.pop()
        if steps or step % timedelta(days=1):
            raise SpecError(f"{self.id}: the as_ofs do not lie whole and equal days apart")
        return Grid(as_ofs[0], step.days, len(as_ofs))


def read_topics(folder: Path = HERE) -> tuple[Topic, ...]:
    """The topics of a folder, in the order of their file names."""
    return topics_of(folder, _case)


def read_topic(name: str, text: str) -> Topic:
    """One file, the tables of whose cases are rows of a source and the expected snapshot."""
    return topic_of(name, text, _case)


def _case(written: Written) -> Case:
    where = written.where
    prose, _, not_yet = (part.strip() for part in written.prose.partition("Not yet so:"))
    if not prose:
        raise SpecError(f"{where}: no sentence that says what is shown")
    tables = [rows_of(where, name, text) for name, text in written.fences]
    names = [t.name for t in tables]
    if names.count(EXPECTED) != 1 or names[-1] != EXPECTED:
        raise SpecError(f"{where}: every case ends with one table named {EXPECTED}")
    if len(set(names)) < len(names):
        raise SpecError(f"{where}: a table is given twice; it has {', '.join(names)}")
    case = Case(written.topic, written.title, prose, tuple(tables[:-1]), tables[-1], " ".join(not_yet.split()))
    _check_accounts(where, case)
    case.grid()
    return case


def rows_of(where: str, name: str, text: str) -> Table:
    """A table of the contract, the options or the expectation, with columns that it may have."""
    if name not in (*TABLES, OPTIONS, EXPECTED):
        raise SpecError(f"{where}, table {name!r}: no such table; there are {', '.join((*TABLES, OPTIONS, EXPECTED))}")
    table = table_of(where, name, text)
    _check_columns(f"{where}, table {name!r}", table)
    return table


def _check_columns(where: str, table: Table) -> None:
    if table.name == EXPECTED:
        _check_expected(where, table)
        return
    if table.name == OPTIONS:
        known, missing = tuple(OPTION_DEFAULTS), ()
        if len(table.rows) != 1:
            raise SpecError(f"{where}: needs one row")
    else:
        contract = TABLES[table.name]
        known = contract.names
        missing = tuple(c for c in contract.required if c not in (*table.columns, *_defaults(table.name)))
    if unknown := [c for c in table.columns if c not in known]:
        raise SpecError(f"{where}: no column {', '.join(unknown)}; there are {', '.join(known)}")
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
            raise SpecError(f"{where}: {row['as_of']!r} is no instant") from None
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
    if strangers := {row["account_id"] for row in case.expected.dicts()} - accounts:
        raise SpecError(f"{where}: expects accounts that there are not: {', '.join(sorted(strangers))}")


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
    """By (account, as_of in ISO 8601) the values expected: None for unknown, and None for an absent row."""
    for row in case.expected.dicts():
        key = (row["account_id"], parse_instant(row["as_of"]).isoformat())
        features = {f: row[f] for f in case.expected.columns[len(KEYS) :]}
        if ABSENT in features.values():
            yield key, None
            continue
        yield key, {
            f: None if v == UNKNOWN else _number(f, v) if CATALOGUE[f].kind == "number" else v for f, v in features.items()
        }
