"""The rules of a table in a mapping as SQL: columns, constants, instants, values and units."""

from __future__ import annotations

from collections.abc import Mapping

from features.contract.schema import TableSchema
from features.sources.mapping.file_schema import OTHERS, Scalar, TableMapping
from features.sources.mapping.instants import in_utc, rule_of
from features.sources.mapping.units import in_contract_unit
from features.utils.currencies import USUAL_UNITS, minor_units_sql
from features.utils.sql_text import sql_identifier, sql_literal

Types = Mapping[str, str]
"""The type of each column."""


def names_of(names: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return one or several names as a tuple."""
    return (names,) if isinstance(names, str) else names


def renamed_columns(relation: str, types: Types, columns: Mapping[str, str], constants: Mapping[str, Scalar]) -> str:
    """Return a SELECT with the columns of the contract: renamed ones, constants, and the others under their own names.

    Parameters
    ----------
    relation : the rows.
    types : their columns.
    columns : the new names with the given ones, in the spelling of ``types``.
    constants : the values of columns that are the same in every row.
    """
    new = {name.lower() for name in (*columns, *constants)}
    chosen = [f"{sql_identifier(given)} AS {sql_identifier(name)}" for name, given in columns.items()]
    chosen += [f"{_literal(value)} AS {sql_identifier(name)}" for name, value in constants.items()]
    chosen += [
        sql_identifier(name) for name in types if name not in columns.values() and name.strip().lower() not in new
    ]
    return f"SELECT {', '.join(chosen)} FROM {relation}"


def _literal(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return sql_literal(value) if isinstance(value, str) else repr(value)


def converted_columns(relation: str, types: Types, rules: TableMapping, table: TableSchema) -> str:
    """Return a SELECT with instants, values and units as the contract expects them.

    Parameters
    ----------
    relation : the rows, with the names of the contract.
    types : their columns.
    rules : the rules.
    table : the table of the contract.
    """
    chosen = []
    for name, sql_type in types.items():
        text = sql_identifier(name)
        if name in table.names:
            column = table[name]
            rule = rule_of(rules.time, name)
            if column.kind == "instant" and rule is not None:
                text = in_utc(name, sql_type, rule)
            if name in rules.values:
                text = _mapped_value(name, sql_type, rules.values[name], column.values)
                sql_type = "VARCHAR"
            if name in rules.units:
                minor_units = minor_units_sql("currency") if "currency" in types else str(USUAL_UNITS)
                text = in_contract_unit(text, sql_type, table.name, column, names_of(rules.units[name]), minor_units)
        chosen.append(f"{text} AS {sql_identifier(name)}" if text != sql_identifier(name) else text)
    return f"SELECT {', '.join(chosen)} FROM {relation}"


def _mapped_value(name: str, sql_type: str, values: Mapping[str, Scalar], allowed: tuple[str, ...]) -> str:
    """Return SQL for a value of the contract."""
    if sql_type.upper() == "BOOLEAN":
        flags = {"1": "true", "0": "false", "1.0": "true", "0.0": "false"}
        values = {flags.get(value.strip(), value): target for value, target in values.items()}
    cases = [
        f"WHEN {_matches(name, [value])} THEN {_target(target)}" for value, target in values.items() if value != OTHERS
    ]
    column = sql_identifier(name)
    if OTHERS in values:
        cases.append(f"WHEN {_matches(name, [''])} THEN NULL")
        rest = _target(values[OTHERS])
    else:
        # Values of the contract's list are accepted in any case.
        cases += [f"WHEN {_matches(name, [value])} THEN {sql_literal(value)}" for value in allowed]
        rest = f"CAST({column} AS VARCHAR)"
    return f"CASE {' '.join(cases)} ELSE {rest} END" if cases else rest


def _target(value: Scalar) -> str:
    if value == "":
        return "NULL"
    return sql_literal(str(value).lower() if isinstance(value, bool) else str(value))


def _matches(name: str, values: list[str]) -> str:
    """Return SQL for whether a column has one of ``values``, ignoring case and blanks around it."""
    folded = f"coalesce({_folded(f'CAST({sql_identifier(name)} AS VARCHAR)')}, '')"
    return f"{folded} IN ({', '.join(_folded(sql_literal(value)) for value in values)})"


def _folded(text: str) -> str:
    """Return SQL for a text in lower case without blanks around it; 1.0 is 1, as formats without integers write it."""
    return f"regexp_replace(lower(trim({text}, ' \t\r\n')), '^([+-]?[0-9]+)[.]0+$', '\\1')"


def unnamed_values(relation: str, name: str, values: Mapping[str, Scalar]) -> str:
    """Return a SELECT of the number of rows with a value that ``values`` does not name, and of these values."""
    named = [*(value for value in values if value != OTHERS), ""]
    count = f"count(*), count(DISTINCT {_folded(f'CAST({sql_identifier(name)} AS VARCHAR)')})"
    return f"SELECT {count} FROM {relation} WHERE NOT {_matches(name, named)}"
