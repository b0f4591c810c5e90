"""Contributions of comparable accounts: what a typical account of the same segment gets from each feature.

A value that is typical of the segment is no reason. Reasons are therefore measured from the mean contributions of
comparable accounts, and the base is the mean log-odds of those accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from features.utils.arrays import Floats
from models.peer_groups.segments import MINIMUM_COMPARABLE, WHOLE_PORTFOLIO
from models.scorer.errors import ScorerError

#: Significant digits of the stored contributions.
_DIGITS = 6


@dataclass(frozen=True)
class Comparables:
    """Mean contributions by segment; without any, contributions stay relative to the average training row.

    Parameters
    ----------
    means : by segment, the mean contribution of each feature for each of m members, shape (m, features).
    """

    means: Mapping[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, contributions: Floats, segments: npt.NDArray[np.object_]) -> Comparables:
        """Average the contributions of a portfolio.

        Parameters
        ----------
        contributions : contributions of n accounts from m members, shape (m, n, features + 1); the last column is the
            base.
        segments : the segment of each account, None if unknown, shape (n,). A segment needs MINIMUM_COMPARABLE
            accounts.
        """
        names = sorted({name for name in segments if name is not None})
        groups = {WHOLE_PORTFOLIO: np.ones(len(segments), bool)} | {name: segments == name for name in names}
        return cls(
            {
                name: contributions[:, rows, :-1].mean(axis=1)
                for name, rows in groups.items()
                if rows.sum() >= MINIMUM_COMPARABLE
            }
        )

    @classmethod
    def from_json(cls, stored: Any, members: int, features: int) -> Comparables:
        """Read the key "comparables" of ``schema.json``; None is valid.

        Raises
        ------
        ScorerError : the content is malformed.
        """
        if stored is None:
            return cls()
        try:
            means = {str(name): np.array(content, dtype=np.float64) for name, content in stored.items()}
        except (AttributeError, TypeError, ValueError):
            raise ScorerError("schema.json: comparables must hold lists of numbers by segment") from None
        if any(each.shape != (members, features) or not np.isfinite(each).all() for each in means.values()):
            raise ScorerError(f"schema.json: comparables must hold {members} times {features} numbers per segment")
        return cls(means)

    def to_json(self) -> dict[str, list[list[float]]]:
        """Return the content of the key "comparables" of ``schema.json``."""
        return {
            name: [[float(f"{value:.{_DIGITS}g}") for value in row] for row in means.tolist()]
            for name, means in self.means.items()
        }

    def relative(self, contributions: Floats, segments: npt.NDArray[np.object_]) -> Floats:
        """Measure contributions from those of comparable accounts. Each row's sum stays the same.

        Parameters
        ----------
        contributions : shape (m, n, features + 1); the last column is the base.
        segments : the segment of each row, shape (n,). Unknown and small segments use the whole portfolio.
        """
        answer = contributions.copy()
        for segment in set(segments.tolist()):
            if (means := self.means.get(segment, self.means.get(WHOLE_PORTFOLIO))) is None:
                continue
            rows = np.array([each == segment for each in segments], dtype=bool)
            answer[:, rows, :-1] -= means[:, None, :]
            answer[:, rows, -1] += means.sum(axis=1)[:, None]
        return answer
