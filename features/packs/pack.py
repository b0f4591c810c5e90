"""Read packs: the shipped ones, and a user's own file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from features.errors import SignalsError
from features.packs.schema import PackFile
from features.utils.toml_text import TomlError, parse_toml, read_toml_text
from features.utils.validation_errors import first_validation_error

SUFFIX = ".toml"


@dataclass(frozen=True, eq=False)
class Pack:
    """A pack.

    Parameters
    ----------
    name : the name by which a mapping refers to it.
    file : its content.
    origin : the file that it was read from, for messages.
    """

    name: str
    file: PackFile
    origin: str


@cache
def shipped_packs() -> dict[str, Pack]:
    """Return every shipped pack by name."""
    found = sorted(files("features.packs").iterdir(), key=lambda entry: entry.name)
    return {
        entry.name.removesuffix(SUFFIX): _pack(
            entry.name.removesuffix(SUFFIX), entry.name, tomllib.loads(entry.read_text(encoding="utf-8"))
        )
        for entry in found
        if entry.name.endswith(SUFFIX)
    }


def shipped_pack(name: str, version: int | None = None) -> Pack:
    """Return the shipped pack ``name``.

    Parameters
    ----------
    name : its name.
    version : the version that the mapping was written for; None for any.

    Raises
    ------
    SignalsError
        If there is no such pack, or it has another version.
    """
    pack = shipped_packs().get(name)
    if pack is None:
        raise SignalsError(
            f"unknown pack: {name}", f"one of {', '.join(shipped_packs())}", "check the spelling of pack"
        )
    if version not in (None, pack.file.version):
        raise SignalsError(
            f"the pack {name} has version {pack.file.version}, but the mapping was written for version {version}",
            f"version = {pack.file.version}",
            "read what changed in the changelog, check the figures of `renewcast connect`, and change the version",
        )
    return pack


def read_pack(path: Path) -> Pack:
    """Read a pack from a user's own file.

    Raises
    ------
    SignalsError
        If the file cannot be read or is not a pack; the message names the key.
    """
    try:
        content = parse_toml(read_toml_text(path))
    except OSError as error:
        raise SignalsError(f"the pack {path} cannot be read: {error.strerror}", "a TOML file") from None
    except TomlError as error:
        raise SignalsError(f"{path} is not valid TOML: {error}", "a pack file") from None
    return _pack(path.stem, str(path), content)


def _pack(name: str, origin: str, content: dict[str, object]) -> Pack:
    try:
        return Pack(name, PackFile.model_validate(content), origin)
    except ValidationError as error:
        raise SignalsError(
            f"the pack {origin} is not valid: {first_validation_error(error)}",
            "the keys of a pack file, which docs/reference/generated/packs.md lists",
            "correct the key",
        ) from None
