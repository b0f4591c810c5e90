"""Usual spellings of the contract's values, and of instants, in tables that no pack knows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from features.connect.column_names import plain_name
from features.connect.table_guesses import TableGuess
from features.connect.value_spellings import DUE, FALSE, NEVER_BEGAN, NOT_DUE, OVER, SPELLINGS, TRUE, folded_sql
from features.contract.schema import TABLES
from features.sources.mapping.file_schema import OTHERS
from features.utils.formatting import count_of
from features.utils.sql_text import sql_identifier, sql_literal
from features.utils.sql_types import is_number, is_text

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

MAX_VALUES = 20
"""Columns with more different values are not those of a list."""
_PLAIN_FLAGS = {"true", "false", "t", "f", "1", "0", "yes", "no", "y", "n"}
"""Values of yes and no that the contract reads."""
_EPOCHS = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s"))
"""The least number of each unit since 1970 for instants after 1973."""
_FORMATS = ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M")


def guess_values(connection: Backend, relation: str, guess: TableGuess) -> dict[str, dict[str, str]]:
    """Return, for columns with a list of values in the contract, each given value and what it probably means.

    An empty meaning is unknown. Columns whose values are all in the contract's list are left out. Only short codes are
    given: if a column has other values, or many, ``"*"`` stands for all whose meaning is unknown.
    """
    result: dict[str, dict[str, str]] = {}
    for column in TABLES[guess.table].columns:
        given = guess.matched.get(column.name)
        if column.kind == "bool" and given is not None:
            result |= _flags(connection, relation, column.name, given)
        if not column.values or given is None:
            continue
        text = _lower_text(given)
        usual = {*column.values, *(each for value in column.values for each in SPELLINGS.get(value, ()))}
        listed = ", ".join(sorted({sql_literal(_folded(each)) for each in usual}))
        known = f"regexp_replace({text}, '[ -]+', '_', 'g') IN ({listed})"
        # What is not a short code is counted, and never read.
        shown = f"CASE WHEN {known} OR {_is_code(text)} THEN {text} END"
        rows = connection.con.execute(
            f"SELECT {shown} AS value, {known} AS known FROM {relation} WHERE {text} <> '' GROUP BY ALL "
            f"ORDER BY known DESC, count(*) DESC, value LIMIT {len(usual) + MAX_VALUES + 1}"
        ).fetchall()
        values = [value for value, _ in rows]
        if not set(values) - set(column.values) and not _is_spelled_otherwise(connection, relation, given):
            continue
        if None in values or len(values) > MAX_VALUES:
            result[column.name] = {v: _meaning(v, column.values) for v, is_known in rows if is_known} | {OTHERS: ""}
        else:
            result[column.name] = {value: _meaning(value, column.values) for value in values}
    return result


def _flags(connection: Backend, relation: str, name: str, given: str) -> dict[str, dict[str, str]]:
    """Return what the values of a column of yes and no mean if some are words that the contract does not read."""
    text = _lower_text(given)
    rows = connection.con.execute(
        f"SELECT DISTINCT {text} FROM {relation} WHERE {text} <> '' LIMIT {MAX_VALUES + 1}"
    ).fetchall()
    meanings = {value: "true" if value in TRUE else "false" for (value,) in rows if value in TRUE or value in FALSE}
    if len(meanings) < len(rows) or not set(meanings) - _PLAIN_FLAGS:
        return {}
    return {name: meanings}


def left_out_condition(connection: Backend, relation: str, guess: TableGuess) -> tuple[str, int]:
    """Return the condition that leaves out contracts that have ended on an unknown day, or never began.

    Their revenue would count as active. The condition is empty if there are none. The number is that of their rows.
    """
    status, ended = guess.matched.get("status"), guess.matched.get("ended_at")
    if guess.table != "subscriptions" or status is None:
        return "", 0
    text = f"coalesce({_lower_text(status)}, '')"
    folded = f"regexp_replace({text}, '[ -]+', '_', 'g')"
    without_end = f"coalesce(trim(CAST({sql_identifier(ended)} AS VARCHAR)), '') = ''" if ended else "true"
    some = ", ".join(map(sql_literal, (*OVER, *NEVER_BEGAN)))
    found = [
        value
        for (value,) in connection.con.execute(
            f"SELECT DISTINCT {text} FROM {relation} WHERE {folded} IN ({some}) ORDER BY 1"
        ).fetchall()
    ]
    over = [value for value in found if _folded(value) in OVER]
    never = [value for value in found if _folded(value) in NEVER_BEGAN]
    parts = [f"{text} IN ({', '.join(map(sql_literal, never))})"] if never else []
    if over:
        among = f"{text} IN ({', '.join(map(sql_literal, over))})"
        parts.append(f"({among} AND {without_end})" if ended else among)
    rows = count_rows(connection, f"SELECT count(*) FROM {relation} WHERE {' OR '.join(parts)}") if parts else 0
    return (f"NOT ({' OR '.join(parts)})", rows) if rows else ("", 0)


def _lower_text(column: str) -> str:
    """Return SQL for the text of a column in lower case, without blanks around it."""
    return f"lower(trim(CAST({sql_identifier(column)} AS VARCHAR)))"


def _folded(value: str) -> str:
    return re.sub("[ -]+", "_", value)


def value_gaps(
    connection: Backend, relation: str, guess: TableGuess, values: Mapping[str, Mapping[str, str]], where: str = ""
) -> list[str]:
    """Return, for each column with values of unknown meaning, a sentence with how many there are.

    Parameters
    ----------
    connection, relation, guess : as in `guess_values`.
    values : what `guess_values` returned.
    where : the condition of the contracts that are used; empty for all.
    """
    result = []
    for name, meanings in values.items():
        text = _lower_text(guess.matched[name])
        clear = [value for value, meaning in meanings.items() if meaning]
        if name == "status":
            # What the end of the contract says needs no status.
            clear += [value for value in meanings if _folded(value) in OVER]
        listed = f" AND {text} NOT IN ({', '.join(map(sql_literal, clear))})" if clear else ""
        row = connection.con.execute(
            f"SELECT count(*), count(DISTINCT {text}) FROM {relation} WHERE {text} <> ''{listed}"
            + (f" AND ({where})" if where and name == "status" else "")
        ).fetchone()
        rows, different = row or (0, 0)
        if rows:
            then = "they count as active" if name == "status" else "they are unknown"
            rest = ' ("*" stands for them, because they may be text that people wrote)' if OTHERS in meanings else ""
            result.append(
                f"{guess.table}.{name}: {count_of(rows, 'row')} with {count_of(different, 'value')} whose meaning is "
                f"not clear{rest}: {then} until values.{name} says more"
            )
    return result


def invoice_gaps(connection: Backend, relation: str, guess: TableGuess, types: Mapping[str, str]) -> list[str]:
    """Return how many invoices have a status that is neither clearly paid nor clearly due, as a sentence.

    Parameters
    ----------
    connection, relation, guess : as in `guess_values`.
    types : its columns with their types.
    """
    status = next((column for column in types if plain_name(column) == "status"), None)
    of_orders = guess.table == "orders" and status is not None and sql_identifier(status) in guess.where
    of_payments = guess.constants.get("kind") == "invoice_paid" and status is not None
    if status is None or not (of_orders or (of_payments and sql_identifier(status) in guess.where)):
        return []
    listed = ", ".join(map(sql_literal, ("", *DUE, *NOT_DUE, *SPELLINGS["invoice_paid"])))
    text = folded_sql(status)
    rows, different = count_each(
        connection, f"SELECT count(*), count(DISTINCT {text}) FROM {relation} WHERE {text} NOT IN ({listed})"
    )
    if not rows:
        return []
    name, then = ("orders.amount", "count as orders") if of_orders else ("billing.kind", "are not read as paid")
    return [
        f"{name}: {count_of(rows, 'row')} of {guess.name} with {count_of(different, 'value')} of {status} whose "
        f"meaning is not clear: they {then} until where says more"
    ]


def _is_spelled_otherwise(connection: Backend, relation: str, column: str) -> bool:
    """Return whether some values have capital letters, or blanks around them."""
    text = f"CAST({sql_identifier(column)} AS VARCHAR)"
    return count_rows(connection, f"SELECT count(*) FROM {relation} WHERE {text} <> {_lower_text(column)}") > 0


def unclear_notes(values: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return, for each column of whose values none has a clear meaning, a sentence that it records nothing.

    Parameters
    ----------
    values : what `guess_values` returned.
    """
    return [
        f"None of the values of {name} has a clear meaning, so that records.{name} is empty: what counts a {name} is "
        f"unknown, not zero, until values.{name} says more."
        for name, meanings in values.items()
        if meanings and not any(meanings.values())
    ]


