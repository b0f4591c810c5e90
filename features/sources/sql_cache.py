"""SQL texts kept between processes, so that a command need not translate the same expressions again.

A text depends on the code, on the libraries that translate, and on the arguments. The first two make the file's stamp:
when either changes, nothing is taken over. Only arguments that say all about themselves make a key.
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

#: A larger file (bytes) is begun anew.
LIMIT = 16 * 2**20
TRANSLATORS = ("ibis-framework", "sqlglot", "duckdb")


class KeptTexts:
    """Texts by key, in one JSON file that is read at the first look and written by `write`.

    Parameters
    ----------
    file : where they lie. One that another user could have written is not read: its texts would be run.
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
        """The text kept for ``build(*arguments)``, or else what ``make`` gives, which is kept if it can be told by."""
        try:
            key = sha256(f"{_told(build)}{_told(arguments)}".encode()).hexdigest()
        except TypeError:
            return make()
        if key not in self._texts:
            self._texts[key] = make()
            self._new = True
        return self._texts[key]

    def write(self) -> None:
        """Write what is new into a folder that is there. A place that cannot be written is no one's loss."""
        if self._new and self.file.parent.is_dir():
            with suppress(HomeError):
                write_file(self.file, json.dumps({"stamp": _stamp(), "texts": self._texts}))
                self.file.chmod(0o600)

    def _read(self) -> dict[str, str]:
        facts = self.file.stat()
        mine = not hasattr(os, "geteuid") or facts.st_uid == os.geteuid()
        if not mine or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or facts.st_size > LIMIT:
            return {}
        held = json.loads(self.file.read_text(encoding="utf-8"))
        return dict(held["texts"]) if held["stamp"] == _stamp() else {}


def keep_texts(file: Path) -> None:
    """From now on, look texts up in ``file``, and write new ones to it when the process ends."""
    global _kept
    _kept = KeptTexts(file)
    atexit.register(_kept.write)


def kept_text(build: Callable[..., Any], arguments: tuple[Hashable, ...], make: Callable[[], str]) -> str:
    """`KeptTexts.text`, where texts are kept; else what ``make`` gives."""
    return _kept.text(build, arguments, make) if _kept else make()


_kept: KeptTexts | None = None


@cache
def _stamp() -> str:
    """What the texts rest on besides their arguments."""
    found = sha256(" ".join(version(name) for name in TRANSLATORS).encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def _told(value: Any) -> str:
    """Everything that ``value`` is.

    Raises
    ------
    TypeError : it holds something whose parts do not tell what it is, such as a function of other packages.
    """
    if value is None or isinstance(value, str | int | float | date):
        return repr(value)
    if isinstance(value, tuple):
        return f"({','.join(map(_told, value))})"
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__qualname__}({','.join(_told(getattr(value, f.name)) for f in fields(value))})"
    # Not imported: this module is looked at before it is known whether anything is read.
    if type(value).__module__ == "ibis.expr.datatypes.core":
        return str(value)
    if isinstance(value, FunctionType) and value.__module__.startswith("features."):
        cells = tuple(cell.cell_contents for cell in value.__closure__ or ())
        place = f"{value.__module__}.{value.__qualname__}:{value.__code__.co_firstlineno}"
        return f"{place}{_told(value.__defaults__)}{_told(cells)}"
    raise TypeError(type(value).__name__)
