"""Resampling accounts: the only honest interval where one account gives many overlapping rows.

A resample draws as many accounts as there are, with replacement; a row then weighs as often as its account was drawn
(Davison and Hinkley 1997, section 3.8: clusters are resampled whole). Everything below works on these weights, so a
metric never has to copy its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.utils.arrays import Floats, Ints

# A table of weights for one pass: about 2 million numbers, 16 MB.
_PASS = 2_000_000
LEVEL = 0.95
# A more flexible choice must beat the plain one by this many standard errors out of time.
SIGNIFICANT_ERRORS = 2.0


def significantly_better(gain: Floats, accounts: npt.NDArray[np.object_]) -> bool:
    """Whether row gains (n,) add up to more than `SIGNIFICANT_ERRORS` standard errors over accounts."""
    per_account = np.bincount(pd.factorize(accounts)[0], gain)
    return bool(gain.sum() > SIGNIFICANT_ERRORS * np.sqrt((per_account**2).sum()))


class AccountBootstrap:
    """Weights of resampled accounts; the same seed and accounts give the same resamples, in whatever order rows come.

    Parameters
    ----------
    accounts : the account of each row, shape (n,).
    resamples : how many.
    seed : of the draw.
    """

    def __init__(self, accounts: Sequence[str] | npt.NDArray[np.object_], resamples: int = 500, seed: int = 0) -> None:
        codes, names = pd.factorize(np.asarray(accounts, dtype=object), sort=True)
        self.codes: Ints = codes.astype(np.int64)
        self.accounts = len(names)
        draw = np.random.default_rng(seed)
        even = np.full(self.accounts, 1 / max(self.accounts, 1))
        # Of nobody every resample is nobody.
        drawn = draw.multinomial(self.accounts, even, resamples) if self.accounts else np.zeros((resamples, 0))
        self.counts: Floats = drawn.astype(np.float64)

    def passes(self) -> Iterator[Floats]:
        """Row weights of a few resamples at a time, shape (some, n), so that memory stays bounded."""
        size = max(1, _PASS // max(len(self.codes), 1))
        for start in range(0, len(self.counts), size):
            yield self.counts[start : start + size][:, self.codes]

    def values(self, metric: Callable[[Floats], Floats]) -> Floats:
        """The metric of every resample: `metric` maps row weights (some, n) to values (some, ...)."""
        return np.concatenate([metric(weights) for weights in self.passes()])

    def means(self, losses: Floats) -> Floats:
        """The mean of row values (n,) in every resample, shape (resamples,)."""
        sums = np.bincount(self.codes, losses, self.accounts)
        sizes = np.bincount(self.codes, minlength=self.accounts)
        return np.asarray((self.counts @ sums) / (self.counts @ sizes), dtype=np.float64)


def interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The percentile interval of resampled values, those that are not defined (NaN) left out.

    NaN twice where fewer than half of the resamples have a value, for then the interval would be made up.
    """
    known = values[~np.isnan(values)]
    if len(known) < max(1, len(values) / 2):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