def _is_code(text: str) -> str:
    """Return SQL for whether a value is a short code; others may be what people wrote."""
    return f"(length({text}) <= 40 AND regexp_full_match({text}, '[\\p{{L}}\\p{{N}}_/-]+( [\\p{{L}}\\p{{N}}_/-]+)?'))"


def count_rows(connection: Backend, sql: str) -> int:
    """Return the single number that ``sql`` gives."""
    return next(iter(count_each(connection, sql)), 0)


def count_each(connection: Backend, sql: str) -> list[int]:
    """Return the numbers in the single row that ``sql`` gives."""
    return [int(each) for each in connection.con.execute(sql).fetchone() or ()]


def _meaning(value: str, allowed: tuple[str, ...]) -> str:
    if value in allowed:
        return value
    spelled = _folded(value)
    return next((a for a in allowed if spelled == _folded(a) or spelled in map(_folded, SPELLINGS.get(a, ()))), "")


def guess_time(
    connection: Backend, relation: str, guess: TableGuess, types: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Return how the instants of each column are written, for columns that are not ISO 8601."""
    result = {}
    for column in TABLES[guess.table].columns:
        given = guess.matched.get(column.name)
        if column.kind != "instant" or given is None:
            continue
        if rule := time_rule(connection, relation, sql_identifier(given), types[given]):
            result[column.name] = rule
    return result


def _epoch_unit(number: float | None) -> str:
    """Return the unit of an instant since 1970; empty if it is none."""
    return next((u for least, u in _EPOCHS if float(number or 0) >= least), "")


def time_notes(
    connection: Backend, relation: str, guess: TableGuess, time: Mapping[str, Mapping[str, str]]
) -> tuple[list[str], list[str]]:
    """Return how instants are read, and the columns that cannot be read because they have several units, in sentences.

    Parameters
    ----------
    connection, relation, guess : as in `guess_time`.
    time : what `guess_time` returned.
    """
    notes = [
        f"{guess.matched[column]} is an instant in {rule['epoch']} since 1970."
        if "epoch" in rule
        else f"{guess.matched[column]} is an instant in the format {rule['format']}."
        for column, rule in time.items()
    ]
    gaps = []
    for column in TABLES[guess.table].columns:
        given = guess.matched.get(column.name)
        if column.kind != "instant" or given is None or column.name in time:
            continue
        number = f"try_cast(CAST({sql_identifier(given)} AS VARCHAR) AS DOUBLE)"
        counts = {
            unit: count_rows(
                connection, f"SELECT count(*) FROM {relation} WHERE {number} >= {least} AND {number} < {most}"
            )
            for (least, unit), most in zip(_EPOCHS, (1e20, *(least for least, _ in _EPOCHS)), strict=False)
        }
        units = [f"{count_of(n, 'row')} in {unit}" for unit, n in counts.items() if n]
        if len(units) > 1:
            gaps.append(
                f"{guess.table}.{column.name}: {given} mixes units of time since 1970 ({', '.join(units)}): "
                "export it in one unit"
            )
    return notes, gaps


def time_rule(connection: Backend, relation: str, column: str, sql_type: str) -> dict[str, str]:
    """Return how the instants of one column are written; empty for ISO 8601, or if it is not certain.

    Parameters
    ----------
    connection, relation : the engine and the rows.
    column : SQL of the column.
    sql_type : its type.
    """
    if not is_number(sql_type) and not is_text(sql_type):
        return {}
    number = f"try_cast({column} AS DOUBLE)"
    row = connection.con.execute(
        f"SELECT count({column}), count({number}), min({number}) FILTER ({number} > 0), max({number}) FROM {relation} "
        f"WHERE CAST({column} AS VARCHAR) <> ''"
    ).fetchone()
    filled, numbers, least, most = row or (0, 0, None, None)
    if numbers and numbers == filled:
        first, last = _epoch_unit(least), _epoch_unit(most)
        # In several units, no single rule reads all of them.
        return {"epoch": first} if first and first == last else {}
    if not filled or is_number(sql_type):
        return {}
    parsed = [f"count(try_strptime(trim({column}), '{each}'))" for each in _FORMATS]
    iso = f"count(try_cast({column} AS TIMESTAMPTZ))"
    row = connection.con.execute(f"SELECT {iso}, {', '.join(parsed)} FROM {relation}").fetchone()
    counts = [int(each) for each in row or ()]
    if not counts or counts[0] == filled:
        return {}
    fitting = [each for each, n in zip(_FORMATS, counts[1:], strict=True) if n == filled]
    # Two formats fit if no day is after the twelfth: then the other columns of the table may say which is right.
    fitting = _format_of_others(connection, relation, fitting) if len(fitting) > 1 else fitting
    return {"format": fitting[0]} if len(fitting) == 1 else {}


def _format_of_others(connection: Backend, relation: str, formats: Sequence[str]) -> list[str]:
    """Return which of several formats are the only one that fits another column of a table."""
    columns = connection.con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    certain = set[str]()
    for text in (sql_identifier(str(name)) for name, kind, *_ in columns if is_text(str(kind))):
        parsed = ", ".join(f"count(try_strptime(trim({text}), '{each}'))" for each in formats)
        filled, *counts = count_each(connection, f"SELECT count(*), {parsed} FROM {relation} WHERE trim({text}) <> ''")
        fitting = [each for each, n in zip(formats, counts, strict=True) if filled and n == filled]
        certain |= set(fitting) if len(fitting) == 1 else set()
    return [each for each in formats if each in certain]
