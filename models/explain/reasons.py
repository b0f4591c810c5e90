"""Reasons of a prediction, from the contributions of its features.

Correlated features belong to one concept and are summed before they are ranked, so that "active users" over three
windows is one reason, not three. Contributions are in log-odds before calibration and add up:
base + reasons + rest = raw score.

Contributions are measured from those of comparable accounts (`models.explain.comparables`). A reason is given only if
most members of the ensemble agree on it: its sign, and its place among the largest contributions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.utils.arrays import Bools, Floats, Ints
from models.explain.comparables import Comparables
from models.explain.prepared_explanations import CondensedContributions, PreparedExplanations
from models.explain.reason_text import reason_words
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.targets import DOWN, UP, Target

if TYPE_CHECKING:
    from features.definitions.feature import Feature

#: Reasons given per account.
MAX_REASONS = 5
#: A reason must have its sign and a place among the MAX_REASONS largest contributions in this share of the members.
MINIMUM_STABILITY = 0.8
#: With fewer reasons than this, the answer says so.
FEW_REASONS = 2


@dataclass(frozen=True)
class ConceptReason:
    """The contribution of one concept.

    ``code`` is the feature of the concept that contributes most; ``stability`` is the share of the ensemble's members,
    0 to 1, that agree on the reason, and None for a single model.
    """

    code: str
    concept: str
    dimension: str
    direction: str
    text: str
    contribution_log_odds: float
    stability: float | None = None


@dataclass(frozen=True)
class AccountExplanation:
    """The explanation of one account: ``base`` + the reasons' contributions + ``rest`` = ``raw``, all in log-odds.

    ``base`` is the mean of comparable accounts; ``reasons`` holds at most MAX_REASONS, largest first; ``rest`` is the
    sum of all other concepts; ``by_dimension`` gives the contributions, without the base, summed by dimension.
    """

    base: float
    reasons: tuple[ConceptReason, ...]
    rest: float
    raw: float
    by_dimension: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def note(self) -> str | None:
        """A remark if there are fewer than FEW_REASONS stable reasons; None otherwise."""
        return few_reasons_note(self.reasons)


def few_reasons_note(reasons: Sequence[ConceptReason]) -> str | None:
    """Return a remark if there are fewer than FEW_REASONS stable reasons; None otherwise."""
    if not reasons:
        return "No stable reason: the models of the ensemble disagree, or the account is close to its peers."
    return "Only one stable reason." if len(reasons) < FEW_REASONS else None


@dataclass(frozen=True)
class TargetExplainer:
    """Explains one target's predictions for n accounts, on demand.

    Parameters
    ----------
    frame : the accounts' rows, in order.
    names : the booster's features, in order.
    raw : log-odds, shape (n,).
    contribute : returns the contributions of k rows given by position, from each of m members: log-odds of shape
        (m, k, features + 1), the last column the base. It is called on demand, since contributions cost more than
        predictions.
    peers, segments : for the comparison with comparable accounts.
    catalogue : the features, by name; it has every one of ``names``.
    comparables : the contributions of comparable accounts.
    """

    target: Target
    frame: pd.DataFrame
    names: tuple[str, ...]
    raw: Floats
    contribute: Callable[[Ints], Floats]
    peers: Peers
    segments: npt.NDArray[np.object_]
    catalogue: Mapping[str, Feature]
    comparables: Comparables = field(default_factory=Comparables)

    def explain(self, rows: npt.ArrayLike) -> list[AccountExplanation]:
        """Explain the accounts at these positions, in the given order. Results do not depend on the other rows."""
        positions = np.asarray(rows, dtype=np.int64)
        if not len(positions):
            return []
        condensed = self._prepared.read(positions)
        if condensed is None:
            condensed = self._condensed(positions)
        return [self._explained(int(row), condensed, i) for i, row in enumerate(positions)]

    def prepare(self, rows: npt.ArrayLike) -> None:
        """Compute what explanations of these accounts read, all together, which is much faster than one by one.

        The explanations stay the same. One thread at a time may prepare.
        """
        positions = np.asarray(rows, dtype=np.int64)
        if len(positions):
            self._prepared.add(positions, self._condensed(positions))

    @property
    def prepared(self) -> Bools:
        """Whether each account is prepared. Shape (n,)."""
        return self._prepared.ready

    def by_concept(self, rows: npt.ArrayLike) -> Floats:
        """Return the contribution of each of c concepts to the log-odds of k accounts, by member: shape (m, k, c)."""
        return self.concept_sums(self._relative(np.asarray(rows, dtype=np.int64)))

    def by_dimension(self, rows: npt.ArrayLike) -> list[dict[str, float]]:
        """Return the contribution of each dimension to the log-odds of the accounts at these positions."""
        positions = np.asarray(rows, dtype=np.int64)
        return self._by_dimension(self._relative(positions).mean(axis=0)) if len(positions) else []

    def concept_sums(self, by_member: Floats) -> Floats:
        """Sum contributions by concept.

        Parameters
        ----------
        by_member : contributions of each feature to the log-odds of k accounts from m members, as ``contribute``
            returns them.

        Returns
        -------
        Floats
            Shape (m, k, concepts), without the base; the concepts are in the order of `concept_features`.
        """
        return np.stack([_sum_by_group(member, self._concepts, len(self.concept_features)) for member in by_member])

    def _relative(self, positions: Ints) -> Floats:
        return self.comparables.relative(self.contribute(positions), self.segments[positions])

    def _by_dimension(self, parts: Floats) -> list[dict[str, float]]:
        owners, names = self._dimensions
        return [dict(zip(names, sums, strict=True)) for sums in _sum_by_group(parts, owners, len(names)).tolist()]

    def _condensed(self, positions: Ints) -> CondensedContributions:
        by_member = self._relative(positions)
        sums, parts = self.concept_sums(by_member), by_member.mean(axis=0)
        owners, names = self._dimensions
        condensed = CondensedContributions.of(
            parts,
            sums.mean(axis=0),
            stability(sums),
            _sum_by_group(parts, owners, len(names)),
            tuple(self.concept_features.values()),
            MAX_REASONS,
            MINIMUM_STABILITY,
        )
        # The agreement of a single model with itself says nothing.
        return condensed if len(sums) > 1 else replace(condensed, agreed=np.full_like(condensed.agreed, np.nan))

    def _explained(self, row: int, condensed: CondensedContributions, at: int) -> AccountExplanation:
        """Put an account's condensed contributions, those at the position ``at``, into words."""
        reasons = tuple(
            self._reason(row, concept, leading, amount, agreed)
            for concept, leading, amount, agreed in zip(
                condensed.concepts[at].tolist(),
                condensed.leading[at].tolist(),
                condensed.amounts[at].tolist(),
                condensed.agreed[at].tolist(),
                strict=True,
            )
            if concept >= 0
        )
        by_dimension = dict(zip(self._dimensions[1], condensed.by_dimension[at].tolist(), strict=True))
        base, rest = float(condensed.base[at]), float(condensed.rest[at])
        return AccountExplanation(base, reasons, rest, float(self.raw[row]), by_dimension)

    def _reason(self, row: int, concept: int, leading: int, amount: float, agreed: float) -> ConceptReason:
        feature = self.catalogue[self.names[leading]]
        direction = (UP if amount > 0 else DOWN)[self.target]
        past = self.catalogue[feature.own_past] if feature.own_past is not None else None
        ratio = self.value(past.name, row) if past is not None else np.nan
        text = reason_words(
            feature,
            self.value(feature.name, row),
            self._median(feature, self.segments[row]),
            past,
            ratio if isinstance(ratio, float) else np.nan,
            direction,
        )
        name = self._concept_names[concept]
        share = None if math.isnan(agreed) else agreed
        return ConceptReason(feature.name, name, feature.dimension, direction, text, amount, share)

    @cached_property
    def _prepared(self) -> PreparedExplanations:
        return PreparedExplanations(len(self.raw))

    @cached_property
    def _concept_names(self) -> tuple[str, ...]:
        return tuple(self.concept_features)

    @cached_property
    def concept_features(self) -> dict[str, list[int]]:
        """The positions of each concept's features; concepts are in the order of their first feature."""
        members: dict[str, list[int]] = {}
        for position, name in enumerate(self.names):
            members.setdefault(self.catalogue[name].concept, []).append(position)
        return members

    @cached_property
    def _concepts(self) -> Ints:
        """The index of each feature's concept in `concept_features`."""
        concepts = np.empty(len(self.names), dtype=np.int64)
        for concept, members in enumerate(self.concept_features.values()):
            concepts[members] = concept
        return concepts

    @cached_property
    def _dimensions(self) -> tuple[Ints, tuple[str, ...]]:
        """The index of each feature's dimension, and the dimensions' names, in the order of their first feature."""
        of_each = [self.catalogue[name].dimension for name in self.names]
        names = tuple(dict.fromkeys(of_each))
        return np.array([names.index(name) for name in of_each], dtype=np.int64), names

    @cached_property
    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    def value(self, name: str, row: int) -> float | str | None:
        """Return an account's value of a feature: a number (NaN if unknown), or a category's text (None if unknown)."""
        if name not in self._columns:
            if self.catalogue[name].kind == "number":
                self._columns[name] = number_column(self.frame, name)
            else:
                values = self.frame[name].tolist() if name in self.frame else [None] * len(self.frame)
                texts = [value if isinstance(value, str) else None for value in values]
                self._columns[name] = np.array(texts, dtype=object)
        value: float | str | None = self._columns[name].item(row)
        return value

    def _median(self, feature: Feature, segment: str | None) -> float:
        spread = self.peers.spread(feature.name, segment) if feature.kind == "number" else None
        return float("nan") if spread is None else spread.median


def stability(by_member: Floats) -> Floats:
    """Return the share of members that agree on each concept as a reason.

    A member agrees if its contribution has the sign of the mean and is among its MAX_REASONS largest.

    Parameters
    ----------
    by_member : contributions of c concepts to n accounts from m members, shape (m, n, c).

    Returns
    -------
    Floats
        Shape (n, c), 0 to 1.
    """
    same_sign = np.sign(by_member) == np.sign(by_member.mean(axis=0))
    ranks = np.argsort(np.argsort(-np.abs(by_member), axis=2, kind="stable"), axis=2, kind="stable")
    return np.asarray((same_sign & (ranks < MAX_REASONS)).mean(axis=0), dtype=np.float64)


def _sum_by_group(parts: Floats, groups: Ints, count: int) -> Floats:
    """Sum columns by group, (k, columns + 1) -> (k, count).

    Columns are added in a fixed order, so that a row's sums are bit-identical whatever rows it comes with.
    """
    bins = np.arange(len(parts))[:, None] * count + groups
    weights = np.ascontiguousarray(parts[:, : len(groups)])
    sums: Floats = np.bincount(bins.ravel(), weights.ravel(), len(parts) * count).astype(np.float64, copy=False)
    return sums.reshape(len(parts), count)
