"""Checking a source against the data contract: what breaks it, where, and what would have been right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import ibis

from features.contract.schema import EVENT_TABLES, ID_LIMIT, TABLES, Column, TableSchema
from features.errors import SignalsError
from features.signals.casting import (
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
from features.signals.data_through import completeness
from features.signals.event_versions import (
    arrival_of,
    at_one_instant,
    extras_of,
    has_identity,
    of_several_accounts,
    overlaps,
    repeated_ids,
)
from features.signals.inclusive_ends import contiguous_count
from features.sources.base import Source
from features.sources.engine import CUTOFF, error_types, fetch, is_embedded, set_cutoff
from features.sources.engine_errors import describe_error
from features.utils.dates import to_iso

LARGEST = 1e12
"""No amount, quantity or number of seats is larger; sums of so many would not be exact any more."""
Mark = Callable[[bool, str, Schema, bool, str], ibis.Table]
"""Builds the rows of a table with ``_mark``; see `_marked`."""
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
    source: Source,
    until: datetime | None = None,
    only: Mapping[str, Sequence[Path]] | None = None,
    *,
    look: bool = True,
    now: datetime | None = None,
) -> CheckReport:
    """Check every table that ``source`` holds against the contract.

    Parameters
    ----------
    source : the tables as given.
    until : rows at or after this instant are not looked at.
    only : of these tables, the rows of these files alone are looked at.
    look : whether to look for findings too, which costs some more scans.
    now : the clock, by default the present.

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
        extra = [c for c in given.columns if c not in (*table.names, *source.partitions.get(name, ()))]
        if extra:
            use = "only tell rows apart" if table.event else "are ignored"
            notes.append(f"{name}: columns not in the contract {use}: {printable_names(extra, given, table)}")
        try:
            rows[name] = count_given(source, name)
            if not shape:
                with source.restricted_to(name, (only or {}).get(name)) as some:
                    violations += _values(source, table) if some else []
        except error_types(source.connection) as error:
            why = f" ({describe_error(error)})" if is_embedded(source.connection) else ""
            violations.append(Violation(name, "", f"the rows cannot be read{why}", "a sound table"))
    if rows.get("accounts") == 0:
        violations.append(Violation("accounts", "", "no row", "at least one account"))
    found = tuple(_findings(source, until, now)) if look and not violations else ()
    return CheckReport(source.origin, tuple(violations), tuple(notes), rows, found)


def _findings(source: Source, until: datetime | None, now: datetime | None) -> Iterator[Finding]:
    """What breaks no rule and should be looked at; the shapes of the tables keep the contract."""
    end = until or completeness(source, now).through
    if end is not None:
        yield from _beyond(source, end, until is None, now)
    for name in source.tables:
        yield from _unknown_instants(source, TABLES[name])
    for name in EVENT_TABLES:
        if name in source.tables and has_identity(TABLES[name], given_schema(source, name)):
            yield from _ids(source, TABLES[name])
    if "subscriptions" in source.tables:
        yield from _contracts(source)


def _beyond(source: Source, end: datetime, inclusive: bool, now: datetime | None) -> Iterator[Finding]:
    """Rows after the end of the data."""
    clock = now or datetime.now(UTC)
    set_cutoff(source.connection, end + timedelta(microseconds=1) if inclusive else end)
    for name, table in TABLES.items():
        later = sorted({c.known_from for c in table.columns if c.known_from}) if table.event else []
        for column in (table.at, *later) if name in source.tables else ():
            rows, positions, oldest = _marked(source, _is_beyond, name, column)
            if rows:
                future = oldest is not None and oldest.replace(tzinfo=UTC) > clock
                when = "dated in the future" if future else f"dated after the end of the data, {to_iso(end)}"
                first = "it is" if rows == 1 else "they are"
                then = f"{first} passed over" if column == table.at else f"{first} read as unknown"
                yield Finding(name, column, rows, f"{when}: {then}", "correct the dates, if they are wrong", positions)


def _ids(source: Source, table: TableSchema) -> Iterator[Finding]:
    """Ids that do not tell which row counts."""
    about = given_schema(source, table.name), table.name in source.text
    (counts,) = fetch(source.connection, repeated_ids, table.name, *about)
    if counts["n"] == counts["ids"]:
        return
    rows, positions, _ = _marked(source, _is_at_one_instant, table.name, "")
    if rows:
        what = "differ from another version of their event that arrived at the same instant"
        cure = "give each version the loaded_at at which it arrived; until then the one that says more holds"
        yield Finding(table.name, table.identity, rows, what, cure, positions)
    rows, positions, _ = _marked(source, _is_of_several_accounts, table.name, "")
    if rows:
        what = "share their id with rows of another account: each id is one event, of the account that arrived last"
        cure = "if ids are unique within an account only, put the account before them"
        yield Finding(table.name, table.identity, rows, what, cure, positions)


