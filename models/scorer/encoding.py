"""Encoding a table of features as the matrix of a booster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import numpy.typing as npt

from .base import RENEWAL_FEATURE, SHORT_TERM_DAYS, TERM_FEATURE, Floats
from .errors import ScorerError

#: The columns about the horizon, which follow the features: its length in days; whether a longer term ends within it;
#: the share of the horizon after that renewal; how many short terms end within it. No column decreases as the horizon
#: grows, and the model is monotonic in all of them, so the probability never decreases either.
HORIZON_LENGTH = "horizon.days"
HORIZON_COLUMNS = (HORIZON_LENGTH, "horizon.renews", "horizon.after_renewal", "horizon.short_terms")


class Encoded(NamedTuple):
    """A table encoded for the booster.

    ``matrix`` is float64 of shape (n, features), NaN if unknown; ``missing`` names the schema's features without a
    column in the table; ``unseen`` marks the rows with values that the model never saw, for each categorical feature
    that has any (bool, shape (n,)).
    """

    matrix: Floats
    missing: tuple[str, ...]
    unseen: Mapping[str, npt.NDArray[np.bool_]]


def horizon_columns(matrix: Floats, features: Sequence[str], days: float | Floats) -> Floats:
    """Return `HORIZON_COLUMNS`, shape (n, 4), for a matrix (n, features) and a horizon in days, or one per row (n,).

    If the renewal is unknown, the columns that depend on it are unknown (NaN).

    Parameters
    ----------
    matrix : the values of the features, shape (n, features).
    features : the names of its columns.
    days : the horizon in days, or one per row.

    Returns
    -------
    array of shape (n, 4)
    """
    nothing = np.full(len(matrix), np.nan)
    positions = {name: position for position, name in enumerate(features)}
    until = matrix[:, positions[RENEWAL_FEATURE]] if RENEWAL_FEATURE in positions else nothing
    term = matrix[:, positions[TERM_FEATURE]] if TERM_FEATURE in positions else nothing
    days = np.broadcast_to(np.asarray(days, dtype=np.float64), nothing.shape)
    within, short = (until >= 0) & (until < days), term < SHORT_TERM_DAYS
    renews = np.where(within & ~short, 1.0, 0.0)
    behind = np.where(within & ~short, (days - until) / days, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ends = np.where(within & short, np.floor((days - until) / np.maximum(term, 1.0)) + 1.0, 0.0)
    known = np.isfinite(until)
    return np.column_stack([days, *(np.where(known, column, np.nan) for column in (renews, behind, ends))])


def read_features(schema: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, dict[str, int]]]:
    """Return the features in order, and the codes of categorical values: their index in the schema's list."""
    entries = schema.get("features")
    if not isinstance(entries, list) or not entries:
        raise ScorerError("schema.json has no list of features")
    names: list[str] = []
    categories: dict[str, dict[str, int]] = {}
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name in names:
            raise ScorerError("schema.json: every feature needs a unique name")
        names.append(name)
        if entry.get("kind") == "category":
            values = entry.get("categories")
            if (
                not isinstance(values, list)
                or not all(isinstance(v, str) for v in values)
                or len(values) > len({*values})
            ):
                raise ScorerError(f"schema.json: feature {name} needs a list of distinct strings as categories")
            categories[name] = {value: code for code, value in enumerate(values)}
        elif entry.get("kind") != "number":
            raise ScorerError(f"schema.json: the kind of feature {name} is neither number nor category")
    return tuple(names), categories


def describe_difference(booster: lightgbm.Booster, expected: Sequence[str]) -> str:
    """Describe where the booster's feature names differ from the expected ones."""
    actual = booster.feature_name()
    if len(actual) != len(expected):
        return f"{len(actual)} in the model, {len(expected)} in the schema"
    first = next(i for i, (a, b) in enumerate(zip(actual, expected, strict=True)) if a != b)
    return f"at position {first} {actual[first]} in the model, {expected[first]} in the schema"


def number_matrix(frame: Any) -> Floats:
    """Return the columns as float64, with null and infinite values as NaN."""
    try:
        numbers = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        # Find the column; the original reason is omitted, since it repeats the value.
        for name in frame.columns:
            try:
                frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError):
                raise ScorerError(f"column {name} contains a value that is not a number") from None
        raise
    return np.where(np.isfinite(numbers), numbers, np.nan)


def read_horizons(schema: Mapping[str, Any]) -> tuple[tuple[int, ...], int | None]:
    """Return the horizons of the model in ascending order and the main one; () and None if it has only one."""
    if (horizons := schema.get("horizons")) is None:
        return (), None
    try:
        days, main = tuple(horizons["days"]), horizons["main"]
        sound = all(isinstance(d, int) and d > 0 for d in days) and sorted(set(days)) == list(days) and main in days
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise ScorerError("schema.json: horizons needs ascending whole days that include the main one")
    return days, main
