"""Columns of the logistic regression, prepared from an encoded matrix.

Numbers: signed logarithms, unknown values at the median with an extra column that marks them, unit spread. Categories:
one column per level, none for rare and unknown levels. The result is that of scikit-learn's imputer, scaler and one-hot
encoder in half of their time, which was a sixth of a training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from models.scorer.encoding import HORIZON_COLUMNS
from training.dataset.encoding import Encoding

# Scale of the horizon columns. The effect of a renewal is certain, so the ridge shrinks them a ninth as much as others.
HORIZON_SCALE = 3.0
# Rows that are prepared at a time, so that they fit into the cache.
_BLOCK = 1024


@dataclass(frozen=True)
class LinearColumns:
    """The columns: n numbers, then a mark for each number that may be unknown, then the levels.

    Parameters
    ----------
    names : the names of the numbers.
    numbers : their positions in the encoded matrix, shape (n,).
    medians : what replaces an unknown value, shape (n,).
    marked : which of the numbers have a mark, ascending, shape (m,).
    means, scales : of the numbers and then the marks, before standardization, shape (n + m,).
    levels : position in the encoded matrix and number of levels of each category, by name.
    """

    names: tuple[str, ...]
    numbers: Ints
    medians: Floats
    marked: Ints
    means: Floats
    scales: Floats
    levels: dict[str, tuple[int, int]]

    @classmethod
    def fit(cls, encoding: Encoding, matrix: Floats) -> LinearColumns:
        """Learn medians, means and spreads from an encoded matrix (n, columns) with at least one row."""
        names = tuple(name for name in encoding.columns if name not in encoding.levels)
        positions = {name: position for position, name in enumerate(encoding.columns)}
        numbers = np.array([positions[name] for name in names], dtype=np.int64)
        medians, means, spreads, unknown = (np.zeros(len(names)) for _ in range(4))
        for i, position in enumerate(numbers):
            values = signed_log(matrix[:, position])
            missing = np.isnan(values)
            unknown[i] = missing.mean()
            if unknown[i] < 1:
                medians[i] = np.median(values[~missing]) if unknown[i] else np.median(values)
            if unknown[i]:
                values[missing] = medians[i]
            means[i] = values.mean()
            # Exactly 0 for a constant, whose computed deviation may not be.
            spreads[i] = values.std() if values.max() > values.min() else 0.0
        marked = np.flatnonzero(unknown)
        shares = unknown[marked]
        spreads = np.concatenate([spreads, np.sqrt(shares * (1 - shares))])
        wide = np.append([HORIZON_SCALE if name in HORIZON_COLUMNS else 1.0 for name in names], np.ones(len(marked)))
        scales = np.where(spreads > 0, spreads, 1.0) / wide
        levels = {name: (positions[name], len(values)) for name, values in encoding.levels.items()}
        return cls(names, numbers, medians, marked, np.concatenate([means, shares]), scales, levels)

    @property
    def marks(self) -> dict[int, int]:
        """The column that marks unknown values of each number that has one, by the position of the number."""
        return {int(number): len(self.names) + i for i, number in enumerate(self.marked)}

    @property
    def level_columns(self) -> dict[str, slice]:
        """The columns of the levels of each category, by name."""
        first, columns = len(self.scales), {}
        for name, (_, count) in self.levels.items():
            columns[name] = slice(first, first + count)
            first += count
        return columns

    def transform(self, matrix: Floats) -> Floats:
        """Return the columns of an encoded matrix.

        Parameters
        ----------
        matrix : the encoded matrix, shape (n, columns), NaN where unknown.

        Returns
        -------
        array of shape (n, k)
        """
        count, width = len(self.names), len(self.scales)
        columns = np.zeros((len(matrix), width + sum(levels for _, levels in self.levels.values())))
        for start in range(0, len(matrix), _BLOCK):
            rows, block = matrix[start : start + _BLOCK], columns[start : start + _BLOCK]
            values = signed_log(rows[:, self.numbers])
            missing: Bools = np.isnan(values)
            block[:, :count] = np.where(missing, self.medians, values)
            block[:, count:width] = missing[:, self.marked]
            block[:, :width] -= self.means
            block[:, :width] /= self.scales
            for name, where in self.level_columns.items():
                position, levels = self.levels[name]
                block[:, where] = rows[:, position, None] == np.arange(levels)
        return columns


def signed_log(values: Floats) -> Floats:
    """Return ``sign(x) log(1 + |x|)``: close to the value itself for shares, a logarithm for money and counts."""
    magnitude = np.abs(values)
    return np.asarray(np.copysign(np.log1p(magnitude, out=magnitude), values), dtype=np.float64)
