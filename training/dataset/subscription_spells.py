"""Churn with a grace: stretches of an account's subscriptions with no gap longer than the grace.

Each stretch (a spell) ends in churn, or has not ended yet. Instants are microseconds since 1970 in UTC.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.utils.arrays import Bools, Ints
from training.dataset.step_functions import NEVER, Timeline


class Spells:
    """All spells of a portfolio.

    Parameters
    ----------
    codes : each subscription's account, as a number.
    start, end : when it began and ended (`NEVER`: still running); every end lies after its start.
    unpaid : whether nonpayment ended it.
    grace : microseconds. A start up to and including `grace` after an end renews it.
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
        # One entry more, so that position -1 (no spell yet) is one that never ends.
        self._end = np.append(ends, NEVER)
        self._unpaid = np.append(last_unpaid, False)
        self._line = Timeline(codes[new], start[new])
        self.codes: Ints = codes[new]

    @property
    def every(self) -> tuple[Ints, Ints, Bools]:
        """Account, end (`NEVER`: not ended) and whether nonpayment ended it, of each spell."""
        return self.codes, self._end[:-1], self._unpaid[:-1]

    def ends(self, codes: Ints, times: Ints) -> tuple[Ints, Bools]:
        """When the spell ends that runs just before each (account, instant), and whether nonpayment ended it.

        Asked only of accounts that are active there. Of several subscriptions that end together, one unpaid is
        enough.
        """
        spell = self._line.count(codes, times, including=False) - 1
        return self._end[spell], self._unpaid[spell]
