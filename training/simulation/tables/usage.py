"""The table ``usage``: activities of users in the product, some rows per active user and week.

The number of users depends on adoption and seats. The number of features and the time spent depend on the latent state.
All vary by random noise that is unrelated to churn.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from features.utils.arrays import Floats, Ints
from training.simulation.calendar import month_and_day
from training.simulation.history import SimulatedHistory
from training.simulation.random_streams import mean_reverting_step
from training.simulation.tables.event_rows import (
    Arrival,
    account_ids,
    choice_array,
    event_table,
    float_array,
    random_working_time,
)

FEATURES = (
    "dashboard",
    "reports",
    "search",
    "projects",
    "comments",
    "exports",
    "alerts",
    "integrations",
    "automation",
    "api",
    "forecasts",
    "admin",
)
"""From features that all accounts use to features that few accounts use."""
ROWS_PER_USER = 1.8
"""Rows per active user in a normal week."""
QUANTITY_PER_ROW = 8.0
ARRIVAL = Arrival(nightly=0.15, late=0.03, late_days=8)
_WEEKDAY_SHARES = np.array([0.19, 0.2, 0.2, 0.19, 0.15, 0.04, 0.03])
"""Share of the weekly work by weekday, from Monday."""
_ROWS_PER_SLICE = 1_000_000


def usage_table(history: SimulatedHistory) -> Iterator[pa.Table]:
    """Yield the table in slice_of_week of whole weeks of about a million rows, each ordered by time.

    Parameters
    ----------
    history : the simulated history.
    """
    rng = history.rng("usage")
    weeks = np.arange(history.weeks)
    days = history.start + 7 * weeks[:, None] + np.arange(7)
    share_of_day = _WEEKDAY_SHARES[(days + 3) % 7] * _holiday_factor(days)
    users, breadth, depth = _usage_levels(history, rng)
    expected_rows = users * ROWS_PER_USER * np.exp(0.25 * depth) * share_of_day.sum(axis=1)[:, None]
    rows = rng.poisson(expected_rows * rng.gamma(20, 1 / 20, expected_rows.shape))
    # User numbers only increase: the users with the lowest numbers become inactive, and new users get higher numbers.
    inactive_users = np.cumsum(0.003 * users + 0.002, axis=0).astype(np.int64)
    size = np.ceil(users).astype(np.int64)
    names = _UserIds(history, (size + inactive_users).max(axis=0))
    slice_of_week = np.cumsum(rows.sum(axis=1)) // _ROWS_PER_SLICE
    for slice_number in np.unique(slice_of_week):
        week, account = (axis.astype(np.int64) for axis in np.nonzero(rows * (slice_of_week == slice_number)[:, None]))
        times = rows[week, account]
        week, account = np.repeat(week, times), np.repeat(account, times)
        n = len(week)
        day = days[week, _draw_weekday(share_of_day, week, rng)]
        user = inactive_users[week, account] + (size[week, account] * rng.random(n) ** 1.2).astype(np.int64)
        feature = (breadth[week, account] * rng.random(n) ** 1.7).astype(np.int64)
        amount = QUANTITY_PER_ROW * np.exp(0.6 * rng.standard_normal(n) + 0.5 * depth[week, account])
        minutes = 11 * np.exp(0.5 * rng.standard_normal(n) + 0.3 * depth[week, account])
        columns = {
            "user_id": names.of(account, user),
            "feature": choice_array(FEATURES, feature),
            "quantity": float_array(np.maximum(1.0, np.round(amount))),
            "minutes": float_array(np.round(minutes, 1)),
        }
        yield event_table(history, rng, account, random_working_time(account, day, history, rng), columns, ARRIVAL)


class _UserIds:
    """Ids of all users of all accounts, by account and user number."""

    def __init__(self, history: SimulatedHistory, users: Ints) -> None:
        counts = users + 1
        self._first = np.cumsum(counts) - counts
        self._names = pa.array(
            [f"{name}-u{k:04d}" for name, count in zip(account_ids(history), counts, strict=True) for k in range(count)]
        )

    def of(self, account: Ints, user: Ints) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array((self._first[account] + user).astype(np.int32)), self._names)


def _usage_levels(history: SimulatedHistory, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Active users, features in use (rounded down), and log of depth, each of shape (weeks, accounts)."""
    traits = history.traits
    n = len(traits)
    user_noise, breadth_noise, depth_noise = (np.zeros(n) for _ in range(3))
    users, breadth, depth = [], [], []
    for week, state in enumerate(history.during):
        day = history.start + 7 * week
        user_noise = mean_reverting_step(user_noise, 0.0, 6, 0.2, rng)
        breadth_noise = mean_reverting_step(breadth_noise, 0.0, 8, 0.4, rng)
        depth_noise = mean_reverting_step(depth_noise, 0.0, 6, 0.2, rng)
        users.append(state.active_users(traits, day + 7, user_noise + 0.4 * state.appetite))
        breadth.append(np.clip(np.floor(state.breadth(traits) + breadth_noise), 1, len(FEATURES)))
        depth.append(traits.usual_depth + 0.35 * state.adoption + 0.1 * state.value + depth_noise)
    return np.stack(users), np.stack(breadth), np.stack(depth)


def _draw_weekday(share_of_day: Floats, week: Ints, rng: np.random.Generator) -> Ints:
    """Draw a weekday (0 to 6) for each row."""
    below = np.cumsum(share_of_day, axis=1)
    below = (below / below[:, -1:])[:, :-1]
    uniform = rng.random(len(week))
    return np.asarray(sum(uniform >= below[week, day] for day in range(6)), dtype=np.int64)


def _holiday_factor(days: Ints) -> Floats:
    """Share of normal activity: little between Christmas and New Year, less in August."""
    month, dom = month_and_day(days)
    month = month % 12 + 1
    christmas = ((month == 12) & (dom >= 24)) | ((month == 1) & (dom == 1))
    return np.asarray(np.where(christmas, 0.25, np.where((month == 8) & (dom <= 21), 0.8, 1.0)), dtype=np.float64)
