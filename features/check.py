"""Checking a source against the data contract: what breaks it, where, and what would have been right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import ibis

from features.conform import (
    END_YEAR,
    FIRST_YEAR,
    Schema,
    conformed,
    fits,
    given_schema,
    given_table,
    out_of_range,
    written_as,
)
from features.contract import ID_LIMIT, TABLES, Column, Table
from features.engine import CUTOFF, embedded, errors, fetch, set_cutoff
from features.errors import SignalsError
from features.sources.base import Source
from features.sources.engine_errors import reason

LARGEST = 1e12
"""No amount, quantity or number of seats is larger; sums of so many would not be exact any more."""
FIRST_ROWS = 5
"""How many row positions a finding names."""
ORPHANS = -1
"""Stands for the rows of unknown accounts among the breaks of a table."""


@dataclass(frozen=True)
class Finding:
    """One break of the contract: table, column, how many rows, the first positions (from 1), and what would be
    right."""

    table: str
    column: str
    problem: str
    expected: str
    rows: int = 0
    positions: tuple[int, ...] = ()

    def __str__(self) -> str:
        place = f"{self.table}.{self.column}" if self.column else self.table
        where = ""
        if self.rows:
            more = ", …" if self.rows > len(self.positions) else ""
            noun = "row" if self.rows == 1 else "rows"
            where = f" in {self.rows} {noun} ({noun} {', '.join(map(str, self.positions))}{more})"
        return f"{place}: {self.problem}{where}; expected {self.expected}"


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    ``findings`` are errors, ``notes`` are not; ``rows`` counts the rows of each table as given.
    """

    origin: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the source keeps the contract."""
        return not self.findings

    def raise_if_broken(self) -> None:
        """Raise a SignalsError that names every finding, if there is any."""
        if self.findings:
            raise SignalsError(
                f"{self.origin} breaks the data contract:\n" + "\n".join(f"  {f}" for f in self.findings),
                cure="mend the source (or its mapping) at the places named",
            )

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {"ok": self.ok, **asdict(self)}


def check(
    source: Source, until: datetime | None = None, only: Mapping[str, Sequence[Path]] | None = None
) -> CheckReport:
    """Check every table that ``source`` holds against the contract.

    Parameters
    ----------
    source : the tables as given.
    until : rows at or after this instant are not looked at.
    only : of these tables, the rows of these files alone are looked at.

    Returns
    -------
    CheckReport
        With no findings if the source may be used. Values never appear in it, only row positions: from 1, in the order
        in which the table is read. Spark reads a file's parts in no fixed order, so that there the positions in large
        files, or in several, may be others.
    """
    findings = _missing_tables(source)
    notes = list(source.notes)
    rows: dict[str, int] = {}
    set_cutoff(source.connection, until)
    for name in TABLES:
        if name not in source.tables:
            continue
        table, given = TABLES[name], source.tables[name]
        shape = _shape(table, given, name in source.text)
        findings += shape
        extra = [c for c in given.columns if c not in table.names]
        if extra:
            notes.append(f"{name}: columns not in the contract are ignored: {printable_names(extra, given, table)}")
        try:
            rows[name] = count_given(source, name)
            if not shape:
                with source.narrowed(name, (only or {}).get(name)) as some:
                    findings += _values(source, table) if some else []
                    notes += _unknown_instants(source, table) if some else []
        except errors(source.connection) as error:
            why = f" ({reason(error)})" if embedded(source.connection) else ""
            findings.append(Finding(name, "", f"the rows cannot be read{why}", "a sound table"))
    if rows.get("accounts") == 0:
        findings.append(Finding("accounts", "", "no row", "at least one account"))
    return CheckReport(source.origin, tuple(findings), tuple(notes), rows)


def count_given(source: Source, name: str) -> int:
    """How many rows table ``name`` has as given."""
    (row,) = fetch(source.connection, _row_count, name, given_schema(source, name))
    return int(row["n"])


def _row_count(name: str, schema: Schema) -> ibis.Table:
    return given_table(name, schema).aggregate(n=lambda t: t.count())


def _missing_tables(source: Source) -> list[Finding]:
    findings = []
    if "accounts" not in source.tables:
        findings.append(Finding("accounts", "", "the table is missing", "a table of accounts: account_id, created_at"))
    if not {"subscriptions", "orders"} & set(source.tables):
        findings.append(
            Finding("subscriptions", "", "the table is missing", "subscriptions (or orders, without contracts)")
        )
    return findings


def _shape(table: Table, given: ibis.Table, text: bool) -> list[Finding]:
    findings = []
    schema = given.schema()
    for column in table.columns:
        if column.name not in schema:
            if column.required:
                has = printable_names(given.columns, given, table)
                findings.append(
                    Finding(table.name, column.name, "the column is missing", f"{column.kind}; the table has {has}")
                )
        elif not text and not fits(schema[column.name], column):
            findings.append(Finding(table.name, column.name, f"the type is {schema[column.name]}", column.kind))
    return findings


def _values(source: Source, table: Table) -> list[Finding]:
    """See in one scan whether anything is wrong; only then count every kind of break, and look up the positions of
    those that occurred."""
    accounts = given_schema(source, "accounts") if "accounts" in source.tables else None
    if table.name == "accounts" or (accounts is not None and "account_id" not in dict(accounts)):
        accounts = None
    about = (table, given_schema(source, table.name), table.name in source.text, accounts, "accounts" in source.text)
    (seen,) = fetch(source.connection, _sweep, *about)
    found: list[tuple[int, str, str, str, int]] = []
    if seen["wrong"]:
        (counts,) = fetch(source.connection, _break_counts, *about)
        breaks = list(_breaks(table, _rows(table, False, *about[1:])))
        wrong = [int(counts[f"b{i}"] or 0) for i in range(len(counts))]
        found = [(i, *breaks[i][:3], n) for i, n in enumerate(wrong) if n]
    if n := int(seen["orphans"] or 0):
        found.append((ORPHANS, "account_id", "an account that accounts does not have", "an account_id of accounts", n))
    findings = []
    for which, column, problem, expected, n in found:
        first = fetch(source.connection, _break_positions, which, *about)
        findings.append(Finding(table.name, column, problem, expected, n, tuple(int(r["_row"]) for r in first)))
    return findings


def _sweep(table: Table, *about: Any) -> ibis.Table:
    """How many rows are wrong in any way, and how many are of accounts that are not there; by account first, as an
    account has many rows."""
    rows = _rows(table, False, *about)
    wrong = reduce(or_, (marked for *_, marked in _breaks(table, rows)))
    groups = rows.group_by("account_id").aggregate(n=rows.count(), wrong=rows.count(where=wrong))
    if about[2] is None:
        return groups.aggregate(wrong=groups.wrong.sum(), orphans=(groups.n * 0).sum())
    groups = _beside_accounts(groups, *about[2:])
    alone = groups._known.isnull() & groups.account_id.notnull()
    return groups.aggregate(wrong=groups.wrong.sum(), orphans=groups.n.sum(where=alone))


def _break_counts(table: Table, *about: Any) -> ibis.Table:
    rows = _rows(table, False, *about)
    return rows.aggregate(**{f"b{i}": wrong.sum() for i, (*_, wrong) in enumerate(_breaks(table, rows))})


def _break_positions(which: int, table: Table, *about: Any) -> ibis.Table:
    rows = _rows(table, True, *about)
    if which == ORPHANS:
        rows = _beside_accounts(rows, *about[2:])
        wrong = rows._known.isnull() & rows.account_id.notnull()
    else:
        wrong = list(_breaks(table, rows))[which][-1]
    return rows.filter(wrong).order_by("_row").limit(FIRST_ROWS).select("_row")


def _rows(
    table: Table, numbered: bool, schema: Schema, text: bool, _accounts: Schema | None, _accounts_text: bool
) -> ibis.Table:
    """The conformed rows before the cut-off, with what was given; ``numbered`` from 1, which takes them one by one."""
    given = given_table(table.name, schema)
    if numbered:
        given = given.mutate(_row=ibis.row_number() + 1)
    present = [c for c in table.columns if c.name in dict(schema)]
    rows = given.select(
        *(["_row"] if numbered else []),
        **conformed(given, table, text),
        **{f"_given_{c.name}": _is_known(given, c, text) for c in present},
    )
    rows = rows.cross_join(CUTOFF)
    return rows.filter(rows[table.at].isnull() | rows.cutoff.isnull() | (rows[table.at] < rows.cutoff)).drop("cutoff")


def _is_known(given: ibis.Table, column: Column, text: bool) -> Any:
    """Whether a value is given; an optional instant out of range is not."""
    value = _is_given(given[column.name])
    return value & ~out_of_range(given, column, text) if column.kind == "instant" and not column.required else value


def _unknown_instants(source: Source, table: Table) -> list[str]:
    """A note for each optional instant column with values out of range: how many read as unknown."""
    schema, text = given_schema(source, table.name), table.name in source.text
    columns = [c for c in table.columns if c.kind == "instant" and not c.required and c.name in dict(schema)]
    if not columns:
        return []
    (counts,) = fetch(source.connection, _unknown_counts, table, schema, text)
    return [
        f"{table.name}.{c.name}: {counts[c.name]} {'row' if counts[c.name] == 1 else 'rows'} before {FIRST_YEAR} or "
        f"from {END_YEAR} on read as unknown"
        for c in columns
        if counts[c.name]
    ]


def _unknown_counts(table: Table, schema: Schema, text: bool) -> ibis.Table:
    given = given_table(table.name, schema)
    columns = [c for c in table.columns if c.kind == "instant" and not c.required and c.name in dict(schema)]
    return given.aggregate(**{c.name: out_of_range(given, c, text).sum().fill_null(0) for c in columns})


def printable_names(names: Iterable[str], given: ibis.Table, table: Table) -> str:
    """Those of ``names`` that may be shown. A header read from a row of data is values: unless a required column of
    the contract is among the columns, only their number is told; and never what is no plain name."""
    names = list(names)
    if not names:
        return "no column"
    if not set(table.required) & set(given.columns):
        number = f"{len(names)} column" + ("" if len(names) == 1 else "s")
        return f"{number}, none of them one of {', '.join(table.required)}: does the first row hold the names?"
    shown = [name for name in names if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ .-]{0,63}", name)]
    rest = len(names) - len(shown)
    return ", ".join([*shown, *([f"{rest} with other names"] if rest else [])])


def _is_given(value: Any) -> Any:
    return value.notnull() & (value != "") if value.type().is_string() else value.notnull()


def _beside_accounts(rows: ibis.Table, accounts: Schema, text: bool) -> ibis.Table:
    """The rows with ``_known``, the account's id where ``accounts`` has it."""
    given = given_table("accounts", accounts)
    known = given.select(_known=conformed(given, TABLES["accounts"], text)["account_id"]).distinct()
    return rows.left_join(known, rows.account_id == known._known)


