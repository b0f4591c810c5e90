"""Rows of event tables: timestamps, late arrival, batches sent twice, and order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.utils.arrays import Bools, Floats, Ints
from training.simulation.calendar import SECONDS_A_DAY
from training.simulation.history import SimulatedHistory

INSTANT = pa.timestamp("us", tz="UTC")
WORK_BEGINS = np.array([7, 14, 0])
"""Start of the working day by region, as hour in UTC."""
WORK_HOURS = 10
RESENT_SHARE = 0.002
"""Share of the weekly batches of an account that are sent twice."""


@dataclass(frozen=True)
class Arrival:
    """Arrival of the rows of a feed.

    Parameters
    ----------
    nightly : share of rows loaded within hours, with ``loaded_at``.
    late : share of rows loaded after 1 to ``late_days`` days. All other rows have no ``loaded_at``, that is, they
        arrive immediately.
    late_days : maximum delay of late rows.
    """

    nightly: float = 0.2
    late: float = 0.03
    late_days: int = 9


def account_ids(history: SimulatedHistory) -> tuple[str, ...]:
    """Return the ids of all accounts, in order."""
    return tuple(f"A{i + 1:05d}" for i in range(len(history.traits)))


def random_working_time(account: Ints, day: Ints, history: SimulatedHistory, rng: np.random.Generator) -> Ints:
    """Draw a time in the working day of the region of each account, in seconds since 1970.

    Parameters
    ----------
    account, day : of each row.
    history : the simulated history.
    rng : random numbers.
    """
    part = 0.5 * (rng.random(len(day)) + rng.random(len(day)))
    begins = WORK_BEGINS[history.traits.region[account]]
    return np.asarray(day * SECONDS_A_DAY + ((begins + WORK_HOURS * part) * 3600).astype(np.int64), dtype=np.int64)


def timestamp_array(seconds: Ints, missing: Bools | None = None) -> pa.Array:
    """Convert seconds to timestamps in UTC.

    Parameters
    ----------
    seconds : seconds since 1970, shape (n,).
    missing : where the value is null.

    Returns
    -------
    pyarrow.Array
    """
    return pa.array(seconds * 1_000_000, type=pa.int64(), mask=missing).cast(INSTANT)


def choice_array(choices: tuple[str, ...], index: Ints, missing: Bools | None = None) -> pa.Array:
    """Build strings from a list of choices.

    Parameters
    ----------
    choices : the strings.
    index : the choice of each row, shape (n,).
    missing : where the value is null.

    Returns
    -------
    pyarrow.Array
    """
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32), mask=missing), pa.array(choices))


def float_array(values: Floats) -> pa.Array:
    """Convert floats to Arrow, with NaN as null."""
    return pa.array(values, type=pa.float64(), from_pandas=True)


def within_customer_lifetime(account: Ints, second: Ints, history: SimulatedHistory) -> Bools:
    """Mark rows in the time in which the account is a customer, and before the end of the data.

    Parameters
    ----------
    account, second : of each row; seconds since 1970.
    history : the simulated history.
    """
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
    """Build a table of events ordered by time, with ``account_id``, ``occurred_at`` and ``loaded_at``.

    Rows outside the time as a customer are dropped, and so are rows not yet loaded at the end of the data. All rows of
    an account and week arrive together, and a few of these batches are sent twice.

    Parameters
    ----------
    history : the simulated history.
    rng : random numbers.
    account, second : account index and seconds since 1970 of each row.
    columns : other columns.
    arrival : how the rows arrive.
    """
    batch = (second // (7 * SECONDS_A_DAY)) * len(history.traits) + account
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
    """Draw for each batch and return by row: lag in seconds, mask of ``loaded_at``, mask of batches sent twice."""
    names, which = np.unique(batch, return_inverse=True)
    arrival_draw, lag_draw, resend_draw = rng.random((3, len(names)))
    nightly = arrival_draw < arrival.nightly
    late = (arrival_draw >= arrival.nightly) & (arrival_draw < arrival.nightly + arrival.late)
    lag = np.where(nightly, 1 + lag_draw * 0.9 * SECONDS_A_DAY, 0.0)
    lag = np.where(late, (1 + lag_draw * (arrival.late_days - 1)) * SECONDS_A_DAY, lag).astype(np.int64)
    return lag[which], (nightly | late)[which], (resend_draw < RESENT_SHARE)[which]
