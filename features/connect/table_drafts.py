"""Draft the tables of sources whose tool no pack knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from features.connect.annual_amounts import annual_amounts
from features.connect.draft import TableDraft
from features.connect.inspection import Inspected
from features.connect.overdue_invoices import KIND, overdue_invoices, overdue_of
from features.connect.row_marks import totals_condition, utc_instant
from features.connect.row_versions import RowVersions, row_versions
from features.connect.snapshot_tables import SnapshotTable, find_snapshots, snapshots_column
from features.connect.table_contents import draft_notes, with_account_ids, with_separators
from features.connect.table_guesses import TableGuess, guess_table, orders_of, subscriptions_of, users_of
from features.connect.used_rows import unread_columns, used_rows
from features.connect.values import (
    count_rows,
    guess_time,
    guess_values,
    invoice_gaps,
    left_out_condition,
    time_notes,
    unclear_notes,
    value_gaps,
)
from features.contract.schema import TABLES
from features.packs.queries import pack_queries
from features.sources.base import confine
from features.sources.mapping.pack_parts import relations_of
from features.utils.formatting import count_of, verb_for
from features.utils.sql_text import sql_identifier

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

CONTRACTS = ("subscriptions", "orders")
"""Tables of the contract of which one is needed."""
_STARTS = {"subscriptions": "started_at", "orders": "occurred_at"}
"""The column with the first day of a row, by table of `CONTRACTS`."""
_FIRST_START = "first_start"
"""The column of a query with the start of an account's first contract."""
_FIGURES = {
    "accounts": ("account_id",),
    "subscriptions": ("account_id", "started_at", "ended_at", "renewal_at", "arr", "currency", "status"),
    "orders": ("account_id", "occurred_at", "amount"),
}
"""The columns that the figures to confirm are computed from."""
Guesses = Sequence[tuple[Inspected, TableGuess]]


@dataclass(frozen=True)
class DraftedTables:
    """The drafted tables of sources without a pack.

    Parameters
    ----------
    sources : all sources; one with snapshots of accounts now has their pack.
    tables : the tables that look like those of the contract.
    users : the SELECT of users and their accounts; empty for none.
    merged : the SELECT of accounts that were merged into others; empty for none.
    options : options of the pack of snapshots, by source.
    pack_units : units of the amounts of the snapshots.
    """

    sources: list[Inspected]
    tables: list[TableDraft]
    users: str
    merged: str = ""
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    pack_units: tuple[str, ...] = ()


def draft_tables(found: Sequence[Inspected], engine: Backend) -> DraftedTables:
    """Draft the tables of the sources that have no pack.

    Contracts come from a table of contracts, or else from snapshots of accounts, or else from the columns of accounts.

    Parameters
    ----------
    found : all sources.
    engine : an engine that is not confined yet.
    """
    sources = [each for each in found if each.recognition is None]
    guesses = {
        source.name: [
            guess for name in source.tables.names if (guess := guess_table(name, source.tables.columns(name)))
        ]
        for source in sources
    }
    users = {
        source.name: {name: of for name in source.tables.names if (of := users_of(name, source.tables.columns(name)))}
        for source in sources
    }
    dated = {source.name: _dated_tables(source) for source in sources}
    for source in sources:
        source.tables.load({*(g.name for g in guesses[source.name]), *users[source.name], *dated[source.name]})
    # Rows are read only now, and a view in a database file may want to read other files.
    confine(engine, [file for source in sources for file in source.tables.files])
    snapshots: dict[str, SnapshotTable] = {}
    complete: list[tuple[Inspected, TableGuess]] = []
    for source in sources:
        source.tables.publish()
        place = f"memory.{sql_identifier(source.tables.name)}"
        table = find_snapshots(engine, place, {name: source.tables.columns(name) for name in dated[source.name]})
        if table is not None:
            snapshots[source.name] = table
        some = [guess for guess in guesses[source.name] if table is None or guess.name != table.name]
        types = {guess.name: source.tables.columns(guess.name) for guess in some}
        own = with_account_ids(engine, place, some, types, bool(users[source.name]))
        overdue = [overdue_of(guess, types[guess.name]) for guess in own if guess.table == "billing"]
        complete += [(source, guess) for guess in (*own, *filter(None, overdue))]
    chosen = None
    if not _has_contracts(found, complete):
        chosen = next(iter(snapshots), None)
        complete = _with_revenue(complete) if chosen is None else complete
    versions = _with_latest_rows(engine, complete)
    drafts = [_table_draft(source, guess, engine, complete, versions) for source, guess in complete]
    drafts = _with_unread(sources, _without_orphans(drafts))
    needs_users = any(d.guess.table == "usage" and "account_id" not in d.guess.matched for d in drafts)
    queries = [
        f"SELECT {sql_identifier(user)} AS user_id, {sql_identifier(account)} AS account_id "
        f"FROM {source.name}.{sql_identifier(name)}"
        for source in sources
        for name, (user, account) in users[source.name].items()
    ]
    users_query = queries[0] if needs_users and queries else ""
    merged = next((each.merged for each in drafts if each.merged), "")
    if chosen is None:
        return DraftedTables(list(found), drafts, users_query, merged)
    table = snapshots[chosen]
    with_pack = [replace(each, recognition=table.recognition) if each.name == chosen else each for each in found]
    return DraftedTables(with_pack, drafts, users_query, merged, {chosen: table.options}, table.units)


