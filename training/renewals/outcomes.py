"""Outcomes of renewals after a past date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from features.utils.arrays import Bools, Floats, Ints
from models.renewals.historical_rates import GROWN, SHRUNK
from training.dataset.step_functions import DAY_US, from_fixed_point
from training.renewals.contracts import ContractBook, to_micros


@dataclass(frozen=True)
class RenewalOutcomes:
    """Outcomes of n renewals, (n,) each.

    Parameters
    ----------
    before, after : ARR before and after the renewal; 0 after a loss.
    left : whether the account left.
    """

    before: Floats
    after: Floats
    left: Bools

    @property
    def grew(self) -> Bools:
        """Whether the account stayed and its ARR grew by at least 5%."""
        return ~self.left & (self.after >= GROWN * self.before * (1 - 1e-9))

    @property
    def shrank(self) -> Bools:
        """Whether the account stayed and its ARR shrank by at least 5%."""
        return ~self.left & ~self.grew & (self.after <= SHRUNK * self.before * (1 + 1e-9))


def renewal_outcomes(
    book: ContractBook, codes: Ints, begin: Ints, until: Floats, before: Floats, grace_days: int
) -> RenewalOutcomes:
    """Return the outcome of each renewal one grace period after its date; for late renewals, two grace periods.

    Parameters
    ----------
    book : the contracts.
    codes : the number of each account in the book, shape (n,).
    begin : the instant of each forecast in microseconds since 1970, shape (n,).
    until, before : the days until each renewal, and the ARR before it, shape (n,).
    grace_days : the grace period.
    """
    settled = begin + np.rint((until + grace_days) * DAY_US).astype(np.int64)
    ends, _ = book.spells.ends(codes, begin)
    left = ends < settled
    after = from_fixed_point(book.arr.before(codes, settled))
    after = np.where(after > 0, after, from_fixed_point(book.arr.before(codes, settled + grace_days * DAY_US)))
    return RenewalOutcomes(before, np.where(left, 0.0, np.where(after > 0, after, before)), left)


@dataclass(frozen=True)
class QuarterOutcomes:
    """Outcomes of accounts: which ones left and grew (0 or 1), and the totals by figure."""

    left: Floats
    grew: Floats
    sums: dict[str, float]


def quarter_outcomes(
    book: ContractBook, due: pd.DataFrame, start: datetime, until: Floats, before: Floats, grace_days: int
) -> QuarterOutcomes:
    """Return the outcomes of the accounts due in a quarter, and their totals.

    Parameters
    ----------
    book : the contracts.
    due : the accounts due for renewal, n rows.
    start : the date of the forecast.
    until, before, grace_days : as for `renewal_outcomes`.
    """
    codes = book.accounts.get_indexer(pd.Index(due["account_id"])).astype(np.int64)
    begin = np.full(len(codes), to_micros(pd.Series([start]))[0])
    renewed = renewal_outcomes(book, codes, begin, until, before, grace_days)
    stays, change = ~renewed.left, renewed.after - before
    total, lost = float(before.sum()), float(before[renewed.left].sum())
    contracted = float(np.maximum(-change[stays], 0.0).sum())
    expanded = float(np.maximum(change[stays], 0.0).sum())
    sums = {
        "renewed_accounts": float(stays.sum()),
        "renewed_arr": total - lost,
        "lost_arr": lost,
        "contracted_arr": contracted,
        "expanded_arr": expanded,
        "grr": (total - lost - contracted) / total if total else 1.0,
        "nrr": (total - lost - contracted + expanded) / total if total else 1.0,
    }
    return QuarterOutcomes(renewed.left.astype(np.float64), renewed.grew.astype(np.float64), sums)
