"""Parse the SQL of a mapping file: one SELECT, checked before it runs.

The parser is DuckDB's own, so the checked statement is the one that runs. A query may use only files and tables of the
mapping. Every such name is qualified before it runs, so that it cannot refer to anything else. The confined engine is a
second barrier (see `features.sources.base.confine`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import duckdb

from features.utils.engine_errors import describe_error, error_position

MAX_LENGTH = 100_000
"""Maximum length of a query in characters."""
TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree", "repeat", "repeat_row"})
"""Functions allowed in place of a table; none of them reads files."""
FORBIDDEN_FUNCTIONS = frozenset(
    [
        "current_setting",
        "getenv",
        "getvariable",
        "nextval",
        "currval",
        "setseed",
        "write_log",
        "json_execute_serialized_sql",
        "query",
        "query_table",
        "which_secret",
        "current_query",
        "add_parquet_key",
        "now",
        "today",
        "current_date",
        "current_time",
        "current_timestamp",
        "current_localtime",
        "current_localtimestamp",
        "localtime",
        "localtimestamp",
        "get_current_time",
        "get_current_timestamp",
        "transaction_timestamp",
        "random",
        "uuid",
        "uuidv4",
        "uuidv7",
        "gen_random_uuid",
        "txid_current",
    ]
)
"""Functions that use or change anything other than the rows. With the clock or random numbers, the same rows would give
different features later."""
_RELATIONS = {
    "BASE_TABLE",
    "SUBQUERY",
    "JOIN",
    "TABLE_FUNCTION",
    "EMPTY",
    "EXPRESSION_LIST",
    "COLUMN_DATA",
    "PIVOT",
    "CTE",
}
_UNPLACED = 2**63
_ONE_SELECT = "one SELECT from the given files and tables"


class QueryError(Exception):
    """A query that is not allowed or cannot be parsed.

    Parameters
    ----------
    found, expected, cure : as in `features.errors.RenewcastError`.
    position : the line and column in the query, from 1, if known.
    """

    def __init__(
        self, found: str, expected: str = _ONE_SELECT, cure: str = "", position: tuple[int, int] | None = None
    ) -> None:
        self.found, self.expected, self.cure, self.position = found, expected, cure, position
        super().__init__(found)


@dataclass(frozen=True)
class Reference:
    """A table reference in a query.

    Parameters
    ----------
    catalog, schema, name : as written; empty where not given.
    place : the position of the name in the query (in bytes of UTF-8).
    """

    catalog: str
    schema: str
    name: str
    place: int

    def __str__(self) -> str:
        return ".".join(part for part in (self.catalog, self.schema, self.name) if part)


@dataclass(frozen=True)
class Select:
    """One SELECT statement.

    Parameters
    ----------
    text : the statement, without anything after it.
    references : the tables that it uses, except its own (WITH).
    """

    text: str
    references: tuple[Reference, ...]

    def qualified(self, prefix: Callable[[Reference], str]) -> str:
        """Return the text with ``prefix`` (such as ``given.``) before each table name."""
        encoded = self.text.encode()
        for reference in sorted(self.references, key=lambda r: r.place, reverse=True):
            encoded = encoded[: reference.place] + prefix(reference).encode() + encoded[reference.place :]
        return encoded.decode()


@lru_cache(maxsize=128)
def parse_select(query: str) -> Select:
    """Parse ``query``.

    Raises
    ------
    QueryError
        If it is not exactly one SELECT, or uses a function that a mapping may not call.
    """
    if len(query) > MAX_LENGTH:
        raise QueryError(f"it has {len(query)} characters", f"at most {MAX_LENGTH}")
    with embedded_parser() as parser:
        try:
            statements = parser.extract_statements(query)
        except duckdb.Error as error:
            why = describe_error(error, place=False)
            raise QueryError(f"it does not parse ({why})", position=error_position(error)) from None
        kinds = [statement.type.name for statement in statements]
        if kinds != ["SELECT"]:
            raise QueryError(f"it is {_describe_kinds(kinds)}", cure=_cure(kinds))
        tree = _tree(parser, query)
    scan = _Scan()
    try:
        scan.node(tree)
    except RecursionError:
        raise QueryError("it is nested too deeply", "a simpler SELECT") from None
    return Select(_without_terminator(query), tuple(scan.references))


def embedded_parser() -> duckdb.DuckDBPyConnection:
    """Return a new connection to an empty database of this process, which only parses and looks names up.

    A connection costs microseconds; another database would cost some 10 ms. The database has no threads of its own.
    """
    return _parser_database().cursor()


@cache
def _parser_database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def _describe_kinds(kinds: list[str]) -> str:
    if not kinds:
        return "empty"
    if len(kinds) == 1:
        return f"of the kind {kinds[0]}"
    return f"{len(kinds)} statements ({', '.join(kinds)})"


def _cure(kinds: list[str]) -> str:
    if kinds[:1] == ["CREATE"] and kinds[-1] == "SELECT":
        return "list the values of the PIVOT (… IN (…)) and put it into a subquery"
    return "remove the rest; a mapping can only read"


def _tree(parser: duckdb.DuckDBPyConnection, query: str) -> Any:
    try:
        row = parser.execute("SELECT json_serialize_sql(CAST(? AS VARCHAR))", [query]).fetchone()
        tree = json.loads(row[0]) if row else {"error": True}
    except duckdb.Error as error:
        raise QueryError(f"it does not parse ({describe_error(error)})") from None
    except RecursionError:
        raise QueryError("it is nested too deeply", "a simpler SELECT") from None
    if tree["error"]:
        raise QueryError("it is not a plain SELECT")
    return tree["statements"]


class _Scan:
    """Collects the table references of a parsed statement, except its own tables (WITH) in scope."""

    def __init__(self) -> None:
        self.references: list[Reference] = []

    def node(self, tree: Any, common: frozenset[str] = frozenset()) -> None:
        """Visit ``tree`` and its children; ``common`` are the names of WITH in scope."""
        if isinstance(tree, list):
            for each in tree:
                self.node(each, common)
        elif isinstance(tree, dict):
            for pair in tree["cte_map"]["map"] if isinstance(tree.get("cte_map"), dict) else ():
                name = str(pair["key"]).lower()
                if pair["value"]["query"]["node"]["type"] == "RECURSIVE_CTE_NODE":
                    raise QueryError("it is recursive (WITH RECURSIVE) and may never end")
                self.node(pair["value"], common)
                common |= {name}
            self._check(tree, common)
            for key, each in tree.items():
                if key != "cte_map":
                    self.node(each, common)

    def _check(self, tree: dict[str, Any], common: frozenset[str]) -> None:
        kind = tree.get("type")
        if "from_table" in tree:
            self._relation(tree["from_table"])
        if kind == "JOIN":
            self._relation(tree["left"])
            self._relation(tree["right"])
        if kind == "BASE_TABLE":
            self._base_table(tree, common)
        if kind == "SHOW_REF":
            raise QueryError("it describes a table (DESCRIBE, SHOW or SUMMARIZE)")
        if kind == "VALUE_PARAMETER":
            raise QueryError("it has a parameter (? or $)")
        if tree.get("class") == "FUNCTION":
            name = str(tree["function_name"]).lower()
            # With one argument, age uses the current date.
            self._function("now" if name == "age" and len(tree["children"]) == 1 else name)
        if tree.get("class") == "COLUMN_REF" and len(tree["column_names"]) == 1:
            self._column(str(tree["column_names"][0]).lower())
        if kind == "TABLE_FUNCTION":
            self._table_function(str(tree["function"].get("function_name", "")).lower())

    def _relation(self, tree: Any) -> None:
        if isinstance(tree, dict) and tree.get("type") not in _RELATIONS:
            raise QueryError(f"it reads from a source that a mapping does not allow ({tree.get('type')})")

    def _base_table(self, tree: dict[str, Any], common: frozenset[str]) -> None:
        reference = Reference(
            tree["catalog_name"], tree["schema_name"], tree["table_name"], int(tree["query_location"])
        )
        if str(reference).lower() in common:
            return
        if reference.place >= _UNPLACED:
            raise QueryError("it has a table name that a mapping does not allow")
        self.references.append(reference)

    def _function(self, name: str) -> None:
        if name in FORBIDDEN_FUNCTIONS or name.startswith(("pragma_", "duckdb_")):
            raise QueryError(f"it calls {name}, which a mapping must not use")

    def _column(self, name: str) -> None:
        # Unless a column has this name, the engine reads it as the clock.
        if name in FORBIDDEN_FUNCTIONS and name.startswith(("current_", "local")):
            raise QueryError(f"it uses {name}, which a mapping must not use")

    def _table_function(self, name: str) -> None:
        if name in TABLE_FUNCTIONS:
            return
        cure = ""
        if name.startswith(("read_", "parquet_")) or name in ("glob", "sniff_csv"):
            cure = 'add the file to [files] (name = "path", relative to the mapping file) and SELECT … FROM name'
        raise QueryError(f"it calls {name or 'a function'} instead of using a table", _ONE_SELECT, cure)


def _without_terminator(query: str) -> str:
    """Return the query without the final semicolon and anything after it."""
    tokens = duckdb.tokenize(query)
    text = query.encode()
    # Positions are in bytes. Only comments and blanks follow the semicolon, because there is one statement.
    ends = [place for place, kind in tokens if kind == duckdb.token_type.operator and text[place : place + 1] == b";"]
    return (text[: ends[0]] if ends else text).decode()
