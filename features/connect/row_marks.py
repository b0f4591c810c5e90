"""Columns that say that a row was deleted, or is a test, in tables that no pack knows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from features.connect.column_names import plain_name
from features.connect.table_guesses import TableGuess
from features.connect.value_spellings import FALSE, TOTALS, TRUE, folded_sql
from features.connect.values import count_each, time_rule
from features.contract.schema import TABLES
from features.sources.mapping.file_schema import TimeRule
from features.sources.mapping.instants import in_utc
from features.utils.sql_text import sql_identifier, sql_literal
from features.utils.sql_types import is_text

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_DELETED = re.compile(
    r"^(?:(?:is|was|row|record|soft|hard|fivetran|sdc|airbyte|ab|cdc|dlt|hvr|meta|sys|dw|etl)_?)*delet(?:ed|ion)"
    r"(?:_(?:at|on|date|time|timestamp|ts|utc|datetime|flag|ind|indicator))*$|^(?:date|time)_deleted$"
)
_TEST = re.compile(
    r"^(?:is_?)?(?:test|demo|sandbox|dummy)(?:_(?:account|customer|company|client|org|organization|tenant|contract"
    r"|subscription|flag|data|record))?$"
)
_WHEN = re.compile(r"_(?:at|on|date|time|timestamp|ts|utc|datetime)$|^(?:date|time)_")
"""Names of columns that say when, also if they are empty."""
LEFT = (
    "churned_at", "churn_date", "churned_on", "canceled_at", "cancelled_at", "canceled_on", "cancelled_on",
    "cancellation_date", "terminated_at", "terminated_on", "termination_date", "closed_at", "deactivated_at", "left_at",
)  # fmt: skip
"""Names of columns that say when an account left."""
_FALSE = ("", *FALSE)
_TRUE = (*TRUE, "deleted")


@dataclass(frozen=True)
class RowMarks:
    """What the columns of a table say about rows that are not in use.

    Parameters
    ----------
    deleted : columns that say whether a row was deleted.
    tests : columns that say whether a row is a test.
    deleted_at : columns that say when a row was deleted, with SQL of the instant in UTC.
    unclear : columns with such a name whose values are neither.
    """

    deleted: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    deleted_at: Mapping[str, str] = field(default_factory=dict)
    unclear: tuple[str, ...] = ()

    def left_out(self) -> dict[str, str]:
        """Return, by column, the condition of the rows that are left out.

        Rows that were deleted at a known instant were there before it.
        """
        known = "".join(f" AND {instant} IS NULL" for instant in self.deleted_at.values())
        conditions = {column: f"({_is_true(column)}{known})" for column in self.deleted}
        return conditions | {column: _is_true(column) for column in self.tests}


def row_marks(
    connection: Backend, relation: str, table: str, types: Mapping[str, str], used: Sequence[str]
) -> RowMarks:
    """Return what the columns of a table say about rows that are not in use.

    Parameters
    ----------
    connection, relation : the engine and the rows.
    table : the table of the contract that it is read as.
    types : its columns with their types.
    used : the columns that are read as columns of the contract.
    """
    deleted, tests, instants, unclear = list[str](), list[str](), dict[str, str](), list[str]()
    for column, sql_type in types.items():
        if column in used:
            continue
        if _DELETED.search(plain_name(column)):
            if _is_flag(connection, relation, column):
                deleted.append(column)
            elif instant := _instant(connection, relation, column, sql_type):
                instants[column] = instant
            elif _values(connection, relation, column):
                unclear.append(column)
        elif (
            table in ("accounts", "subscriptions")
            and _TEST.search(plain_name(column))
            and _is_flag(connection, relation, column)
        ):
            tests.append(column)
    return RowMarks(tuple(deleted), tuple(tests), instants, tuple(unclear))


def totals_condition(connection: Backend, relation: str, guess: TableGuess, types: Mapping[str, str]) -> str:
    """Return the condition of rows that add up the others; empty if there are none.

    Such a row has a label in its first column, or in that of the id or name, and no other text or day.

    Parameters
    ----------
    connection, relation : the engine and the rows.
    guess : what the table looks like.
    types : its columns with their types.
    """
    labels = [next(iter(types)), *(guess.matched[c] for c in ("account_id", "name") if c in guess.matched)]
    labels = list(dict.fromkeys(column for column in labels if is_text(types.get(column, ""))))
    kinds = {column.name: column.kind for column in TABLES[guess.table].columns}
    others = [
        own
        for column, own in guess.matched.items()
        if own not in labels and own in types and kinds[column] not in ("float", "int")
    ]
    if not labels or not others:
        return ""
    listed = _listed(TOTALS)
    label = " OR ".join(f"regexp_replace({folded_sql(column)}, '[_: ]+$', '') IN ({listed})" for column in labels)
    filled = " + ".join(f"({_text(column)} <> '')::INT" for column in labels)
    empty = " AND ".join(f"{_text(column)} = ''" for column in others)
    condition = f"(({label}) AND {filled} = 1 AND {empty})"
    (rows,) = count_each(connection, f"SELECT count(*) FROM {relation} WHERE {condition}")
    return condition if rows else ""


def leaving_instants(
    connection: Backend, relation: str, types: Mapping[str, str], used: Sequence[str]
) -> dict[str, str]:
    """Return the columns that say when an account left, with SQL of the instant in UTC.

    Parameters
    ----------
    connection, relation, types, used : as in `row_marks`.
    """
    some = {column: kind for column, kind in types.items() if column not in used and plain_name(column) in LEFT}
    found = {column: _instant(connection, relation, column, kind) for column, kind in some.items()}
    return {column: instant for column, instant in found.items() if instant}


def utc_text(connection: Backend, relation: str, column: str, sql_type: str) -> str:
    """Return SQL for the text of the instants of a column in UTC; what cannot be read is unchanged.

    Parameters
    ----------
    connection, relation : the engine and the rows.
    column, sql_type : the column and its type.
    """
    rule = TimeRule.model_validate(time_rule(connection, relation, sql_identifier(column), sql_type))
    text = in_utc(column, sql_type, rule)
    return text if is_text(sql_type) else f"CAST({text} AS VARCHAR)"


def utc_instant(connection: Backend, relation: str, column: str, sql_type: str) -> str:
    """Return SQL for the instants of a column in UTC without a time zone; what is none is null.

    Parameters
    ----------
    connection, relation, column, sql_type : as in `utc_text`.
    """
    return f"try_cast({utc_text(connection, relation, column, sql_type)} AS TIMESTAMP)"


def _instant(connection: Backend, relation: str, column: str, sql_type: str) -> str:
    """Return SQL for the instants of a column; empty if some values are none."""
    instant = utc_instant(connection, relation, column, sql_type)
    text = _text(column)
    filled, instants = count_each(
        connection,
        f"SELECT count(*), count({instant}) FROM {relation} WHERE {text} NOT IN ({_listed(_FALSE)})",
    )
    return instant if filled == instants and (filled or _WHEN.search(plain_name(column))) else ""


def _is_flag(connection: Backend, relation: str, column: str) -> bool:
    values = _values(connection, relation, column)
    return bool(values) and values <= {*_FALSE, *_TRUE}


def _values(connection: Backend, relation: str, column: str) -> set[str]:
    """Return some of the values of a column, without that of rows that have none."""
    text = _text(column)
    rows = connection.con.execute(f"SELECT DISTINCT {text} FROM {relation} WHERE {text} <> '' LIMIT 20").fetchall()
    return {str(value) for (value,) in rows}


def _is_true(column: str) -> str:
    return f"{_text(column)} IN ({_listed(_TRUE)})"


def _text(column: str) -> str:
    return f"coalesce(lower(trim(CAST({sql_identifier(column)} AS VARCHAR))), '')"


def _listed(values: Sequence[str]) -> str:
    return ", ".join(map(sql_literal, values))