def _dated_tables(source: Inspected) -> list[str]:
    """Return the tables that may have snapshots of accounts. Tables that look like those of a tool have none."""
    if source.near is not None:
        return []
    return [name for name in source.tables.names if snapshots_column(source.tables.columns(name))]


def _has_contracts(found: Sequence[Inspected], guesses: Guesses) -> bool:
    """Return whether a pack or a table gives contracts or orders."""
    packs = [(each.recognition.pack, each.tables) for each in found if each.recognition]
    return any(guess.table in CONTRACTS and not guess.missing for _, guess in guesses) or any(
        set(CONTRACTS) & set(pack_queries(pack, relations_of(tables)).tables) for pack, tables in packs
    )


def _with_revenue(guesses: Guesses) -> list[tuple[Inspected, TableGuess]]:
    """Add contracts from tables of accounts that have them in their own columns, or else orders from invoices."""
    for table, revenue_of in (("accounts", subscriptions_of), ("billing", orders_of)):
        found = [
            (source, own)
            for source, guess in guesses
            if source.near is None
            and guess.table == table
            and guess.constants.get("kind") != KIND
            and (own := revenue_of(guess, source.tables.columns(guess.name))) is not None
        ]
        if found:
            return [*guesses, *found]
    return list(guesses)


def _with_latest_rows(engine: Backend, guesses: Guesses) -> dict[tuple[str, str], RowVersions]:
    """Publish the latest rows of each drafted table, and return the versions of the tables that have several.

    They are in the schema of `_latest_place`, by source and table.
    """
    found: dict[tuple[str, str], RowVersions] = {}
    done: set[tuple[str, str]] = set()
    for source, guess in guesses:
        key = (source.name, guess.name)
        if key in done:
            continue
        done.add(key)
        table, types = sql_identifier(guess.name), source.tables.columns(guess.name)
        relation = f"memory.{sql_identifier(source.tables.name)}.{table}"
        versions = row_versions(engine, relation, guess, types)
        place = _latest_place(source)
        engine.con.execute(f"CREATE SCHEMA IF NOT EXISTS {place}")
        if versions is None:
            engine.con.execute(f"CREATE OR REPLACE VIEW {place}.{table} AS SELECT * FROM {relation}")
        else:
            found[key] = versions
            engine.con.execute(f"CREATE OR REPLACE TABLE {place}.{table} AS {versions.latest(relation, types)}")
    return found


def _latest_place(source: Inspected) -> str:
    return f"memory.{sql_identifier(f'latest_{source.tables.name}')}"