def _contracts(source: Source) -> Iterator[Finding]:
    about = given_schema(source, "subscriptions"), "subscriptions" in source.text
    if "subscription_id" not in dict(about[0]):
        rows, positions, _ = _marked(source, _is_repeated, "subscriptions", "")
        if rows:
            what = "equal another row in every column: each counts as a subscription"
            cure = "leave out rows that were exported twice, or add a subscription_id"
            yield Finding("subscriptions", None, rows, what, cure, positions)
    (counts,) = fetch(source.connection, contiguous_count, *about)
    if counts["n"]:
        what = "lie a second or a day before the next period's start: the two periods are read as contiguous"
        yield Finding("subscriptions", "ended_at", int(counts["n"]), what)


def _marked(source: Source, mark: Mark, name: str, column: str) -> tuple[int, tuple[int, ...], datetime | None]:
    """How many rows of table ``name`` a mark is on, the first positions of them, and the oldest value of ``column``."""
    about = (mark, name, given_schema(source, name), name in source.text, column)
    (counts,) = fetch(source.connection, _mark_count, *about)
    if not counts["n"]:
        return 0, (), None
    first = fetch(source.connection, _mark_positions, *about)
    return int(counts["n"]), tuple(int(row["_row"]) for row in first), counts["oldest"]


def _mark_count(mark: Mark, name: str, schema: Schema, text: bool, column: str) -> ibis.Table:
    rows = mark(False, name, schema, text, column)
    oldest = rows[column].min(where=rows._mark) if column else ibis.null("timestamp")
    return rows.aggregate(n=rows._mark.sum(), oldest=oldest)


def _mark_positions(mark: Mark, name: str, schema: Schema, text: bool, column: str) -> ibis.Table:
    rows = mark(True, name, schema, text, column)
    return rows.filter(rows._mark).order_by("_row").limit(FIRST_ROWS).select("_row")


def _numbered(numbered: bool, name: str, schema: Schema, text: bool) -> ibis.Table:
    """The conformed rows, with ``_row`` from 1 where asked for, and ``_arrival`` of events."""
    given, table = given_table(name, schema), TABLES[name]
    columns = conformed(given, table, text)
    if numbered:
        columns = {"_row": ibis.row_number() + 1} | columns
    rows = given.select(**columns)
    return rows.mutate(_arrival=arrival_of(rows)) if table.event else rows


def _is_beyond(numbered: bool, name: str, schema: Schema, text: bool, column: str) -> ibis.Table:
    rows = _numbered(numbered, name, schema, text).cross_join(CUTOFF)
    return rows.mutate(_mark=(rows[column] >= rows.cutoff).fill_null(False))


def _is_at_one_instant(numbered: bool, name: str, schema: Schema, text: bool, _column: str) -> ibis.Table:
    rows = _numbered(numbered, name, schema, text)
    return rows.mutate(_mark=at_one_instant(rows, TABLES[name]))


def _is_of_several_accounts(numbered: bool, name: str, schema: Schema, text: bool, _column: str) -> ibis.Table:
    rows = _numbered(numbered, name, schema, text)
    return rows.mutate(_mark=of_several_accounts(rows, TABLES[name]))


def _is_repeated(numbered: bool, name: str, schema: Schema, text: bool, _column: str) -> ibis.Table:
    given = given_table(name, schema)
    rows = given.select(**extras_of(given, tuple(c for c, _ in schema)))
    if numbered:
        rows = rows.mutate(_row=ibis.row_number() + 1)
    alike = ibis.window(group_by=[c for c in rows.columns if c != "_row"])
    return rows.mutate(_mark=rows.count().over(alike) > 1)


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


def _shape(table: TableSchema, given: ibis.Table, text: bool) -> list[Violation]:
    violations = []
    schema = given.schema()
    for column in table.columns:
        if column.name not in schema:
            if column.required:
                has = printable_names(given.columns, given, table)
                violations.append(
                    Violation(table.name, column.name, "the column is missing", f"{column.kind}; the table has {has}")
                )
        elif not text and not fits(schema[column.name], column):
            violations.append(Violation(table.name, column.name, f"the type is {schema[column.name]}", column.kind))
    return violations


