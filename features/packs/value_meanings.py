"""What values mean that a pack does not know, in the words of the user."""

from __future__ import annotations

from collections.abc import Mapping

from features.errors import SignalsError
from features.packs.options import with_names, with_values
from features.packs.pack import Pack
from features.packs.schema import InputColumn, OptionValue

Given = Mapping[str, Mapping[str, Mapping[str, str]]]
"""By table and column, the known value that each other value stands for."""
Meanings = Mapping[str, Mapping[str, Mapping[str, str]]]
"""The same by input and its column, with the values to read in lower case."""


def value_meanings(
    pack: Pack, given: Given, options: Mapping[str, OptionValue]
) -> dict[str, dict[str, dict[str, str]]]:
    """Return the meanings of values by input.

    Parameters
    ----------
    pack : the pack.
    given : the user's statements. A table or column has its name in the source, as findings show it, or in the pack.
    options : the value of every option.

    Raises
    ------
    SignalsError
        If the pack has no such table or column, the column has no list of values, or a meaning is not in its list.
    """
    result: dict[str, dict[str, dict[str, str]]] = {}
    for table, columns in given.items():
        inputs = _inputs(pack, table, options)
        for column, meanings in columns.items():
            found = {name: each for name in inputs if (each := _column(pack, name, column, options)) is not None}
            if not found:
                listed = sorted(
                    {each for name in inputs for each, about in _columns(pack, name).items() if about.values}
                )
                raise SignalsError(
                    f"values.{table}.{column}: the pack {pack.name} has no list of values for this column",
                    f"one of {', '.join(listed)}" if listed else "a column with a list of values",
                    "read the page of the pack, which lists them",
                )
            for name, each in found.items():
                known = {value.lower(): value for value in with_values(_columns(pack, name)[each].values, options)}
                result.setdefault(name, {})[each] = _checked(pack, f"values.{table}.{column}", meanings, known)
    return result


def _inputs(pack: Pack, table: str, options: Mapping[str, OptionValue]) -> list[str]:
    """Return the inputs with this name, or else those that read a table of this name."""
    named = [name for name in pack.file.inputs if name == table.lower()]
    tables = {
        name: {each.lower() for each in with_names(about.names, options)} for name, about in pack.file.inputs.items()
    }
    inputs = [*named, *(name for name in tables if table.lower() in tables[name] and name not in named)]
    if not inputs:
        listed = [name for name in pack.file.inputs if any(each.values for each in _columns(pack, name).values())]
        raise SignalsError(
            f"values.{table}: the pack {pack.name} reads no such table",
            f"one of {', '.join(listed)}" if listed else "no values",
            "check the spelling",
        )
    return inputs


def _columns(pack: Pack, name: str) -> Mapping[str, InputColumn]:
    return pack.file.inputs[name].columns


def _column(pack: Pack, name: str, column: str, options: Mapping[str, OptionValue]) -> str | None:
    """Return the column of an input that has a list of values and this name."""
    for each, about in _columns(pack, name).items():
        names = {each, *(landed.lower() for landed in with_names(about.names, options))}
        if about.values and column.lower() in names:
            return each
    return None


def _checked(pack: Pack, place: str, meanings: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    if unknown := sorted(target for target in meanings.values() if target.lower() not in known):
        raise SignalsError(
            f"{place}: the pack {pack.name} does not know the value {unknown[0]}",
            f"one of {', '.join(known.values())}",
            "choose the value that has the same meaning",
        )
    return {value.strip().lower(): known[target.lower()] for value, target in meanings.items()}
