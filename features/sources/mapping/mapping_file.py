"""Read and validate a mapping file. Messages name the file, the key, its line and column, and the cure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from features.contract.current_contract import current_tables
from features.contract.schema import TableSchema
from features.errors import BadRequest, SignalsError
from features.sources.mapping.file_schema import (
    Identity,
    Latest,
    MappingFile,
    SourceEntry,
    TableMapping,
    TableTime,
    TimeRule,
)
from features.sources.mapping.units import check_units
from features.utils.dates import parse_cutoff
from features.utils.select_statement import embedded_parser
from features.utils.toml_positions import Keys, TomlPositions
from features.utils.toml_text import TomlError, parse_toml, read_toml_text

EXPECTED = '[tables] with table = "SELECT …" and [files] with name = "path" (or [sources.NAME] with uri = "address")'
_PARTS: dict[str, type[BaseModel]] = {
    "source": SourceEntry,
    "sources": SourceEntry,
    "tables": TableMapping,
    "identity": Identity,
    "latest": Latest,
    "time": TableTime,
}


@dataclass(frozen=True)
class Mapping:
    """A valid mapping file.

    Parameters
    ----------
    path : the file; relative paths in it start at its folder.
    text : its text.
    content : its content.
    """

    path: Path
    text: str
    content: MappingFile

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self.path.parent

    @property
    def data_through(self) -> datetime | None:
        """The instant up to which the data are complete, if the file has it."""
        given = self.content.data_through
        return None if given is None else parse_cutoff(given)

    @cached_property
    def positions(self) -> TomlPositions:
        """The positions of the values in the text."""
        return TomlPositions(self.text)

    def table_keys(self, name: str, number: int) -> Keys:
        """Return the keys of one part of a table."""
        keys: Keys = ("tables", name, number)
        return keys if self.positions.has(keys) else keys[:-1]

    def place(self, keys: Keys, within: tuple[int, int] | None = None) -> str:
        """Return ``(line 3, column 9)`` of the value at ``keys``, or of a character (line, column) within its text."""
        position = self.positions.of(keys) if within is None else self.positions.inside(keys, *within)
        return f" ({position})" if position else ""

    def error(self, keys: Keys, found: str, expected: str = "", cure: str = "") -> SignalsError:
        """Return an error about the value at ``keys``."""
        return SignalsError(
            f"{self.path}{self.place(keys)}: {_dotted(keys)}: {found}", expected, cure or "correct the mapping there"
        )

    @contextmanager
    def errors_at(self, keys: Keys) -> Iterator[None]:
        """Add the file, the key and its place to errors of the block."""
        try:
            yield
        except SignalsError as error:
            raise self.error(keys, error.found, error.expected, error.cure) from None

    def query_error(
        self, keys: Keys, what: str, found: str, expected: str = "", cure: str = "", at: tuple[int, int] | None = None
    ) -> SignalsError:
        """Return an error about the query at ``keys``: ``what`` (such as "does not run") and why.

        Parameters
        ----------
        keys : the keys of the query.
        what, found, expected, cure : the message.
        at : the line and column within the query, if known.
        """
        name = _dotted(keys[:-1] if keys[-1] in ("query", "from") else keys)
        # The text of a query from a table's name is not that in the file.
        at = None if keys[-1] == "from" else at
        return SignalsError(
            f"{self.path}{self.place(self.query_keys(keys), at)}: the query of {name} {what}: {found}",
            expected,
            cure or "correct the query there",
        )

    def query_keys(self, keys: Keys) -> Keys:
        """Return the keys of the text of a query: a table may be a query itself, or have the key ``query``."""
        return keys if keys[-1] != "query" or self.positions.has(keys) else keys[:-1]


def read_mapping(path: Path) -> Mapping:
    """Read the mapping file at ``path``.

    Raises
    ------
    SignalsError
        If it is not a mapping file, with the invalid key and its place.
    """
    try:
        text = read_toml_text(path)
    except TomlError as error:
        raise _not_toml(path, error) from None
    return parse_mapping(text, path)


def parse_mapping(text: str, path: Path) -> Mapping:
    """Parse the text of the mapping file ``path``, which need not exist; see `read_mapping`."""
    try:
        content = parse_toml(text)
    except TomlError as error:
        raise _not_toml(path, error) from None
    try:
        mapping = Mapping(path, text, MappingFile.model_validate(content))
    except ValidationError as error:
        raise _invalid(path, text, error) from None
    _check(mapping)
    return mapping


def _not_toml(path: Path, error: TomlError) -> SignalsError:
    return SignalsError(
        f"{path} is not valid TOML: {error}",
        "a mapping file with [files] and [tables]",
        "correct the file there: texts are in quotation marks, and names of tables in brackets",
    )


def _invalid(path: Path, text: str, error: ValidationError) -> SignalsError:
    """Return the error for the first invalid key. The rejected value is not repeated: it may be an address."""
    first = error.errors(include_url=False, include_input=False)[0]
    positions = TomlPositions(text)
    # A union adds the names of its members to the keys.
    given = [part for part in first["loc"] if part != "[key]"]
    if given[:1] == ["tables"] and len(given) > 2 and not positions.has(tuple(given[:3])):
        # A table that is not a list is read as a list of one.
        del given[2]
    keys = tuple(given)
    while keys and not positions.has(keys):
        keys = keys[:-1]
    place = f" ({position})" if (position := positions.of(keys)) else ""
    if first["type"] == "extra_forbidden":
        names = _key_names(keys)
        close = get_close_matches(str(keys[-1]), names, 1)
        if len(keys) == 1:
            return SignalsError(
                f"{path}{place} is not a mapping file: unknown keys {str(keys[0])[:200]}",
                EXPECTED if not close else f"one of the keys {', '.join(names)}",
                f"write {close[0]}" if close else "remove the key, or use a mapping file",
            )
        return SignalsError(
            f"{path}{place}: {_dotted(keys)}: unknown key",
            f"one of the keys {', '.join(names)}",
            f"write {close[0]}" if close else "remove the key",
        )
    if first["type"] == "missing":
        return SignalsError(
            f"{path}{place}: {_dotted(given[:-1])}: the key {given[-1]} is missing", EXPECTED, "add the key"
        )
    if first["loc"][-1:] == ("[key]",):
        return SignalsError(
            f"{path}{place}: {_dotted(keys) or _dotted(given)}: a name that is not valid",
            "a name of lowercase letters, digits and _ that begins with a letter",
            "write another name",
        )
    message = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if first["msg"].startswith("Input should be "):
        return SignalsError(f"{path}{place}: {_dotted(keys)}: not a valid value", message, "correct the value")
    what = f"{path}{place}: {_dotted(keys) or 'the file'}: {message}"
    return SignalsError(what, EXPECTED if not keys else "", "correct the mapping there")


def _key_names(keys: Keys) -> list[str]:
    """Return the keys that are allowed next to ``keys``."""
    part: type[BaseModel] = MappingFile
    for key in keys[:-1]:
        part = _PARTS.get(str(key), part)
    return [field.alias or name for name, field in part.model_fields.items()]


def _dotted(keys: Keys | list[Any]) -> str:
    """Return ``tables.usage[2].query``, with positions from 1."""
    return "".join(f"[{key + 1}]" if isinstance(key, int) else f".{str(key)[:100]}" for key in keys).removeprefix(".")


def _check(mapping: Mapping) -> None:
    """Check what the schema cannot: names of tables, columns and sources, and values of the contract.

    Raises
    ------
    SignalsError
        With the key and its place.
    """
    content = mapping.content
    try:
        mapping.data_through  # noqa: B018
    except BadRequest as error:
        raise mapping.error(("data_through",), error.found, error.expected, error.cure) from None
    _check_file_names(mapping)
    unknown = sorted(set(content.tables) - set(current_tables()))
    if unknown:
        raise SignalsError(
            f"{mapping.path}{mapping.place(('tables', unknown[0]))} names tables that are not in the contract: "
            f"{', '.join(unknown)}",
            "only " + ", ".join(current_tables()),
            "rename or remove them",
        )
    for name, parts in content.tables.items():
        if sum(rules.reads_packs for rules in parts) > 1:
            raise mapping.error(("tables", name), "several parts have neither query nor from", "at most one of them")
        for number, rules in enumerate(parts):
            _check_table(mapping, mapping.table_keys(name, number), rules, current_tables()[name])
    for key in ("spine", "users_ids"):
        _check_source_name(mapping, ("identity", key), getattr(content.identity, key))
    if isinstance(content.identity.contracts, tuple):
        for name in content.identity.contracts:
            _check_source_name(mapping, ("identity", "contracts"), name)


def _check_source_name(mapping: Mapping, keys: Keys, name: str | None) -> None:
    known = list(mapping.content.named_sources)
    if name is not None and name not in known:
        raise mapping.error(
            keys, "there is no such source", f"one of {', '.join(known)}" if known else "a name in [sources]"
        )


def _check_file_names(mapping: Mapping) -> None:
    spellings: dict[str, str] = {}
    for name in mapping.content.files:
        if other := spellings.get(name.lower()):
            raise SignalsError(
                f"{mapping.path}{mapping.place(('files', name))}: [files] has both {other} and {name}",
                "names that differ in more than case",
                "rename one of them",
            )
        spellings[name.lower()] = name


def _check_table(mapping: Mapping, keys: Keys, rules: TableMapping, table: TableSchema) -> None:
    _check_source_name(mapping, (*keys, "ids"), rules.ids)
    for kind in ("columns", "constants", "values", "units"):
        for column in getattr(rules, kind):
            # Other columns distinguish rows of events, but nothing can be converted without a type.
            if column not in table.names and kind in ("values", "units"):
                raise _unknown_column(mapping, (*keys, kind, column), table)
    time_columns = rules.time.__pydantic_extra__ if rules.time else {}
    for column in time_columns:
        if column not in table.names or table[column].kind != "instant":
            raise _unknown_column(mapping, (*keys, "time", column), table, "instant")
    for place, rule in [((*keys, "time"), rules.time), *(((*keys, "time", c), r) for c, r in time_columns.items())]:
        _check_zone(mapping, place, rule)
    for column, names in rules.values.items():
        allowed = table[column].values
        for value, target in names.items():
            if allowed and target not in (*allowed, ""):
                raise mapping.error(
                    (*keys, "values", column, value),
                    "not a value of the data contract",
                    f"one of {', '.join(allowed)}, or an empty text for unknown",
                )
        folded = [value.strip().lower() for value in names]
        if len(set(folded)) < len(folded):
            twice = next(value for value in names if folded.count(value.strip().lower()) > 1)
            raise mapping.error(
                (*keys, "values", column, twice),
                "the value is named more than once",
                "values that differ in more than case",
            )
    for column, units in rules.units.items():
        problem = check_units(table.name, table[column], (units,) if isinstance(units, str) else units)
        if problem:
            raise mapping.error((*keys, "units", column), *problem)


def _unknown_column(mapping: Mapping, keys: Keys, table: TableSchema, kind: str = "") -> SignalsError:
    names = [column.name for column in table.columns if not kind or column.kind == kind]
    close = get_close_matches(str(keys[-1]), names, 1)
    return mapping.error(
        keys,
        f"{table.name} has no such column" + (f" of the kind {kind}" if kind else ""),
        f"one of {', '.join(names)}",
        f"write {close[0]}" if close else "name the column of the data contract, not that of the source",
    )


def _check_zone(mapping: Mapping, keys: Keys, rule: TimeRule | None) -> None:
    if rule is None or rule.zone is None:
        return
    with embedded_parser() as engine:
        known = engine.execute("SELECT 1 FROM pg_timezone_names() WHERE name = ?", [rule.zone]).fetchone()
    if not known:
        raise mapping.error((*keys, "zone"), "unknown time zone", "a name such as Europe/Berlin or America/New_York")
