"""The operator's file of declarations (`RENEWCAST_FEATURES`): extra tables and custom features."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from features.contract.extra_tables import parse_extra_tables
from features.contract.schema import TableSchema
from features.errors import BadRequest
from features.utils.toml_text import TomlError, parse_toml, read_toml_text


@dataclass(frozen=True, eq=False)
class Declarations:
    """What a file declares.

    Parameters
    ----------
    file : its name, for messages.
    text : its content.
    tables : the extra tables.
    features : the entries ``[[features]]``, not yet validated; None if the key is missing.
    others : further keys, which are mistakes.
    """

    file: str
    text: str
    tables: tuple[TableSchema, ...]
    features: Any
    others: tuple[str, ...] = ()

    @cached_property
    def tables_digest(self) -> str:
        """Return twelve hex digits that change with the extra tables; empty without any."""
        return hashlib.sha256(repr(self.tables).encode()).hexdigest()[:12] if self.tables else ""


def read_declarations(path: Path) -> Declarations:
    """Read a file of declarations, and validate its tables.

    Raises
    ------
    BadRequest
        If the file cannot be read, is not valid TOML, or a table is not valid.
    """
    try:
        text = read_toml_text(path)
    except (OSError, TomlError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadRequest(
            f"the file of custom features {path} cannot be read: {reason}", "a TOML file", "check RENEWCAST_FEATURES"
        ) from None
    try:
        content = parse_toml(text)
    except TomlError as error:
        raise BadRequest(
            f"{path.name} is not valid TOML: {error}", cure="correct the line named in the message"
        ) from None
    tables = parse_extra_tables(content.get("tables", []), path.name)
    others = tuple(key for key in content if key not in ("tables", "features"))
    return Declarations(path.name, text, tables, content.get("features"), others)
