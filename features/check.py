"""Checking a source against the data contract: what breaks it, where, and what would have been right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import ibis

from features.conform import Schema, conformed, fits, given_schema, given_table
from features.contract import TABLES, Table
from features.engine import CUTOFF, fetch, set_cutoff
from features.errors import SignalsError
from features.source import Source

LARGEST = 1e12
"""No amount, quantity or number of seats is larger; sums of so many would not be exact any more."""
FIRST_ROWS = 5
"""How many row positions a finding names."""


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


def check(source: Source, until: datetime | None = None) -> CheckReport:
    """Check every table that ``source`` holds against the contract.

    Parameters
    ----------
    source : the tables as given.
    until : rows at or after this instant are not looked at.

    Returns
    -------
    CheckReport
        With no findings if the source may be used. Values never appear in it, only row positions: from 1, in the order
        in which the table is read.
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
            notes.append(f"{name}: columns not in the contract are ignored: {', '.join(extra)}")
        try:
            rows[name] = int(given.count().to_pyarrow().as_py())
            if not shape:
                findings += _values(source, table)
        except duckdb.Error:
            findings.append(Finding(name, "", "the rows cannot be read", "a sound table"))
    if rows.get("accounts") == 0:
        findings.append(Finding("accounts", "", "no row", "at least one account"))
    return CheckReport(source.origin, tuple(findings), tuple(notes), rows)


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
                has = ", ".join(given.columns) or "none"
                findings.append(
                    Finding(table.name, column.name, "the column is missing", f"{column.kind}; the table has {has}")
                )
        elif not text and not fits(schema[column.name], column):
            findings.append(Finding(table.name, column.name, f"the type is {schema[column.name]}", column.kind))
    return findings


def _values(source: Source, table: Table) -> list[Finding]:
    """Count every kind of break in one scan, then look up the positions of those that occurred."""
    accounts = given_schema(source, "accounts") if "accounts" in source.tables else None
    if table.name == "accounts" or (accounts is not None and "account_id" not in dict(accounts)):
        accounts = None
    about = (table, given_schema(source, table.name), table.name in source.text, accounts, "accounts" in source.text)
    (counts,) = fetch(source.connection, _break_counts, *about)
    findings = []
    for i, (column, problem, expected, _) in enumerate(_breaks(table, _rows(*about))) if any(counts.values()) else ():
        if n := int(counts[f"b{i}"] or 0):
            first = fetch(source.connection, _break_positions, i, *about)
            findings.append(Finding(table.name, column, problem, expected, n, tuple(int(r["_row"]) for r in first)))
    return findings


def _break_counts(table: Table, *about: Any) -> ibis.Table:
    rows = _rows(table, *about)
    return rows.aggregate(**{f"b{i}": wrong.sum() for i, (*_, wrong) in enumerate(_breaks(table, rows))})


def _break_positions(which: int, table: Table, *about: Any) -> ibis.Table:
    rows = _rows(table, *about)
    wrong = list(_breaks(table, rows))[which][-1]
    return rows.filter(wrong).order_by("_row").limit(FIRST_ROWS).select("_row")


def _rows(table: Table, schema: Schema, text: bool, accounts: Schema | None, accounts_text: bool) -> ibis.Table:
    """The conformed rows before the cut-off, numbered from 1, with what was given and whether the account is known."""
    given = given_table(table.name, schema)
    numbered = given.mutate(_row=ibis.row_number() + 1)
    present = [c for c in table.columns if c.name in given.columns]
    rows = numbered.select(
        "_row",
        **conformed(numbered, table, text),
        **{f"_given_{c.name}": numbered[c.name].notnull() & (numbered[c.name].cast("string") != "") for c in present},
    )
    rows = rows.cross_join(CUTOFF)
    rows = rows.filter(rows[table.at].isnull() | rows.cutoff.isnull() | (rows[table.at] < rows.cutoff)).drop("cutoff")
    if accounts is not None:
        all_accounts = given_table("accounts", accounts)
        known = all_accounts.select(
            _known=conformed(all_accounts, TABLES["accounts"], accounts_text)["account_id"]
        ).distinct()
        rows = rows.left_join(known, rows.account_id == known._known)
    return rows


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
    if "_known" in rows.columns:
        orphan = rows._known.isnull() & rows.account_id.notnull()
        yield "account_id", "an account that accounts does not have", "an account_id of accounts", orphan
