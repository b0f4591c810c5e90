"""Bootstrap by account, the valid interval when one account contributes many overlapping rows.

A resample draws as many accounts as there are, with replacement. The weight of a row is the number of times its account
was drawn (Davison and Hinkley 1997, section 3.8: clusters are resampled whole). All functions work on these weights, so
a metric never has to copy its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.utils.arrays import Floats, Ints

# Size of the weight matrix of one pass: about 2 million numbers, 16 MB.
_PASS = 2_000_000
LEVEL = 0.95
# A more flexible model must beat the simpler one by this many standard errors out of time.
SIGNIFICANT_ERRORS = 2.0


def significantly_better(gain: Floats, accounts: npt.NDArray[np.object_]) -> bool:
    """Return whether the summed row gains exceed `SIGNIFICANT_ERRORS` standard errors over accounts.

    Parameters
    ----------
    gain : gain of each row, shape (n,).
    accounts : account of each row, shape (n,).

    Returns
    -------
    bool
    """
    per_account = np.bincount(pd.factorize(accounts)[0], gain)
    return bool(gain.sum() > SIGNIFICANT_ERRORS * np.sqrt((per_account**2).sum()))


class AccountBootstrap:
    """Row weights of resampled accounts.

    The same seed and accounts give the same resamples, in any order of the rows.

    Parameters
    ----------
    accounts : account of each row, shape (n,).
    resamples : number of resamples.
    seed : seed of the draw.
    """

    def __init__(self, accounts: Sequence[str] | npt.NDArray[np.object_], resamples: int = 500, seed: int = 0) -> None:
        codes, names = pd.factorize(np.asarray(accounts, dtype=object), sort=True)
        self.codes: Ints = codes.astype(np.int64)
        self.accounts = len(names)
        draw = np.random.default_rng(seed)
        even = np.full(self.accounts, 1 / max(self.accounts, 1))
        # Without accounts, every resample is empty.
        drawn = draw.multinomial(self.accounts, even, resamples) if self.accounts else np.zeros((resamples, 0))
        self.counts: Floats = drawn.astype(np.float64)

    def passes(self) -> Iterator[Floats]:
        """Yield row weights of a few resamples at a time, shape (b, n), so that memory stays bounded."""
        size = max(1, _PASS // max(len(self.codes), 1))
        for start in range(0, len(self.counts), size):
            yield self.counts[start : start + size][:, self.codes]

    def values(self, metric: Callable[[Floats], Floats]) -> Floats:
        """Return the metric of every resample; `metric` maps row weights (b, n) to values (b, ...)."""
        return np.concatenate([metric(weights) for weights in self.passes()])

    def means(self, losses: Floats) -> Floats:
        """Return the mean of row values (n,) in every resample, shape (resamples,)."""
        sums = np.bincount(self.codes, losses, self.accounts)
        sizes = np.bincount(self.codes, minlength=self.accounts)
        return np.asarray((self.counts @ sums) / (self.counts @ sizes), dtype=np.float64)

    def mean_interval(self, losses: Floats, level: float = LEVEL) -> tuple[float, float, float]:
        """Return the mean of row values (n,), and the ends of its percentile interval (`interval`)."""
        return float(losses.mean()), *interval(self.means(losses), level)


def interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the percentile interval of resampled values.

    Parameters
    ----------
    values : one value per resample; undefined values (NaN) are ignored.
    level : the level of the interval.

    Returns
    -------
    tuple of float
        The ends; NaN if fewer than half of the resamples have a value.
    """
    defined = values[~np.isnan(values)]
    if len(defined) < max(1, len(values) / 2):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
