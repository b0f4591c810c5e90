"""States of accounts with the same past and another future, as `training.leakage.future_perturbation` has for rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.sources.account_states import KEYS, AccountStates

AHEAD_DAYS = (0, 1, 30)
"""Days after the date at which states are added; the date itself is already too late."""


def perturb_future_states(states: AccountStates, as_of: datetime, seed: int = 0) -> AccountStates:
    """Return the states with another future: those before ``as_of`` are unchanged.

    Half of the later ones are removed, and the others get the values of other accounts. For every account, states with
    such values are added at ``as_of`` and after it.

    Parameters
    ----------
    states : the states.
    as_of : the date.
    seed : the same seed gives the same states.

    Returns
    -------
    AccountStates
    """
    rows, rng = states.rows, np.random.default_rng([seed, int(as_of.timestamp())])
    later = _are_later(rows, as_of)
    future = rows.filter(later)
    some = [future.filter(pa.array(rng.random(len(future)) < 0.5))]
    accounts = pc.unique(rows[KEYS[0]])
    at = rows.schema.field(KEYS[1]).type
    for days in AHEAD_DAYS if len(rows) else ():
        added = rows.take(pc.index_in(accounts, rows[KEYS[0]].combine_chunks()))
        instant = as_of.astimezone(UTC).replace(tzinfo=None) + timedelta(days=days)
        some.append(_with(added, KEYS[1], pa.array([instant] * len(added), pa.timestamp("us")).cast(at)))
    altered = pa.concat_tables(some)
    for name in states.features:
        altered = _with(altered, name, rows[name].take(pa.array(rng.integers(0, max(len(rows), 1), len(altered)))))
    return AccountStates(pa.concat_tables([rows.filter(pc.invert(later)), altered]), states.sole)


def drop_future_states(states: AccountStates, as_of: datetime) -> AccountStates:
    """Remove the states at or after ``as_of``.

    Parameters
    ----------
    states : the states.
    as_of : the date.

    Returns
    -------
    AccountStates
    """
    return AccountStates(states.rows.filter(pc.invert(_are_later(states.rows, as_of))), states.sole)


def repeat_states(states: AccountStates, seed: int = 0) -> AccountStates:
    """Shuffle the states, and repeat a third of them.

    Parameters
    ----------
    states : the states.
    seed : the seed.

    Returns
    -------
    AccountStates
    """
    rng, n = np.random.default_rng(seed), len(states.rows)
    chosen = np.concatenate([np.arange(n), rng.permutation(n)[: -(-n // 3)]])
    return AccountStates(states.rows.take(pa.array(rng.permutation(chosen))), states.sole)


def _are_later(rows: pa.Table, as_of: datetime) -> pa.ChunkedArray:
    instants = rows[KEYS[1]].cast(pa.timestamp("us"))
    return pc.greater_equal(instants, pa.scalar(as_of.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us")))


def _with(rows: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)
