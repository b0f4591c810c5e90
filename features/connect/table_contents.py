"""What the rows of tables say about their columns: which one has the account, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from features.connect.column_names import is_id
from features.connect.table_guesses import TableGuess, guess_columns
from features.connect.values import count_each
from features.contract.schema import TABLES
from features.sources.mapping.units import COMMA_NUMBER, DECIMAL_COMMA, DECIMAL_POINT, POINT_NUMBER
from features.utils.formatting import count_of, verb_for
from features.utils.sql_text import sql_identifier
from features.utils.sql_types import is_text

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

LEAST_KNOWN = 0.9
"""A column has the account of each row if at least this share of its values are ids of accounts."""
_ONE_GROUP = r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}"
"""Numbers that are a thousand times greater if the separator is one of thousands."""


def with_account_ids(
    connection: Backend,
    place: str,
    guesses: Sequence[TableGuess],
    types: Mapping[str, Mapping[str, str]],
    with_users: bool,
) -> list[TableGuess]:
    """Return the tables of a source with the columns of the account that only their values show.

    In a table of accounts, it is a column named like an id with another value in every row. In others, it is a column
    whose values are ids of accounts.

    Parameters
    ----------
    connection : the engine.
    place : the schema of the tables.
    guesses : what the tables look like by their names.
    types : the columns of each table with their types.
    with_users : whether a table says which account a user belongs to, so that usage needs no account.
    """
    result: list[TableGuess] = []
    for guess in sorted(guesses, key=lambda each: each.table != "accounts"):
        if "account_id" in guess.missing and guess.table == "accounts":
            guess = _with_account_id(
                guess,
                types,
                _unique_column(connection, place, guess, types[guess.name]),
                "has another value in every row",
            )
        elif "account_id" in guess.missing:
            ids = _account_ids(place, result)
            column = _column_of_accounts(connection, place, guess, types[guess.name], ids) if ids else None
            guess = _with_account_id(guess, types, column, "has ids of accounts")
        if guess.table == "usage" and guess.missing == ("account_id",) and "user_id" in guess.matched and with_users:
            assumed = "The account of each row is that of its user"
            guess = replace(guess, missing=(), assumes=(*guess.assumes, assumed))
        if (
            guess.table != "accounts"
            and "account_id" in guess.matched
            and (ids := _account_ids(place, result, trimmed=False))
        ):
            guess = _with_similar_ids(connection, place, guess, ids)
        result.append(guess)
    return result


def _with_similar_ids(connection: Backend, place: str, guess: TableGuess, ids: str) -> TableGuess:
    """Say how many ids are those of accounts only without regard to case, zeros at the start, ``.0``, or blanks."""
    column = guess.matched["account_id"]
    text = f"CAST({sql_identifier(column)} AS VARCHAR)"
    unknown = (
        f"SELECT DISTINCT {text} AS id FROM {place}.{sql_identifier(guess.name)} "
        f"WHERE trim({text}) <> '' AND {text} NOT IN ({ids})"
    )
    alike = f"SELECT {alike_id('trim(id)')} FROM ({ids})"
    others, similar = count_each(
        connection, f"SELECT count(*), count(*) FILTER ({alike_id('trim(id)')} IN ({alike})) FROM ({unknown})"
    )
    if not similar:
        return guess
    assumed = (
        f"{column}: {count_of(others, 'id')} {verb_for(others)} not among the accounts, of which "
        f"{similar:,} would be without regard to case, zeros at the start, .0 at the end and blanks around it: they "
        "count as other accounts until both tables write them alike"
    )
    return replace(guess, assumes=(*guess.assumes, assumed))


def alike_id(value: str) -> str:
    """Return SQL for an id without regard to case, zeros at the start, and ``.0`` at the end."""
    return f"regexp_replace(regexp_replace(lower({value}), '[.]0+$', ''), '^0+([0-9])', '\\1')"


def _with_account_id(
    guess: TableGuess, types: Mapping[str, Mapping[str, str]], column: str | None, why: str
) -> TableGuess:
    if column is None:
        return guess
    own = guess_columns(guess.table, guess.name, types[guess.name], guess.constants, {"account_id": column})
    return replace(own, assumes=(*own.assumes, f"{column} is the account, because it {why}"))


def _unique_column(connection: Backend, place: str, guess: TableGuess, columns: Mapping[str, str]) -> str | None:
    for column in columns:
        if not is_id(column):
            continue
        text = f"trim(CAST({sql_identifier(column)} AS VARCHAR))"
        counts = f"count(*), count(nullif({text}, '')), count(DISTINCT {text})"
        rows, filled, different = count_each(connection, f"SELECT {counts} FROM {place}.{sql_identifier(guess.name)}")
        if rows and rows == filled == different:
            return column
    return None


def _account_ids(place: str, guesses: Sequence[TableGuess], *, trimmed: bool = True) -> str:
    """Return a SELECT of all ids of accounts, perhaps without blanks around them; empty if there are none."""
    function = "trim" if trimmed else ""
    tables = [guess for guess in guesses if guess.table == "accounts" and "account_id" in guess.matched]
    return " UNION ".join(
        f"SELECT {function}(CAST({sql_identifier(each.matched['account_id'])} AS VARCHAR)) AS id "
        f"FROM {place}.{sql_identifier(each.name)}"
        for each in tables
    )


def _column_of_accounts(
    connection: Backend, place: str, guess: TableGuess, columns: Mapping[str, str], ids: str
) -> str | None:
    for column in columns:
        text = f"trim(CAST({sql_identifier(column)} AS VARCHAR))"
        values = f"SELECT DISTINCT {text} AS id FROM {place}.{sql_identifier(guess.name)} WHERE {text} <> ''"
        different, known, longest = count_each(
            connection,
            f"SELECT count(*), count(*) FILTER (id IN ({ids})), coalesce(max(length(id)), 0) FROM ({values})",
        )
        # Short values are equal by chance.
        if different >= 2 and longest >= 4 and known >= LEAST_KNOWN * different:
            return column
    return None


def with_separators(
    connection: Backend, relation: str, guess: TableGuess, types: Mapping[str, str]
) -> tuple[TableGuess, list[str]]:
    """Return a table with the unit of numbers with a decimal comma or separators of thousands, and what is uncertain.

    Parameters
    ----------
    connection, relation : the engine and the rows.
    guess : what the table looks like.
    types : its columns with their types.
    """
    units, assumes, gaps = dict(guess.units), list(guess.assumes), list[str]()
    for column in TABLES[guess.table].columns:
        own = guess.matched.get(column.name)
        if column.kind not in ("float", "int") or own is None or not is_text(types[own]):
            continue
        text = f"trim({sql_identifier(own)})"
        filled, numbers, commas, points, grouped = count_each(
            connection,
            f"SELECT count(*), count(try_cast({text} AS DOUBLE)), "
            f"count(*) FILTER (regexp_full_match({text}, '{COMMA_NUMBER}')), "
            f"count(*) FILTER (regexp_full_match({text}, '{POINT_NUMBER}')), "
            f"count(*) FILTER (regexp_full_match({text}, '{_ONE_GROUP}')) FROM {relation} WHERE {text} <> ''",
        )
        # A column in which every separator has three digits after it can be read in two ways.
        if grouped and commas == points == filled:
            how = f'units.{column.name} = ["{DECIMAL_COMMA}"] or ["{DECIMAL_POINT}"]'
            gaps.append(
                f"{guess.table}.{column.name}: {own} has {count_of(grouped, 'value')} such as 1,200 or 1.200, which "
                f"may be 1200 or 1.2: say {how}"
            )
        elif filled and numbers < filled and filled in (commas, points):
            unit, mark = (DECIMAL_COMMA, "decimal comma") if commas == filled else (DECIMAL_POINT, "decimal point")
            units[column.name] = (unit, *units.get(column.name, ()))
            assumes.append(f"{own} is written with a {mark} in {count_of(filled, 'row')}")
    return replace(guess, units=units, assumes=tuple(assumes)), gaps


def draft_notes(connection: Backend, relation: str, guess: TableGuess, where: str) -> list[str]:
    """Return what a drafted table assumes, in sentences with counts.

    Parameters
    ----------
    connection, relation : the engine and the rows.
    guess : what the table looks like.
    where : the condition of the rows that are used; empty for all.
    """
    own = list(guess.matched.items())
    filled = ", ".join(f"count(nullif(trim(CAST({sql_identifier(given)} AS VARCHAR)), ''))" for _, given in own)
    rows, *counts = count_each(
        connection, f"SELECT count(*), {filled or '0'} FROM {relation}" + (f" WHERE {where}" if where else "")
    )
    parts = [
        f"{column} is {given}" + (f" ({n:,} filled)" if n < rows else "")
        for (column, given), n in zip(own, counts, strict=False)
    ]
    parts += [f"{column} is always {value}" for column, value in guess.constants.items()]
    return [f"{guess.name}, {count_of(rows, 'row')}: {', '.join(parts)}.", *(f"{each}." for each in guess.assumes)]
