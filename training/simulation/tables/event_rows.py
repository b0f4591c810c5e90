"""From what happened to the rows of a table: instants, late arrival, re-sent batches, order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from training.simulation.calendar import SECONDS_A_DAY, Bools, Floats, Ints
from training.simulation.history import SimulatedHistory

INSTANT = pa.timestamp("us", tz="UTC")
WORK_BEGINS = np.array([7, 14, 0])
"""Hour in UTC at which the working day begins, by region."""
WORK_HOURS = 10
RESENT_SHARE = 0.002
"""Share of an account's weeks that are sent a second time."""


@dataclass(frozen=True)
class Arrival:
    """How a feed arrives: shares of its rows, and the lag of those that are late.

    ``nightly`` rows are loaded within hours and say so; ``late`` ones after 1 to ``late_days`` days; the rest have no
    ``loaded_at``, which means "as it happened".
    """

    nightly: float = 0.2
    late: float = 0.03
    late_days: int = 9


def account_ids(history: SimulatedHistory) -> tuple[str, ...]:
    """The ids of all accounts, in order."""
    return tuple(f"A{i + 1:05d}" for i in range(len(history.world)))


def random_working_time(account: Ints, day: Ints, history: SimulatedHistory, rng: np.random.Generator) -> Ints:
    """Seconds since 1970 at some time of the working day, of the region of each row's account."""
    part = 0.5 * (rng.random(len(day)) + rng.random(len(day)))
    begins = WORK_BEGINS[history.world.region[account]]
    return np.asarray(day * SECONDS_A_DAY + ((begins + WORK_HOURS * part) * 3600).astype(np.int64), dtype=np.int64)


def timestamp_array(seconds: Ints, missing: Bools | None = None) -> pa.Array:
    """Seconds since 1970 as instants in UTC; null where ``missing``."""
    return pa.array(seconds * 1_000_000, type=pa.int64(), mask=missing).cast(INSTANT)


def choice_array(choices: tuple[str, ...], index: Ints, missing: Bools | None = None) -> pa.Array:
    """Strings by index into a list of choices; null where ``missing``."""
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32), mask=missing), pa.array(choices))


def float_array(values: Floats) -> pa.Array:
    """Floats, NaN as null."""
    return pa.array(values, type=pa.float64(), from_pandas=True)


def within_customer_lifetime(account: Ints, second: Ints, history: SimulatedHistory) -> Bools:
    """Rows that fall between the account's first and last instant as a customer, and before the end of the data."""
    return np.asarray(
        (second >= history.first_hour[account] * 3600)
        & (second < history.last_hour[account] * 3600)
        & (second < history.end * SECONDS_A_DAY),
        dtype=bool,
    )


def event_table(
    history: SimulatedHistory,
    rng: np.random.Generator,
    account: Ints,
    second: Ints,
    columns: dict[str, pa.Array],
    arrival: Arrival = Arrival(),
) -> pa.Table:
    """A table of events in the order of their instants, with ``account_id``, ``occurred_at`` and ``loaded_at`` added.

    ``account`` (indices), ``second`` (since 1970) and the ``columns`` are equally long, an entry a row. Rows outside
    the account's time as a customer go, and so do those not yet loaded at the end of the data. All rows of an account
    and week arrive together, and a few such batches are sent twice.
    """
    batch = (second // (7 * SECONDS_A_DAY)) * len(history.world) + account
    lag, late, resent = _arrival_by_batch(batch, arrival, rng)
    loaded = second + lag
    keep = within_customer_lifetime(account, second, history) & (loaded < history.end * SECONDS_A_DAY)
    order = np.flatnonzero(keep)
    order = order[np.argsort(second[order], kind="stable")]
    order = np.repeat(order, 1 + resent[order])
    table = {
        "account_id": choice_array(account_ids(history), account[order]),
        "occurred_at": timestamp_array(second[order]),
    }
    rows = pa.array(order)
    table |= {name: values.take(rows) for name, values in columns.items()}
    table["loaded_at"] = timestamp_array(loaded[order], ~late[order])
    return pa.table(table)


def _arrival_by_batch(batch: Ints, arrival: Arrival, rng: np.random.Generator) -> tuple[Ints, Bools, Bools]:
    """Of each row by its batch: the lag in seconds, whether ``loaded_at`` is given, and whether it is sent twice."""
    names, which = np.unique(batch, return_inverse=True)
    fate, length, again = rng.random((3, len(names)))
    nightly = fate < arrival.nightly
    late = (fate >= arrival.nightly) & (fate < arrival.nightly + arrival.late)
    lag = np.where(nightly, 1 + length * 0.9 * SECONDS_A_DAY, 0.0)
    lag = np.where(late, (1 + length * (arrival.late_days - 1)) * SECONDS_A_DAY, lag).astype(np.int64)
    return lag[which], (nightly | late)[which], (again < RESENT_SHARE)[which]
