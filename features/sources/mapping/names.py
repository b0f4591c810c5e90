"""Names of tables in the queries of a mapping: what each refers to, and the text with qualified names."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass, field

from features.errors import SignalsError
from features.sources.databases import CATALOG, TableName
from features.sources.mapping.mapping_file import EXPECTED, Mapping
from features.utils.select_statement import QueryError, Reference, Select, parse_select
from features.utils.toml_positions import Keys

FILES_SCHEMA = "memory.files"
"""The schema of the tables in ``[files]``."""
_SHOWN_NAMES = 20


@dataclass(frozen=True)
class Query:
    """A query of a mapping.

    Parameters
    ----------
    keys : its keys in the file.
    select : the parsed query.
    """

    keys: Keys
    select: Select


@dataclass(frozen=True)
class QualifiedQuery:
    """A query with qualified names.

    Parameters
    ----------
    query : the query as written.
    text : the text that runs.
    insertions : where (in characters of the written text) how many characters were inserted.
    sources : the sources that it reads.
    """

    query: Query
    text: str
    insertions: tuple[tuple[int, int], ...] = ()
    sources: frozenset[str] = frozenset()

    def written_position(self, line: int, column: int) -> tuple[int, int]:
        """Return the position in the written text of a position in the text that runs."""
        written = self.query.select.text
        for place, length in self.insertions:
            before = written[:place]
            if before.count("\n") + 1 == line and place - (before.rfind("\n") + 1) + 1 < column:
                column -= length
        return line, max(column, 1)


@dataclass(frozen=True)
class Names:
    """The tables that the queries of a mapping can read.

    Parameters
    ----------
    mapping : the mapping.
    files : the names in ``[files]``.
    sources : the tables of each source.
    database : the tables of ``database``.
    """

    mapping: Mapping
    files: Sequence[str]
    sources: MappingABC[str, Sequence[str]]
    database: Sequence[TableName] = field(default=())

    def source_table(self, reference: Reference) -> tuple[str, str] | None:
        """Return the source and the table that ``reference`` means; None if it means no table of a source."""
        if reference.catalog or self.is_file(reference):
            return None
        name = reference.name.lower()
        if reference.schema:
            schema = reference.schema.lower()
            tables = {table.lower(): table for table in self.sources.get(schema, ())}
            return (schema, tables[name]) if name in tables else None
        if any(is_table(table, reference) for table in self.database):
            return None
        found = [(s, table) for s, tables in self.sources.items() for table in tables if table.lower() == name]
        return found[0] if len(found) == 1 else None

    def is_file(self, reference: Reference) -> bool:
        """Return whether ``reference`` is a name in ``[files]``."""
        unqualified = not (reference.catalog or reference.schema)
        return unqualified and reference.name.lower() in {name.lower() for name in self.files}

    def qualified(self, query: Query) -> QualifiedQuery:
        """Return the text of a query with fully qualified names.

        Raises
        ------
        SignalsError
            If a name is not that of a table of the mapping.
        """
        insertions: list[tuple[int, int]] = []
        sources: set[str] = set()

        def prefix(reference: Reference) -> str:
            text = self._prefix(query, reference, sources)
            place = len(query.select.text.encode()[: reference.place].decode())
            insertions.append((place, len(text)))
            return text

        text = query.select.qualified(prefix)
        # The final text is parsed again to verify that every name is in one of the two catalogs.
        names = parse(self.mapping, query.keys, text).select.references
        if any((r.catalog or r.schema).lower() not in (CATALOG, "memory") for r in names):
            raise self.mapping.query_error(query.keys, "does not run", "a table name cannot be resolved", EXPECTED)
        return QualifiedQuery(query, text, tuple(sorted(insertions, reverse=True)), frozenset(sources))

    def _prefix(self, query: Query, reference: Reference, sources: set[str]) -> str:
        if self.is_file(reference):
            return f"{FILES_SCHEMA}."
        if (found := self.source_table(reference)) is not None:
            sources.add(found[0])
            return "memory." if reference.schema else f'memory."{found[0]}".'
        if not any(is_table(table, reference) for table in self.database):
            raise self._unknown(query, reference)
        if reference.catalog or reference.schema.lower() == CATALOG:
            return ""
        return f"{CATALOG}." if reference.schema else f"{CATALOG}.main."

    def _unknown(self, query: Query, reference: Reference) -> SignalsError:
        place = _position(query.select.text, reference.place)
        owners = [
            s for s, tables in self.sources.items() if reference.name.lower() in {table.lower() for table in tables}
        ]
        if len(owners) > 1 and not reference.schema:
            return self.mapping.query_error(
                query.keys,
                "does not run",
                f"it reads {reference}, which several sources have",
                f"{' or '.join(f'{owner}.{reference.name}' for owner in owners)}",
                at=place,
            )
        source = self.sources.get(reference.schema.lower(), ())
        names = (
            [f"{reference.schema}.{table}" for table in source]
            if source
            else [*self.files, *map(str, sorted(self.database, key=str)), *self._source_names()]
        )
        some = ", ".join(names[:_SHOWN_NAMES]) + (", …" if len(names) > _SHOWN_NAMES else "")
        where = f"in the source {reference.schema}" if source else "neither in [files] nor in the database"
        if not source and self.sources:
            where = "neither in [files] nor in a source"
        return self.mapping.query_error(
            query.keys,
            "does not run",
            f"it reads {reference}, which is {'not ' if source else ''}{where}",
            f"one of {some}" if names else "a name in [files], or a table of the database",
            'add the file to [files] (name = "path"), or check the spelling',
            at=place,
        )

    def _source_names(self) -> list[str]:
        return [f"{source}.{table}" for source, tables in self.sources.items() for table in tables]


def parse(mapping: Mapping, keys: Keys, text: str) -> Query:
    """Parse the query ``text`` at ``keys`` of a mapping.

    Raises
    ------
    SignalsError
        If it is not one SELECT, or not allowed.
    """
    try:
        return Query(keys, parse_select(text))
    except QueryError as error:
        raise mapping.query_error(
            keys, "cannot be used", error.found, error.expected, error.cure, at=error.position
        ) from None


def is_table(table: TableName, reference: Reference) -> bool:
    """Return whether ``reference`` refers to ``table`` of the database; names are compared ignoring case."""
    catalog, schema = reference.catalog.lower(), reference.schema.lower()
    if catalog not in ("", CATALOG) or table.name.lower() != reference.name.lower():
        return False
    if not catalog and schema == CATALOG:
        schema = ""
    return (schema or "main") == (table.schema.lower() or "main")


def _position(text: str, place: int) -> tuple[int, int]:
    """Return line and column of a position in bytes."""
    before = text.encode()[:place].decode()
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
