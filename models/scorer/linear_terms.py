"""The linear start of a scorer: terms that are added to the booster's log odds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .base import Floats, ScorerError


class LinearTerms:
    """A linear model, as ``schema.json`` holds it: under "start" the one beside the trees, under "involuntary" the one
    that tells how a churn comes about.

    ``numbers`` gives [slope, centre, fill, missing slope, missing centre] by feature: the slope acts on the signed
    logarithm less its centre, ``fill`` stands for an unknown one, and the missing slope acts on the mark of being
    unknown. ``levels`` gives [slopes by code, centre] by category; an unknown level has slope 0. The centres are
    weighted means over the training rows of the main horizon, so that ``intercept`` is what the average row has. (In
    bundles of earlier releases they are means over all horizons, and 0 for categories: the sums hold there as well.)
    """

    def __init__(self, intercept: float, numbers: Floats, levels: list[tuple[int, Floats, float]]) -> None:
        self.intercept, self._numbers, self._levels = intercept, numbers, levels

    @classmethod
    def of(
        cls, schema: Mapping[str, Any], key: str, features: tuple[str, ...], categories: Mapping[str, Mapping[str, int]]
    ) -> LinearTerms | None:
        """Read it from the schema; None where there is none."""
        if (told := schema.get(key)) is None:
            return None
        try:
            numbers = np.zeros((5, len(features)))
            levels = []
            for place, name in enumerate(features):
                if name in categories:
                    slopes, centre = told["levels"][name]
                    if len(slopes) != len(categories[name]):
                        raise ValueError(name)
                    levels.append((place, np.array([*slopes, 0.0], dtype=np.float64), float(centre)))
                else:
                    numbers[:, place] = np.array(told["numbers"][name], dtype=np.float64)
            start = cls(float(told["intercept"]), numbers, levels)
        except (KeyError, TypeError, ValueError) as error:
            raise ScorerError(f"schema.json: {key} does not fit the features ({error})") from None
        return start

    def parts(self, matrix: Floats) -> Floats:
        """What each feature adds, (n, features) -> (n, features)."""
        slope, centre, fill, missing, missing_centre = self._numbers
        unknown = np.isnan(matrix)
        drawn_in = np.where(unknown, fill, np.sign(matrix) * np.log1p(np.abs(matrix)))
        answer: Floats = slope * (drawn_in - centre) + missing * (unknown - missing_centre)
        for place, slopes, average in self._levels:
            codes = np.where(unknown[:, place], len(slopes) - 1, matrix[:, place]).astype(np.int64)
            answer[:, place] = slopes[codes] - average
        return answer

    def strengths(self, spread: Floats) -> Floats:
        """The standard deviation of what each of m features adds, from that of its signed logarithm, (m,) -> (m,)."""
        slope, _, _, missing, missing_centre = self._numbers[:, : len(spread)]
        centre = np.clip(missing_centre, 0.0, 1.0)
        answer: Floats = np.hypot(slope * spread, missing * np.sqrt(centre * (1.0 - centre)))
        for place, slopes, _ in self._levels:
            answer[place] = slopes.std()
        return answer
