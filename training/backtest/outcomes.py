"""What happened to accounts after a past date."""

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
    """What became of the accounts: who left and who grew, 0 or 1, and the sums by figure."""

    left: Floats
    grew: Floats
    sums: dict[str, float]


def quarter_outcomes(
    book: ContractBook, due: pd.DataFrame, start: datetime, until: Floats, before: Floats, grace_days: int
) -> QuarterOutcomes:
    """Read each account a grace after its renewal; where it then runs on a late renewal, a grace later.

    Parameters
    ----------
    due : the accounts that come due; until, before : the days to their renewals and their ARR, n rows each.
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