def _table_draft(
    source: Inspected,
    guess: TableGuess,
    engine: Backend,
    every: Guesses,
    versions: Mapping[tuple[str, str], RowVersions],
) -> TableDraft:
    starts = _contracts_of(source, guess, every) if guess.missing == ("created_at",) else None
    if guess.missing and starts is None:
        return TableDraft(source.name, guess)
    accounts = [other for owner, other in every if owner.name == source.name and other.table == "accounts"]
    place, latest = _latest_place(source), versions.get((source.name, guess.name))
    end = _data_end(engine, place, source, every) if guess.table == "subscriptions" else ""
    rows = used_rows(engine, source, place, guess, accounts, *filter(None, (end,)))
    relation, types = rows.relation(place), dict(rows.types)
    totals = totals_condition(engine, relation, rows.guess, types)
    guess, unclear = with_separators(engine, relation, rows.guess, types)
    yearly = annual_amounts(engine, relation, guess, types)
    query = rows.query
    if yearly.column:
        guess, types = yearly.guess, {**types, yearly.column: "DOUBLE"}
        query = _with_columns(guess.name, query, [f"{yearly.expression} AS {yearly.column}"])
        relation = f"(\n{query.replace('{source}', place)}\n)"
    without_start = ""
    if starts is not None:
        first = _first_start(engine, place, guess, starts, source.tables.columns(starts.name))
        guess, types = _beginning_at(guess, _FIRST_START), {**types, _FIRST_START: "VARCHAR"}
        query = _with_columns(guess.name, query, [f"{first} AS {_FIRST_START}"])
        relation = f"(\n{query.replace('{source}', place)}\n)"
        without_start = f"{_FIRST_START} IS NOT NULL"
        lacking = count_rows(engine, f"SELECT count(*) FROM {relation} WHERE {_FIRST_START} IS NULL")
        start_note = (
            f"No column of {guess.name} says when an account began: it begins with its first row of {starts.name} "
            f"({starts.matched[_STARTS[starts.table]]}), and {count_of(lacking, 'account')} without one "
            f"{verb_for(lacking)} left out."
        )
    if overdue := overdue_invoices(engine, relation, guess, types):
        guess = replace(overdue.guess, where=overdue.where)
        types |= dict.fromkeys(("overdue_at", "overdue_id"), "VARCHAR")
        query = _with_columns(guess.name, query, overdue.columns)
        relation = f"(\n{query.replace('{source}', place)}\n)"
    values, time = guess_values(engine, relation, guess), guess_time(engine, relation, guess, types)
    where, left_out = left_out_condition(engine, relation, guess)
    gaps = [*rows.gaps, *unclear, *yearly.gaps, *value_gaps(engine, relation, guess, values, where)]
    gaps += invoice_gaps(engine, relation, guess, types)
    read_as, mixed = time_notes(engine, relation, guess, time)
    gaps += mixed
    # Contracts that are left out change the past, but not the figures of today.
    questions = [gap for gap in gaps if _changes_figures(gap)]
    if left_out:
        gaps.append(
            f"{guess.table}.status: {count_of(left_out, 'row')} left out by `where`, because the status says "
            "that the contract never began, or has ended on a day that is not there: ended_at should have it"
        )
    unused = f"NOT ({' OR '.join(rows.conditions)})" if rows.conditions else ""
    counted = f"NOT {totals}" if totals else ""
    where = " AND ".join(filter(None, (where, guess.where, unused, without_start, counted)))
    read = {*rows.read, *yearly.read, *(latest.by if latest else ())}
    text = "\n".join((where, *(overdue.columns if overdue else ())))
    read |= {column for column in types if sql_identifier(column) in text}
    notes = [
        *([latest.note(guess.name)] if latest else []),
        *draft_notes(engine, relation, guess, where),
        *rows.notes,
        *yearly.notes,
        *(overdue.notes if overdue else ()),
        *([start_note] if without_start else []),
        *(
            [f"Rows of {guess.name} with a total are left out: they have a label, and no other text or day."]
            if totals
            else []
        ),
        *read_as,
        *unclear_notes(values),
    ]
    return TableDraft(
        source.name,
        guess,
        values,
        time,
        where,
        gaps,
        list(dict.fromkeys(notes)),
        query=query.replace("{source}", source.name),
        leaves_out=bool(rows.conditions or without_start) and guess.table == "accounts",
        latest=latest,
        questions=questions,
        read={**rows.read_of_others, guess.name: read},
        merged=rows.merged.replace("{source}", source.name),
    )


