"""Frames as the booster sees them: which features, in which order, and which number stands for which category.

The encoding itself is the scorer's, so that training and serving cannot differ in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from features.feature import Feature
from models.scorer import Scorer
from models.targets import Target
from training.steps import Floats

# A level that fewer accounts than this bear in training is unknown to the model: it could only learn their names.
MINIMUM_LEVEL_ACCOUNTS = 20


class Encoding(Scorer):
    """The scorer's encoding, before there is a booster to score with.

    Parameters
    ----------
    names : the features in the booster's order.
    levels : for each categorical one, its values; a value's code is its place in the list.
    """

    def __init__(self, names: tuple[str, ...], levels: Mapping[str, list[str]]) -> None:
        self.features = names
        self.levels = {name: list(values) for name, values in levels.items()}
        self.categories = {name: {v: code for code, v in enumerate(values)} for name, values in levels.items()}

    def matrix(self, frame: pd.DataFrame) -> Floats:
        """A frame of n snapshots as float64 (n, features), NaN where unknown."""
        return self.encode(frame).matrix

    @property
    def schema(self) -> dict[str, Any]:
        """What the scorer needs to encode alike: ``{"features": [{"name", "kind", "categories"?}, ...]}``."""
        entries = []
        for name in self.features:
            is_category = name in self.levels
            entry: dict[str, Any] = {"name": name, "kind": "category" if is_category else "number"}
            entries.append(entry | ({"categories": self.levels[name]} if is_category else {}))
        return {"features": entries}


def encoding(frame: pd.DataFrame, features: Mapping[str, Feature]) -> Encoding:
    """The encoding of a training frame: features that take two values or more there, levels borne by enough accounts.

    Parameters
    ----------
    frame : training snapshots, with ``account_id`` and the features as columns.
    features : the catalogue.
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
    return Encoding(tuple(names), levels)


def monotone(names: tuple[str, ...], features: Mapping[str, Feature], target: Target) -> list[int]:
    """Per feature 1 (the log-odds may only rise with it), -1 (only fall) or 0, where the catalogue is beyond
    dispute."""
    signs = {"raises_risk": 1, "lowers_risk": -1, "raises_chance": 1, "lowers_chance": -1, None: 0}

    def sign(feature: Feature) -> int:
        towards = feature.direction if target == "churn" else feature.expansion_direction
        return signs[towards] if feature.monotone and feature.kind == "number" else 0

    return [sign(features[name]) for name in names]
