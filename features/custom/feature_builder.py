"""Build features from an entry of the custom feature file: windows, comparisons and descriptions."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from typing import get_args

from features.contract.schema import TableSchema
from features.custom.config_file import CustomFeature
from features.custom.measures import custom_measure
from features.definitions.aggregations import MEASURE_KINDS, Measure, Term, compared_with_earlier, trend
from features.definitions.feature import Dimension, Feature
from features.errors import BadRequest

CUSTOM_PREFIX = "own"
"""Name prefix that is allowed for every table."""


def build_features(
    entry: CustomFeature,
    place: str,
    tables: Mapping[str, TableSchema],
    declared: Mapping[str, Feature],
    windows: tuple[int, ...],
) -> tuple[Feature, ...]:
    """Build the features of an entry: one for each window, or one if the measure has no windows.

    Parameters
    ----------
    entry : an entry of the file.
    place : the file and the feature, for messages.
    tables : the tables of the contract and the extra tables of the file.
    declared : the features declared so far, which ``per`` may name.
    windows : default windows, in days.

    Raises
    ------
    BadRequest
        If a key does not fit the data contract, the measure, or another key.
    """
    if entry.name.split(".")[0] not in (CUSTOM_PREFIX, entry.table):
        raise BadRequest(
            f"{place}: the name begins with the name of another table", f"{CUSTOM_PREFIX}.… or {entry.table}.…"
        )
    measure = custom_measure(entry, place, tables)
    if measure.windowed:
        windows = entry.windows or windows
        _check_windowed(entry, place, measure, windows)
        return tuple(_feature(entry, place, measure, declared, w) for w in windows)
    if entry.windows or entry.against_days_ago or entry.trend_days or "{w}" in entry.words:
        raise BadRequest(
            f"{place}: {entry.measure} uses the whole history and takes no windows",
            f"windows, {{w}}, against_days_ago and trend_days are allowed only with {', '.join(_windowed())}",
            "remove these keys",
        )
    return (_feature(entry, place, measure, declared, None),)


def _windowed() -> list[str]:
    """The measures that are taken over windows; the others look at everything known."""
    return [name for name, measure in MEASURE_KINDS.items() if measure.windowed]


def _check_windowed(entry: CustomFeature, place: str, measure: Measure, windows: tuple[int, ...]) -> None:
    if len(windows) > 1 and "{w}" not in entry.words:
        raise BadRequest(
            f"{place}, key words: all windows would have the same text",
            "{w} in the text, which is replaced by the number of days",
        )
    if sum(comparison is not None for comparison in (entry.per, entry.against_days_ago, entry.trend_days)) > 1:
        raise BadRequest(f"{place}: more than one comparison", "only one of per, against_days_ago and trend_days")
    if entry.trend_days is not None:
        if not measure.additive:
            found = f"{place}: values of {entry.measure} do not add up over time"
            raise BadRequest(found, "against_days_ago instead of trend_days", "use against_days_ago")
        if entry.trend_days <= max(windows):
            raise BadRequest(
                f"{place}, key trend_days: not longer than the longest window", f"more than {max(windows)} days"
            )


def _feature(
    entry: CustomFeature, place: str, measure: Measure, declared: Mapping[str, Feature], w: int | None
) -> Feature:
    per = None if entry.per is None else _per(_with_window(entry.per, w), declared, place)
    term = _term(entry, measure, w)
    if per is not None and per.term is not None:
        term = term / per.term
    # Everything that determines the values, and nothing else.
    definition = [type(measure).__name__, measure.table, measure.name, w, entry.against_days_ago, entry.trend_days]
    definition += [per.name, per.definition] if per is not None else []
    return Feature(
        entry.name if w is None else f"{entry.name}_{w}d",
        entry.table,
        entry.dimension or dimension_of(entry.table, place, declared),
        entry.concept or entry.name.split(".")[1].replace("_", " "),
        "number",
        _unit(entry, place),
        entry.direction,
        entry.chance,
        _with_window(entry.words, w),
        term=term,
        definition=hashlib.sha256(json.dumps(definition).encode()).hexdigest()[:12],
    )


def _term(entry: CustomFeature, measure: Measure, w: int | None) -> Term:
    if w is None:
        return measure.default_term()
    if entry.against_days_ago is not None:
        return compared_with_earlier(measure, w, entry.against_days_ago)
    if entry.trend_days is not None:
        return trend(measure, w, entry.trend_days)
    return measure.over(w)


def _per(name: str, declared: Mapping[str, Feature], place: str) -> Feature:
    numbers = [n for n, f in declared.items() if f.kind == "number"]
    if name not in numbers:
        near = ", ".join(difflib.get_close_matches(name, numbers)) or "`renewcast features` lists all"
        raise BadRequest(
            f"{place}, key per: there is no numeric feature {name}", f"a feature; the closest name: {near}"
        )
    return declared[name]


def dimension_of(table: str, place: str, declared: Mapping[str, Feature]) -> Dimension:
    """Return the dimension of the features of ``table`` that were declared so far.

    Raises
    ------
    BadRequest
        If there are none.
    """
    others = (f.dimension for f in declared.values() if f.table == table)
    if (dimension := next(others, None)) is None:
        expected = f"one of {', '.join(get_args(Dimension))}; later features of {table} may omit it"
        raise BadRequest(f"{place}, key dimension: missing for the first feature of {table}", expected)
    return dimension


def _unit(entry: CustomFeature, place: str) -> str:
    if entry.unit is not None:
        return entry.unit
    if entry.against_days_ago is not None or entry.trend_days is not None:
        return "ratio"
    if entry.per is None and (unit := MEASURE_KINDS[entry.measure].custom_unit):
        return unit
    raise BadRequest(f"{place}, key unit: missing", "what is counted: users, tickets, hours, share (0 to 1), …")


def _with_window(text: str, w: int | None) -> str:
    return text if w is None else text.replace("{w}", str(w))
