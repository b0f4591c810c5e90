"""What an explanation reads of the contributions of an account, for many accounts in compact arrays.

The contributions of one account cost some milliseconds, those of many at a time some tens of microseconds each. So they
are condensed here once, and an explanation only reads its row and puts it into words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from features.utils.arrays import Bools, Floats, Ints

Indices = npt.NDArray[np.int16]


@dataclass(frozen=True)
class CondensedContributions:
    """The parts of the contributions of n accounts that explanations have, in log-odds before calibration.

    At 5 reasons and 9 dimensions, an account takes 190 bytes.

    Parameters
    ----------
    base : that of comparable accounts, shape (n,).
    rest : the sum of all concepts that are no reasons, shape (n,).
    by_dimension : shape (n, dimensions).
    concepts : the concepts of the reasons, largest first, and -1 after the last. Shape (n, reasons).
    leading : for each reason, the feature that contributes most in its direction. Shape (n, reasons).
    amounts : for each reason, the contribution of the concept. Shape (n, reasons).
    agreed : for each reason, the share of the members that agree on it. NaN for a single model. Shape
        (n, reasons).
    """

    base: Floats
    rest: Floats
    by_dimension: Floats
    concepts: Indices
    leading: Indices
    amounts: Floats
    agreed: Floats

    @classmethod
    def of(
        cls,
        parts: Floats,
        by_concept: Floats,
        agreed: Floats,
        by_dimension: Floats,
        concept_features: Sequence[Sequence[int]],
        reasons: int,
        minimum_stability: float,
    ) -> CondensedContributions:
        """Choose the reasons of each account, and sum up the rest. A row does not depend on the others.

        Parameters
        ----------
        parts : the contribution of each feature, the last column the base. Shape (n, features + 1).
        by_concept : the contribution of each concept. Shape (n, concepts).
        agreed : the share of the members that agree on each concept. Shape (n, concepts).
        by_dimension : shape (n, dimensions).
        concept_features : the positions of the features of each concept.
        reasons : how many reasons an account has at most.
        minimum_stability : a reason must have this share of members that agree.
        """
        rows = np.arange(len(parts))[:, None]
        largest = np.argsort(-np.abs(by_concept), axis=1, kind="stable")[:, :reasons]
        stable = (by_concept[rows, largest] != 0.0) & (agreed[rows, largest] >= minimum_stability)
        # Reasons first, in their order.
        places = np.argsort(~stable, axis=1, kind="stable")
        largest, stable = np.take_along_axis(largest, places, axis=1), np.take_along_axis(stable, places, axis=1)
        concepts = np.where(stable, largest, -1)
        amounts = np.where(stable, by_concept[rows, largest], 0.0)
        return cls(
            parts[:, -1].copy(),
            _rest(by_concept, concepts),
            by_dimension,
            concepts.astype(np.int16),
            _leading(parts, concepts, amounts, concept_features).astype(np.int16),
            amounts,
            np.where(stable, agreed[rows, largest], 0.0),
        )

    def __len__(self) -> int:
        return len(self.base)


class PreparedExplanations:
    """The condensed contributions of some of n accounts. Several threads may add and read them.

    Parameters
    ----------
    accounts : n.
    """

    def __init__(self, accounts: int) -> None:
        self._ready = np.zeros(accounts, dtype=np.bool_)
        self._all: CondensedContributions | None = None

    @property
    def ready(self) -> Bools:
        """Whether each account is prepared. Shape (n,)."""
        return self._ready

    @property
    def bytes(self) -> int:
        """The size of all arrays."""
        own = 0 if self._all is None else sum(getattr(self._all, each.name).nbytes for each in fields(self._all))
        return self._ready.nbytes + own

    def add(self, rows: Ints, condensed: CondensedContributions) -> None:
        """Store the condensed contributions of the accounts at these positions. One thread at a time may add."""
        if self._all is None:
            shapes = {each.name: getattr(condensed, each.name) for each in fields(condensed)}
            count = len(self._ready)
            self._all = CondensedContributions(
                **{name: np.zeros((count, *own.shape[1:]), own.dtype) for name, own in shapes.items()}
            )
        for each in fields(condensed):
            getattr(self._all, each.name)[rows] = getattr(condensed, each.name)
        # Last, so that a reader never finds half of a row.
        self._ready[rows] = True

    def read(self, rows: Ints) -> CondensedContributions | None:
        """Return the condensed contributions of the accounts at these positions; None unless all are prepared."""
        if self._all is None or not self._ready[rows].all():
            return None
        return CondensedContributions(*(getattr(self._all, each.name)[rows] for each in fields(self._all)))


def _rest(by_concept: Floats, concepts: Ints) -> Floats:
    """Return the sum of the concepts that are no reasons, shape (n,).

    Accounts with equally many reasons are summed together, over as many concepts, so that each sum is bit-identical to
    that of its row alone.
    """
    others = np.ones(by_concept.shape, dtype=np.bool_)
    row, place = np.nonzero(concepts >= 0)
    others[row, concepts[row, place]] = False
    counts = (concepts >= 0).sum(axis=1)
    answer = np.zeros(len(by_concept))
    for count in np.unique(counts):
        group = counts == count
        answer[group] = by_concept[group][others[group]].reshape(int(group.sum()), -1).sum(axis=1)
    return answer


def _leading(parts: Floats, concepts: Ints, amounts: Floats, concept_features: Sequence[Sequence[int]]) -> Ints:
    """Return the feature with the largest contribution in the direction of its concept; -1 where there is no reason."""
    answer = np.full(concepts.shape, -1, dtype=np.int64)
    for concept in np.unique(concepts[concepts >= 0]):
        features = np.array(concept_features[concept], dtype=np.int64)
        row, place = np.nonzero(concepts == concept)
        towards = parts[np.ix_(row, features)] * np.sign(amounts[row, place])[:, None]
        answer[row, place] = features[towards.argmax(axis=1)]
    return answer
