"""Contracts as arrays: which were in force at an instant, and when they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.signals.signals import OpenSignals
from training.dataset.step_functions import DAY_US, NEVER, StepFunctions, to_fixed_point
from training.dataset.subscription_spells import Spells


@dataclass(frozen=True)
class ContractBook:
    """Every contract of a source, past and future: the rows, and the ARR over time and the spells of each account.

    The code of an account is its position in ``accounts``.
    """

    contracts: pd.DataFrame
    accounts: pd.Index[Any]
    arr: StepFunctions
    spells: Spells

    @classmethod
    def of(cls, signals: OpenSignals, grace_days: int) -> ContractBook:
        """Read the contracts.

        Parameters
        ----------
        signals : validated signals.
        grace_days : a gap of at most this many days does not end a spell.

        Returns
        -------
        ContractBook
        """
        columns = ("account_id", "started_at", "ended_at", "arr", "renewal_at", "end_reason")
        rows = signals.tables["subscriptions"].select(*columns).to_pyarrow().to_pandas()
        codes, accounts = pd.factorize(rows["account_id"])
        start = to_micros(rows["started_at"])
        end = np.where(rows["ended_at"].notna(), to_micros(rows["ended_at"].fillna(rows["started_at"])), NEVER)
        ran = end > start
        codes = codes.astype(np.int64)[ran]
        start, end, parts = start[ran], end[ran], to_fixed_point(rows["arr"].fillna(0.0))[ran]
        unpaid = (rows["end_reason"] == "nonpayment").to_numpy(dtype=bool)[ran]
        both = np.concatenate([codes, codes])
        arr = StepFunctions(both, np.concatenate([start, end]), np.concatenate([parts, -parts]))
        return cls(rows, pd.Index(accounts), arr, Spells(codes, start, end, unpaid, grace_days * DAY_US))


def to_micros(times: pd.Series[pd.Timestamp]) -> npt.NDArray[np.int64]:
    """Convert instants to microseconds since 1970 (UTC)."""
    return np.asarray(pd.to_datetime(times, utc=True).dt.as_unit("us").astype("int64"), dtype=np.int64)
