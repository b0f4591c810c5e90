"""Instants of many accounts, with a search for the last one before another instant."""

from __future__ import annotations

import numpy as np

from features.utils.arrays import Ints


class Timeline:
    """Instants sorted within accounts, with a search for the last one before another instant.

    Parameters
    ----------
    codes, times : account number and instant of each entry, of equal length and in any order. Repeated instants are
        allowed.

    Attributes
    ----------
    order : permutation that sorts the given rows into the order of the timeline.
    """

    def __init__(self, codes: Ints, times: Ints) -> None:
        self.order = np.lexsort((times, codes))
        self.codes, self.times = codes[self.order], times[self.order]
        self._distinct = np.unique(self.times)
        self._stride = len(self._distinct) + 1
        # One number per (account, rank of the instant) orders them as pairs, where microseconds would overflow.
        self._keys = self.codes * self._stride + np.searchsorted(self._distinct, self.times, side="right")

    def count(self, codes: Ints, times: Ints, *, including: bool) -> Ints:
        """Return the number of entries before each instant.

        The entry at position ``count - 1`` is the last one so far, if it belongs to the account.

        Parameters
        ----------
        codes, times : account number and instant of each query, shape (n,) each.
        including : whether entries at the instant itself count.

        Returns
        -------
        array of shape (n,)
        """
        ranks = np.searchsorted(self._distinct, times, side="right" if including else "left")
        return np.searchsorted(self._keys, codes * self._stride + ranks, side="right")

    def first(self, codes: Ints) -> Ints:
        """Return the position of each account's first entry (or where it would be)."""
        return np.searchsorted(self.codes, codes, side="left")
