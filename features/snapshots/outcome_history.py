"""Columns of the account's own past outcomes: lapses, expansions, contractions and the last renewal."""

from __future__ import annotations

import numpy as np

from features.definitions.aggregations import Columns
from features.definitions.windows import YEAR
from features.revenue.contract_outcomes import DAY_US, GRACE_US, NEVER, ContractOutcomes, Outcomes
from features.utils.arrays import Floats, Ints
from features.utils.timeline import Timeline


def own_outcome_columns(outcomes: ContractOutcomes, account: Ints, as_of_us: Ints) -> Columns:
    """Return the columns of `features.families.subscriptions` about past outcomes, from those certain at each cell.

    Parameters
    ----------
    outcomes : the outcomes of the portfolio.
    account, as_of_us : the account and the instant of each cell, shape (n,).

    Returns
    -------
    dict of str to array
        Float64, shape (n,); NaN if there was no such outcome.
    """
    churns, changes = _Past(outcomes.churns, account, as_of_us), _Past(outcomes.changes, account, as_of_us)
    up, down = _Past(outcomes.expansions, account, as_of_us), _Past(outcomes.contractions, account, as_of_us)
    returned = churns.last(outcomes.churns.value)
    days_since_return = (as_of_us - returned) / DAY_US
    return {
        "past_churns": churns.number(),
        "days_since_return": np.where(returned < NEVER, days_since_return, np.nan),
        "past_expansions": up.number(),
        "past_expansions_year": up.number(YEAR),
        "past_contractions": down.number(),
        "past_contractions_year": down.number(YEAR),
        "last_change_ratio": changes.last(outcomes.changes.value),
        "days_since_expansion": up.days_since(),
        "days_since_contraction": down.days_since(),
        "last_renewal_ratio": _Past(outcomes.renewals, account, as_of_us).last(outcomes.renewals.value),
    }


class _Past:
    """The outcomes of one kind that were certain at each cell."""

    def __init__(self, outcomes: Outcomes, account: Ints, as_of_us: Ints) -> None:
        self._account, self._as_of = account, as_of_us
        self._line = Timeline(outcomes.account, outcomes.at)
        self._first = self._line.first(account)
        # Certain outcomes are more than a grace old.
        self._end = self._line.count(account, as_of_us - GRACE_US, including=False)

    def number(self, days: int | None = None) -> Floats:
        """Return how many there were, in all or in the last ``days``."""
        first = self._first
        if days is not None:
            first = self._line.count(self._account, self._as_of - days * DAY_US, including=False)
        return np.asarray(np.maximum(self._end - first, 0), dtype=np.float64)

    def last(self, values: Floats) -> Floats:
        """Return the value of the last one; ``values`` in the order of the outcomes."""
        return self._of_last(values[self._line.order])

    def days_since(self) -> Floats:
        """Return the days since the last one."""
        days: Floats = (self._as_of - self._of_last(self._line.times.astype(np.float64))) / DAY_US
        return days

    def _of_last(self, values: Floats) -> Floats:
        result = np.full(len(self._end), np.nan)
        some = self._end > self._first
        result[some] = values[self._end[some] - 1]
        return result
