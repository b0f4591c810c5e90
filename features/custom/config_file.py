"""A company's own features: the shape of their file, told key by key where it is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.definitions.feature import Chance, Dimension, Direction
from features.errors import BadRequest
from features.utils.toml_text import TomlError, parse_toml, read_toml_text

MeasureKind = Literal["count", "sum", "distinct", "newest", "oldest", "latest", "holding"]
Days = Annotated[int, Field(ge=1, le=3650)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class OwnFeature(BaseModel):
    """One entry of the file: a measure of a table of the data contract, and how it reads.

    Parameters
    ----------
    name : ``own.…`` or ``{table}.…``; ``_{w}d`` is added for each window.
    table : of the contract.
    measure : ``count`` of rows, ``sum`` of ``value``, number of ``distinct`` values of ``key``; over windows. Days
        since the ``newest`` or the ``oldest`` row; ``value`` of the ``latest`` row; number of values of ``key`` that
        are ``holding``: whose latest row fulfils ``holds``.
    where, holds : conditions, all of which a row fulfils: column = value, column = [values], column = {min, max}
        (both included) or column = {known = true}.
    words : a noun phrase for people; ``{w}`` stands for the window's days.
    unit : of the value; days and ratio go without saying.
    windows : in days, whole weeks the quickest; the standard ones if not given.
    per : a numeric feature to divide by, ``{w}`` standing for the window.
    against_days_ago : divide by the same window so many days earlier.
    trend_days : divide the rate in the window by the rate from so many days ago up to the window.
    dimension : that of the table's other features if not given.
    concept : what it is explained together with; the name without its prefix if not given.
    direction, chance : how a higher value goes with churn and with expansion, if that is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", max_length=100)]
    table: str
    measure: MeasureKind
    words: Text
    unit: Text | None = None
    where: dict[str, Any] = Field(default_factory=dict)
    holds: dict[str, Any] = Field(default_factory=dict)
    value: str | None = None
    key: str | None = None
    windows: Annotated[tuple[Days, ...], Field(strict=False, min_length=1, max_length=20)] | None = None
    per: str | None = None
    against_days_ago: Days | None = None
    trend_days: Days | None = None
    dimension: Dimension | None = None
    concept: Text | None = None
    direction: Direction = None
    chance: Chance = None


class _OwnFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    features: Annotated[tuple[OwnFeature, ...], Field(strict=False)]


def read_own_file(path: Path) -> str:
    """The text of a file of own features.

    Raises
    ------
    BadRequest
        If there is none, or it is too large or no text.
    """
    try:
        return read_toml_text(path)
    except (OSError, TomlError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadRequest(
            f"the file of own features {path} cannot be read: {reason}", "a TOML file", "check RENEWCAST_FEATURES"
        ) from None


def parse_own_file(text: str, file: str) -> tuple[OwnFeature, ...]:
    """The entries of a file, each of the right shape; ``file`` names it in messages.

    Raises
    ------
    BadRequest
        Names file, feature and key, and what would have been right.
    """
    try:
        content = parse_toml(text)
    except TomlError as error:
        raise BadRequest(f"{file} is not TOML: {error}", cure="mend the line that is named") from None
    try:
        return _OwnFile.model_validate(content).features
    except ValidationError as broken:
        first = broken.errors(include_url=False, include_input=False, include_context=False)[0]
        raise BadRequest(f"{file}: {_place(first['loc'], content)}: {first['msg']}", _expected(first)) from None


def _place(loc: tuple[int | str, ...], content: dict[str, Any]) -> str:
    """``feature usage.exports, key measure``, or the entry's number from 1 where it has no name."""
    if len(loc) < 2:
        return f"key {loc[0]}"
    entry = content["features"][loc[1]]
    named = entry.get("name") if isinstance(entry, dict) else None
    keys = ".".join(str(part) for part in loc[2:])
    feature = f"feature {named}" if isinstance(named, str) else f"feature number {int(loc[1]) + 1}"
    return f"{feature}, key {keys}" if keys else feature


def _expected(first: Any) -> str:
    if first["type"] == "extra_forbidden":
        return "[[features]] and nothing else" if len(first["loc"]) == 1 else "keys among " + _listed()
    if first["type"] == "missing":
        return "[[features]]" if len(first["loc"]) == 1 else "at least name, table, measure and words"
    return f"a name like own.exports or {'{table}'}.exports" if first["loc"][-1] == "name" else ""


def _listed() -> str:
    return ", ".join(OwnFeature.model_fields)
