"""Subscription spells: periods in which an account's subscriptions have no gap longer than the grace period.

A spell ends in churn, or has not ended yet. Instants are microseconds since 1970 in UTC.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.arrays import Bools, Ints
from features.utils.timeline import Timeline
from training.dataset.step_functions import NEVER


class Spells:
    """All spells of a portfolio.

    Parameters
    ----------
    codes : account number of each subscription.
    start, end : start and end of each subscription (`NEVER`: still running); every end is after its start.
    unpaid : whether nonpayment ended the subscription.
    grace : microseconds. A start up to and including `grace` after an end is a renewal.
    """

    def __init__(self, codes: Ints, start: Ints, end: Ints, unpaid: Bools, grace: int) -> None:
        order = np.lexsort((end, start, codes))
        codes, start, end, unpaid = codes[order], start[order], end[order], unpaid[order]
        reach = pd.Series(end).groupby(codes).cummax().to_numpy(dtype=np.int64)
        new = np.ones(len(codes), dtype=bool)
        new[1:] = (codes[1:] != codes[:-1]) | (start[1:] > reach[:-1] + grace)
        spell = np.cumsum(new) - 1
        ends = np.maximum.reduceat(reach, np.flatnonzero(new)) if len(codes) else reach
        last_unpaid = np.bincount(spell, unpaid & (end == ends[spell]), len(ends)) > 0
        # One extra entry, so that position -1 (no spell yet) means a spell that never ends.
        self._end = np.append(ends, NEVER)
        self._unpaid = np.append(last_unpaid, False)
        self._line = Timeline(codes[new], start[new])
        self.codes: Ints = codes[new]

    @property
    def all_ends(self) -> tuple[Ints, Ints, Bools]:
        """Account number, end (`NEVER`: not ended) and whether nonpayment ended it, for each spell."""
        return self.codes, self._end[:-1], self._unpaid[:-1]

    def ends(self, codes: Ints, times: Ints) -> tuple[Ints, Bools]:
        """Return the end of the spell that runs just before each instant.

        If several subscriptions end together, one unpaid is enough.

        Parameters
        ----------
        codes, times : account number and instant of each query, shape (n,) each. The accounts must be active at these
            instants.

        Returns
        -------
        array of int, array of bool
            The ends, and whether nonpayment ended the spell.
        """
        spell = self._line.count(codes, times, including=False) - 1
        return self._end[spell], self._unpaid[spell]
