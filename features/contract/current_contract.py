"""The current data contract: the built-in tables, and the extra tables of the file in RENEWCAST_FEATURES."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from features.contract.schema import TABLES, TableSchema

if TYPE_CHECKING:
    from features.contract.declarations import Declarations

VARIABLE = "RENEWCAST_FEATURES"


def current_tables() -> Mapping[str, TableSchema]:
    """Return every table of the current contract by name, the built-in ones first.

    Raises
    ------
    BadRequest
        If the file in RENEWCAST_FEATURES cannot be read or is invalid.
    """
    return _tables(current_declarations())


def event_tables() -> tuple[str, ...]:
    """Return the names of the event tables of the current contract, which determine the newest event."""
    return tuple(name for name, table in current_tables().items() if table.event)


def extra_tables_digest() -> str:
    """Return twelve hex digits that change with the extra tables; empty without any."""
    declarations = current_declarations()
    return "" if declarations is None else declarations.tables_digest


def current_declarations() -> Declarations | None:
    """Return the content of the file in RENEWCAST_FEATURES; None without one.

    The file is read once; call `reset_declarations` to read it again.

    Raises
    ------
    BadRequest
        If the file cannot be read or is invalid.
    """
    return _read(os.environ.get(VARIABLE, ""))


def reset_declarations() -> None:
    """Read the file again on the next use."""
    _read.cache_clear()


@lru_cache(maxsize=1)
def _read(_value: str) -> Declarations | None:
    # Imported here: without a file, commands start without the settings library.
    from features.contract.settings import CustomFeatureSettings

    file = CustomFeatureSettings().file
    if file is None:
        return None
    from features.contract.declarations import read_declarations

    return read_declarations(file.expanduser())


@lru_cache(maxsize=2)
def _tables(declarations: Declarations | None) -> Mapping[str, TableSchema]:
    extra = {} if declarations is None else {table.name: table for table in declarations.tables}
    return MappingProxyType(TABLES | extra)
