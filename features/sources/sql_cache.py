"""An on-disk cache of generated SQL, so that commands do not translate the same expressions again.

The SQL depends on the code, the translating libraries and the arguments. The first two form the stamp of the file: if
either changes, the cache is discarded. Only arguments that can be fully represented as text are used as keys.
"""

from __future__ import annotations

import atexit
import json
import os
import stat
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date
from functools import cache, cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

from features.errors import HomeError
from features.utils.atomic_files import write_file

#: Maximum file size in bytes; a larger file is discarded.
MAX_BYTES = 16 * 2**20
TRANSLATORS = ("ibis-framework", "sqlglot", "duckdb")


class SqlCache:
    """SQL texts by key, in one JSON file that is read on first use and written by `write`.

    Parameters
    ----------
    file : the JSON file. It is ignored if another user could have written it, because its SQL is executed.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._new = False

    @cached_property
    def _texts(self) -> dict[str, str]:
        try:
            return self._read()
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def text(self, build: Callable[..., Any], arguments: tuple[Hashable, ...], make: Callable[[], str]) -> str:
        """Return the cached text of ``build(*arguments)``, or the result of ``make``, which is cached if possible."""
        try:
            key = sha256(f"{_cache_key(build)}{_cache_key(arguments)}".encode()).hexdigest()
        except TypeError:
            return make()
        if key not in self._texts:
            self._texts[key] = make()
            self._new = True
        return self._texts[key]

    def write(self) -> None:
        """Write new entries if the folder exists. A file that cannot be written is skipped."""
        if self._new and self.file.parent.is_dir():
            with suppress(HomeError):
                write_file(self.file, json.dumps({"stamp": _stamp(), "texts": self._texts}))
                self.file.chmod(0o600)

    def _read(self) -> dict[str, str]:
        facts = self.file.stat()
        mine = not hasattr(os, "geteuid") or facts.st_uid == os.geteuid()
        if not mine or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or facts.st_size > MAX_BYTES:
            return {}
        content = json.loads(self.file.read_text(encoding="utf-8"))
        return dict(content["texts"]) if content["stamp"] == _stamp() else {}


def enable_sql_cache(file: Path) -> None:
    """Use ``file`` as the cache of this process, and write new texts to it when the process ends."""
    global _cache
    _cache = SqlCache(file)
    atexit.register(_cache.write)


def cached_sql(build: Callable[..., Any], arguments: tuple[Hashable, ...], make: Callable[[], str]) -> str:
    """Return `SqlCache.text` if a cache is enabled, else the result of ``make``."""
    return _cache.text(build, arguments, make) if _cache else make()


_cache: SqlCache | None = None


@cache
def _stamp() -> str:
    """Return a hash of everything that the SQL depends on, except the arguments."""
    digest = sha256(" ".join(version(name) for name in TRANSLATORS).encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _cache_key(value: Any) -> str:
    """Return a complete text representation of ``value``.

    Raises
    ------
    TypeError : it contains something without such a representation, such as a function of another package.
    """
    if value is None or isinstance(value, str | int | float | date):
        return repr(value)
    if isinstance(value, tuple):
        return f"({','.join(map(_cache_key, value))})"
    # The stamp does not cover classes of other packages.
    if is_dataclass(value) and type(value).__module__.startswith("features."):
        return f"{type(value).__qualname__}({','.join(_cache_key(getattr(value, f.name)) for f in fields(value))})"
    # Compared by name, because importing ibis here would slow down every command.
    if type(value).__module__ == "ibis.expr.datatypes.core":
        return str(value)
    if isinstance(value, FunctionType) and value.__module__.startswith("features."):
        cells = tuple(cell.cell_contents for cell in value.__closure__ or ())
        place = f"{value.__module__}.{value.__qualname__}:{value.__code__.co_firstlineno}"
        return f"{place}{_cache_key(value.__defaults__)}{_cache_key(cells)}"
    raise TypeError(type(value).__name__)
