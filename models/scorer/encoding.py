"""Turning a table of features into the matrix that a booster reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import numpy.typing as npt

from .base import RENEWAL_FEATURE, SHORT_TERM_DAYS, TERM_FEATURE, Floats, ScorerError

#: What the booster reads of the horizon it is asked about, after the features: its length in days; whether a longer
#: term ends within it; the share of it that lies behind that renewal; how many short terms end within it. None of
#: them falls as the horizon grows, and the model may only rise with them: so does the probability.
HORIZON_LENGTH = "horizon.days"
HORIZON_COLUMNS = (HORIZON_LENGTH, "horizon.renews", "horizon.after_renewal", "horizon.short_terms")


class Encoded(NamedTuple):
    """A table made ready for the booster.

    ``matrix`` is float64 of shape (n, features), NaN where unknown; ``missing`` names the schema's features that the
    table has no column for; ``unseen`` tells, for each categorical feature with values that the model never saw, in
    which rows (bool, shape (n,)).
    """

    matrix: Floats
    missing: tuple[str, ...]
    unseen: Mapping[str, npt.NDArray[np.bool_]]


def horizon_columns(matrix: Floats, features: Sequence[str], days: float | Floats) -> Floats:
    """`HORIZON_COLUMNS` for a matrix (n, features) and a horizon in days, or one for each row (n,): shape (n, 4).

    A renewal that is not known leaves what depends on it unknown (NaN).
    """
    nothing = np.full(len(matrix), np.nan)
    places = {name: place for place, name in enumerate(features)}
    until = matrix[:, places[RENEWAL_FEATURE]] if RENEWAL_FEATURE in places else nothing
    term = matrix[:, places[TERM_FEATURE]] if TERM_FEATURE in places else nothing
    days = np.broadcast_to(np.asarray(days, dtype=np.float64), nothing.shape)
    within, short = (until >= 0) & (until < days), term < SHORT_TERM_DAYS
    renews = np.where(within & ~short, 1.0, 0.0)
    behind = np.where(within & ~short, (days - until) / days, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ends = np.where(within & short, np.floor((days - until) / np.maximum(term, 1.0)) + 1.0, 0.0)
    known = np.isfinite(until)
    return np.column_stack([days, *(np.where(known, column, np.nan) for column in (renews, behind, ends))])


def read_features(schema: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, dict[str, int]]]:
    """The features in order, and for the categorical ones the code of each value: its place in the schema's list."""
    entries = schema.get("features")
    if not isinstance(entries, list) or not entries:
        raise ScorerError("schema.json has no list of features")
    names: list[str] = []
    categories: dict[str, dict[str, int]] = {}
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name in names:
            raise ScorerError("schema.json: every feature needs a name of its own")
        names.append(name)
        if entry.get("kind") == "category":
            values = entry.get("categories")
            if (
                not isinstance(values, list)
                or not all(isinstance(v, str) for v in values)
                or len(values) > len({*values})
            ):
                raise ScorerError(f"schema.json: feature {name} needs a list of different strings as categories")
            categories[name] = {value: code for code, value in enumerate(values)}
        elif entry.get("kind") != "number":
            raise ScorerError(f"schema.json: the kind of feature {name} is neither number nor category")
    return tuple(names), categories


def describe_difference(booster: lightgbm.Booster, expected: Sequence[str]) -> str:
    """Describe where the booster's feature names differ from the expected ones."""
    found = booster.feature_name()
    if len(found) != len(expected):
        return f"{len(found)} in the model, {len(expected)} in the schema"
    first = next(i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b)
    return f"at position {first} {found[first]} in the model, {expected[first]} in the schema"


def number_matrix(frame: Any) -> Floats:
    """The columns as float64, what is null or infinite as NaN."""
    try:
        numbers = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        # Which one it is; the reason is left out, since it repeats the value.
        for name in frame.columns:
            try:
                frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError):
                raise ScorerError(f"column {name} holds something that is not a number") from None
        raise
    return np.where(np.isfinite(numbers), numbers, np.nan)


def read_horizons(schema: Mapping[str, Any]) -> tuple[tuple[int, ...], int | None]:
    """The horizons that the model knows, ascending, and the main one; none and None where it knows one only."""
    if (told := schema.get("horizons")) is None:
        return (), None
    try:
        days, main = tuple(told["days"]), told["main"]
        sound = all(isinstance(d, int) and d > 0 for d in days) and sorted(set(days)) == list(days) and main in days
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise ScorerError("schema.json: horizons needs ascending whole days, and the main one among them")
    return days, main
