"""Validate a source against the data contract: violations, their location and what was expected."""

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

from features.contract.current_contract import VARIABLE, current_tables, event_tables
from features.contract.schema import ID_LIMIT, KIND_WORDS, TABLES, Column, TableSchema
from features.contract.settings import subscription_settings
from features.errors import SignalsError
from features.signals.casting import (
    END_YEAR,
    FIRST_YEAR,
    SourceSchema,
    conformed_columns,
    expected_format,
    is_compatible,
    out_of_range,
    source_schema,
    source_table,
)
from features.signals.data_through import AHEAD_DAYS, SKEW_DAYS, completeness, first_instants
from features.signals.event_versions import (
    arrival_instant,
    extra_values,
    has_identity,
    has_several_accounts,
    is_ambiguous_version,
    repeated_ids,
    with_overlaps,
)
from features.signals.exchange_rates import currency_code, missing_rates, wrong_base_rates
from features.signals.inclusive_ends import count_inclusive_ends
from features.signals.parent_accounts import misplaced_parents
from features.sources.base import Source
from features.sources.engine import CUTOFF, error_types, fetch, is_embedded, set_cutoff
from features.utils.dates import to_iso
from features.utils.engine_errors import describe_error
from features.utils.formatting import CURRENCY_VARIABLE

MAX_VALUE = 1e12
"""Maximum of amounts, quantities and seats; larger values would make sums inexact."""
RowMarker = Callable[[bool, str, SourceSchema, bool, str], ibis.Table]
"""Builds the rows of a table with ``_mark``; see `_marked`."""
EARLY_YEAR = 1990
"""A column whose instants are mostly before this year has probably been read in the wrong unit."""
EPOCH_CURE = (
    'in a mapping, time.format says how dates are written, such as time.format = "%m/%d/%Y", and time.epoch is the '
    "unit of numbers: s, ms, us or ns"
)
MAX_POSITIONS = 5
"""Maximum number of row positions in a finding."""
ORPHANS = -1
"""Index of the rows of unknown accounts among the rules of a table."""


@dataclass(frozen=True)
class Violation:
    """One violation of the contract: table, column, number of rows, first positions (from 1) and what was expected."""

    table: str
    column: str
    problem: str
    expected: str
    rows: int = 0
    positions: tuple[int, ...] = ()

    def __str__(self) -> str:
        place = f"{self.table}.{self.column}" if self.column else self.table
        where = f" in {_row_positions(self.rows, self.positions)}" if self.rows else ""
        return f"{place}: {self.problem}{where}; expected {self.expected}"


@dataclass(frozen=True)
class Finding:
    """Something in the data that violates no rule, but should be reviewed before the numbers are trusted.

    Parameters
    ----------
    table : the contract's table.
    column : its column; None for whole rows.
    rows : the number of rows; 0 if they cannot be counted.
    what : what was found, as text that follows the rows.
    cure : what to do about it; empty if nothing.
    positions : the first row positions, from 1.
    ignored : whether the rows themselves are left out; otherwise at most a value of theirs is.
    """

    table: str
    column: str | None
    rows: int
    what: str
    cure: str = ""
    positions: tuple[int, ...] = ()
    ignored: bool = False

    def __str__(self) -> str:
        place = f"{self.table}.{self.column}" if self.column else self.table
        where = f"{_row_positions(self.rows, self.positions)} " if self.rows else ""
        return f"{place}: {where}{self.what}" + (f"; {self.cure}" if self.cure else "")


def _row_positions(rows: int, positions: tuple[int, ...]) -> str:
    noun = "row" if rows == 1 else "rows"
    if not positions:
        return f"{rows:,} {noun}"
    more = ", …" if rows > len(positions) else ""
    return f"{rows} {noun} ({noun} {', '.join(map(str, positions))}{more})"


