"""The catalogue of all features, in the order of a snapshot's columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from features.definitions.feature import Feature
from features.definitions.windows import WINDOWS
from features.errors import BadRequest
from features.families import (
    accounts,
    billing,
    company,
    engagement,
    interventions,
    orders,
    outcomes,
    peers,
    pulse,
    relationship,
    subscriptions,
    support,
    usage,
)

KEYS = ("account_id", "as_of")
"""Key columns of a snapshot, before the features."""


class Catalogue(Mapping[str, Feature]):
    """Features by name, in order.

    Parameters
    ----------
    features : in the order of a snapshot's columns.
    windows : the default windows of windowed measures, in days.
    custom_text : the text of the file with the custom features; empty without one.
    custom_suffix : the ending of that file's name, ``.toml`` or ``.py``.

    Raises
    ------
    BadRequest
        If two features share a name, or one names an ``own_past`` that does not exist.
    """

    def __init__(
        self,
        features: tuple[Feature, ...],
        windows: tuple[int, ...] = WINDOWS,
        custom_text: str = "",
        custom_suffix: str = ".toml",
    ) -> None:
        self.windows, self.custom_text, self.custom_suffix = windows, custom_text, custom_suffix
        self._features = {f.name: f for f in features}
        if len(self._features) != len(features):
            names = [f.name for f in features]
            raise BadRequest(f"features declared twice: {sorted({n for n in names if names.count(n) > 1})}")
        for f in features:
            if f.own_past is not None and f.own_past not in self._features:
                raise BadRequest(f"{f.name} is compared with {f.own_past}, which is not declared")

    def __getitem__(self, name: str) -> Feature:
        return self._features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    @cached_property
    def version(self) -> str:
        """Twelve hex digits that change with any feature's name, kind, unit or meaning."""
        identity = [(f.name, f.table, f.kind, f.unit, f.words, f.definition) for f in self._features.values()]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]

    def subset(self, names: Iterable[str]) -> Catalogue:
        """Return the named features and the features that they are compared with, in the order of this catalogue.

        Parameters
        ----------
        names : feature names; others are ignored.
        """
        wanted: set[str] = set()
        todo = [name for name in names if name in self]
        while todo:
            name = todo.pop()
            if name not in wanted:
                wanted.add(name)
                if (past := self[name].own_past) is not None:
                    todo.append(past)
        return Catalogue(tuple(self[name] for name in self if name in wanted), self.windows)

    def dictionary(self) -> list[dict[str, Any]]:
        """Return the data dictionary: one record per feature."""
        fields = (
            "name",
            "table",
            "dimension",
            "concept",
            "kind",
            "unit",
            "direction",
            "expansion_direction",
            "monotone",
            "words",
        )
        return [{f: getattr(feature, f) for f in fields} for feature in self._features.values()]


CATALOGUE = Catalogue(
    usage.FEATURES
    + engagement.FEATURES
    + support.FEATURES
    + outcomes.FEATURES
    + relationship.FEATURES
    + subscriptions.FEATURES
    + peers.FEATURES
    + billing.FEATURES
    + orders.FEATURES
    + company.FEATURES
    + accounts.FEATURES
    + interventions.FEATURES
    + pulse.FEATURES
)
"""All built-in features."""
