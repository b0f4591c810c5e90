"""From an entry in a company's file to features: windows, comparisons, and how they read."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping

from features.custom.aggregations import WINDOWED, own_measure
from features.custom.config_file import OwnFeature
from features.definitions.aggregations import Measure, Newest, Term, against, trend
from features.definitions.feature import Dimension, Feature
from features.errors import BadRequest

OWN = "own"
"""A prefix that fits every table."""


def own_features(
    entry: OwnFeature, place: str, known: Mapping[str, Feature], windows: tuple[int, ...]
) -> tuple[Feature, ...]:
    """The entry's features: one for each window, or a single one of a measure that looks at everything known.

    Parameters
    ----------
    entry : of the file.
    place : names file and feature in messages.
    known : the features declared so far, which ``per`` may name.
    windows : in days, where the entry gives none.

    Raises
    ------
    BadRequest
        If a key does not fit the data contract, the measure, or another key.
    """
    if entry.name.split(".")[0] not in (OWN, entry.table):
        raise BadRequest(f"{place}: the name begins with another table", f"{OWN}.… or {entry.table}.…")
    measure = own_measure(entry, place)
    if entry.measure in WINDOWED:
        windows = entry.windows or windows
        _check_windowed(entry, place, windows)
        return tuple(_feature(entry, place, measure, known, w) for w in windows)
    if entry.windows or entry.against_days_ago or entry.trend_days or "{w}" in entry.words:
        raise BadRequest(
            f"{place}: {entry.measure} looks at everything known",
            f"windows, {{w}}, against_days_ago and trend_days only with {', '.join(WINDOWED)}",
            "leave them out",
        )
    return (_feature(entry, place, measure, known, None),)


def _check_windowed(entry: OwnFeature, place: str, windows: tuple[int, ...]) -> None:
    if len(windows) > 1 and "{w}" not in entry.words:
        raise BadRequest(f"{place}, key words: its windows would all read alike", "{w}, which stands for the days")
    if sum(given is not None for given in (entry.per, entry.against_days_ago, entry.trend_days)) > 1:
        raise BadRequest(f"{place}: it is compared in several ways", "one of per, against_days_ago, trend_days")
    if entry.trend_days is not None:
        if entry.measure == "distinct":
            raise BadRequest(f"{place}: different values do not add up to a trend", "against_days_ago", "use that")
        if entry.trend_days <= max(windows):
            raise BadRequest(f"{place}, key trend_days: it is not longer than the window", f"more than {max(windows)}")


def _feature(entry: OwnFeature, place: str, measure: Measure, known: Mapping[str, Feature], w: int | None) -> Feature:
    per = None if entry.per is None else _per(_filled(entry.per, w), known, place)
    term = _term(entry, measure, w)
    if per is not None and per.term is not None:
        term = term / per.term
    # Everything that the values follow from, and nothing else.
    said = [type(measure).__name__, measure.table, measure.name, w, entry.against_days_ago, entry.trend_days]
    said += [per.name, per.definition] if per is not None else []
    return Feature(
        entry.name if w is None else f"{entry.name}_{w}d",
        entry.table,
        entry.dimension or _dimension(entry.table, known),
        entry.concept or entry.name.split(".")[1].replace("_", " "),
        "number",
        _unit(entry, place),
        entry.direction,
        entry.chance,
        _filled(entry.words, w),
        term=term,
        definition=hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12],
    )


def _term(entry: OwnFeature, measure: Measure, w: int | None) -> Term:
    if isinstance(measure, Newest):
        return measure.days_since()
    if w is None:
        return measure.ever()
    if entry.against_days_ago is not None:
        return against(measure, w, entry.against_days_ago)
    if entry.trend_days is not None:
        return trend(measure, w, entry.trend_days)
    return measure.over(w)


def _per(name: str, known: Mapping[str, Feature], place: str) -> Feature:
    numbers = [n for n, f in known.items() if f.kind == "number"]
    if name not in numbers:
        near = ", ".join(difflib.get_close_matches(name, numbers)) or "`renewcast features` lists them"
        raise BadRequest(f"{place}, key per: there is no number called {name}", f"a feature; the nearest: {near}")
    return known[name]


def _dimension(table: str, known: Mapping[str, Feature]) -> Dimension:
    return next(f.dimension for f in known.values() if f.table == table)


def _unit(entry: OwnFeature, place: str) -> str:
    if entry.unit is not None:
        return entry.unit
    if entry.against_days_ago is not None or entry.trend_days is not None:
        return "ratio"
    if entry.measure in ("newest", "oldest") and entry.per is None:
        return "days"
    raise BadRequest(f"{place}, key unit: it is missing", "what is counted: users, tickets, hours, share (0 to 1), …")


def _filled(text: str, w: int | None) -> str:
    return text if w is None else text.replace("{w}", str(w))
