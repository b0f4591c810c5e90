"""Rows of ``subscriptions``: one per product and period of unchanged terms, from differences between states."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from training.simulation.account_traits import AccountTraits
from training.simulation.columns import Columns
from training.simulation.contract_events import ContractEvent, ContractWeek
from training.simulation.latent_state import LatentState

RENEWED, UPGRADED, DOWNGRADED, CANCELLED, NONPAYMENT = range(5)
REASONS = ("renewed", "upgraded", "downgraded", "cancelled", "nonpayment")
OPEN = -1
"""Day or reason of rows that have not ended."""
_REASON_OF = np.full(len(ContractEvent), RENEWED)
_REASON_OF[[ContractEvent.CANCEL, ContractEvent.LAPSE]] = CANCELLED
_REASON_OF[ContractEvent.NONPAYMENT] = NONPAYMENT
_REASON_OF[[ContractEvent.SEATS, ContractEvent.TIER]] = UPGRADED
_REASON_OF[[ContractEvent.FEWER_SEATS, ContractEvent.LOWER_TIER]] = DOWNGRADED


@dataclass(frozen=True)
class SubscriptionRows(Columns):
    """Subscription rows. ``product`` is 0 for seats, 1 and 2 for add-ons; ``ended`` and ``reason`` may be ``OPEN``."""

    account: Ints
    product: Ints
    started: Ints
    ended: Ints
    arr: Floats
    seats: Ints
    plan: Ints
    renewal: Ints
    reason: Ints


class SubscriptionLedger:
    """Tracks open rows, and records each when its terms change. An account has at most one event per week."""

    def __init__(self, traits: AccountTraits, state: LatentState) -> None:
        """Start with the active contracts in ``state``, and the earlier terms of their accounts."""
        self._traits = traits
        self._began = np.full((len(traits), 3), OPEN, dtype=np.int64)
        self._chunks: list[SubscriptionRows] = []
        for back in range(int((traits.first_terms * state.running).max(initial=0)) - 1, 0, -1):
            past = np.flatnonzero(state.running & (traits.first_terms > back))
            terms = np.maximum(traits.first_terms - back, 1)
            ended = traits.renewal_day(terms)
            self._began[past, 0] = traits.renewal_day(terms - 1)[past]
            earlier = replace(state, terms=terms, price=state.price / (1.0 + traits.uplift) ** back)
            self._write(earlier, past, 0, ended[past], np.full(len(past), RENEWED))
        self.open(state, traits.renewal_day(traits.first_terms - 1), state.running)

    def open(self, state: LatentState, day: Ints, who: Bools) -> None:
        """Open the rows of all products of some accounts.

        Parameters
        ----------
        state : current state of the accounts.
        day : start of the rows, by account.
        who : mask of the accounts.
        """
        self._began[who] = np.where(self._owned(state)[who], day[who, None], OPEN)

    def record(self, before: LatentState, after: LatentState, week: ContractWeek, kind: Ints) -> None:
        """Close and open the rows changed by the contract events of a week.

        Parameters
        ----------
        before, after : state before and after the events.
        week : days of the events.
        kind : the event of each account.
        """
        had, has = self._owned(before), self._owned(after)
        new_terms = (after.terms > before.terms) | ~after.running
        resized = (after.seats != before.seats) | (after.plan != before.plan)
        for product in range(3):
            main = product == 0
            ends = before.running & had[:, product] & (new_terms | (resized if main else ~has[:, product]))
            starts = before.running & after.running & has[:, product] & (ends | ~had[:, product])
            reason = _REASON_OF[kind]
            if not main:
                dropped = np.where(has[:, product], RENEWED, CANCELLED)
                reason = np.where(after.running, dropped, reason)
            rows = np.flatnonzero(ends)
            self._write(before, rows, product, week.day[rows], reason[rows])
            self._began[starts, product] = week.day[starts]
        self.open(after, week.day, kind == ContractEvent.RESUME)

    def close(self, state: LatentState) -> SubscriptionRows:
        """Return all rows, ordered by account, start and product. Rows that have not ended have ``OPEN`` ends.

        Parameters
        ----------
        state : state at the end of the data.
        """
        for product in range(3):
            rows = np.flatnonzero(self._began[:, product] != OPEN)
            none = np.full(len(rows), OPEN, dtype=np.int64)
            self._write(state, rows, product, none, none)
        names = SubscriptionRows.__dataclass_fields__
        table = SubscriptionRows(
            **{name: np.concatenate([getattr(chunk, name) for chunk in self._chunks]) for name in names}
        )
        return table.take(np.lexsort((table.product, table.started, table.account)))

    @staticmethod
    def _owned(state: LatentState) -> Bools:
        return np.column_stack([np.ones(len(state), dtype=bool), state.add_ons > 0])

    def _write(self, state: LatentState, rows: Ints, product: int, ended: Ints, reason: Ints) -> None:
        """Record rows that end, with their terms."""
        arr = state.seats * state.price if product == 0 else state.add_ons[:, product - 1]
        self._chunks.append(
            SubscriptionRows(
                account=rows,
                product=np.full(len(rows), product, dtype=np.int64),
                started=self._began[rows, product],
                ended=ended,
                arr=np.round(arr[rows], 2),
                seats=state.seats[rows].astype(np.int64),
                plan=state.plan[rows],
                renewal=self._traits.renewal_day(state.terms)[rows],
                reason=reason,
            )
        )
        self._began[rows, product] = OPEN
