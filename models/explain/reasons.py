"""From contributions of columns to reasons for people.

Correlated columns belong to one concept and are summed before anything is ranked, so that "active users" over three
windows is one reason and not three. Contributions are in log-odds before calibration and still add up:
base + the reasons + the rest = the raw score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.explain.reason_text import reason_words
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.targets import DOWN, UP, Target

if TYPE_CHECKING:
    from features.definitions.feature import Feature

#: How many reasons a person gets.
TOP = 5

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reason:
    """One concept's part in a prediction; ``code`` is the name of the feature that adds most to it."""

    code: str
    concept: str
    dimension: str
    direction: str
    text: str
    contribution_log_odds: float


@dataclass(frozen=True)
class Explained:
    """One account: ``base`` + the reasons' contributions + ``rest`` = ``raw``, all in log-odds.

    ``reasons`` are at most TOP, largest first; ``rest`` is what all other concepts add together; ``by_dimension`` is
    the same sum, base apart, by dimension.
    """

    base: float
    reasons: tuple[Reason, ...]
    rest: float
    raw: float
    by_dimension: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Explanation:
    """Explains one target's predictions for n accounts, when asked.

    Parameters
    ----------
    frame : the accounts' rows, in order.
    names : the booster's features, in order.
    raw : log-odds, shape (n,).
    contribute : gives the contributions of the rows at k places, log-odds of shape (k, features + 1), the last column
        the base. It is called when an explanation is asked for, since contributions cost more than predictions.
    peers, segments : for the comparison with comparable accounts.
    catalogue : holds every one of ``names``.
    """

    target: Target
    frame: pd.DataFrame
    names: tuple[str, ...]
    raw: Floats
    contribute: Callable[[npt.NDArray[np.int64]], Floats]
    peers: Peers
    segments: npt.NDArray[np.object_]
    catalogue: Mapping[str, Feature]

    def explain(self, rows: npt.ArrayLike) -> list[Explained]:
        """Explain the accounts at these places, in their order. Alone or together, the answers are the same."""
        places = np.asarray(rows, dtype=np.int64)
        if not len(places):
            return []
        parts = self.contribute(places)
        by_concept = _summed(parts, self._concepts, len(self._members))
        by_dimension = self._by_dimension(parts)
        return [
            self._explained(int(row), one, sums, dimensions)
            for row, one, sums, dimensions in zip(places, parts, by_concept, by_dimension, strict=True)
        ]

    def by_dimension(self, rows: npt.ArrayLike) -> list[dict[str, float]]:
        """What each dimension adds to the log-odds of the accounts at these places."""
        places = np.asarray(rows, dtype=np.int64)
        return self._by_dimension(self.contribute(places)) if len(places) else []

    def _by_dimension(self, parts: Floats) -> list[dict[str, float]]:
        places, names = self._dimensions
        return [dict(zip(names, sums, strict=True)) for sums in _summed(parts, places, len(names)).tolist()]

    def _explained(self, row: int, parts: Floats, by_concept: Floats, dimensions: dict[str, float]) -> Explained:
        ranked = np.argsort(-np.abs(by_concept), kind="stable")
        concepts = tuple(self._members)
        reasons = tuple(
            self._reason(row, concepts[i], parts, float(by_concept[i])) for i in ranked[:TOP] if by_concept[i] != 0.0
        )
        rest = float(sum(by_concept[i] for i in ranked[TOP:]))
        return Explained(float(parts[-1]), reasons, rest, float(self.raw[row]), dimensions)

    def _reason(self, row: int, concept: str, parts: Floats, amount: float) -> Reason:
        members = self._members[concept]
        # Of the features that pull the concept's way, the one that pulls hardest.
        leading = max(members, key=lambda member: parts[member] * np.sign(amount))
        feature = self.catalogue[self.names[leading]]
        direction = (UP if amount > 0 else DOWN)[self.target]
        past = self.catalogue[feature.own_past] if feature.own_past is not None else None
        ratio = self._value(past.name, row) if past is not None else np.nan
        text = reason_words(
            feature,
            self._value(feature.name, row),
            self._median(feature, self.segments[row]),
            past,
            ratio if isinstance(ratio, float) else np.nan,
            direction,
        )
        return Reason(feature.name, concept, feature.dimension, direction, text, amount)

    @cached_property
    def _members(self) -> dict[str, list[int]]:
        """The places of each concept's features, concepts in the order of their first feature."""
        members: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            members.setdefault(self.catalogue[name].concept, []).append(place)
        return members

    @cached_property
    def _concepts(self) -> Places:
        """The concept of each feature, by its place in `_members`."""
        found = np.empty(len(self.names), dtype=np.int64)
        for concept, members in enumerate(self._members.values()):
            found[members] = concept
        return found

    @cached_property
    def _dimensions(self) -> tuple[Places, tuple[str, ...]]:
        """The dimension of each feature, by its place among the names, those in the order of their first feature."""
        of_each = [self.catalogue[name].dimension for name in self.names]
        names = tuple(dict.fromkeys(of_each))
        return np.array([names.index(name) for name in of_each], dtype=np.int64), names

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return {}

    def _value(self, name: str, row: int) -> float | str | None:
        if name not in self._columns:
            if self.catalogue[name].kind == "number":
                self._columns[name] = number_column(self.frame, name).tolist()
            else:
                values = self.frame[name].tolist() if name in self.frame else [None] * len(self.frame)
                self._columns[name] = [value if isinstance(value, str) else None for value in values]
        value: float | str | None = self._columns[name][row]
        return value

    def _median(self, feature: Feature, segment: str | None) -> float:
        spread = self.peers.spread(feature.name, segment) if feature.kind == "number" else None
        return float("nan") if spread is None else spread.median


def _summed(parts: Floats, groups: Places, many: int) -> Floats:
    """Columns summed by group, (k, columns + 1) -> (k, many): one after another, so that a row's sums are the same to
    the last bit however many rows there are."""
    bins = np.arange(len(parts))[:, None] * many + groups
    weights = np.ascontiguousarray(parts[:, : len(groups)])
    sums: Floats = np.bincount(bins.ravel(), weights.ravel(), len(parts) * many).astype(np.float64, copy=False)
    return sums.reshape(len(parts), many)
