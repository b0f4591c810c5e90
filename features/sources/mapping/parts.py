"""Parts of the contract's tables: what one query, table or pack gives, after the rules of the mapping."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import duckdb

from features.contract.current_contract import current_tables
from features.errors import SignalsError
from features.sources.base import contract_names
from features.sources.mapping.file_schema import OTHERS, TableMapping
from features.sources.mapping.instants import in_utc, rule_of
from features.sources.mapping.mapping_file import Mapping
from features.sources.mapping.names import QualifiedQuery
from features.sources.mapping.table_rules import (
    converted_columns,
    names_of,
    renamed_columns,
    unnamed_values,
)
from features.utils.engine_errors import describe_error, error_position
from features.utils.formatting import count_of
from features.utils.latest_rows import latest_rows, unreadable_versions
from features.utils.sql_text import sql_identifier
from features.utils.sql_types import is_text
from features.utils.toml_positions import Keys

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_SHOWN_NAMES = 30


@dataclass(frozen=True)
class Part:
    """Rows of one table of the contract.

    Parameters
    ----------
    table : the table.
    sql : the SELECT of the rows.
    keys : the keys in the file that give it.
    ids : the source whose account ids it has; empty if they are those of no source.
    query : the query as written; None if a pack gives the rows.
    pack : the pack that gives the rows; empty if none.
    relation : the temporary table of the rows; empty until it is created.
    records : by column, the only values that the rows can have; a column that is not listed may have any value.
    """

    table: str
    sql: str
    keys: Keys
    ids: str = ""
    query: QualifiedQuery | None = None
    pack: str = ""
    relation: str = ""
    records: MappingABC[str, frozenset[str]] = field(default_factory=dict)


def places_of(parts: Iterable[Part]) -> dict[str, str]:
    """Return where the rows of each table come from, in words: the mapping's tables and packs.

    Parameters
    ----------
    parts : the parts that are used.
    """
    places: dict[str, list[str]] = {}
    for part in parts:
        pack = f"the pack {part.pack} of {part.ids}" if part.ids else f"the pack {part.pack}"
        places.setdefault(part.table, []).append(pack if part.pack else f"tables.{part.table} of the mapping")
    return {table: " and ".join(dict.fromkeys(words)) for table, words in places.items()}


class PartBuilder:
    """Creates temporary tables of parts.

    Parameters
    ----------
    connection : the confined engine.
    mapping : the mapping, for messages.
    """

    def __init__(self, connection: Backend, mapping: Mapping) -> None:
        self._connection, self._mapping = connection, mapping
        self._number = 0
        self.notes: list[str] = []

    def describe(self, part: Part) -> dict[str, str]:
        """Return the columns of a part with their types.

        Raises
        ------
        SignalsError
            If the query does not run.
        """
        try:
            rows = self._connection.con.execute(f"DESCRIBE (\n{part.sql}\n)").fetchall()
        except duckdb.Error as error:
            raise self.error(part, error) from None
        return {str(column): str(kind) for column, kind, *_ in rows}

    def create(self, part: Part, rules: TableMapping | None = None) -> Part:
        """Create a temporary table of the rows, in the spelling of the contract, and return the part that reads it."""
        types = self.describe(part)
        proper = contract_names(types, part.table, f"{self._mapping.path}: tables.{part.table}")
        chosen = ", ".join(f"{sql_identifier(c)} AS {sql_identifier(name)}" for c, name in proper.items())
        relation = self._store(part, f"SELECT {chosen} FROM (\n{part.sql}\n)")
        if rules is not None and not rules.plain:
            relation = self._apply(part, rules, relation, {proper[column]: kind for column, kind in types.items()})
        return replace(part, sql=f"SELECT * FROM {relation}", relation=relation)

    def update(self, part: Part, sql: str) -> Part:
        """Replace the rows of a created part by those of ``sql``, which may read the part."""
        relation = self._store(part, sql)
        self._drop(part.relation)
        return replace(part, sql=f"SELECT * FROM {relation}", relation=relation)

    def count(self, sql: str) -> int:
        """Return the single number that ``sql`` gives."""
        row = self._connection.con.execute(sql).fetchone()
        return int(row[0]) if row and row[0] is not None else 0

    def row(self, sql: str) -> tuple[Any, ...]:
        """Return the only row that ``sql`` gives."""
        row: tuple[Any, ...] | None = self._connection.con.execute(sql).fetchone()
        assert row is not None
        return row

    def run(self, sql: str) -> None:
        """Run a statement over temporary tables."""
        self._connection.raw_sql(sql)

    def _apply(self, part: Part, rules: TableMapping, relation: str, types: dict[str, str]) -> str:
        keys, table = self._rule_keys(part), current_tables()[part.table]
        if rules.latest is not None:
            key = [self._spelling((*keys, "latest", "key"), n, types) for n in names_of(rules.latest.key)]
            by = [self._spelling((*keys, "latest", "by"), n, types) for n in names_of(rules.latest.by)]
            instants = self._version_instants(rules, by, types)
            self._check_versions((*keys, "latest", "by"), relation, by, types, instants)
            versions = latest_rows(relation, types, key, by, instants=instants)
            before, relation = relation, self._store(part, versions, relation)
            self._note_dropped(part, before, relation, "older versions")
            self._drop(before)
        if rules.where is not None:
            # The line break ends a comment.
            before = relation
            relation = self._store(part, f"SELECT * FROM {before} WHERE (\n{rules.where}\n)", before, (*keys, "where"))
            self._note_dropped(part, before, relation, "`where` is not met")
            self._drop(before)
        columns = {n: self._spelling((*keys, "columns", n), given, types) for n, given in rules.columns.items()}
        if columns or rules.constants:
            before = relation
            relation = self._store(part, renamed_columns(before, types, columns, rules.constants), before)
            self._drop(before)
            types = self._types(relation)
        self._note_unnamed_values(part, rules, relation, types)
        before = relation
        relation = self._store(part, converted_columns(before, types, rules, table), before)
        self._drop(before)
        return relation

    def _version_instants(self, rules: TableMapping, by: list[str], types: dict[str, str]) -> dict[str, str]:
        """Return SQL for the columns that order versions, where the mapping says how their instants are written."""
        given = {source.strip().lower(): name for name, source in rules.columns.items()}
        found = {name: rule_of(rules.time, given.get(name.strip().lower(), name)) for name in by}
        return {name: in_utc(name, types[name], rule) for name, rule in found.items() if rule is not None}

    def _check_versions(
        self, keys: Keys, relation: str, by: list[str], types: dict[str, str], instants: dict[str, str]
    ) -> None:
        """Refuse text that would be ordered by its letters, such as 12/31/2025."""
        for name in by:
            if is_text(types[name]) and (number := self.count(unreadable_versions(relation, name, instants))):
                raise self._mapping.error(
                    keys,
                    f"{count_of(number, 'value')} of {name} can be read neither as an instant nor as a number",
                    "instants in ISO 8601, or numbers",
                    'say how they are written: time = { format = "%m/%d/%Y" }',
                )

    def _rule_keys(self, part: Part) -> Keys:
        """Return the keys of the rules of a part."""
        if part.query is not None:
            return part.query.query.keys[:-1]
        parts = self._mapping.content.tables.get(part.table, ())
        number = next((i for i, rules in enumerate(parts) if rules.reads_packs), 0)
        return self._mapping.table_keys(part.table, number)

    def _spelling(self, keys: Keys, name: str, types: dict[str, str]) -> str:
        """Return a column in its own spelling."""
        spellings = {column.strip().lower(): column for column in types}
        if name in types or name.strip().lower() in spellings:
            return name if name in types else spellings[name.strip().lower()]
        listed = list(types)
        some = ", ".join(listed[:_SHOWN_NAMES]) + (", …" if len(listed) > _SHOWN_NAMES else "")
        raise self._mapping.error(keys, f"there is no column {name}", f"one of {some}", "check the spelling")

    def _note_unnamed_values(self, part: Part, rules: TableMapping, relation: str, types: dict[str, str]) -> None:
        for column, values in rules.values.items():
            if column not in types:
                raise self._mapping.error(
                    (*self._rule_keys(part), "values", column),
                    f"the table has no column {column}",
                    f"one of {', '.join(types)}",
                    f'add it to columns: columns.{column} = "NAME"',
                )
            row = self._connection.con.execute(unnamed_values(relation, column, values)).fetchone()
            rows, different = row or (0, 0)
            if rows:
                then = ', read as "*" says' if OTHERS in values else ", read as they are"
                names = f"{count_of(different, 'value')} that `values` does not name"
                self.notes.append(f"{part.table}.{column}: {count_of(rows, 'row')} with {names}{then}")

    def _note_dropped(self, part: Part, before: str, after: str, why: str) -> None:
        dropped = self.count(f"SELECT (SELECT count(*) FROM {before}) - (SELECT count(*) FROM {after})")
        if dropped:
            self.notes.append(f"{part.table}: {count_of(dropped, 'row')} left out ({why})")

    def _store(self, part: Part, sql: str, before: str = "", keys: Keys = ()) -> str:
        self._number += 1
        name = f'"part_{part.table}_{self._number}"'
        try:
            self._connection.raw_sql(f"CREATE TEMP TABLE {name} AS {sql}")
        except duckdb.Error as error:
            if keys:
                raise self._mapping.error(
                    keys, describe_error(error, place=False), "a condition over its columns"
                ) from None
            raise self.error(part, error) from None
        return name

    def _types(self, relation: str) -> dict[str, str]:
        rows = self._connection.con.execute(f"DESCRIBE {relation}").fetchall()
        return {str(column): str(kind) for column, kind, *_ in rows}

    def _drop(self, relation: str) -> None:
        self._connection.raw_sql(f"DROP TABLE {relation}")

    def error(self, part: Part, error: duckdb.Error) -> SignalsError:
        """Return the error for a part that cannot be read."""
        if part.query is None:
            return self._mapping.error(
                part.keys,
                f"the table {part.table} of the pack {part.pack} cannot be read ({describe_error(error)})",
                "a landed table with the types of the tool",
                "write the table under [tables] instead",
            )
        at = error_position(error)
        if at is not None and at[0] > 1:
            # The query starts on the second line of the statement.
            at = part.query.written_position(at[0] - 1, at[1])
        return self._mapping.query_error(
            part.query.query.keys,
            "does not run",
            describe_error(error, place=False),
            "a DuckDB SELECT from the given files and tables",
            at=at,
        )
