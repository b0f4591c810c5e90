"""Rules in TOML files: where they lie, and how they are read and checked.

A deployment's own file takes the place of the shipped one of the same name: ``RENEWCAST_RULES`` names a folder of them.
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

SHIPPED = Path(__file__).parents[1] / "rules"
OWN = "RENEWCAST_RULES"


class RulesError(RenewcastError):
    """A file of rules that cannot be read, or that breaks the rules of its format."""


class Part(BaseModel):
    """A piece of a file of rules: frozen, nothing but what is asked for, no value turned into another kind."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Rules(Part):
    """A whole file of rules."""

    version: str

    def used(self) -> Iterator[tuple[str, str]]:
        """Each key that names a feature, and the feature."""
        yield from ()


R = TypeVar("R", bound=Rules)
P = TypeVar("P", bound=Part)


def own_folder() -> Path | None:
    """The folder of the deployment's own rules; None without one.

    Raises
    ------
    RulesError : the folder that the environment names is not there.
    """
    named = os.environ.get(OWN)
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise RulesError(f"{OWN} names {folder}, which is no folder", "a folder of rule files (TOML)", f"correct {OWN}")
    return folder


def rules_file(name: str) -> Path:
    """The file of the rules ``name``: the deployment's own, or else the shipped one."""
    own = own_folder()
    if own is not None and (own / f"{name}.toml").is_file():
        return own / f"{name}.toml"
    return SHIPPED / f"{name}.toml"


def read_rules(name: str, kind: type[R]) -> R:
    """The rules ``name``, read once for every version of their file and of the deployment's catalogue.

    Raises
    ------
    RulesError : names file, key and cure.
    """
    # Not at import: the catalogue brings the query engine with it.
    from features.custom.current_catalogue import current_catalogue

    path = rules_file(name)
    try:
        seen = path.stat()
    except OSError as error:
        raise RulesError(f"the rules {path} cannot be read: {error.strerror}", "a TOML file") from error
    found: R = _read(path, seen.st_mtime_ns, seen.st_size, kind, current_catalogue().version)
    return found


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int, _size: int, kind: type[R], _catalogue: str) -> R:
    from features.custom.current_catalogue import current_catalogue

    rules, catalogue = parse(read_text(path), path.name, kind), current_catalogue()
    for key, feature in rules.used():
        if feature not in catalogue or catalogue[feature].kind != "number":
            raise RulesError(
                f"{path.name}: key {key}: the catalogue has no number called {feature}",
                "a numeric feature of the catalogue" + _near(feature, catalogue),
                "use one of its names (`renewcast features` lists them)",
            )
    return rules


def read_text(path: Path, error: type[RulesError] = RulesError) -> str:
    """The text of a file of rules.

    Raises
    ------
    RulesError : there is none, it cannot be read, or it is too large; of the class ``error``.
    """
    try:
        return read_toml_text(path)
    except (OSError, TomlError) as caught:
        reason = caught.strerror if isinstance(caught, OSError) else caught
        raise error(f"the rules {path} cannot be read: {reason}", "a short TOML file in UTF-8") from caught


def parse(text: str, file: str, kind: type[P], error: type[RulesError] = RulesError, tag_at: int | None = None) -> P:
    """Read TOML as ``kind``.

    Parameters
    ----------
    file : its name, for messages.
    error : the class to raise.
    tag_at : where in the path of a key pydantic puts the kind of a part, which the file does not.

    Raises
    ------
    RulesError : names file, key and cure.
    """
    try:
        return kind.model_validate(parse_toml(text))
    except TomlError as caught:
        raise error(f"{file} is not TOML: {caught}", cure="mend the line that is named") from caught
    except ValidationError as caught:
        first = caught.errors(include_url=False, include_input=False)[0]
        parts = (str(part) for place, part in enumerate(first["loc"]) if place != tag_at)
        key = ".".join(parts) or "the file as a whole"
        raise error(f"{file}: key {key}: {first['msg']}", cure=f"correct {key}") from caught


def _near(name: str, names: Collection[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f", such as {near[0]}" if near else ""
