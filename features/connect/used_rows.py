"""Which rows of a drafted table are used, and when they end: deleted rows, tests, accounts that left, and tickets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from features.connect.column_names import TERM_ENDS, is_currency, plain_name
from features.connect.inspection import Inspected
from features.connect.merged_accounts import MergedRows, merged_rows
from features.connect.row_marks import RowMarks, leaving_instants, row_marks, utc_instant, utc_text
from features.connect.table_guesses import TableGuess
from features.connect.value_spellings import CLOSED, OVER, SPELLINGS, folded_sql
from features.connect.values import count_rows
from features.utils.currencies import MINOR_UNITS
from features.utils.formatting import count_of, verb_for
from features.utils.sql_text import sql_identifier, sql_literal

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_ENDS = {"subscriptions": "ended_at", "support": "resolved_at"}
"""The end of a row, by table of the contract."""
_STATUS = ("status", "state", "ticket_status", "case_status")
_MAX_CODES = 300
"""Maximum number of codes of currencies that are read."""
_MAX_COLUMNS = 15
"""Maximum number of columns that a note lists."""


@dataclass(frozen=True)
class UsedRows:
    """The rows of a drafted table that are used.

    Parameters
    ----------
    guess : what the table looks like, perhaps with a column of the query as its end.
    types : the columns with their types.
    query : the SELECT of the rows with ``{source}`` in place of the schema; empty if the table is read as it is.
    conditions : the conditions of the rows that are left out.
    notes : what is assumed, in sentences.
    gaps : what a person must say.
    read : the columns that are read, also in conditions.
    read_of_others : the columns of other tables that are read, by table.
    merged : for accounts, the SELECT of those that were merged into others, with ``{source}``; empty for none.
    """

    guess: TableGuess
    types: Mapping[str, str]
    query: str = ""
    conditions: Sequence[str] = ()
    notes: Sequence[str] = ()
    gaps: Sequence[str] = ()
    read: frozenset[str] = frozenset()
    read_of_others: Mapping[str, Collection[str]] = field(default_factory=dict)
    merged: str = ""

    def relation(self, place: str) -> str:
        """Return SQL of the rows, with their tables in the schema ``place``."""
        if self.query:
            return f"(\n{self.query.replace('{source}', place)}\n)"
        return f"{place}.{sql_identifier(self.guess.name)}"


@dataclass
class _Rows:
    """What is found about the rows of one table."""

    engine: Backend
    place: str
    guess: TableGuess
    types: Mapping[str, str]
    data_end: str = "current_localtimestamp()"
    conditions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    read_of_others: dict[str, set[str]] = field(default_factory=dict)

    @property
    def relation(self) -> str:
        return f"{self.place}.{sql_identifier(self.guess.name)}"

    def instant(self, column: str) -> str:
        return utc_instant(self.engine, self.relation, column, self.types[column])

    def reads(self, table: str, columns: Iterable[str]) -> None:
        """Note that columns of another table are read."""
        self.read_of_others.setdefault(table, set()).update(columns)

    def text(self, column: str) -> str:
        return utc_text(self.engine, self.relation, column, self.types[column])

    def count(self, condition: str, relation: str = "") -> int:
        return count_rows(self.engine, f"SELECT count(*) FROM {relation or self.relation} WHERE {condition}")


def used_rows(
    engine: Backend,
    source: Inspected,
    place: str,
    guess: TableGuess,
    accounts: Sequence[TableGuess],
    data_end: str = "current_localtimestamp()",
) -> UsedRows:
    """Return which rows of a table are used, and when contracts and tickets end.

    Rows with only a flag are left out. Rows that were deleted at a known instant were there before it: contracts end
    then, tickets are not open from then on, and events stay.

    Parameters
    ----------
    engine : the engine.
    source : the source.
    place : the schema of its tables.
    guess : what the table looks like.
    accounts : the tables of accounts of the source.
    data_end : SQL of the end of the data, at which contracts run or have ended.
    """
    rows = _Rows(engine, place, guess, source.tables.columns(guess.name), data_end)
    marks = row_marks(engine, rows.relation, guess.table, rows.types, tuple(guess.matched.values()))
    _leave_out(rows, marks)
    merged = _merged(rows, accounts)
    ends, join = _own_ends(rows, marks), ""
    if guess.table == "subscriptions":
        others = [each for each in accounts if each.name != guess.name]
        join = _account_ends(rows, source, others)
    hidden = _closed_tickets(rows) if guess.table == "support" else ""
    end = guess.matched.get(_ENDS.get(guess.table, ""))
    fallback = _ends_by_status(rows) if guess.table == "subscriptions" else ""
    _past_ends(rows)
    currency = _currency(rows, source, accounts)
    guess = rows.guess
    marked = {*marks.deleted, *marks.tests, *marks.deleted_at, *marks.unclear}
    read = frozenset({*guess.matched.values(), *marked, *([merged.column] if merged else [])})
    if hidden:
        changed = _without_end(guess)
        query = f"SELECT * EXCLUDE ({sql_identifier(hidden)})\nFROM {{source}}.{sql_identifier(guess.name)}"
        types = {column: kind for column, kind in rows.types.items() if column != hidden}
        return UsedRows(changed, types, query, rows.conditions, rows.notes, rows.gaps, read, rows.read_of_others)
    of_merged = merged.query if merged is not None and guess.table == "accounts" else ""
    computed: dict[str, tuple[str, str]] = {}
    if ends or join or fallback:
        base = fallback or (rows.text(end) if end else "")
        computed[_ENDS[guess.table]] = "effective_end", _earlier(base, [*ends, *(["account_end"] if join else [])])
    if currency:
        computed["currency"] = "account_currency", "c.code"
    if not computed:
        return UsedRows(
            guess, rows.types, "", rows.conditions, rows.notes, rows.gaps, read, rows.read_of_others, of_merged
        )
    types, chosen = dict(rows.types), []
    for column, (wanted, sql) in computed.items():
        name = next(each for each in (wanted, f"{wanted}_2") if each not in map(str.lower, types))
        guess = replace(guess, matched={**guess.matched, column: name}, columns={**guess.columns, column: name})
        types[name] = "VARCHAR"
        chosen.append(f"{sql} AS {name}")
    query = f"SELECT r.*, {', '.join(chosen)}\nFROM {{source}}.{sql_identifier(guess.name)} AS r"
    query += "".join(f"\n{each}" for each in (join, currency) if each)
    return UsedRows(guess, types, query, rows.conditions, rows.notes, rows.gaps, read, rows.read_of_others)


def _merged(rows: _Rows, accounts: Sequence[TableGuess]) -> MergedRows | None:
    """Return which accounts were merged into others; contracts in the same table are those of the accounts left."""
    guess = next((each for each in accounts if each.name == rows.guess.name), None)
    found = None if guess is None else merged_rows(rows.engine, rows.place, guess, rows.types)
    if found is None:
        return None
    if rows.guess.table == "accounts":
        rows.notes.extend(found.notes)
        rows.gaps.extend(found.gaps)
    elif rows.guess.table == "subscriptions" and found.is_merged and found.query:
        rows.conditions.append(found.is_merged)
        amount = rows.guess.matched.get("arr")
        given = f" AND coalesce(try_cast({sql_identifier(amount)} AS DOUBLE), 1) <> 0" if amount else ""
        if number := rows.count(f"{found.is_merged}{given} AND NOT {_is_empty(amount)}" if amount else "false"):
            rows.gaps.append(
                f"subscriptions.arr: {count_of(number, 'row')} of accounts that {found.column} says were merged "
                f"{verb_for(number)} left out: is their amount part of that of the account that is left?"
            )
    return found


def _leave_out(rows: _Rows, marks: RowMarks) -> None:
    """Add the conditions of deleted rows and tests."""
    name = rows.guess.name
    for column, condition in marks.left_out().items():
        rows.conditions.append(condition)
        if number := rows.count(condition):
            why = (
                "they are tests"
                if column in marks.tests
                else "they were deleted. When is unknown, so that they are missing from the past, too"
            )
            rows.notes.append(
                f"{name}: {count_of(number, 'row')} {verb_for(number)} left out, because {column} says that {why}."
            )
    for column in marks.unclear:
        rows.gaps.append(
            f"{rows.guess.table}: {name}.{column} may say which rows were deleted, but its values are not clear: they "
            "count until where says more"
        )


def _own_ends(rows: _Rows, marks: RowMarks) -> list[str]:
    """Return the instants from which rows count no more, and say what happens to deleted rows."""
    guess, column = rows.guess, _ENDS.get(rows.guess.table)
    if not marks.deleted_at:
        return []
    instants = list(marks.deleted_at.values())
    deleted = " OR ".join(f"{instant} IS NOT NULL" for instant in instants)
    number = rows.count(deleted)
    names = " and ".join(marks.deleted_at)
    what = f"{guess.name}: {count_of(number, 'row')} {'was' if number == 1 else 'were'} deleted at {names}"
    if column is None:
        if number:
            then = "accounts stay, and their contracts end then" if guess.table == "accounts" else "they stay"
            rows.notes.append(f"{what}: {then}, because they were there before.")
        return []
    if number:
        then = "contracts end then" if guess.table == "subscriptions" else "tickets are not open from then on"
        rows.notes.append(f"{what}: {then}, at the latest.")
    if guess.table == "subscriptions" and (start := guess.matched.get("started_at")):
        never = f"coalesce({_least(instants)} <= {rows.instant(start)}, false)"
        rows.conditions.append(never)
        if early := rows.count(never):
            rows.notes.append(
                f"{guess.name}: {count_of(early, 'row')} {verb_for(early)} left out: deleted before the start."
            )
    return instants


def _account_ends(rows: _Rows, source: Inspected, accounts: Sequence[TableGuess]) -> str:
    """Return the join with the instants at which accounts left or were deleted; empty if no column has them."""
    guess = rows.guess
    start, own = guess.matched.get("started_at"), guess.matched.get("account_id")
    for each in accounts:
        key = each.matched.get("account_id")
        if key is None or start is None or own is None:
            continue
        table = _Rows(rows.engine, rows.place, each, source.tables.columns(each.name))
        used = tuple(each.matched.values())
        left = leaving_instants(rows.engine, table.relation, table.types, used)
        marks = row_marks(rows.engine, table.relation, "accounts", table.types, used)
        found = {**left, **marks.deleted_at}
        # An account that was merged into another one has not left.
        merged = merged_rows(rows.engine, rows.place, each, table.types)
        there = f"NOT ({merged.is_merged})" if merged and merged.is_merged else "true"
        only = "" if there == "true" else f" WHERE {there}"
        _accounts_without_end(rows, table, key, own, list(found.values()), there)
        if not found:
            continue
        rows.reads(each.name, found)
        instant = _least(list(found.values()))
        join = (
            f"LEFT JOIN (\n"
            f"    SELECT trim(CAST({sql_identifier(key)} AS VARCHAR)) AS account_key,\n"
            f"        CASE WHEN count(*) = count({instant}) THEN max({instant}) END AS account_end\n"
            f"    FROM {{source}}.{sql_identifier(each.name)}{only} GROUP BY ALL\n"
            f") AS a ON account_key = trim(CAST(r.{sql_identifier(own)} AS VARCHAR)) AND account_end > "
            f"{rows.instant(start)}"
        )
        joined = f"{rows.relation} AS r {join.replace('{source}', rows.place)}"
        number = rows.count("account_end IS NOT NULL", joined)
        rows.notes.append(
            f"{' and '.join(found)} of {each.name} says when an account left: contracts end then, at the latest "
            f"({count_of(number, 'contract')} of such accounts)."
        )
        return join
    return ""


def _accounts_without_end(
    rows: _Rows, accounts: _Rows, key: str, own: str, instants: Sequence[str], there: str
) -> None:
    """Say how many contracts run although a status says that their account has left, but not when."""
    used = accounts.guess.matched.values()
    status = next((c for c in accounts.types if plain_name(c) in _STATUS and c not in used), None)
    if status is None:
        return
    rows.reads(accounts.guess.name, [status])
    left = f"{folded_sql(status)} IN ({', '.join(map(sql_literal, OVER))})"
    left += "".join(f" AND {instant} IS NULL" for instant in instants)
    ids = f"SELECT trim(CAST({sql_identifier(key)} AS VARCHAR)) FROM {accounts.relation} WHERE {left} AND {there}"
    end = rows.guess.matched.get("ended_at")
    runs = f" AND coalesce({rows.instant(end)} > {rows.data_end}, true)" if end else ""
    if number := rows.count(f"trim(CAST({sql_identifier(own)} AS VARCHAR)) IN ({ids}){runs}"):
        rows.gaps.append(
            f"subscriptions.ended_at: {status} of {accounts.guess.name} says that the accounts of "
            f"{count_of(number, 'contract')} have left, but no column says when: they count as active until ended_at "
            "has the day"
        )


def _ends_by_status(rows: _Rows) -> str:
    """Return SQL of the end if contracts whose status says that they are over have it in another column; else empty."""
    guess = rows.guess
    end, status = guess.matched.get("ended_at"), guess.matched.get("status")
    other = next((c for c in rows.types if plain_name(c) in TERM_ENDS and c != end), None)
    if end is None or status is None or other is None:
        return ""
    over = (
        f"{folded_sql(status)} IN ({', '.join(map(sql_literal, OVER))}) AND {_is_empty(end)} AND NOT {_is_empty(other)}"
    )
    if not (number := rows.count(over)):
        return ""
    rows.notes.append(
        f"{count_of(number, 'row')} with a status that says that the contract has ended, but without {end}: the end is "
        f"{other}."
    )
    return f"CASE WHEN {over} THEN {rows.text(other)} ELSE {rows.text(end)} END"


def _past_ends(rows: _Rows) -> None:
    """Say how many contracts count as ended although their status says that they run."""
    end, status = rows.guess.matched.get("ended_at"), rows.guess.matched.get("status")
    if rows.guess.table != "subscriptions" or end is None or status is None or plain_name(end) not in TERM_ENDS:
        return
    active = f"{folded_sql(status)} IN ({', '.join(map(sql_literal, SPELLINGS['active']))})"
    if number := rows.count(f"{active} AND {rows.instant(end)} < {rows.data_end}"):
        rows.gaps.append(
            f"subscriptions.ended_at: {count_of(number, 'row')} with a status that says that the contract runs, "
            f"although {end} has passed: they count as ended. If they renew by themselves, use {end} only as renewal_at"
        )


def _currency(rows: _Rows, source: Inspected, accounts: Sequence[TableGuess]) -> str:
    """Return the join with the currency of each account; empty if contracts have their own, or all are in one.

    A column of contracts with an unusual name is read itself. Orders have no currency: their amounts are added up as
    they are, which a gap says. Those of bills are not.
    """
    amount = {"subscriptions": "arr", "orders": "amount"}.get(rows.guess.table)
    if amount is None or "currency" in rows.guess.matched:
        return ""
    own = rows.guess.matched.get("account_id")
    for each in (rows.guess, *(other for other in accounts if other.name != rows.guess.name)):
        relation = f"{rows.place}.{sql_identifier(each.name)}"
        for column in filter(lambda name: is_currency(plain_name(name)), source.tables.columns(each.name)):
            code = _code(column)
            codes = [
                value
                for (value,) in rows.engine.con.execute(
                    f"SELECT DISTINCT {code} AS code FROM {relation} WHERE code IS NOT NULL LIMIT {_MAX_CODES}"
                ).fetchall()
            ]
            if rows.guess.table == "orders":
                if len(codes) < 2:
                    continue
                rows.gaps.append(
                    f"orders.{amount}: {rows.guess.name} has amounts in {len(codes)} currencies "
                    f"({each.name}.{column}), which are added up as they are: convert them to one currency in a query"
                )
                return ""
            if len(codes) < 2 and all(MINOR_UNITS.get(value, 2) == 2 for value in codes):
                continue
            if each.name == rows.guess.name:
                names = {"currency": column}
                rows.guess = replace(
                    rows.guess, matched={**rows.guess.matched, **names}, columns={**rows.guess.columns, **names}
                )
                return ""
            if own is not None and (key := each.matched.get("account_id")) is not None:
                return _account_currency(rows, each.name, column, key, own)
    return ""


def _account_currency(rows: _Rows, accounts: str, column: str, key: str, own: str) -> str:
    """Return the join with the currency of each account, and say how many contracts have it."""
    rows.reads(accounts, [column])
    code = _code(column)
    join = (
        f"LEFT JOIN (\n"
        f"    SELECT trim(CAST({sql_identifier(key)} AS VARCHAR)) AS currency_key, min({code}) AS code\n"
        f"    FROM {{source}}.{sql_identifier(accounts)} GROUP BY 1 HAVING count(DISTINCT {code}) = 1\n"
        f") AS c ON currency_key = trim(CAST(r.{sql_identifier(own)} AS VARCHAR))"
    )
    joined = f"{rows.relation} AS r {join.replace('{source}', rows.place)}"
    all_rows, with_code = rows.count("true"), rows.count("c.code IS NOT NULL", joined)
    rows.notes.append(
        f"{rows.guess.name}: the currency of a contract is that of its account, {column} of {accounts} "
        f"({with_code:,} of {count_of(all_rows, 'row')} have one)."
    )
    return join


def _code(column: str) -> str:
    """Return SQL for the code of a currency in a column; null if it is none."""
    text = f"upper(trim(CAST({sql_identifier(column)} AS VARCHAR)))"
    return f"CASE WHEN regexp_full_match({text}, '[A-Z]{{3}}') THEN {text} END"


def _closed_tickets(rows: _Rows) -> str:
    """Leave out tickets that are closed on an unknown day, or return the column of the end if no ticket has it."""
    guess, end = rows.guess, rows.guess.matched.get("resolved_at")
    status = next((c for c in rows.types if plain_name(c) in _STATUS and c not in guess.matched.values()), None)
    if end is None or status is None:
        return ""
    closed = f"{folded_sql(status)} IN ({', '.join(map(sql_literal, CLOSED))}) AND {_is_empty(end)}"
    number = rows.count(closed)
    if not number:
        return ""
    says = f"{guess.name}: {status} says that {count_of(number, 'ticket')} {verb_for(number)} closed, without {end}"
    if not rows.count(f"NOT {_is_empty(end)}"):
        rows.notes.append(f"{says}, and no ticket has it: {end} is not read, and which tickets are open is unknown.")
        return end
    rows.conditions.append(f"({closed})")
    rows.gaps.append(f"support.resolved_at: {says}: left out by `where` until {end} has the day")
    return ""


def unread_columns(name: str, columns: Iterable[str], read: Collection[str]) -> list[str]:
    """Return which columns of a table nothing reads, as a sentence; no sentence if all are read.

    Parameters
    ----------
    name : the table.
    columns : its columns.
    read : the columns that are read.
    """
    unread = [column for column in columns if column not in read]
    more = ", …" if len(unread) > _MAX_COLUMNS else ""
    return [f"{name}: not read: {', '.join(unread[:_MAX_COLUMNS])}{more}."] if unread else []


def _without_end(guess: TableGuess) -> TableGuess:
    def others(columns: Mapping[str, str]) -> dict[str, str]:
        return {column: own for column, own in columns.items() if column != "resolved_at"}

    return replace(guess, matched=others(guess.matched), columns=others(guess.columns))


def _earlier(base: str, gone: Sequence[str]) -> str:
    """Return SQL of the end ``base`` or the first of the instants ``gone``, whichever is earlier."""
    if not gone:
        return base
    first = _least(gone)
    if not base:
        return f"CAST({first} AS VARCHAR)"
    return (
        f"CASE WHEN coalesce({first} < try_cast({base} AS TIMESTAMP), {first} IS NOT NULL)\n"
        f"    THEN CAST({first} AS VARCHAR) ELSE {base} END"
    )


def _least(instants: Sequence[str]) -> str:
    return instants[0] if len(instants) == 1 else f"least({', '.join(instants)})"


def _is_empty(column: str) -> str:
    return f"coalesce(trim(CAST({sql_identifier(column)} AS VARCHAR)), '') = ''"