def _values(source: Source, table: TableSchema) -> list[Violation]:
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


def _sweep(table: TableSchema, *about: Any) -> ibis.Table:
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


def _break_counts(table: TableSchema, *about: Any) -> ibis.Table:
    rows = _rows(table, False, *about)
    return rows.aggregate(**{f"b{i}": wrong.sum() for i, (*_, wrong) in enumerate(_breaks(table, rows))})


def _break_positions(which: int, table: TableSchema, *about: Any) -> ibis.Table:
    rows = _rows(table, True, *about)
    if which == ORPHANS:
        rows = _beside_accounts(rows, *about[2:])
        wrong = rows._known.isnull() & rows.account_id.notnull()
    else:
        wrong = list(_breaks(table, rows))[which][-1]
    return rows.filter(wrong).order_by("_row").limit(FIRST_ROWS).select("_row")


def _rows(
    table: TableSchema, numbered: bool, schema: Schema, text: bool, _accounts: Schema | None, _accounts_text: bool
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
    if _has_periods(table, schema):
        rows = overlaps(rows)
    return rows.filter(rows[table.at].isnull() | rows.cutoff.isnull() | (rows[table.at] < rows.cutoff)).drop("cutoff")


def _is_known(given: ibis.Table, column: Column, text: bool) -> Any:
    """Whether a value is given; an optional instant out of range is not."""
    value = _is_given(given[column.name])
    return value & ~out_of_range(given, column, text) if column.kind == "instant" and not column.required else value


def _unknown_instants(source: Source, table: TableSchema) -> Iterator[Finding]:
    """Optional instant columns with values out of range: how many read as unknown."""
    schema, text = given_schema(source, table.name), table.name in source.text
    columns = [c for c in table.columns if c.kind == "instant" and not c.required and c.name in dict(schema)]
    if not columns:
        return
    (counts,) = fetch(source.connection, _unknown_counts, table, schema, text)
    for column in columns:
        if rows := int(counts[column.name]):
            what = f"lie before {FIRST_YEAR} or from {END_YEAR} on: they are read as unknown"
            yield Finding(table.name, column.name, rows, what, "leave them empty where there is no date")


def _unknown_counts(table: TableSchema, schema: Schema, text: bool) -> ibis.Table:
    given = given_table(table.name, schema)
    columns = [c for c in table.columns if c.kind == "instant" and not c.required and c.name in dict(schema)]
    return given.aggregate(**{c.name: out_of_range(given, c, text).sum().fill_null(0) for c in columns})


def printable_names(names: Iterable[str], given: ibis.Table, table: TableSchema) -> str:
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


def _has_periods(table: TableSchema, schema: Schema) -> bool:
    """Whether rows are periods of what their identity names."""
    return not table.event and table.identity in dict(schema)


def _is_given(value: Any) -> Any:
    return value.notnull() & (value != "") if value.type().is_string() else value.notnull()


def _beside_accounts(rows: ibis.Table, accounts: Schema, text: bool) -> ibis.Table:
    """The rows with ``_known``, the account's id where ``accounts`` has it."""
    given = given_table("accounts", accounts)
    known = given.select(_known=conformed(given, TABLES["accounts"], text)["account_id"]).distinct()
    return rows.left_join(known, rows.account_id == known._known)


def _unusable_ids(table: TableSchema, rows: ibis.Table) -> Iterator[tuple[str, str, str, ibis.Value]]:
    """Ids of accounts that no address can hold; the rows of other tables are of these accounts."""
    if table.name == "accounts" and "_given_account_id" in rows.columns:
        bound = f"at most {ID_LIMIT} characters"
        yield "account_id", f"an id of over {ID_LIMIT} characters", bound, rows.account_id.length() > ID_LIMIT
        hidden = rows.account_id.re_search(r"[\p{Cc}\p{Zl}\p{Zp}]")
        yield "account_id", "an id with a line break or control character", "an id that an address can hold", hidden


def _breaks(table: TableSchema, rows: ibis.Table) -> Iterator[tuple[str, str, str, ibis.Value]]:
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
    if "_overlaps" in rows.columns:
        words = "periods of one subscription that overlap", "periods of one id that follow one another"
        yield table.identity, *words, rows._overlaps
    if table.unique is not None:
        distinct = rows.select(*table.names).distinct()
        clash = distinct.group_by(table.unique).aggregate(n=lambda t: t.count()).filter(lambda t: t.n > 1)
        wrong = rows[table.unique].isin(clash[table.unique])
        yield table.unique, "rows that differ under one key", "one row each", wrong.fill_null(False)
