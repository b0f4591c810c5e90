"""Options of packs: check the user's values, and write them into SQL and names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from features.errors import SignalsError
from features.packs.pack import Pack
from features.packs.schema import Option, OptionValue
from features.utils.sql_text import sql_literal

_PLACEHOLDER = re.compile(r"\$([a-z_][a-z0-9_]*)")
_NAME = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_EXPECTED = {
    "column": "the name of a column",
    "table": "the name of a table",
    "text": "a text",
    "number": "a number",
    "boolean": "true or false",
    "list": 'a list of texts, such as ["a", "b"]',
}


def option_values(pack: Pack, given: Mapping[str, object]) -> dict[str, OptionValue]:
    """Return the value of every option: the given one or its default.

    Parameters
    ----------
    pack : the pack.
    given : the user's values. Text is accepted for every type, as a command line gives it.

    Raises
    ------
    SignalsError
        If an option does not exist, or a value has another type.
    """
    options = pack.file.options
    if unknown := sorted(set(given) - set(options)):
        raise SignalsError(
            f"the pack {pack.name} has no option {unknown[0]}",
            f"one of {', '.join(options)}" if options else "no options",
            f"remove options.{unknown[0]}",
        )
    return {
        name: _value(pack, name, option, given[name]) if name in given else option.default
        for name, option in options.items()
    }


def _value(pack: Pack, name: str, option: Option, given: object) -> OptionValue:
    value: OptionValue | None = None
    match option.type, given:
        case "number", bool():
            pass
        case "number", int() | float():
            value = given
        case "number", str():
            value = float(given) if re.fullmatch(r"[+-]?\d+(\.\d+)?", given) else None
        case "boolean", bool():
            value = given
        case "boolean", str():
            value = {"true": True, "false": False}.get(given.lower())
        case "list", list() | tuple():
            value = tuple(given) if all(isinstance(each, str) for each in given) else None
        case "list", str():
            value = tuple(part.strip() for part in given.split(",") if part.strip())
        case "choice", str():
            value = given if given in option.choices else None
        case "column" | "table" | "text", str():
            value = given
    if value is None:
        raise SignalsError(
            f"the option {name} of the pack {pack.name} has a value of another kind",
            f"one of {', '.join(option.choices)}" if option.type == "choice" else _EXPECTED[option.type],
            option.about,
        )
    return value


def with_literals(sql: str, values: Mapping[str, OptionValue], place: str) -> str:
    """Return ``sql`` with each ``$name`` replaced by the literal of the option ``name``.

    Raises
    ------
    SignalsError
        If there is no such option.
    """

    def replace(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise SignalsError(f"{place} uses ${match[1]}, which is not an option of the pack", "a declared option")
        return _literal(values[match[1]])

    return _PLACEHOLDER.sub(replace, sql)


def with_names(names: Iterable[str], values: Mapping[str, OptionValue]) -> list[str]:
    """Return ``names`` with each ``{option}`` replaced by its value; those with an empty value are left out."""
    result = []
    for name in names:
        used = _NAME.findall(name)
        if all(values.get(option) for option in used):
            result.append(_NAME.sub(lambda match: str(values[match[1]]), name))
    return result


def with_values(listed: Iterable[str], values: Mapping[str, OptionValue]) -> list[str]:
    """Return ``listed`` with each ``{option}`` replaced by the values of this option, without repetitions."""
    result: dict[str, None] = {}
    for each in listed:
        option = values.get(match[1]) if (match := _NAME.fullmatch(each)) else each
        result |= dict.fromkeys(option if isinstance(option, tuple) else () if option is None else (str(option),))
    return list({value.lower(): value for value in reversed(result)}.values())[::-1]


def _literal(value: OptionValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return sql_literal(value)
    return f"CAST([{', '.join(map(sql_literal, value))}] AS VARCHAR[])"
