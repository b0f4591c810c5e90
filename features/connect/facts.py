"""What a mapping assumes and what its tables contain, in sentences with counts. No sentence has a customer's value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from features.connect.column_names import is_id, plain_name
from features.connect.draft import TableDraft
from features.connect.inspection import Inspected
from features.connect.snapshot_tables import snapshots_column
from features.connect.table_guesses import likely_tables, users_of
from features.contract.current_contract import current_tables
from features.feed_health.feed_health import Feeds
from features.packs.inputs import bind_input
from features.packs.options import option_values
from features.packs.schema import InputColumn
from features.sources.mapping.open_mapping import OpenMapping
from features.sources.mapping.pack_parts import assumption_text, relations_of
from features.utils.dates import to_iso
from features.utils.formatting import count_of
from features.utils.sql_text import sql_identifier

_SHOWN_TABLES = 12
"""Maximum number of tables that are not read, and that a sentence names."""
_SHOWN = 5
"""Maximum number of tables or columns that a sentence about shared ids names."""
MAX_CURRENCIES = 20
"""Columns with more values are not those of currencies."""


@dataclass(frozen=True)
class Fact:
    """A sentence to confirm.

    Parameters
    ----------
    about : the source, or the table.
    text : the sentence.
    """

    about: str
    text: str


def source_facts(
    sources: Sequence[Inspected], tables: Sequence[TableDraft], incomplete: Sequence[TableDraft] = ()
) -> Iterator[Fact]:
    """Return what each source was recognized as.

    Parameters
    ----------
    sources : the sources.
    tables : the drafted tables.
    incomplete : the tables that look like those of the contract, but lack a column.
    """
    for source in sources:
        lacking = [each for each in incomplete if each.source == source.name]
        own = [each for each in tables if each.source == source.name]
        if source.recognition is None:
            what = _drafted(own) if own else "no table looks like one of the data contract"
            yield Fact(source.name, f"No pack knows its {count_of(len(source.tables.names), 'table')}: {what}.")
            yield from _table_facts(source, own, lacking)
            continue
        found = source.recognition
        read, all_tables = len(set(found.inputs.values())), len(source.tables.names)
        yield Fact(
            source.name,
            f"{found.pack.file.title} (pack {found.pack.name}, version {found.pack.file.version}): it reads {read} of "
            f"{count_of(all_tables, 'table')}.",
        )
        if found.ambiguous:
            yield Fact(source.name, f"The tables also fit {', '.join(found.ambiguous)}: check that the pack is right.")
        if own:
            yield Fact(source.name, f"Its other tables: {_drafted(own)}.")
            yield from _table_facts(source, own, lacking)
        elif unread := unread_tables(source, own):
            more = f" and {len(unread) - _SHOWN_TABLES:,} more" if len(unread) > _SHOWN_TABLES else ""
            yield Fact(source.name, f"Not read: {', '.join(unread[:_SHOWN_TABLES])}{more}.")


def unread_tables(source: Inspected, tables: Sequence[TableDraft]) -> list[str]:
    """Return the tables of a source that neither its pack nor a draft reads.

    Parameters
    ----------
    source : the source.
    tables : the drafted tables.
    """
    own = [each for each in tables if each.source == source.name]
    read = {each.guess.name for each in own} | {name for each in own for name in each.read}
    if source.recognition is not None:
        read |= set(source.recognition.inputs.values())
    else:
        read |= {name for name in source.tables.names if users_of(name, source.tables.columns(name))}
    return [name for name in source.tables.names if name not in read]


def _drafted(tables: Sequence[TableDraft]) -> str:
    return ", ".join(dict.fromkeys(f"{each.guess.name} as {each.guess.table}" for each in tables))


def _table_facts(source: Inspected, tables: Sequence[TableDraft], incomplete: Sequence[TableDraft]) -> Iterator[Fact]:
    """Return what drafted tables assume, and which tables are not read."""
    for each in tables:
        yield from (Fact(each.guess.table, note) for note in each.notes)
    of_pack = set(source.recognition.inputs.values()) if source.recognition else set()
    yield from _unread_tables(source, {each.guess.name for each in tables} | of_pack, incomplete)


def _unread_tables(source: Inspected, read: set[str], incomplete: Sequence[TableDraft]) -> Iterator[Fact]:
    """Return which tables are not read, with what they might be, and the ids that they share with others."""
    for name in source.tables.names:
        if name in read or users_of(name, source.tables.columns(name)):
            continue
        some = [
            table + (f" (it lacks {', '.join(lacks)})" if lacks else "")
            for table, lacks in likely_tables(source.tables.columns(name))
        ]
        lacking = {each.guess.table: each.guess.missing for each in incomplete if each.guess.name == name}
        some = [f"{table} (it lacks {', '.join(lacks)})" for table, lacks in lacking.items()] or some
        if snapshots_column(source.tables.columns(name)):
            some = [f'snapshots of accounts at several dates (pack = "snapshots", options.table = "{name}")', *some]
        might = f": it might be {' or '.join(some)}" if some else ""
        yield Fact(source.name, f"{name} is not read{might}.{_shared_ids(source, name)}")


def _shared_ids(source: Inspected, name: str) -> str:
    """Return which columns with ids a table shares with others, as a sentence with a blank before it."""
    others = {
        each: {plain_name(column) for column in source.tables.columns(each)}
        for each in source.tables.names
        if each != name
    }
    shared = {
        column: [each for each, columns in others.items() if plain_name(column) in columns]
        for column in source.tables.columns(name)
        if is_id(column) and plain_name(column) not in ("id", "uuid", "key")
    }
    parts = [f"{column} with {', '.join(some[:_SHOWN])}" for column, some in shared.items() if some]
    return f" It shares {' and '.join(parts[:_SHOWN])}." if parts else ""


def pack_facts(opened: OpenMapping) -> Iterator[Fact]:
    """Return what the packs assume, with how many rows that concerns."""
    for source, queries in opened.queries.items():
        for table in queries.omitted:
            if table not in opened.source.tables and table != "fx_rates":
                yield Fact(source, f"Nothing is known about {table}: the tables that it needs are not there.")
        for assumption in queries.assumptions:
            # Findings are notes of the source, which every check shows.
            if not assumption.finding and (text := assumption_text(opened.source.connection, assumption)):
                yield Fact(source, text)
        yield from _inputs(opened, source)


def pack_questions(opened: OpenMapping) -> Iterator[tuple[str, str]]:
    """Return, with their source, the assumptions that change figures and that no option of the mapping answers."""
    for pack in opened.packs:
        for assumption in opened.queries[pack.source].assumptions:
            is_open = assumption.asks and assumption.asks not in pack.options
            if is_open and (text := assumption_text(opened.source.connection, assumption)):
                cure = f"If that is right, set options.{assumption.asks}; else name the fields that say it"
                yield pack.source, f"{pack.source}: {text} {cure}"


def _inputs(opened: OpenMapping, source: str) -> Iterator[Fact]:
    """Return which tables are not read, and how many versions the tables with several versions of a row have."""
    pack = next(each for each in opened.packs if each.source == source)
    values, relations = option_values(pack.pack, pack.options), relations_of(opened.relations[source])
    read = set(opened.queries[source].inputs.values())
    for name, table in opened.queries[source].inputs.items():
        latest = pack.pack.file.inputs[name].latest
        bound = bind_input(pack.pack, name, relations, values)
        for other, missing in bound.lacking if not table else ():
            if other not in read:
                columns = ", ".join(_landed_name(bound.input.columns[column], column) for column in missing)
                yield Fact(source, f"The table {other} is not read: it has no column {columns}.")
        if not table or latest is None:
            continue
        keys = [bound.expressions[key][0] for key in latest.key if key in bound.expressions]
        if len(keys) < len(latest.key):
            continue
        whole = f"memory.{sql_identifier(source)}.{sql_identifier(table)}"
        sql = f"SELECT count(*), count(DISTINCT ({', '.join(keys)})) FROM {whole}"
        rows, ids = opened.source.connection.con.execute(sql).fetchone() or (0, 0)
        if rows > ids:
            yield Fact(
                source, f"{table} has {count_of(rows, 'row')} of {count_of(ids, 'id')}: the latest of each counts."
            )


def value_facts(opened: OpenMapping) -> Iterator[Fact]:
    """Return how often each value of the contract's lists, and each currency, occurs."""
    for name, table in opened.source.tables.items():
        for column in current_tables()[name].columns:
            currency = column.name == "currency"
            if column.name not in table.columns or not (column.values or currency):
                continue
            text = f"trim(CAST({sql_identifier(column.name)} AS VARCHAR))"
            text = f"upper({text})" if currency else f"lower({text})"
            rows = opened.source.connection.con.execute(
                f"SELECT {text}, count(*) FROM \"given_{name}\" WHERE {text} <> '' GROUP BY 1 ORDER BY 2 DESC, 1"
            ).fetchall()
            # Other values may be a customer's own.
            known = [(v, n) for v, n in rows if v in column.values or (currency and len(v) == 3 and v.isalpha())]
            others = sum(n for _, n in rows) - sum(n for _, n in known)
            if currency and len(known) > MAX_CURRENCIES:
                known = known[:MAX_CURRENCIES]
            parts = [f"{value} {n:,}" for value, n in known] + ([f"other values {others:,}"] if others else [])
            if parts:
                yield Fact(name, f"{column.name}: {', '.join(parts)}.")


def feed_facts(feeds: Feeds) -> Iterator[Fact]:
    """Return where each feed ends, and up to when the data are complete."""
    ends = {name: feed.last for name, feed in feeds.tables.items() if feed.last is not None}
    for name, last in ends.items():
        yield Fact(name, f"The last row is of {_day(last)}.")
    if feeds.end is not None:
        why = f", the newest row of {feeds.decided_by}" if feeds.decided_by else ""
        yield Fact("end", f"The data are read as complete through {to_iso(feeds.end)}{why}.")


def _day(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d}"


def _landed_name(column: InputColumn, name: str) -> str:
    """Return the name that loaders give a pack's column."""
    return next((each for each in column.names if "{" not in each), name)
