"""Outcomes of renewals after a past date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from features.utils.arrays import Floats
from models.renewals.historical_rates import GROWN
from training.backtest.contracts import ContractBook, to_micros
from training.dataset.step_functions import DAY_US, from_fixed_point


@dataclass(frozen=True)
class QuarterOutcomes:
    """Outcomes of accounts: which ones left and grew (0 or 1), and the totals by figure."""

    left: Floats
    grew: Floats
    sums: dict[str, float]


def quarter_outcomes(
    book: ContractBook, due: pd.DataFrame, start: datetime, until: Floats, before: Floats, grace_days: int
) -> QuarterOutcomes:
    """Return the outcome of each account one grace period after its renewal; for late renewals, two grace periods.

    Parameters
    ----------
    book : the contracts.
    due : the accounts due for renewal, n rows.
    start : the date of the forecast.
    until, before : the days until each renewal, and the ARR before it, n rows each.
    grace_days : the grace period.
    """
    codes = book.accounts.get_indexer(pd.Index(due["account_id"])).astype(np.int64)
    begin = np.full(len(codes), to_micros(pd.Series([start]))[0])
    settled = begin + np.rint((until + grace_days) * DAY_US).astype(np.int64)
    ends, _ = book.spells.ends(codes, begin)
    left = (ends < settled).astype(np.float64)
    after = from_fixed_point(book.arr.before(codes, settled))
    after = np.where(after > 0, after, from_fixed_point(book.arr.before(codes, settled + grace_days * DAY_US)))
    after = np.where(left == 1, 0.0, np.where(after > 0, after, before))
    stays, change = left == 0, after - before
    total, lost = float(before.sum()), float(before[left == 1].sum())
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
    return QuarterOutcomes(left, (stays & (after >= GROWN * before * (1 - 1e-9))).astype(np.float64), sums)
