"""The TOML file of custom features: its schema, and messages that name the invalid key."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from features.contract.declarations import Declarations
from features.definitions.aggregations import MEASURE_KINDS
from features.definitions.feature import Chance, Dimension, Direction
from features.errors import BadRequest


def _measure_kind(given: object) -> str:
    if isinstance(given, str) and given in MEASURE_KINDS:
        return given
    *names, last = (repr(name) for name in MEASURE_KINDS)
    expected = f"{', '.join(names)} or {last}"
    raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})


MeasureKind = Annotated[str, PlainValidator(_measure_kind)]
"""The name of a measure (`features.definitions.aggregations.Measure.kind`)."""
Days = Annotated[int, Field(ge=1, le=3650)]
ShortText = Annotated[str, Field(min_length=1, max_length=200)]
FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", max_length=100)]


class CustomFeature(BaseModel):
    """One entry of the file: a measure of a table of the data contract, with its description.

    Parameters
    ----------
    name : ``own.…`` or ``{table}.…``; ``_{w}d`` is added for each window.
    table : a table of the contract, or an extra table of the file.
    measure : ``count`` of rows, ``sum`` of ``value``, number of ``distinct`` values of ``key``, each over windows; days
        since the ``newest`` or the ``oldest`` row; ``value`` of the ``latest`` row; ``holding``: the number of values
        of ``key`` whose latest row meets ``holds``.
    where, holds : conditions that a row must all meet: column = value, column = [values], column = {min, max}
        (inclusive) or column = {known = true}.
    words : a noun phrase that describes the feature; ``{w}`` is replaced by the window's days.
    unit : the unit of the value; optional for days and ratios.
    windows : in days; whole weeks are fastest. Default: the standard windows.
    per : a numeric feature to divide by; ``{w}`` is replaced by the window's days.
    against_days_ago : divide by the same window this many days earlier.
    trend_days : divide the rate in the window by the rate between this many days ago and the window.
    dimension : default: the dimension of the table's other features; the first feature of an extra table names it.
    concept : features of one concept are explained together. Default: the name without its prefix.
    direction, chance : how a higher value relates to churn and to expansion, if known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: FeatureName
    table: str
    measure: MeasureKind
    words: ShortText
    unit: ShortText | None = None
    where: dict[str, Any] = Field(default_factory=dict)
    holds: dict[str, Any] = Field(default_factory=dict)
    value: str | None = None
    key: str | None = None
    windows: Annotated[tuple[Days, ...], Field(strict=False, min_length=1, max_length=20)] | None = None
    per: str | None = None
    against_days_ago: Days | None = None
    trend_days: Days | None = None
    dimension: Dimension | None = None
    concept: ShortText | None = None
    direction: Direction = None
    chance: Chance = None


class _CustomFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    features: Annotated[tuple[CustomFeature, ...], Field(strict=False)]


def parse_custom_file(declarations: Declarations) -> tuple[CustomFeature, ...]:
    """Validate the entries ``[[features]]`` of a file. A file that declares tables may have none.

    Parameters
    ----------
    declarations : the content of the file.

    Raises
    ------
    BadRequest
        With the file, the feature, the key and what was expected.
    """
    content: dict[str, Any] = dict.fromkeys(declarations.others)
    if declarations.features is not None:
        content["features"] = declarations.features
    elif declarations.tables:
        content["features"] = []
    try:
        return _CustomFile.model_validate(content).features
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = _place(first["loc"], content)
        raise BadRequest(f"{declarations.file}: {place}: {first['msg']}", _expected(first)) from None


def _place(loc: tuple[int | str, ...], content: dict[str, Any]) -> str:
    """Return ``feature usage.exports, key measure``, with the entry's number from 1 if it has no name."""
    if len(loc) < 2:
        return f"key {loc[0]}"
    entry = content["features"][loc[1]]
    name = entry.get("name") if isinstance(entry, dict) else None
    keys = ".".join(str(part) for part in loc[2:])
    feature = f"feature {name}" if isinstance(name, str) else f"feature number {int(loc[1]) + 1}"
    return f"{feature}, key {keys}" if keys else feature


def _expected(first: Any) -> str:
    if first["type"] == "extra_forbidden":
        return "only [[features]] and [[tables]]" if len(first["loc"]) == 1 else "one of the keys " + _key_names()
    if first["type"] == "missing":
        return "[[features]]" if len(first["loc"]) == 1 else "at least name, table, measure and words"
    return f"a name like own.exports or {'{table}'}.exports" if first["loc"][-1] == "name" else ""


def _key_names() -> str:
    return ", ".join(CustomFeature.model_fields)
