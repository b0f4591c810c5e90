"""Frames as the booster sees them: which features, in which order, and which number stands for which category.

The encoding itself is the scorer's, so that training and serving cannot differ in it.
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

# A level that fewer accounts than this bear in training is unknown to the model: it could only learn their names.
MINIMUM_LEVEL_ACCOUNTS = 20


class Encoding(Scorer):
    """The scorer's encoding, before there is a booster to score with.

    Parameters
    ----------
    names : the features in the booster's order.
    levels : for each categorical one, its values; a value's code is its place in the list.
    horizons, main : the horizons in days, ascending, and the main one; none where there is only one.
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
        """What the models read: the features, and where there are several horizons what tells them apart."""
        return (*self.features, *(HORIZON_COLUMNS if self.horizons else ()))

    def matrix(self, frame: pd.DataFrame, days: int | None = None) -> Floats:
        """A frame of n snapshots as float64 (n, columns), NaN where unknown; ``days`` is the horizon, the main one if
        None."""
        return self._at(self.encode(frame).matrix, days)

    @property
    def schema(self) -> dict[str, Any]:
        """What the scorer needs to encode alike: ``{"features": [{"name", "kind", "categories"?}, ...]}``."""
        entries = []
        for name in self.features:
            is_category = name in self.levels
            entry: dict[str, Any] = {"name": name, "kind": "category" if is_category else "number"}
            entries.append(entry | ({"categories": self.levels[name]} if is_category else {}))
        return {"features": entries}


def fit_encoding(
    frame: pd.DataFrame, features: Mapping[str, Feature], horizons: tuple[int, ...] = (), main: int = 0
) -> Encoding:
    """The encoding of a training frame: features that take two values or more there, levels borne by enough accounts.

    Parameters
    ----------
    frame : training snapshots, with ``account_id`` and the features as columns.
    features : the catalogue.
    horizons, main : see `Encoding`.
    """
    names, levels = [], {}
    for name, feature in features.items():
        if feature.kind == "category":
            bearers = frame.groupby(name)["account_id"].nunique()
            kept = sorted(bearers.index[bearers >= MINIMUM_LEVEL_ACCOUNTS])
            if kept:
                names.append(name)
                levels[name] = kept
        elif frame[name].nunique() > 1:
            names.append(name)
    return Encoding(tuple(names), levels, horizons, main)


def monotone_constraints(names: tuple[str, ...], features: Mapping[str, Feature], target: Target) -> list[int]:
    """Per feature 1 (the log-odds may only rise with it), -1 (only fall) or 0, where the catalogue is beyond
    dispute. A longer horizon never has the lower log-odds."""
    signs = {"raises_risk": 1, "lowers_risk": -1, "raises_chance": 1, "lowers_chance": -1, None: 0}

    def sign(feature: Feature) -> int:
        towards = feature.direction if target == "churn" else feature.expansion_direction
        return signs[towards] if feature.monotone and feature.kind == "number" else 0

    return [1 if name in HORIZON_COLUMNS else sign(features[name]) for name in names]
