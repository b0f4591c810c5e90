"""Inspect sources: which tools their tables belong to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from features.contract.current_contract import current_tables
from features.errors import BadRequest, SignalsError
from features.packs.recognition import Recognition, recognize
from features.sources import postgres
from features.sources.base import SCHEMES
from features.sources.files import format_of
from features.sources.mapping.file_schema import RESERVED_NAMES
from features.sources.mapping.named_sources import SourceTables, list_schemas, open_tables
from features.sources.mapping.pack_parts import relations_of
from features.sources.object_store import Copies, parse_address

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_NAMED = re.compile(r"^([a-z][a-z0-9_]*)=(.+)$", re.DOTALL)
_KINDS = ("crm", "billing", "support", "product")
"""Kinds of tools, the one whose account ids are preferred first."""


@dataclass(frozen=True)
class Inspected:
    """One source, and the tool that its tables belong to.

    Parameters
    ----------
    name : its name in the mapping.
    address : the address as given, perhaps with a password.
    tables : its tables.
    recognition : the pack that fits; None if no pack does.
    near : a pack that would fit if nothing were missing.
    """

    name: str
    address: str
    tables: SourceTables
    recognition: Recognition | None
    near: Recognition | None = None

    @property
    def kind(self) -> str:
        """What the tool is for; empty if unknown."""
        return self.recognition.pack.file.kind if self.recognition else ""

    @property
    def title(self) -> str:
        """The tool's name, or that of the source."""
        return self.recognition.pack.file.title if self.recognition else self.name

    def uri(self, folder: Path) -> str:
        """Return the address for a mapping in ``folder``: relative where possible, without a password."""
        scheme, sign, _ = self.address.partition("://")
        if not sign:
            return _relative(Path(self.address), folder)
        if scheme in SCHEMES:
            parts = urlsplit(self.address)
            place = _relative(Path(parts.path.removeprefix("/")), folder)
            return f"{scheme}:///{place}" + (f"?{parts.query}" if parts.query else "")
        if scheme in postgres.SCHEMES:
            return postgres.masked_address(self.address).replace(":***@", "@")
        return parse_address(self.address).origin


def inspect(addresses: Sequence[str], connection: Backend, copies: Copies) -> list[Inspected]:
    """Open each address and recognize its tools. One database may hold several.

    Parameters
    ----------
    addresses : addresses, perhaps as ``NAME=ADDRESS``.
    connection : an engine that is not confined; it runs no query of a mapping.
    copies : receives the copies of objects.

    Raises
    ------
    SignalsError
        If an address cannot be read.
    """
    found: list[Inspected] = []
    for given in addresses:
        match = _NAMED.match(given)
        name, address = (match[1], match[2]) if match else ("", given)
        if name in RESERVED_NAMES:
            raise BadRequest(f"a source cannot be named {name}", "a name such as billing", "choose another name")
        some = _inspect(address, connection, copies, len(found))
        if name and len(some) == 1:
            some = [replace(some[0], name=name)]
        found += some
    return _with_names(found)


def _inspect(address: str, connection: Backend, copies: Copies, number: int) -> list[Inspected]:
    if address.endswith(".toml"):
        raise BadRequest(
            "the source is a mapping file already", "a folder, database or object store", "run renewcast check on it"
        )
    if nested := _in_folders(address, connection, copies, number):
        return nested
    schemas = list_schemas(connection, address, Path.cwd(), f"inspected_file_{number}")
    if len(schemas) > 1:
        mark = "&" if "?" in address else "?"
        places = [f"{address}{mark}schema={schema}" for schema in schemas]
        opened = [(place, _open(place, connection, copies, number, f"_{i}")) for i, place in enumerate(places)]
        nested = [each for place, tables in opened for each in _recognized(place, tables)]
        if nested:
            return nested
    first = _open(address, connection, copies, number)
    return _recognized(address, first) or [Inspected("", address, first, None, _near(first))]


def _in_folders(address: str, connection: Backend, copies: Copies, number: int) -> list[Inspected]:
    """Recognize the folders in a folder without files: exports of several tools are often next to each other."""
    place = Path(address)
    if "://" in address or not place.is_dir() or any(format_of(entry) for entry in place.iterdir() if entry.is_file()):
        return []
    folders = [entry for entry in sorted(place.iterdir()) if entry.is_dir() and not entry.name.startswith((".", "_"))]
    result = []
    for i, folder in enumerate(folders):
        try:
            tables = _open(str(folder), connection, copies, number, f"_{i}")
        except SignalsError:
            # A folder without data files is no source.
            continue
        result += _recognized(str(folder), tables) or [Inspected("", str(folder), tables, None)]
    return result if any(each.recognition for each in result) else []


def _open(address: str, connection: Backend, copies: Copies, number: int, suffix: str = "") -> SourceTables:
    return open_tables(connection, f"inspected_{number}{suffix}", address, Path.cwd(), copies)


def _recognized(address: str, tables: SourceTables) -> list[Inspected]:
    """Return one source for each tool whose tables are there."""
    usable = [each for each in recognize(relations_of(tables)) if not each.missing]
    return [Inspected("", address, tables, each) for each in usable]


def _near(tables: SourceTables) -> Recognition | None:
    """Return the pack that would fit several of the tables if nothing were missing."""
    candidates = recognize(relations_of(tables))
    return next((each for each in candidates if each.missing and len({*each.inputs.values()}) > 1), None)


def is_contract(tables: SourceTables) -> bool:
    """Return whether the tables are those of the data contract already."""
    names = {name.lower(): name for name in tables.names}
    if "accounts" not in names or not {"subscriptions", "orders"} & set(names):
        return False
    there = {column.strip().lower() for column in tables.columns(names["accounts"])}
    return set(current_tables()["accounts"].required) <= there


def _with_names(found: Sequence[Inspected]) -> list[Inspected]:
    """Give every source a unique name: its kind, or else the tool's name."""
    kinds = [each.kind for each in found]
    taken = {each.name for each in found if each.name}
    result = []
    for each in found:
        name = each.name
        if not name:
            tool = each.recognition.pack.name.replace("-", "_") if each.recognition else _file_name(each.address)
            name = each.kind if each.kind and kinds.count(each.kind) == 1 and each.kind not in taken else tool
            name = next(n for i in range(1, len(found) + 2) if (n := name if i == 1 else f"{name}_{i}") not in taken)
        taken.add(name)
        result.append(replace(each, name=name))
    return sorted(result, key=lambda each: _KINDS.index(each.kind) if each.kind in _KINDS else len(_KINDS))


def _file_name(address: str) -> str:
    """Return a name for a source of an unknown kind."""
    stem = Path(urlsplit(address).path).name.partition(".")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")
    return name if re.match(r"^[a-z]", name) and name not in RESERVED_NAMES else "source"


def _relative(place: Path, folder: Path) -> str:
    """Return a path for a mapping in ``folder``: relative to it, or absolute if it is not below it."""
    resolved = place.expanduser().resolve()
    base = folder.resolve()
    return str(resolved.relative_to(base)) if resolved.is_relative_to(base) else str(resolved)