def _with_unread(sources: Sequence[Inspected], drafts: Sequence[TableDraft]) -> list[TableDraft]:
    """Say which columns no draft reads: one may read columns of the table of another."""
    tables = {source.name: source.tables for source in sources}
    result, done = list[TableDraft](), set[tuple[str, str]]()
    for draft in drafts:
        key, own = (draft.source, draft.guess.name), [each for each in drafts if each.source == draft.source]
        if draft.read and key not in done:
            done.add(key)
            read = {column for each in own for column in each.read.get(draft.guess.name, ())}
            unread = unread_columns(draft.guess.name, tables[draft.source].columns(draft.guess.name), read)
            draft = replace(draft, notes=[*draft.notes, *unread])
        result.append(draft)
    return result


def _data_end(engine: Backend, place: str, source: Inspected, every: Guesses) -> str:
    """Return SQL of the newest instant of the tables of events that is not in the future; empty without one.

    An export may be read months later. Contracts that ended since then were running at its end.
    """
    newest = []
    for owner, guess in every:
        at = guess.matched.get(TABLES[guess.table].at)
        planned = guess.table in ("accounts", *CONTRACTS) or guess.constants.get("kind") == KIND
        if owner.name != source.name or planned or at is None or guess.missing:
            continue
        relation, types = f"{place}.{sql_identifier(guess.name)}", source.tables.columns(guess.name)
        if at in types:
            instant = utc_instant(engine, relation, at, types[at])
            newest.append(f"(SELECT max({instant}) FROM {relation} WHERE {instant} <= current_localtimestamp())")
    if not newest:
        return ""
    row = engine.con.execute(f"SELECT greatest({', '.join([*newest, 'NULL'])})").fetchone()
    return f"TIMESTAMP '{row[0]}'" if row and row[0] is not None else ""


def _contracts_of(source: Inspected, accounts: TableGuess, every: Guesses) -> TableGuess | None:
    """Return the contracts, or else the orders, from whose first row accounts without a day of creation begin."""
    if accounts.table != "accounts":
        return None
    own = [guess for owner, guess in every if owner.name == source.name and not guess.missing]
    found = (guess for table in CONTRACTS for guess in own if guess.table == table and guess.name != accounts.name)
    return next(found, None)


def _first_start(
    engine: Backend, place: str, accounts: TableGuess, contracts: TableGuess, types: Mapping[str, str]
) -> str:
    """Return SQL of the first start of the contracts of an account, whose row is ``q``."""
    started = contracts.matched[_STARTS[contracts.table]]
    instant = utc_instant(engine, f"{place}.{sql_identifier(contracts.name)}", started, types[started])
    own, other = (sql_identifier(each.matched["account_id"]) for each in (accounts, contracts))
    return (
        f"(SELECT CAST(min({instant}) AS VARCHAR) FROM {{source}}.{sql_identifier(contracts.name)} AS s\n"
        f"     WHERE trim(CAST(s.{other} AS VARCHAR)) = trim(CAST(q.{own} AS VARCHAR)))"
    )


def _beginning_at(accounts: TableGuess, column: str) -> TableGuess:
    """Return accounts that a column of a query says the creation of."""
    names = {"created_at": column}
    return replace(accounts, missing=(), matched={**accounts.matched, **names}, columns={**accounts.columns, **names})


def _with_columns(table: str, query: str, computed: Sequence[str]) -> str:
    """Return a SELECT of a query's rows, or of a table of the source if there is no query, with computed columns."""
    inner = f"(\n{query}\n)" if query else f"{{source}}.{sql_identifier(table)}"
    columns = ",\n    ".join(computed)
    return f"SELECT q.*,\n    {columns}\nFROM {inner} AS q"


def _changes_figures(gap: str) -> bool:
    """Return whether a gap changes the number of accounts, their revenue or their renewals."""
    table, _, column = gap.partition(":")[0].partition(".")
    return table in _FIGURES and (not column or column in _FIGURES[table])


def _without_orphans(drafts: list[TableDraft]) -> list[TableDraft]:
    """Leave out what belongs to accounts that are left out."""
    owners = {draft.source for draft in drafts if draft.leaves_out}
    return [
        replace(draft, orphans="drop") if draft.source in owners and draft.guess.table != "accounts" else draft
        for draft in drafts
    ]
