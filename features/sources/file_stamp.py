"""The sizes and times of a source's files, to notice that a file is replaced while the source is open."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeAlias

from features.errors import SignalsError
from features.sources.base import SCHEMES
from features.sources.databases import database_file
from features.sources.files import WILDCARDS, contract_table_name, data_files, format_of, glob_paths, is_hidden

Stamp: TypeAlias = frozenset[tuple[str, int, int, int]]


def file_stamp(address: str, folder: Path | None = None, table: bool = False) -> Stamp:
    """Return path, size, time of change and inode of each local file of a source; nothing for servers and stores.

    Parameters
    ----------
    address : the address, as in `features.sources.open_source.open_source`.
    folder : the folder of relative paths; by default the working directory.
    table : whether a folder has the files of one table, as in a mapping, not one entry for each table.
    """
    scheme, sign, _ = address.partition("://")
    paths: list[Path] = []
    stamp: Stamp = frozenset()
    try:
        if sign:
            paths = [database_file(address, scheme, folder)] if scheme in SCHEMES else []
        elif (path := (folder or Path()) / address).is_dir():
            entries = [path] if table else [entry for entry in path.iterdir() if _is_table(entry)]
            paths = [file for entry in entries for file in data_files(entry).paths]
        elif path.is_file():
            paths = [path]
            if path.suffix == ".toml":
                mapping = tomllib.loads(path.read_text(encoding="utf-8"))
                inner = [*mapping.get("files", {}).values(), mapping.get("database", "")]
                sources = [*mapping.get("sources", {}).values(), mapping.get("source", {})]
                stamp = frozenset().union(
                    *(file_stamp(each, path.parent, table=True) for each in inner if each),
                    *(_source_stamp(each["uri"], path.parent) for each in sources if each.get("uri")),
                )
        elif any(c in address for c in WILDCARDS):
            paths = [file for found in glob_paths(path) for file in (found, *found.rglob("*")) if file.is_file()]
        facts = [(file, file.stat()) for file in paths]
    except (OSError, SignalsError, ValueError, AttributeError, TypeError):
        # Whoever reads the source reports what is wrong with it.
        return frozenset()
    return stamp | {(str(file), fact.st_size, fact.st_mtime_ns, fact.st_ino) for file, fact in facts}


def _source_stamp(address: str, folder: Path) -> Stamp:
    """Return the stamp of a source of a mapping: of all data files in its folder, which may have any names."""
    place = folder / Path(address).expanduser()
    if "://" in address or not place.is_dir():
        return file_stamp(address, folder)
    files = (file for file in place.rglob("*") if file.is_file() and format_of(file))
    facts = [(file, file.stat()) for file in files]
    return frozenset((str(file), fact.st_size, fact.st_mtime_ns, fact.st_ino) for file, fact in facts)


def _is_table(entry: Path) -> bool:
    return not is_hidden(entry.name) and bool(contract_table_name(entry.name, folder=entry.is_dir()))
