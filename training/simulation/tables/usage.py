"""The table ``usage``: who did what in the product, some rows per active user and week.

The number of users follows adoption and seats, the breadth of features and the time spent follow the moods, and all
of it wobbles by habits that mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from training.simulation.calendar import Floats, Ints, month_and_day
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
"""From what everyone uses to what only broad users do."""
ROWS_PER_USER = 1.8
"""Rows of an active user in an ordinary week."""
QUANTITY_PER_ROW = 8.0
ARRIVAL = Arrival(nightly=0.15, late=0.03, late_days=8)
_WEEKDAY_SHARES = np.array([0.19, 0.2, 0.2, 0.19, 0.15, 0.04, 0.03])
"""Share of a week's work by weekday, from Monday."""
_ROWS_PER_SLICE = 1_000_000


def usage_table(history: SimulatedHistory) -> Iterator[pa.Table]:
    """The table in slices of whole weeks, each in the order of its instants (a slice is about a million rows)."""
    rng = history.rng("usage")
    weeks = np.arange(history.weeks)
    days = history.start + 7 * weeks[:, None] + np.arange(7)
    share_of_day = _WEEKDAY_SHARES[(days + 3) % 7] * _holiday_factor(days)
    users, breadth, depth = _usage_levels(history, rng)
    pace = users * ROWS_PER_USER * np.exp(0.25 * depth) * share_of_day.sum(axis=1)[:, None]
    rows = rng.poisson(pace * rng.gamma(20, 1 / 20, pace.shape))
    # A user's number never goes down, so people leave the pool of the active from below and new ones join on top.
    turned = np.cumsum(0.003 * users + 0.002, axis=0).astype(np.int64)
    size = np.ceil(users).astype(np.int64)
    names = _UserIds(history, (size + turned).max(axis=0))
    slices = np.cumsum(rows.sum(axis=1)) // _ROWS_PER_SLICE
    for piece in np.unique(slices):
        week, account = (axis.astype(np.int64) for axis in np.nonzero(rows * (slices == piece)[:, None]))
        times = rows[week, account]
        week, account = np.repeat(week, times), np.repeat(account, times)
        n = len(week)
        day = days[week, _draw_weekday(share_of_day, week, rng)]
        user = turned[week, account] + (size[week, account] * rng.random(n) ** 1.2).astype(np.int64)
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
    """The ids of all users of all accounts, looked up by account and number."""

    def __init__(self, history: SimulatedHistory, users: Ints) -> None:
        counts = users + 1
        self._first = np.cumsum(counts) - counts
        self._names = pa.array(
            [f"{name}-u{k:04d}" for name, count in zip(account_ids(history), counts, strict=True) for k in range(count)]
        )

    def of(self, account: Ints, user: Ints) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array((self._first[account] + user).astype(np.int32)), self._names)


def _usage_levels(history: SimulatedHistory, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Active users, features in use (rounded down), and the log of depth: each of shape (weeks, accounts)."""
    world = history.world
    n = len(world)
    wobble, leaning, ease = (np.zeros(n) for _ in range(3))
    users, breadth, depth = [], [], []
    for week, state in enumerate(history.during):
        day = history.start + 7 * week
        wobble = mean_reverting_step(wobble, 0.0, 6, 0.2, rng)
        leaning = mean_reverting_step(leaning, 0.0, 8, 0.4, rng)
        ease = mean_reverting_step(ease, 0.0, 6, 0.2, rng)
        users.append(state.active_users(world, day + 7, wobble + 0.4 * state.appetite))
        breadth.append(np.clip(np.floor(state.breadth(world) + leaning), 1, len(FEATURES)))
        depth.append(world.usual_depth + 0.35 * state.adoption + 0.1 * state.value + ease)
    return np.stack(users), np.stack(breadth), np.stack(depth)


def _draw_weekday(share_of_day: Floats, week: Ints, rng: np.random.Generator) -> Ints:
    """A day of its week (0 to 6) for each row."""
    below = np.cumsum(share_of_day, axis=1)
    below = (below / below[:, -1:])[:, :-1]
    coin = rng.random(len(week))
    return np.asarray(sum(coin >= below[week, day] for day in range(6)), dtype=np.int64)


def _holiday_factor(days: Ints) -> Floats:
    """What is left of work: hardly any between Christmas and New Year, less in August."""
    month, dom = month_and_day(days)
    month = month % 12 + 1
    christmas = ((month == 12) & (dom >= 24)) | ((month == 1) & (dom == 1))
    return np.asarray(np.where(christmas, 0.25, np.where((month == 8) & (dom <= 21), 0.8, 1.0)), dtype=np.float64)