@dataclass(frozen=True)
class CheckReport:
    """The result of a check.

    Parameters
    ----------
    origin : the source's address.
    errors : violations of the contract.
    notes : additional information.
    rows : the number of rows of each source table.
    findings : data that violate no rule, but should be reviewed.
    """

    origin: str
    errors: tuple[Violation, ...]
    notes: tuple[str, ...]
    rows: dict[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the source complies with the contract."""
        return not self.errors

    def raise_if_broken(self) -> None:
        """Raise a SignalsError with all errors, if there are any."""
        if self.errors:
            raise SignalsError(
                f"{self.origin} violates the data contract:\n" + "\n".join(f"  {error}" for error in self.errors),
                cure="correct the source (or its mapping) at the places listed",
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {"ok": self.ok, **asdict(self)}


def check_source(
    source: Source,
    until: datetime | None = None,
    only: Mapping[str, Sequence[Path]] | None = None,
    *,
    look: bool = True,
    now: datetime | None = None,
) -> CheckReport:
    """Check every table of ``source`` against the contract.

    Parameters
    ----------
    source : the source tables.
    until : ignore rows at or after this instant; by default that of a mapping, if it has one.
    only : for these tables, check only the rows of these files.
    look : whether to also search for findings, which takes additional scans.
    now : the current time, by default the system clock.

    Returns
    -------
    CheckReport
        Without errors if the source can be used. It contains row positions, from 1 in reading order, and never values.
        Spark reads parts of a file in no fixed order, so positions in large or several files may differ there.
    """
    until = until or source.data_through
    violations = _missing_tables(source)
    notes = list(source.notes)
    rows: dict[str, int] = {}
    set_cutoff(source.connection, until)
    for name in current_tables():
        if name not in source.tables:
            continue
        table, given = current_tables()[name], source.tables[name]
        shape = _shape(table, given, name in source.text)
        violations += shape
        extra = [c for c in given.columns if c not in (*table.names, *source.partitions.get(name, ()))]
        if extra:
            use = "only distinguish rows" if table.event else "are ignored"
            notes.append(f"{name}: columns not in the contract {use}: {displayable_names(extra, given, table)}")
        try:
            rows[name] = count_source_rows(source, name)
            if not shape:
                with source.restricted_to(name, (only or {}).get(name)) as some:
                    violations += _values(source, table) if some else []
        except error_types(source.connection) as error:
            why = f" ({describe_error(error)})" if is_embedded(source.connection) else ""
            violations.append(Violation(name, "", f"the rows cannot be read{why}", "a readable table"))
    if not violations:
        violations += [*_rates(source), *_circles(source)]
    if source.missing_contracts is not None and "accounts" not in source.tables:
        # The accounts of these rows come from the tool that is missing.
        violations = [each for each in violations if each.column != "account_id"]
    if rows.get("accounts") == 0:
        violations.append(Violation("accounts", "", "no row", "at least one account"))
    findings = tuple(_findings(source, until, now)) if look and not violations else ()
    return CheckReport(source.origin, tuple(violations), tuple(notes), rows, findings)


def _circles(source: Source) -> list[Violation]:
    rows, positions = misplaced_parents(source).get("circle", (0, ()))
    if not rows:
        return []
    problem, expected = "parents in a circle", "a parent that is not below the account"
    return [Violation("accounts", "parent_id", problem, expected, rows, positions[:MAX_POSITIONS])]


def _parents(source: Source) -> Iterator[Finding]:
    """Find parents that do not count."""
    words = {
        "own": ("name their own account: they are read as accounts without a parent", "leave the column empty"),
        "unknown": (
            "name a parent that is not in accounts: they are read as accounts without a parent",
            "add the parent to accounts, even if it has no subscription",
        ),
    }
    for name, (rows, positions) in misplaced_parents(source).items():
        if name in words:
            yield Finding("accounts", "parent_id", rows, *words[name], positions[:MAX_POSITIONS])


def _rates(source: Source) -> list[Violation]:
    base = subscription_settings().currency
    rows, positions = wrong_base_rates(source, base)
    if rows:
        problem = f"the base currency, {CURRENCY_VARIABLE}={base}, has a rate other than 1"
        expected = f"rates in the base currency: convert them, or set {CURRENCY_VARIABLE} to the currency with rate 1"
        return [Violation("fx_rates", "rate", problem, expected, rows, positions[:MAX_POSITIONS])]
    if "subscriptions" not in source.tables:
        return []
    rows, positions = missing_rates(source, base)
    if not rows:
        return []
    problem = "a currency without a rate of exchange at or before started_at"
    expected = (
        "a row of fx_rates for each currency, as early as its first subscription (rate 1 for the base currency, "
        f"or its code in {CURRENCY_VARIABLE})"
    )
    return [Violation("subscriptions", "currency", problem, expected, rows, positions[:MAX_POSITIONS])]


def _findings(source: Source, until: datetime | None, now: datetime | None) -> Iterator[Finding]:
    """Find data that violate no rule but should be reviewed; the tables' columns must be valid."""
    end = until or completeness(source, now).through
    if until is not None:
        yield from given_end_findings(source, until, now)
    if end is not None:
        yield from _rows_after_end(source, end, until is None, now)
    for name in source.tables:
        yield from _unknown_instants(source, current_tables()[name])
        yield from _early_instants(source, current_tables()[name])
    for name in event_tables():
        if name in source.tables and has_identity(current_tables()[name], source_schema(source, name)):
            yield from _ambiguous_ids(source, current_tables()[name])
    if "subscriptions" in source.tables:
        yield from _contracts(source)
    yield from _currencies(source)
    yield from _parents(source)


def given_end_findings(source: Source, until: datetime, now: datetime | None = None) -> Iterator[Finding]:
    """Find a given end of the data that is before all rows, in the future, or long after the newest row.

    Parameters
    ----------
    source : the source tables, with valid columns.
    until : the given end.
    now : the current time, by default the system clock.
    """
    ends = completeness(source, now).ends
    newest = max(ends, key=ends.__getitem__, default=None)
    if newest is None:
        return
    starts = first_instants(source)
    first = min(starts, key=starts.__getitem__, default="")
    if first and until <= starts[first]:
        what = (
            f"the given end of the data, {to_iso(until)}, is not after the oldest row of all tables, "
            f"{to_iso(starts[first])}: nothing is known about any account"
        )
        yield Finding(first, None, 0, what, "give the date up to which the data were exported")
        return
    silent = until - ends[newest]
    is_future = until > (now or datetime.now(UTC)) + timedelta(days=SKEW_DAYS)
    if silent > timedelta(days=AHEAD_DAYS) or (is_future and silent > timedelta(days=SKEW_DAYS)):
        future = ", is in the future and" if is_future else " is"
        what = (
            f"the given end of the data, {to_iso(until)}{future} {silent.days:,} days after the newest row of all "
            f"tables, {to_iso(ends[newest])}: accounts without rows since then count as quiet and as kept"
        )
        yield Finding(newest, None, 0, what, "give the date up to which the data were exported")


def _rows_after_end(source: Source, end: datetime, inclusive: bool, now: datetime | None) -> Iterator[Finding]:
    """Find rows after the end of the data."""
    clock = now or datetime.now(UTC)
    set_cutoff(source.connection, end + timedelta(microseconds=1) if inclusive else end)
    for name, table in current_tables().items():
        later = sorted({c.known_from for c in table.columns if c.known_from}) if table.event else []
        for column in (table.at, *later) if name in source.tables else ():
            rows, positions, oldest = _marked(source, _is_beyond, name, column)
            if rows:
                future = oldest is not None and oldest.replace(tzinfo=UTC) > clock
                when = "dated in the future" if future else f"dated after the end of the data, {to_iso(end)}"
                subject = "it is" if rows == 1 else "they are"
                then = f"{subject} ignored" if column == table.at else f"{subject} read as unknown"
                cure = "correct the dates if they are wrong"
                yield Finding(name, column, rows, f"{when}: {then}", cure, positions, ignored=column == table.at)


def _ambiguous_ids(source: Source, table: TableSchema) -> Iterator[Finding]:
    """Find ids that do not determine which row counts."""
    about = source_schema(source, table.name), table.name in source.text
    (counts,) = fetch(source.connection, repeated_ids, table.name, *about)
    if counts["n"] == counts["ids"]:
        return
    rows, positions, _ = _marked(source, _is_at_one_instant, table.name, "")
    if rows:
        what = "differ from another version of their event that arrived at the same instant"
        cure = "set loaded_at of each version to its arrival; until then the more complete version counts"
        yield Finding(table.name, table.identity, rows, what, cure, positions)
    rows, positions, _ = _marked(source, _is_of_several_accounts, table.name, "")
    if rows:
        what = (
            "have the same id as rows of another account: they are read as one event, of the account in the latest row"
        )
        cure = "if ids are unique only within an account, add the account as a prefix"
        yield Finding(table.name, table.identity, rows, what, cure, positions)


def _contracts(source: Source) -> Iterator[Finding]:
    about = source_schema(source, "subscriptions"), "subscriptions" in source.text
    if "subscription_id" not in dict(about[0]):
        rows, positions, _ = _marked(source, _is_repeated, "subscriptions", "")
        if rows:
            what = "equal another row in every column: each is counted as a subscription"
            cure = "remove rows that were exported twice, or add a subscription_id"
            yield Finding("subscriptions", None, rows, what, cure, positions)
    (counts,) = fetch(source.connection, count_inclusive_ends, *about)
    if counts["n"]:
        what = "are a second or a day before the next period's start: the two periods are read as contiguous"
        yield Finding("subscriptions", "ended_at", int(counts["n"]), what)


def _marked(source: Source, mark: RowMarker, name: str, column: str) -> tuple[int, tuple[int, ...], datetime | None]:
    """Return the number of marked rows of table ``name``, their first positions, and the oldest ``column`` value."""
    about = (mark, name, source_schema(source, name), name in source.text, column)
    (counts,) = fetch(source.connection, _mark_count, *about)
    if not counts["n"]:
        return 0, (), None
    positions = fetch(source.connection, _mark_positions, *about)
    return int(counts["n"]), tuple(int(row["_row"]) for row in positions), counts["oldest"]


def _mark_count(mark: RowMarker, name: str, schema: SourceSchema, text: bool, column: str) -> ibis.Table:
    rows = mark(False, name, schema, text, column)
    oldest = rows[column].min(where=rows._mark) if column else ibis.null("timestamp")
    return rows.aggregate(n=rows._mark.sum(), oldest=oldest)


def _mark_positions(mark: RowMarker, name: str, schema: SourceSchema, text: bool, column: str) -> ibis.Table:
    rows = mark(True, name, schema, text, column)
    return rows.filter(rows._mark).order_by("_row").limit(MAX_POSITIONS).select("_row")


def _numbered(numbered: bool, name: str, schema: SourceSchema, text: bool) -> ibis.Table:
    """Return the conformed rows, with ``_row`` from 1 if ``numbered``, and ``_arrival`` for events."""
    given, table = source_table(name, schema), current_tables()[name]
    columns = conformed_columns(given, table, text)
    if numbered:
        columns = {"_row": ibis.row_number() + 1} | columns
    rows = given.select(**columns)
    return rows.mutate(_arrival=arrival_instant(rows, table)) if table.event else rows


def _is_beyond(numbered: bool, name: str, schema: SourceSchema, text: bool, column: str) -> ibis.Table:
    rows = _numbered(numbered, name, schema, text).cross_join(CUTOFF)
    return rows.mutate(_mark=(rows[column] >= rows.cutoff).fill_null(False))


def _is_at_one_instant(numbered: bool, name: str, schema: SourceSchema, text: bool, _column: str) -> ibis.Table:
    rows = _numbered(numbered, name, schema, text)
    return rows.mutate(_mark=is_ambiguous_version(rows, current_tables()[name]))


def _is_of_several_accounts(numbered: bool, name: str, schema: SourceSchema, text: bool, _column: str) -> ibis.Table:
    rows = _numbered(numbered, name, schema, text)
    return rows.mutate(_mark=has_several_accounts(rows, current_tables()[name]))


def _is_repeated(numbered: bool, name: str, schema: SourceSchema, text: bool, _column: str) -> ibis.Table:
    given = source_table(name, schema)
    rows = given.select(**extra_values(given, tuple(c for c, _ in schema)))
    if numbered:
        rows = rows.mutate(_row=ibis.row_number() + 1)
    same = ibis.window(group_by=[c for c in rows.columns if c != "_row"])
    return rows.mutate(_mark=rows.count().over(same) > 1)


def count_source_rows(source: Source, name: str) -> int:
    """Return the number of rows of source table ``name``."""
    (row,) = fetch(source.connection, _row_count, name, source_schema(source, name))
    return int(row["n"])


def _row_count(name: str, schema: SourceSchema) -> ibis.Table:
    return source_table(name, schema).aggregate(n=lambda t: t.count())


def _missing_tables(source: Source) -> list[Violation]:
    violations = []
    lacks = source.missing_contracts
    if lacks is not None:
        violations.append(Violation("subscriptions", "", lacks.problem, lacks.expected))
    if "accounts" not in source.tables and lacks is None:
        violations.append(
            Violation("accounts", "", "the table is missing", "a table of accounts: account_id, created_at")
        )
    if not {"subscriptions", "orders"} & set(source.tables) and lacks is None:
        violations.append(
            Violation("subscriptions", "", "the table is missing", "subscriptions (or orders, without contracts)")
        )
    # A request, or a sample, may lack tables; what it lacks is unknown.
    for name, table in current_tables().items() if not source.partial else ():
        if name not in TABLES and name not in source.tables:
            expected = f"a table with {', '.join(table.required)}, as the file in {VARIABLE} declares it"
            violations.append(Violation(name, "", "the table is missing", expected))
    return violations


def _shape(table: TableSchema, given: ibis.Table, text: bool) -> list[Violation]:
    violations = []
    schema = given.schema()
    for column in table.columns:
        if column.name not in schema:
            if column.required:
                has = displayable_names(given.columns, given, table)
                violations.append(
                    Violation(table.name, column.name, "the column is missing", f"{column.kind}; the table has {has}")
                )
        elif not text and not is_compatible(schema[column.name], column):
            kind = f"instant; {EPOCH_CURE}" if column.kind == "instant" else column.kind
            violations.append(Violation(table.name, column.name, f"the type is {schema[column.name]}", kind))
    return violations


def _values(source: Source, table: TableSchema) -> list[Violation]:
    """Check in one scan whether anything is wrong; only then count each kind of violation and find its positions."""
    accounts = source_schema(source, "accounts") if "accounts" in source.tables else None
    unlinked = table.name == "accounts" or not table.of_accounts
    if unlinked or (accounts is not None and "account_id" not in dict(accounts)):
        accounts = None
    about = (table, source_schema(source, table.name), table.name in source.text, accounts, "accounts" in source.text)
    (totals,) = fetch(source.connection, _count_wrong_rows, *about)
    broken: list[tuple[int, str, str, str, int]] = []
    if totals["wrong"]:
        (counts,) = fetch(source.connection, _rule_counts, *about)
        rules = list(_rules(table, _rows(table, False, *about[1:])))
        wrong = [int(counts[f"b{i}"] or 0) for i in range(len(counts))]
        broken = [(i, *rules[i][:3], n) for i, n in enumerate(wrong) if n]
    if n := int(totals["orphans"] or 0):
        broken.append((ORPHANS, "account_id", "an account that is not in accounts", "an account_id of accounts", n))
    violations = []
    for which, column, problem, expected, n in broken:
        positions = fetch(source.connection, _rule_positions, which, *about)
        violations.append(Violation(table.name, column, problem, expected, n, tuple(int(r["_row"]) for r in positions)))
    return violations


def _count_wrong_rows(table: TableSchema, *about: Any) -> ibis.Table:
    """Count rows that violate any rule, and rows of unknown accounts; grouped by account first, to join fewer rows."""
    rows = _rows(table, False, *about)
    wrong = reduce(or_, (marked for *_, marked in _rules(table, rows)))
    groups = rows.group_by("account_id" if table.of_accounts else table.names[0]).aggregate(
        n=rows.count(), wrong=rows.count(where=wrong)
    )
    if about[2] is None:
        return groups.aggregate(wrong=groups.wrong.sum(), orphans=(groups.n * 0).sum())
    groups = _join_accounts(groups, *about[2:])
    orphans = groups._known.isnull() & groups.account_id.notnull()
    return groups.aggregate(wrong=groups.wrong.sum(), orphans=groups.n.sum(where=orphans))


def _rule_counts(table: TableSchema, *about: Any) -> ibis.Table:
    rows = _rows(table, False, *about)
    return rows.aggregate(**{f"b{i}": wrong.sum() for i, (*_, wrong) in enumerate(_rules(table, rows))})


def _rule_positions(which: int, table: TableSchema, *about: Any) -> ibis.Table:
    rows = _rows(table, True, *about)
    if which == ORPHANS:
        rows = _join_accounts(rows, *about[2:])
        wrong = rows._known.isnull() & rows.account_id.notnull()
    else:
        wrong = list(_rules(table, rows))[which][-1]
    return rows.filter(wrong).order_by("_row").limit(MAX_POSITIONS).select("_row")


def _rows(
    table: TableSchema,
    numbered: bool,
    schema: SourceSchema,
    text: bool,
    _accounts: SourceSchema | None,
    _accounts_text: bool,
) -> ibis.Table:
    """Return conformed rows before the cut-off, with flags for present values; ``numbered`` adds row numbers."""
    given = source_table(table.name, schema)
    if numbered:
        given = given.mutate(_row=ibis.row_number() + 1)
    present = [c for c in table.columns if c.name in dict(schema)]
    rows = given.select(
        *(["_row"] if numbered else []),
        **conformed_columns(given, table, text),
        **{f"_given_{c.name}": _is_known(given, c, text) for c in present},
    )
    rows = rows.cross_join(CUTOFF)
    if _has_periods(table, schema):
        rows = with_overlaps(rows)
    return rows.filter(rows[table.at].isnull() | rows.cutoff.isnull() | (rows[table.at] < rows.cutoff)).drop("cutoff")


def _is_known(given: ibis.Table, column: Column, text: bool) -> Any:
    """Return whether a value is present; an optional instant out of range is not."""
    value = _is_given(given[column.name])
    return value & ~out_of_range(given, column, text) if column.kind == "instant" and not column.required else value


def _unknown_instants(source: Source, table: TableSchema) -> Iterator[Finding]:
    """Find optional instants out of range, which are read as unknown."""
    schema, text = source_schema(source, table.name), table.name in source.text
    columns = [c for c in table.columns if c.kind == "instant" and not c.required and c.name in dict(schema)]
    if not columns:
        return
    (counts,) = fetch(source.connection, _unknown_counts, table, schema, text)
    for column in columns:
        if rows := int(counts[column.name]):
            what = f"are before {FIRST_YEAR} or from {END_YEAR} on: they are read as unknown"
            cure = f"leave them empty if there is no date; {EPOCH_CURE}"
            yield Finding(table.name, column.name, rows, what, cure)


def _unknown_counts(table: TableSchema, schema: SourceSchema, text: bool) -> ibis.Table:
    given = source_table(table.name, schema)
    columns = [c for c in table.columns if c.kind == "instant" and not c.required and c.name in dict(schema)]
    return given.aggregate(**{c.name: out_of_range(given, c, text).sum().fill_null(0) for c in columns})


def _currencies(source: Source) -> Iterator[Finding]:
    """Find orders in several currencies, which are added up as they are.

    Amounts of bills only count relative to others of the same account, so they may be in its own currency.
    """
    schema = source_schema(source, "orders") if "orders" in source.tables else ()
    for column in (c for c, _ in schema if c.strip().lower() == "currency"):
        (counts,) = fetch(source.connection, _currency_counts, "orders", schema, column)
        if int(counts["different"]) > 1:
            what = f"are in {int(counts['different'])} currencies, and amounts are added up as they are"
            yield Finding("orders", "amount", int(counts["filled"]), what, "convert them to one currency")


def _currency_counts(name: str, schema: SourceSchema, column: str) -> ibis.Table:
    given = source_table(name, schema)
    currency = given[column].cast("string").strip().upper().nullif("")
    return given.aggregate(different=currency.nunique(), filled=currency.count())


def _early_instants(source: Source, table: TableSchema) -> Iterator[Finding]:
    """Find columns whose instants are mostly before `EARLY_YEAR`."""
    schema = source_schema(source, table.name)
    (counts,) = fetch(source.connection, _early_counts, table.name, schema, table.name in source.text)
    for column in table.columns:
        if column.kind == "instant" and 2 * int(counts[f"early_{column.name}"]) > int(counts[f"n_{column.name}"]):
            rows, positions, _ = _marked(source, _is_early, table.name, column.name)
            what = f"are before {EARLY_YEAR}, out of {int(counts[f'n_{column.name}']):,} with a date"
            cure = f"correct the unit if it is wrong: {EPOCH_CURE}"
            yield Finding(table.name, column.name, rows, what, cure, positions)


def _early_counts(name: str, schema: SourceSchema, text: bool) -> ibis.Table:
    rows = _numbered(False, name, schema, text)
    columns = [c.name for c in current_tables()[name].columns if c.kind == "instant"]
    counts = {f"early_{c}": _before_early_year(rows[c], name).sum().fill_null(0) for c in columns}
    return rows.aggregate(**counts, **{f"n_{c}": rows[c].count() for c in columns})


def _is_early(numbered: bool, name: str, schema: SourceSchema, text: bool, column: str) -> ibis.Table:
    rows = _numbered(numbered, name, schema, text)
    return rows.mutate(_mark=_before_early_year(rows[column], name).fill_null(False))


def _before_early_year(instant: ibis.Value, name: str) -> ibis.Value:
    early = instant < ibis.timestamp(f"{EARLY_YEAR}-01-01")
    # A constant rate is often dated at the beginning of 1970.
    return early if current_tables()[name].of_accounts else early & (instant > ibis.timestamp("1970-01-01"))


def displayable_names(names: Iterable[str], given: ibis.Table, table: TableSchema) -> str:
    """Return the displayable ``names``.

    A data row read as a header would expose values. If no required column of the contract is present, only the number
    of columns is shown. Names with special characters are never shown.
    """
    names = list(names)
    if not names:
        return "no column"
    if not set(table.required) & set(given.columns):
        number = f"{len(names)} column" + ("" if len(names) == 1 else "s")
        return f"{number}, without {' or '.join(table.required)}: does the first row contain the column names?"
    shown = [name for name in names if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ .-]{0,63}", name)]
    rest = len(names) - len(shown)
    return ", ".join([*shown, *([f"{rest} with other names"] if rest else [])])


def _has_periods(table: TableSchema, schema: SourceSchema) -> bool:
    """Return whether rows are periods of the subject given by their identity."""
    return not table.event and table.identity in dict(schema)


def _is_given(value: Any) -> Any:
    return value.notnull() & (value != "") if value.type().is_string() else value.notnull()


def _join_accounts(rows: ibis.Table, accounts: SourceSchema, text: bool) -> ibis.Table:
    """Return the rows with ``_known``, the account's id if it is in ``accounts``."""
    given = source_table("accounts", accounts)
    known = given.select(_known=conformed_columns(given, current_tables()["accounts"], text)["account_id"]).distinct()
    return rows.left_join(known, rows.account_id == known._known)


def _unusable_ids(table: TableSchema, rows: ibis.Table) -> Iterator[tuple[str, str, str, ibis.Value]]:
    """Yield rules for account ids that cannot be part of a URL; other tables refer to these accounts."""
    if table.name == "accounts" and "_given_account_id" in rows.columns:
        bound = f"at most {ID_LIMIT} characters"
        yield "account_id", f"an id longer than {ID_LIMIT} characters", bound, rows.account_id.length() > ID_LIMIT
        hidden = rows.account_id.re_search(r"[\p{Cc}\p{Zl}\p{Zp}]")
        yield "account_id", "an id with a line break or control character", "an id that can be part of a URL", hidden


def _rules(table: TableSchema, rows: ibis.Table) -> Iterator[tuple[str, str, str, ibis.Value]]:
    """Yield the rules for rows: column, problem, what is expected, and the flag of violating rows."""
    for name, problem, expected, unusable in _unusable_ids(table, rows):
        yield name, problem, expected, unusable.fill_null(False)
    for column in table.columns:
        value, given = rows[column.name], f"_given_{column.name}"
        if given not in rows.columns:
            continue
        if column.kind != "string":
            readable = expected_format(column) + (f"; {EPOCH_CURE}" if column.kind == "instant" else "")
            yield column.name, "a value that cannot be read", readable, rows[given] & value.isnull()
        if column.required:
            yield column.name, "an empty value", KIND_WORDS[column.kind], ~rows[given]
        if column.required and column.kind == "instant":
            far = (value < ibis.timestamp(f"{FIRST_YEAR}-01-01")) | (value >= ibis.timestamp(f"{END_YEAR}-01-01"))
            outside = f"an instant out of range, before {FIRST_YEAR} or from {END_YEAR} on"
            inside = f"an instant from {FIRST_YEAR} to {END_YEAR - 1}; {EPOCH_CURE}"
            yield column.name, outside, inside, far.fill_null(False)
        if column.values:
            listed = "one of " + ", ".join(column.values)
            yield column.name, "a value outside the list", listed, value.notnull() & value.notin(column.values)
        if column.kind in ("float", "int"):
            # This includes infinity.
            words = f"a value beyond {MAX_VALUE:g}", f"a number between {-MAX_VALUE:g} and {MAX_VALUE:g}"
            yield column.name, *words, (value.cast("float64").abs() > MAX_VALUE).fill_null(False)
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
        words = (
            "periods of one subscription that overlap",
            "consecutive periods of one id; in a mapping, latest keeps the newest of several versions of a row",
        )
        yield table.identity, *words, rows._overlaps
    if table.unique:
        # Codes of currencies are the same in any case.
        code = {"currency": currency_code(rows)} if "currency" in table.unique else {}
        distinct = rows.select(**{name: rows[name] for name in table.names} | code).distinct()
        distinct = distinct.select(_key=_key(table, distinct))
        clash = distinct.group_by("_key").aggregate(n=lambda t: t.count()).filter(lambda t: t.n > 1)
        wrong = _key(table, rows).isin(clash["_key"])
        yield table.unique[-1], "different rows with the same key", _one_per(table.unique), wrong.fill_null(False)


def _key(table: TableSchema, rows: ibis.Table) -> ibis.Value:
    """Return the value that identifies a row; null if part of it is unknown."""
    if len(table.unique) == 1:
        return rows[table.unique[0]]
    parts = (currency_code(rows) if name == "currency" else rows[name].cast("string") for name in table.unique)
    return reduce(lambda key, part: key.concat("|", part), parts)


def _one_per(columns: tuple[str, ...]) -> str:
    return "one row per key" if len(columns) == 1 else f"one row per {' and '.join(columns)}"