def _unusable_ids(table: Table, rows: ibis.Table) -> Iterator[tuple[str, str, str, ibis.Value]]:
    """Ids of accounts that no address can hold; the rows of other tables are of these accounts."""
    if table.name == "accounts" and "_given_account_id" in rows.columns:
        bound = f"at most {ID_LIMIT} characters"
        yield "account_id", f"an id of over {ID_LIMIT} characters", bound, rows.account_id.length() > ID_LIMIT
        hidden = rows.account_id.re_search(r"[\p{Cc}\p{Zl}\p{Zp}]")
        yield "account_id", "an id with a line break or control character", "an id that an address can hold", hidden


def _breaks(table: Table, rows: ibis.Table) -> Iterator[tuple[str, str, str, ibis.Value]]:
    """Each way in which a row may be wrong: column, problem, what is right, and the boolean that marks it."""
    for name, problem, expected, unusable in _unusable_ids(table, rows):
        yield name, problem, expected, unusable.fill_null(False)
    for column in table.columns:
        value, given = rows[column.name], f"_given_{column.name}"
        if given not in rows.columns:
            continue
        if column.kind != "string":
            yield column.name, "a value that cannot be read", written_as(column), rows[given] & value.isnull()
        if column.required:
            yield column.name, "an empty value", f"a {column.kind}", ~rows[given]
        if column.required and column.kind == "instant":
            far = (value < ibis.timestamp(f"{FIRST_YEAR}-01-01")) | (value >= ibis.timestamp(f"{END_YEAR}-01-01"))
            outside = f"an instant out of range, before {FIRST_YEAR} or from {END_YEAR} on"
            yield column.name, outside, f"an instant from {FIRST_YEAR} to {END_YEAR - 1}", far.fill_null(False)
        if column.values:
            listed = "one of " + ", ".join(column.values)
            yield column.name, "a value outside the list", listed, value.notnull() & value.notin(column.values)
        if column.kind in ("float", "int"):
            # Infinity among them.
            words = f"a value beyond {LARGEST:g}", f"a number between {-LARGEST:g} and {LARGEST:g}"
            yield column.name, *words, (value.cast("float64").abs() > LARGEST).fill_null(False)
        if column.minimum is not None:
            bound = f"at least {column.minimum:g}"
            yield column.name, f"a value below {column.minimum:g}", bound, (value < column.minimum).fill_null(False)
        if column.maximum is not None:
            bound = f"at most {column.maximum:g}"
            yield column.name, f"a value above {column.maximum:g}", bound, (value > column.maximum).fill_null(False)
    for start, end in table.intervals:
        wrong = (rows[end] < rows[start]).fill_null(False)
        yield end, f"an end before the start ({start})", f"{end} at or after {start}", wrong
    for kind, name, low, high in table.ranges:
        wrong = ((rows.kind == kind) & ~rows[name].between(low, high)).fill_null(False)
        yield name, f"a value of kind {kind} outside its range", f"{low:g} to {high:g}", wrong
    if table.unique is not None:
        distinct = rows.select(*table.names).distinct()
        clash = distinct.group_by(table.unique).aggregate(n=lambda t: t.count()).filter(lambda t: t.n > 1)
        wrong = rows[table.unique].isin(clash[table.unique])
        yield table.unique, "rows that differ under one key", "one row each", wrong.fill_null(False)
