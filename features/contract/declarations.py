"""The operator's file of declarations (`RENEWCAST_FEATURES`): extra tables and custom features, in TOML or Python."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from features.contract.extra_tables import parse_extra_tables
from features.contract.python_file import run_python_file
from features.contract.schema import TableSchema
from features.errors import BadRequest
from features.utils.toml_text import TomlError, parse_toml, read_toml_text

PYTHON = ".py"


@dataclass(frozen=True, eq=False)
class Declarations:
    """What a file declares.

    Parameters
    ----------
    path : the file.
    text : its content.
    tables : the extra tables.
    features : the entries of measured features, not yet validated; None if a TOML file has no such key.
    functions : the entries of features that are computed by functions, not yet validated, each with its function.
    others : further keys of a TOML file, which are mistakes.
    """

    path: Path
    text: str
    tables: tuple[TableSchema, ...]
    features: Any
    functions: tuple[tuple[dict[str, Any], Callable[..., Any]], ...] = ()
    others: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The name of the file, for messages."""
        return self.path.name

    @cached_property
    def tables_digest(self) -> str:
        """Twelve hex digits that change with the extra tables; empty without any."""
        return hashlib.sha256(repr(self.tables).encode()).hexdigest()[:12] if self.tables else ""


def read_declarations(path: Path) -> Declarations:
    """Read a file of declarations, and validate its tables. A Python file (``.py``) is run.

    Raises
    ------
    BadRequest
        If the file cannot be read, is not valid TOML or Python, or a table is not valid.
    """
    kind = "a Python file" if path.suffix == PYTHON else "a TOML file"
    try:
        text = read_toml_text(path)
    except (OSError, TomlError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadRequest(
            f"the file of custom features {path} cannot be read: {reason}", kind, "check RENEWCAST_FEATURES"
        ) from None
    if path.suffix == PYTHON:
        ran = run_python_file(path, text)
        tables = parse_extra_tables(ran.tables, path.name)
        return Declarations(path, text, tables, ran.features, tuple(ran.functions))
    try:
        content = parse_toml(text)
    except TomlError as error:
        raise BadRequest(
            f"{path.name} is not valid TOML: {error}", cure="correct the line named in the message"
        ) from None
    tables = parse_extra_tables(content.get("tables", []), path.name)
    others = tuple(key for key in content if key not in ("tables", "features"))
    return Declarations(path, text, tables, content.get("features"), others=others)
