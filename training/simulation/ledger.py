"""The rows of ``subscriptions``: one per product and period of unchanged terms, found by comparing states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulation.columns import Columns
from training.simulation.contracts import Event, Week
from training.simulation.days import Bools, Ints
from training.simulation.state import State
from training.simulation.world import World

RENEWED, UPGRADED, DOWNGRADED, CANCELLED, NONPAYMENT = range(5)
REASONS = ("renewed", "upgraded", "downgraded", "cancelled", "nonpayment")
OPEN = -1
"""Stands for a day or a reason that has not come."""
_REASON_OF = np.full(len(Event), RENEWED)
_REASON_OF[[Event.CANCEL, Event.LAPSE]] = CANCELLED
_REASON_OF[Event.NONPAYMENT] = NONPAYMENT
_REASON_OF[[Event.SEATS, Event.TIER]] = UPGRADED
_REASON_OF[[Event.FEWER_SEATS, Event.LOWER_TIER]] = DOWNGRADED


@dataclass(frozen=True)
class Rows(Columns):
    """Rows of the ledger. ``product`` 0 is the seats, 1 and 2 the add-ons; ``ended`` and ``reason`` may be ``OPEN``."""

    account: Ints
    product: Ints
    started: Ints
    ended: Ints
    arr: np.ndarray
    seats: Ints
    plan: Ints
    renewal: Ints
    reason: Ints


class Ledger:
    """Keeps the running rows and writes each down when its terms change. An account has one event a week at most."""

    def __init__(self, world: World, state: State) -> None:
        """Begins with the contracts that run in ``state``, and the earlier terms of their accounts."""
        self._world = world
        self._began = np.full((len(world), 3), OPEN, dtype=np.int64)
        self._chunks: list[Rows] = []
        for back in range(int((world.first_terms * state.running).max(initial=0)) - 1, 0, -1):
            terms = world.first_terms - back
            past = np.flatnonzero(state.running & (terms >= 1))
            self._began[past, 0] = world.renewal_day(terms - 1)[past]
            price = state.price / (1.0 + world.uplift) ** back
            self._write(state, past, 0, world.renewal_day(terms)[past], np.full(len(past), RENEWED), terms[past], price)
        self.open(state, np.where(state.running, world.renewal_day(world.first_terms - 1), OPEN), state.running)

    def open(self, state: State, day: Ints, who: Bools) -> None:
        """Start the rows of all products of the chosen accounts, on their days."""
        self._began[who] = np.where(self._owned(state)[who], day[who, None], OPEN)

    def record(self, before: State, after: State, week: Week, kind: Ints) -> None:
        """Close and open the rows that a week's contract events changed."""
        signed = after.terms > before.terms
        stopped = before.running & ~after.running
        changed = before.running & (signed | stopped | (after.seats != before.seats) | (after.plan != before.plan))
        for product in range(3):
            bought = self._owned(after)[:, product] & ~self._owned(before)[:, product]
            dropped = self._owned(before)[:, product] & ~self._owned(after)[:, product]
            ends = (
                changed
                if product == 0
                else before.running & self._owned(before)[:, product] & (signed | stopped | dropped)
            )
            rows = np.flatnonzero(ends)
            reason = _REASON_OF[kind]
            if product > 0:
                reason = np.where(stopped, reason, np.where(dropped, CANCELLED, RENEWED))
            self._write(before, rows, product, week.day[rows], reason[rows], before.terms[rows], before.price)
            starts = (after.running & ends & ~dropped) | (after.running & before.running & bought)
            self._began[starts, product] = week.day[starts]
        back = kind == Event.TAKE_UP
        self.open(after, week.day, back)

    def close(self, state: State) -> Rows:
        """All rows, those still running with ``OPEN`` ends, ordered by account, start and product."""
        for product in range(3):
            rows = np.flatnonzero(self._began[:, product] != OPEN)
            none = np.full(len(rows), OPEN, dtype=np.int64)
            self._write(state, rows, product, none, none, state.terms[rows], state.price)
        names = Rows.__dataclass_fields__
        table = Rows(**{name: np.concatenate([getattr(chunk, name) for chunk in self._chunks]) for name in names})
        return table.take(np.lexsort((table.product, table.started, table.account)))

    @staticmethod
    def _owned(state: State) -> Bools:
        return np.column_stack([np.ones(len(state), dtype=bool), state.add_ons > 0])

    def _write(
        self, state: State, rows: Ints, product: int, ended: Ints, reason: Ints, terms: Ints, price: np.ndarray
    ) -> None:
        """Write down rows that end, with the terms that held until then."""
        main = product == 0
        arr = (state.seats * price)[rows] if main else state.add_ons[rows, product - 1]
        self._chunks.append(
            Rows(
                account=rows,
                product=np.full(len(rows), product, dtype=np.int64),
                started=self._began[rows, product],
                ended=ended,
                arr=np.round(arr, 2),
                seats=state.seats[rows].astype(np.int64),
                plan=state.plan[rows],
                renewal=self._world.renewal_day(_at(terms, rows, len(state)))[rows],
                reason=reason,
            )
        )
        self._began[rows, product] = OPEN


def _at(values: Ints, rows: Ints, size: int) -> Ints:
    """Values of some rows, spread out over all rows."""
    spread = np.ones(size, dtype=np.int64)
    spread[rows] = values
    return spread
