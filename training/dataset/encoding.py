"""Encoding of snapshots for the models: which features, in which order, and which code for which category.

The scorer does the encoding itself, so training and serving cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from features.definitions.feature import Feature
from features.utils.arrays import Floats
from models.scorer.encoding import HORIZON_COLUMNS
from models.scorer.scorer import Scorer
from models.targets import Target

# A level with fewer training accounts than this is unknown to the model: it could only memorize those accounts.
MINIMUM_LEVEL_ACCOUNTS = 20


class Encoding(Scorer):
    """The scorer's encoding, used before there is a booster to score with.

    Parameters
    ----------
    names : the features in the booster's order.
    levels : values of each categorical feature; the code of a value is its position in the list.
    horizons, main : the horizons in days, ascending, and the main one; empty if there is only one.
    """

    def __init__(
        self, names: tuple[str, ...], levels: Mapping[str, list[str]], horizons: tuple[int, ...] = (), main: int = 0
    ) -> None:
        self.features = names
        self.levels = {name: list(values) for name, values in levels.items()}
        self.categories = {name: {v: code for code, v in enumerate(values)} for name, values in levels.items()}
        self.horizons, self.main_horizon = horizons, main if horizons else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The model's columns: the features and, with several horizons, the columns that identify the horizon."""
        return (*self.features, *(HORIZON_COLUMNS if self.horizons else ()))

    def matrix(self, frame: pd.DataFrame, days: int | None = None) -> Floats:
        """Encode snapshots as numbers.

        Parameters
        ----------
        frame : n snapshots with the columns of the features.
        days : the horizon; None for the main one.

        Returns
        -------
        array of shape (n, columns)
            NaN where unknown.
        """
        return self._at(self.encode(frame).matrix, days)

    @property
    def schema(self) -> dict[str, Any]:
        """The schema from which the scorer encodes: ``{"features": [{"name", "kind", "categories"?}, ...]}``."""
        entries = []
        for name in self.features:
            is_category = name in self.levels
            entry: dict[str, Any] = {"name": name, "kind": "category" if is_category else "number"}
            entries.append(entry | ({"categories": self.levels[name]} if is_category else {}))
        return {"features": entries}


def fit_encoding(
    frame: pd.DataFrame, features: Mapping[str, Feature], horizons: tuple[int, ...] = (), main: int = 0
) -> Encoding:
    """Fit the encoding on training snapshots: features with two or more values, and levels with enough accounts.

    Parameters
    ----------
    frame : training snapshots, with ``account_id`` and the features as columns.
    features : the catalogue.
    horizons, main : see `Encoding`.

    Returns
    -------
    Encoding
    """
    names, levels = [], {}
    for name, feature in features.items():
        if feature.kind == "category":
            accounts = frame.groupby(name)["account_id"].nunique()
            frequent = sorted(accounts.index[accounts >= MINIMUM_LEVEL_ACCOUNTS])
            if frequent:
                names.append(name)
                levels[name] = frequent
        elif frame[name].nunique() > 1:
            names.append(name)
    return Encoding(tuple(names), levels, horizons, main)


def monotone_constraints(names: tuple[str, ...], features: Mapping[str, Feature], target: Target) -> list[int]:
    """Return the monotone constraint of each column.

    Constraints apply to numeric features that the catalogue marks as monotone, and to the horizon columns: a longer
    horizon never has lower log-odds.

    Parameters
    ----------
    names : the columns.
    features : the features by name.
    target : the target, which sets the directions.

    Returns
    -------
    list of int
        1 (log-odds may only rise), -1 (only fall) or 0 (none).
    """
    signs = {"raises_risk": 1, "lowers_risk": -1, "raises_chance": 1, "lowers_chance": -1, None: 0}

    def sign(feature: Feature) -> int:
        direction = feature.direction if target == "churn" else feature.expansion_direction
        return signs[direction] if feature.monotone and feature.kind == "number" else 0

    return [1 if name in HORIZON_COLUMNS else sign(features[name]) for name in names]
