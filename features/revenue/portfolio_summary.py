"""The summary of a portfolio at the end of its data, in one line that a user can compare with figures of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from features.revenue.arr import DUE_DAYS, facts
from features.signals.signals import OpenSignals
from features.utils.dates import to_iso
from features.utils.formatting import count_of, short_money


@dataclass(frozen=True)
class PortfolioSummary:
    """What a portfolio looks like at an instant.

    Parameters
    ----------
    as_of : the end of the data.
    contractual : whether accounts are active by subscriptions; otherwise by orders.
    accounts : the active accounts.
    arr : their ARR, currency a year; without contracts, the amount of their orders in the last 365 days. None if it is
        unknown for all of them.
    arr_unknown : the active accounts without a known ARR.
    due : the active accounts whose next renewal is less than `DUE_DAYS` away; None if no renewal date is known.
    overdue : the active accounts whose renewal date has passed.
    open_questions : what the mapping has not answered, so that these figures are uncertain.
    """

    as_of: datetime
    contractual: bool
    accounts: int
    arr: float | None
    arr_unknown: int
    due: int | None
    overdue: int
    open_questions: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The line to confirm: "412 active accounts, ARR 9.80M, 37 due next quarter"."""
        figures = ", ".join([count_of(self.accounts, "active account"), self._amount(), *self._renewals()])
        asked = count_of(len(self.open_questions), "open question")
        return f"{figures} (uncertain: {asked})" if self.open_questions else figures

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as JSON values, with the line."""
        own = vars(self) | {"open_questions": list(self.open_questions)}
        return own | {"as_of": to_iso(self.as_of), "due_days": DUE_DAYS, "line": self.line}

    def _amount(self) -> str:
        if self.arr is None:
            return "ARR unknown" if self.contractual else "orders unknown"
        unknown = f" ({count_of(self.arr_unknown, 'account')} unknown)" if self.arr_unknown else ""
        amount = short_money(self.arr)
        return (f"ARR {amount}" if self.contractual else f"{amount} ordered in the last 365 days") + unknown

    def _renewals(self) -> list[str]:
        if not self.contractual:
            return []
        if self.due is None:
            return ["renewal dates unknown"]
        return [f"{self.due:,} due next quarter", *([f"{self.overdue:,} overdue"] if self.overdue else [])]


def active_at_end(signals: OpenSignals) -> pd.DataFrame:
    """Return the accounts that are active at the end of the data, as `features.revenue.arr.facts` does.

    Rows at exactly the end of the data have been read, and count.

    Parameters
    ----------
    signals : checked signals.
    """
    return facts(signals, signals.data_through + timedelta(microseconds=1))


def portfolio_summary(
    signals: OpenSignals, active: pd.DataFrame | None = None, open_questions: tuple[str, ...] = ()
) -> PortfolioSummary:
    """Summarize the active accounts at the end of the data.

    Parameters
    ----------
    signals : checked signals.
    active : what `active_at_end` returns, if it is there already.
    open_questions : those of the source.

    Returns
    -------
    PortfolioSummary
    """
    as_of, active = signals.data_through, active_at_end(signals) if active is None else active
    arr, renewal_at = active["arr"], active["renewal_at"]
    due = None
    if renewal_at.notna().any():
        due = int(((renewal_at >= as_of) & (renewal_at < as_of + timedelta(days=DUE_DAYS))).sum())
    return PortfolioSummary(
        as_of=as_of,
        contractual=signals.contractual,
        accounts=len(active),
        arr=float(np.nansum(arr)) if arr.notna().any() or active.empty else None,
        arr_unknown=int(arr.isna().sum()),
        due=due,
        overdue=int((renewal_at < as_of).sum()),
        open_questions=open_questions,
    )
