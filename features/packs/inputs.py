"""Inputs of a pack: which given table is which input, and the SQL that reads it with typed columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from features.packs.options import with_literals, with_names, with_values
from features.packs.pack import Pack
from features.packs.schema import DROP, Input, InputColumn, OptionValue
from features.packs.typed_columns import SQL_TYPES, far_instant_sql, nested_text_sql, null_sql, typed_sql
from features.utils.latest_rows import latest_rows
from features.utils.sql_text import sql_identifier, sql_literal

SUFFIX = "_data"
"""Suffix of table names that is removed before names are compared; samples and seeds have it."""
ColumnMeanings = Mapping[str, Mapping[str, str]]
"""By column, the known value that each other value stands for."""


@dataclass(frozen=True)
class Relation:
    """A table of a source.

    Parameters
    ----------
    name : its name, without a schema.
    columns : the DuckDB type of each column.
    reference : SQL that refers to it, with its schema; default: the table of this name in the schema ``main``.
    """

    name: str
    columns: Mapping[str, str]
    reference: str = ""

    @property
    def sql(self) -> str:
        """SQL that refers to the table."""
        return self.reference or f"main.{sql_identifier(self.name)}"


@dataclass(frozen=True)
class BoundInput:
    """An input and the table that it reads.

    Parameters
    ----------
    input : its declaration.
    relation : the table; None if there is none.
    expressions : for each declared column that exists in the table: its SQL, and that of the untyped text.
    lacking : the tables that have the name but not the required columns, with these.
    unread : the tables that could be read as well, if the input did not read another one.
    """

    input: Input
    relation: Relation | None
    expressions: Mapping[str, tuple[str, str]]
    lacking: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unread: tuple[BoundInput, ...] = ()


def bind_input(pack: Pack, name: str, relations: Sequence[Relation], values: Mapping[str, OptionValue]) -> BoundInput:
    """Find the table of the input ``name`` among ``relations``.

    Parameters
    ----------
    pack : the pack.
    name : the input.
    relations : the tables of the source.
    values : the value of every option.
    """
    declared = pack.file.inputs[name]
    lacking: list[tuple[str, tuple[str, ...]]] = []
    fitting: list[BoundInput] = []
    for relation in _candidates(declared, relations, pack.file.prefixes, values):
        expressions = {
            column: found
            for column, about in declared.columns.items()
            if (found := _expressions(column, about, relation, values))
        }
        missing = tuple(c for c, about in declared.columns.items() if about.required and c not in expressions)
        if missing:
            lacking.append((relation.name, missing))
        else:
            fitting.append(BoundInput(declared, relation, expressions, tuple(lacking)))
    if not fitting:
        return BoundInput(declared, None, {}, tuple(lacking))
    first, *others = fitting
    return replace(first, unread=tuple(others))


def short_name(name: str, prefixes: Sequence[str]) -> str:
    """Return the name of a table in lower case, without a prefix of the tool and without `SUFFIX`."""
    name = name.lower()
    for prefix in prefixes:
        if name.startswith(prefix.lower()) and len(name) > len(prefix):
            name = name[len(prefix) :]
            break
    return name.removesuffix(SUFFIX)


def _candidates(
    declared: Input, relations: Sequence[Relation], prefixes: Sequence[str], values: Mapping[str, OptionValue]
) -> list[Relation]:
    """Return the tables with an accepted name, in the order of preference; exact names first."""
    result = []
    for accepted in with_names(declared.names, values):
        exact = [r for r in relations if r.name.lower() == accepted.lower()]
        others = [r for r in relations if r not in exact and short_name(r.name, prefixes) == accepted.lower()]
        result += [*exact, *sorted(others, key=lambda r: r.name)]
    return result


def _expressions(
    column: str, about: InputColumn, relation: Relation, values: Mapping[str, OptionValue]
) -> tuple[str, str] | None:
    spellings = {name.lower(): name for name in relation.columns}
    typed, texts = [], []
    for name in with_names(about.names or (column,), values):
        base, _, path = name.partition(".")
        if actual := spellings.get(name.lower()):
            value, given = sql_identifier(actual), relation.columns[actual]
            texts.append(typed_sql(value, given, "text"))
        elif path and (actual := spellings.get(base.lower())):
            value, given = nested_text_sql(sql_identifier(actual), relation.columns[actual], path), "VARCHAR"
            texts.append(value)
        else:
            continue
        typed.append(typed_sql(value, given, about.type, about.epoch))
    if len(typed) > 1:
        return f"coalesce({', '.join(typed)})", f"coalesce({', '.join(texts)})"
    return (typed[0], texts[0]) if typed else None


def input_sql(
    bound: BoundInput, values: Mapping[str, OptionValue], place: str, meanings: ColumnMeanings | None = None
) -> str:
    """Return the SELECT of an input with its table, its `otherwise` query, or without rows.

    Parameters
    ----------
    bound : the input.
    values : the value of every option.
    place : where the input is declared, for messages.
    meanings : by column, what values stand for that are not in its list, in lower case.
    """
    sql, lists = given_values_sql(bound, values, place, meanings), _value_lists(bound, values)
    if not lists:
        return sql
    chosen, kept = [], []
    for name, listed in lists.items():
        column, others = sql_identifier(name), bound.input.columns[name].others
        cases = " ".join(f"WHEN {sql_literal(each.lower())} THEN {sql_literal(each)}" for each in listed)
        rest = "NULL" if others in ("", DROP) else f"CASE WHEN {column} IS NOT NULL THEN {sql_literal(others)} END"
        chosen.append(f"CASE lower({column}) {cases} ELSE {rest} END AS {column}")
        kept += [f"NOT {_is_other(name, listed)}"] if others == DROP else []
    where = f" WHERE {' AND '.join(kept)}" if kept else ""
    return f"SELECT * REPLACE ({', '.join(chosen)}) FROM (\n{sql}\n){where}"


def other_values_sql(
    bound: BoundInput, values: Mapping[str, OptionValue], place: str, meanings: ColumnMeanings | None = None
) -> dict[str, str]:
    """Return, by column with a list of values, a SELECT of the number ``n`` of rows with another value.

    Parameters
    ----------
    bound, values, place, meanings : as in `input_sql`.
    """
    lists = _value_lists(bound, values)
    sql = given_values_sql(bound, values, place, meanings) if lists else ""
    return {
        name: f"SELECT count(*) FILTER (WHERE {_is_other(name, listed)}) AS n FROM (\n{sql}\n)"
        for name, listed in lists.items()
    }


def _is_other(name: str, listed: Sequence[str]) -> str:
    """Return SQL for whether a column has a value that is not listed; never null."""
    column = sql_identifier(name)
    return f"({column} IS NOT NULL AND lower({column}) NOT IN ({', '.join(sql_literal(v.lower()) for v in listed)}))"


def _value_lists(bound: BoundInput, values: Mapping[str, OptionValue]) -> dict[str, list[str]]:
    """Return the listed values of each column that has a list and exists."""
    if bound.relation is None and bound.input.otherwise is None:
        return {}
    return {
        name: with_values(about.values, values)
        for name, about in bound.input.columns.items()
        if about.values and (bound.relation is None or name in bound.expressions)
    }


def given_values_sql(
    bound: BoundInput, values: Mapping[str, OptionValue], place: str, meanings: ColumnMeanings | None = None
) -> str:
    """Return the SELECT of an input with every value as it is given, also those that the pack does not understand.

    Parameters
    ----------
    bound, values, place, meanings : as in `input_sql`.
    """
    declared, meanings = bound.input, meanings or {}
    if bound.relation is not None:
        given = {
            c: bound.expressions[c][0] if c in bound.expressions else null_sql(about.type)
            for c, about in declared.columns.items()
        }
        chosen = [f"{_meant(sql, meanings.get(c))} AS {sql_identifier(c)}" for c, sql in given.items()]
        sql = f"SELECT {_listed(chosen)} FROM {bound.relation.sql}"
    elif declared.otherwise is not None:
        given = {
            c: typed_sql(f"CAST({sql_identifier(c)} AS VARCHAR)", "VARCHAR", about.type, about.epoch)
            for c, about in declared.columns.items()
        }
        chosen = [f"{_meant(sql, meanings.get(c))} AS {sql_identifier(c)}" for c, sql in given.items()]
        query = with_literals(declared.otherwise.query, values, place).strip()
        sql = f"SELECT {_listed(chosen)} FROM (\n{query}\n)"
    else:
        chosen = [f"{null_sql(about.type)} AS {sql_identifier(c)}" for c, about in declared.columns.items()]
        return f"SELECT {_listed(chosen)} WHERE false"
    if declared.latest:
        sql = latest_rows(
            f"(\n{sql}\n)", _types(declared), declared.latest.key, declared.latest.by, _optional(declared)
        )
    if declared.where:
        sql = f"SELECT * FROM (\n{sql}\n) WHERE {with_literals(declared.where, values, place)}"
    return sql


def _meant(sql: str, meanings: Mapping[str, str] | None) -> str:
    """Return SQL for a text, or the known value that it stands for."""
    if not meanings:
        return sql
    cases = " ".join(f"WHEN {sql_literal(each)} THEN {sql_literal(known)}" for each, known in meanings.items())
    return f"CASE lower({sql}) {cases} ELSE {sql} END"


def unreadable_sql(bound: BoundInput, *, far: bool = False) -> str:
    """Return a SELECT of the number ``n`` of values that the input's types cannot read, and their ``columns``.

    Parameters
    ----------
    bound : the input.
    far : count the instants from the year 2200 on instead, which mean that there is none; they are not unreadable.
    """
    assert bound.relation is not None
    names, counts = [], []
    for column, (typed, text) in bound.expressions.items():
        about = bound.input.columns[column]
        if SQL_TYPES[about.type] == "VARCHAR" or (far and about.type != "instant"):
            continue
        is_far = far_instant_sql(text, about.epoch) if about.type == "instant" else "false"
        names.append("'" + column + "'")
        counts.append(f"count(*) FILTER (WHERE {text} IS NOT NULL AND {typed} IS NULL AND ({is_far}) IS {far})")
    if not names:
        return ""
    return (
        "SELECT CAST(sum(unreadable) AS BIGINT) AS n, "
        "string_agg(name || ' (' || unreadable || ')', ', ') AS columns FROM ("
        f"SELECT unnest([{', '.join(names)}]) AS name, unnest([{', '.join(counts)}]) AS unreadable "
        f"FROM {bound.relation.sql}) WHERE unreadable > 0"
    )


def _types(declared: Input) -> dict[str, str]:
    return {column: SQL_TYPES[about.type] for column, about in declared.columns.items()}


def _optional(declared: Input) -> set[str]:
    """Return the columns of a key that may be null. If none must have a value, a row needs all of them."""
    key = declared.latest.key if declared.latest else ()
    optional = {column for column in key if not declared.columns[column].required}
    return optional if len(optional) < len(key) else set()


def _listed(expressions: Sequence[str]) -> str:
    return "\n  " + ",\n  ".join(expressions) + "\n"
