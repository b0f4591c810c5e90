"""Features that are computed by Python functions: their entries, validated and built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.contract.declarations import Declarations
from features.contract.schema import TABLES, TableSchema
from features.custom.config_file import Days, FeatureName, ShortText
from features.custom.feature_builder import CUSTOM_PREFIX, dimension_of
from features.definitions.aggregations import Count, Term
from features.definitions.feature import Chance, Dimension, Direction, Feature
from features.definitions.feature_function import FeatureFunction
from features.errors import BadRequest

Names = Annotated[tuple[str, ...], Field(strict=False, max_length=50)]


class FunctionEntry(BaseModel):
    """The arguments of `features.contract.python_file.feature`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: FeatureName
    reads: Annotated[dict[str, Names], Field(strict=False, min_length=1, max_length=20)]
    words: ShortText
    unit: ShortText
    days: Days | None = None
    dimension: Dimension | None = None
    concept: ShortText | None = None
    direction: Direction = None
    chance: Chance = None


def build_function_feature(
    given: Mapping[str, Any],
    function: Callable[..., Any],
    declarations: Declarations,
    tables: Mapping[str, TableSchema],
    declared: Mapping[str, Feature],
) -> Feature:
    """Build the feature of an entry.

    Parameters
    ----------
    given : the arguments of the decorator.
    function : the decorated function.
    declarations : the file.
    tables : the tables of the contract and the extra tables of the file.
    declared : the features declared so far, which give the default dimension.

    Raises
    ------
    BadRequest
        If an argument is not valid; the message names the file, the feature and what was expected.
    """
    place = f"{declarations.file}: feature {given['name']}"
    try:
        entry = FunctionEntry.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        expected = f"a name like {CUSTOM_PREFIX}.exports or {{table}}.exports" if key == "name" else ""
        raise BadRequest(f"{place}, key {key}: {first['msg']}", expected) from None
    reads = {name: _columns(name, columns, tables, place) for name, columns in entry.reads.items()}
    first_table = next(iter(reads))
    if entry.name.split(".")[0] not in (CUSTOM_PREFIX, *reads):
        raise BadRequest(
            f"{place}: the name begins with the name of another table", f"{CUSTOM_PREFIX}.… or {first_table}.…"
        )
    events = [name for name in reads if tables[name].event]
    if bool(events) != (entry.days is not None):
        found = f"{events[0]} is an event table" if events else "it reads no event table"
        expected = "days = 91, or another number of days" if events else "no days"
        raise BadRequest(f"{place}, key days: {found}", expected)
    if not callable(function):
        raise BadRequest(f"{place}: the decorator is not on a function", "a function of rows and as_of")
    computed = FeatureFunction(entry.name, declarations.file, function, reads, entry.days)
    extra = [repr(tables[name]) for name in reads if name not in TABLES]
    # Helpers and constants of the file determine the values as well, so its whole text is part of the definition.
    definition = [declarations.text.splitlines(), entry.name, sorted(reads.items()), entry.days, extra]
    return Feature(
        entry.name,
        first_table,
        entry.dimension or dimension_of(first_table, place, declared),
        entry.concept or entry.name.split(".")[1].replace("_", " "),
        "number",
        entry.unit,
        entry.direction,
        entry.chance,
        entry.words,
        term=_term(computed, tables),
        definition=hashlib.sha256(json.dumps(definition).encode()).hexdigest()[:12],
        function=computed,
    )


def _columns(name: str, columns: tuple[str, ...], tables: Mapping[str, TableSchema], place: str) -> tuple[str, ...]:
    readable = [each for each, table in tables.items() if table.of_accounts]
    if name not in readable:
        found = "has no rows of accounts" if name in tables else "does not exist"
        raise BadRequest(f"{place}, key reads: the table {name} {found}", "one of " + ", ".join(readable))
    usable = [c for c in tables[name].names if c not in ("account_id", "loaded_at")]
    if unknown := [c for c in columns if c not in (*usable, "account_id")]:
        raise BadRequest(f"{place}, key reads: {name} has no column {unknown[0]}", "one of " + ", ".join(usable))
    return tuple(dict.fromkeys(c for c in columns if c != "account_id"))


def _term(function: FeatureFunction, tables: Mapping[str, TableSchema]) -> Term:
    """Return a term that reads the function's result where its tables and optional columns cover the window."""
    term = Term(frozenset(), lambda t: t[function.column])
    for name, columns in function.reads.items():
        table = tables[name]
        if function.days is None or not table.event:
            continue
        optional = [c for c in columns if not table[c].required and table[c].known_from is None and c != table.identity]
        for column in ("", *optional):
            rows = Count(table.name, f"rows_{column}" if column else "rows", at=table.at, column=column)
            term = rows.covering(term, function.days)
    return term
