"""Checking a source against the data contract: what breaks it, where, and what would have been right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import ibis

from features.conform import Schema, conformed, fits, given_schema, given_table
from features.contract import TABLES, Table
from features.engine import CUTOFF, errors, fetch, set_cutoff
from features.errors import SignalsError
from features.source import Source

LARGEST = 1e12
"""No amount, quantity or number of seats is larger; sums of so many would not be exact any more."""
FIRST_ROWS = 5
"""How many row positions a finding names."""
ORPHANS = -1
"""Stands for the rows of unknown accounts among the breaks of a table."""


@dataclass(frozen=True)
class Violation:
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
        where = f" in {_places(self.rows, self.positions)}" if self.rows else ""
        return f"{place}: {self.problem}{where}; expected {self.expected}"


@dataclass(frozen=True)
class Finding:
    """Something in the data that breaks no rule and should be looked at before its numbers are trusted.

    Parameters
    ----------
    table : contract table.
    column : its column; None where the rows as a whole are meant.
    rows : how many rows; 0 where they cannot be counted.
    what : what was found, in words that follow the rows.
    cure : what to do about it; empty where there is nothing to do.
    positions : the first row positions, from 1.
    """

    table: str
    column: str | None
    rows: int
    what: str
    cure: str = ""
    positions: tuple[int, ...] = ()

    def __str__(self) -> str:
        place = f"{self.table}.{self.column}" if self.column else self.table
        where = f"{_places(self.rows, self.positions)} " if self.rows else ""
        return f"{place}: {where}{self.what}" + (f"; {self.cure}" if self.cure else "")


def _places(rows: int, positions: tuple[int, ...]) -> str:
    noun = "row" if rows == 1 else "rows"
    if not positions:
        return f"{rows:,} {noun}"
    more = ", …" if rows > len(positions) else ""
    return f"{rows} {noun} ({noun} {', '.join(map(str, positions))}{more})"


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    ``errors`` break the contract; ``findings`` do not, and should be looked at; ``notes`` are good to know. ``rows``
    counts the rows of each table as given.
    """

    origin: str
    errors: tuple[Violation, ...]
    notes: tuple[str, ...]
    rows: dict[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the source keeps the contract."""
        return not self.errors

    def raise_if_broken(self) -> None:
        """Raise a SignalsError that names every error, if there is any."""
        if self.errors:
            raise SignalsError(
                f"{self.origin} breaks the data contract:\n" + "\n".join(f"  {error}" for error in self.errors),
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
        Without errors if the source may be used. Values never appear in it, only row positions: from 1, in the order
        in which the table is read. Spark reads a file's parts in no fixed order, so that there the positions in large
        files, or in several, may be others.
    """
    violations = _missing_tables(source)
    notes = list(source.notes)
    rows: dict[str, int] = {}
    set_cutoff(source.connection, until)
    for name in TABLES:
        if name not in source.tables:
            continue
        table, given = TABLES[name], source.tables[name]
        shape = _shape(table, given, name in source.text)
        violations += shape
        extra = [c for c in given.columns if c not in table.names]
        if extra:
            notes.append(f"{name}: columns not in the contract are ignored: {', '.join(extra)}")
        try:
            rows[name] = count_given(source, name)
            if not shape:
                with source.narrowed(name, (only or {}).get(name)) as some:
                    violations += _values(source, table) if some else []
        except errors(source.connection):
            violations.append(Violation(name, "", "the rows cannot be read", "a sound table"))
    if rows.get("accounts") == 0:
        violations.append(Violation("accounts", "", "no row", "at least one account"))
    return CheckReport(source.origin, tuple(violations), tuple(notes), rows)


def count_given(source: Source, name: str) -> int:
    """How many rows table ``name`` has as given."""
    (row,) = fetch(source.connection, _row_count, name, given_schema(source, name))
    return int(row["n"])


def _row_count(name: str, schema: Schema) -> ibis.Table:
    return given_table(name, schema).aggregate(n=lambda t: t.count())


def _missing_tables(source: Source) -> list[Violation]:
    violations = []
    if "accounts" not in source.tables:
        violations.append(
            Violation("accounts", "", "the table is missing", "a table of accounts: account_id, created_at")
        )
    if not {"subscriptions", "orders"} & set(source.tables):
        violations.append(
            Violation("subscriptions", "", "the table is missing", "subscriptions (or orders, without contracts)")
        )
    return violations


def _shape(table: Table, given: ibis.Table, text: bool) -> list[Violation]:
    violations = []
    schema = given.schema()
    for column in table.columns:
        if column.name not in schema:
            if column.required:
                has = ", ".join(given.columns) or "none"
                violations.append(
                    Violation(table.name, column.name, "the column is missing", f"{column.kind}; the table has {has}")
                )
        elif not text and not fits(schema[column.name], column):
            violations.append(Violation(table.name, column.name, f"the type is {schema[column.name]}", column.kind))
    return violations


def _values(source: Source, table: Table) -> list[Violation]:
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
    violations = []
    for which, column, problem, expected, n in found:
        first = fetch(source.connection, _break_positions, which, *about)
        violations.append(Violation(table.name, column, problem, expected, n, tuple(int(r["_row"]) for r in first)))
    return violations


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
        **{f"_given_{c.name}": _is_given(given[c.name]) for c in present},
    )
    rows = rows.cross_join(CUTOFF)
    return rows.filter(rows[table.at].isnull() | rows.cutoff.isnull() | (rows[table.at] < rows.cutoff)).drop("cutoff")


def _is_given(value: Any) -> Any:
    return value.notnull() & (value != "") if value.type().is_string() else value.notnull()


def _beside_accounts(rows: ibis.Table, accounts: Schema, text: bool) -> ibis.Table:
    """The rows with ``_known``, the account's id where ``accounts`` has it."""
    given = given_table("accounts", accounts)
    known = given.select(_known=conformed(given, TABLES["accounts"], text)["account_id"]).distinct()
    return rows.left_join(known, rows.account_id == known._known)


def _breaks(table: Table, rows: ibis.Table) -> Iterator[tuple[str, str, str, ibis.Value]]:
    """Each way in which a row may be wrong: column, problem, what is right, and the boolean that marks it."""
    for column in table.columns:
        value, given = rows[column.name], f"_given_{column.name}"
        if given not in rows.columns:
            continue
        if column.kind != "string":
            yield column.name, "a value that cannot be read", column.kind, rows[given] & value.isnull()
        if column.required:
            yield column.name, "an empty value", f"a {column.kind}", ~rows[given]
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
