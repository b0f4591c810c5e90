"""Linear terms of a scorer, which are added to the booster's log-odds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .base import Floats
from .errors import ScorerError


def signed_logarithms(matrix: Floats) -> Floats:
    """Return the logarithm of one plus the size of each number, with its sign; NaN stays NaN."""
    answer: Floats = np.sign(matrix) * np.log1p(np.abs(matrix))
    return answer


class LinearTerms:
    """A linear model in ``schema.json``.

    The key "start" has the model added to the trees, and "involuntary" the model for the kind of churn. ``numbers``
    holds [slope, center, fill, missing slope, missing center] by feature: the slope applies to the signed logarithm
    minus its center, ``fill`` replaces an unknown value, and the missing slope applies to the indicator of unknown
    values. ``levels`` holds [slopes by code, center] by category; an unknown level has slope 0. The centers are
    weighted means over the training rows of the main horizon, so that ``intercept`` is the log-odds of the average row.
    (In bundles of earlier releases they are means over all horizons, and 0 for categories; the sums are the same.)
    """

    def __init__(self, intercept: float, numbers: Floats, levels: list[tuple[int, Floats, float]]) -> None:
        self.intercept, self._numbers, self._levels = intercept, numbers, levels

    @classmethod
    def of(
        cls, schema: Mapping[str, Any], key: str, features: tuple[str, ...], categories: Mapping[str, Mapping[str, int]]
    ) -> LinearTerms | None:
        """Read the model from the schema; None if the schema has none.

        Parameters
        ----------
        schema : the content of schema.json.
        key : the key of the linear model in the schema.
        features : the names of the features.
        categories : the code of each category, by feature.

        Returns
        -------
        LinearTerms or None

        Raises
        ------
        ScorerError : the content does not fit the features.
        """
        if (content := schema.get(key)) is None:
            return None
        try:
            numbers = np.zeros((5, len(features)))
            levels = []
            for position, name in enumerate(features):
                if name in categories:
                    slopes, center = content["levels"][name]
                    if len(slopes) != len(categories[name]):
                        raise ValueError(name)
                    levels.append((position, np.array([*slopes, 0.0], dtype=np.float64), float(center)))
                else:
                    numbers[:, position] = np.array(content["numbers"][name], dtype=np.float64)
            start = cls(float(content["intercept"]), numbers, levels)
        except (KeyError, TypeError, ValueError) as error:
            raise ScorerError(f"schema.json: {key} does not fit the features ({error})") from None
        return start

    def parts(self, matrix: Floats, logarithms: Floats | None = None) -> Floats:
        """Return the contribution of each feature, (n, features) -> (n, features).

        Parameters
        ----------
        matrix : the features, shape (n, features).
        logarithms : the result of `signed_logarithms` for the matrix, if several members use it.
        """
        slope, center, fill, missing, missing_center = self._numbers
        unknown = np.isnan(matrix)
        scaled = np.where(unknown, fill, signed_logarithms(matrix) if logarithms is None else logarithms)
        answer: Floats = slope * (scaled - center) + missing * (unknown - missing_center)
        for position, slopes, average in self._levels:
            codes = np.where(unknown[:, position], len(slopes) - 1, matrix[:, position]).astype(np.int64)
            answer[:, position] = slopes[codes] - average
        return answer

    def strengths(self, spread: Floats) -> Floats:
        """Return the standard deviations of m features' contributions from those of their signed logarithms; (m,)."""
        slope, _, _, missing, missing_center = self._numbers[:, : len(spread)]
        center = np.clip(missing_center, 0.0, 1.0)
        answer: Floats = np.hypot(slope * spread, missing * np.sqrt(center * (1.0 - center)))
        for position, slopes, _ in self._levels:
            answer[position] = slopes.std()
        return answer
