"""Rules in TOML files: their paths, and how they are read and validated.

A file in the folder RENEWCAST_RULES replaces the shipped file of the same name.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from features.errors import RenewcastError
from features.utils.toml_text import TomlError, parse_toml, read_toml_text

SHIPPED_RULES = Path(__file__).parents[1] / "rules"
RULES_VARIABLE = "RENEWCAST_RULES"


class RulesError(RenewcastError):
    """A rule file cannot be read or is invalid."""


class RulePart(BaseModel):
    """A part of a rule file: frozen, without unknown keys, and without type conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Rules(RulePart):
    """A whole rule file."""

    version: str

    def used(self) -> Iterator[tuple[str, str]]:
        """Yield each key that names a feature, and the feature."""
        yield from ()


R = TypeVar("R", bound=Rules)
P = TypeVar("P", bound=RulePart)


def custom_rules_folder() -> Path | None:
    """Return the folder of the deployment's own rules; None without one.

    Raises
    ------
    RulesError : the folder does not exist.
    """
    value = os.environ.get(RULES_VARIABLE)
    if not value:
        return None
    folder = Path(value)
    if not folder.is_dir():
        raise RulesError(
            f"{RULES_VARIABLE} is {folder}, which is not a folder",
            "a folder of rule files (TOML)",
            f"correct {RULES_VARIABLE}",
        )
    return folder


def rules_file(name: str) -> Path:
    """Return the file of the rules ``name``: the deployment's own, or else the shipped one."""
    own = custom_rules_folder()
    if own is not None and (own / f"{name}.toml").is_file():
        return own / f"{name}.toml"
    return SHIPPED_RULES / f"{name}.toml"


def read_rules(name: str, kind: type[R]) -> R:
    """Read the rules ``name``, cached by file version and catalogue version.

    Raises
    ------
    RulesError : the file is invalid; the message names the file and the key.
    """
    # Imported here because the catalogue loads the query engine.
    from features.custom.current_catalogue import current_catalogue

    path = rules_file(name)
    try:
        status = path.stat()
    except OSError as error:
        raise RulesError(f"the rules {path} cannot be read: {error.strerror}", "a TOML file") from error
    rules: R = _read(path, status.st_mtime_ns, status.st_size, kind, current_catalogue().version)
    return rules


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int, _size: int, kind: type[R], _catalogue: str) -> R:
    from features.custom.current_catalogue import current_catalogue

    rules, catalogue = parse_rules(read_rules_text(path), path.name, kind), current_catalogue()
    for key, feature in rules.used():
        if feature not in catalogue or catalogue[feature].kind != "number":
            raise RulesError(
                f"{path.name}: key {key}: the catalogue has no numeric feature {feature}",
                "a numeric feature of the catalogue" + _near(feature, catalogue),
                "use one of its names (`renewcast features` lists them)",
            )
    return rules


def read_rules_text(path: Path, error: type[RulesError] = RulesError) -> str:
    """Read the text of a rule file.

    Raises
    ------
    RulesError : the file is missing, unreadable or too large; raised as ``error``.
    """
    try:
        return read_toml_text(path)
    except (OSError, TomlError) as caught:
        reason = caught.strerror if isinstance(caught, OSError) else caught
        raise error(f"the rules {path} cannot be read: {reason}", "a short TOML file in UTF-8") from caught


def parse_rules(
    text: str, file: str, kind: type[P], error: type[RulesError] = RulesError, tag_at: int | None = None
) -> P:
    """Parse TOML as ``kind``.

    Parameters
    ----------
    file : the name of the file, for messages.
    error : the exception class to raise.
    tag_at : the index in pydantic's key path of a discriminator value, which is not part of the key in the file.

    Raises
    ------
    RulesError : the file is invalid; the message names the file and the key.
    """
    try:
        return kind.model_validate(parse_toml(text))
    except TomlError as caught:
        raise error(f"{file} is not valid TOML: {caught}", cure="correct the line named in the message") from caught
    except ValidationError as caught:
        first = caught.errors(include_url=False, include_input=False)[0]
        parts = (str(part) for place, part in enumerate(first["loc"]) if place != tag_at)
        key = ".".join(parts) or "the file as a whole"
        raise error(f"{file}: key {key}: {first['msg']}", cure=f"correct {key}") from caught


def _near(name: str, names: Collection[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f", such as {near[0]}" if near else ""
