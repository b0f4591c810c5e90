"""Optional columns of ``subscriptions`` that a contract shows before it ends: notices, trials and pauses.

They are drawn from what happens, also soon after the end of the data. So the true probabilities, which know only the
hidden state, do not know them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.utils.arrays import Bools, Floats, Ints
from training.simulation.departures import departures
from training.simulation.history import NOT_LEFT, SimulatedHistory
from training.simulation.market_segments import CONTRACT_HOUR, MID_MARKET
from training.simulation.subscription_periods import OPEN
from training.simulation.tables.event_rows import choice_array, timestamp_array

NOTICE_SHARE = 0.6
"""Share of the departures from contracts of a year or more that are announced by a notice."""
WITHDRAWN_SHARE = 0.01
"""Share of the renewals of such contracts before which a notice was given and withdrawn."""
NOTICE_DAYS = (30, 90)
"""Days from a notice to the end of the contract."""
PAUSED_BEFORE_LEAVING = 0.2
"""Share of the departures from monthly contracts that begin with a pause."""
PAUSES_A_YEAR = 0.05
"""Pauses per year of monthly contracts that run on."""
PAUSE_DAYS = (21, 60)
TRIAL_SHARE = 0.4
"""Share of the accounts below mid-market that begin with a trial."""
TRIAL_DAYS = (14, 30)
STATUSES = ("active", "trial", "paused")
ACTIVE, TRIAL, PAUSED = range(len(STATUSES))
_HOUR, _NEVER = 3600, NOT_LEFT * 24

Tables = Iterable[pa.Table]


def with_notices(history: SimulatedHistory, name: str, tables: Tables) -> Tables:
    """Add the column ``notice_at`` to ``subscriptions``.

    Parameters
    ----------
    history : the simulated history.
    name : the name of the table; others do not change.
    tables : its slices.
    """
    if name != "subscriptions":
        return tables
    second = notice_seconds(history)
    return (table.append_column("notice_at", timestamp_array(np.maximum(second, 0), second < 0)) for table in tables)


def notice_seconds(history: SimulatedHistory) -> Ints:
    """Draw when notice of each row of ``subscriptions`` was given, in seconds since 1970; negative if it was not.

    Parameters
    ----------
    history : the simulated history.
    """
    rows, traits, rng = history.subscriptions, history.traits, history.rng("notices")
    n = len(traits)
    left = departures(history)
    before, hour = rng.integers(*NOTICE_DAYS, n, endpoint=True), rng.integers(8, 18, n)
    announced = (rng.random(n) < NOTICE_SHARE) & (left != NOT_LEFT) & (traits.term > 1)
    of_row = announced[rows.account] & _last_rows(history, left)
    day = np.where(of_row, left[rows.account] - before[rows.account], OPEN)
    withdrawn = (
        (rng.random(len(rows.account)) < WITHDRAWN_SHARE)
        & (rows.ended == rows.renewal)
        & (rows.ended != left[rows.account])
        & (rows.product == 0)
        & (traits.term[rows.account] > 1)
    )
    earlier = rng.integers(*NOTICE_DAYS, len(rows.account), endpoint=True)
    day = np.where(withdrawn, rows.ended - earlier, day)
    # A row that began after the notice repeats it from its beginning.
    second = np.maximum(
        day * 24 + hour[rows.account], rows.started * 24 + CONTRACT_HOUR[traits.region[rows.account]] + 1
    )
    known = (day != OPEN) & (second < history.end * 24)
    return np.where(known, second * _HOUR, -1)


def _last_rows(history: SimulatedHistory, left: Ints) -> Bools:
    """Mark the rows with which an account leaves."""
    rows = history.subscriptions
    return np.where(rows.ended == OPEN, left[rows.account] >= history.end, rows.ended == left[rows.account])


def with_statuses(history: SimulatedHistory, name: str, tables: Tables) -> Tables:
    """Add the column ``status`` to ``subscriptions``: rows are split at pauses, and trials come before the first row.

    Parameters
    ----------
    history : the simulated history.
    name : the name of the table; others do not change.
    tables : its slices.
    """
    return (_with_statuses(history, table) for table in tables) if name == "subscriptions" else tables


def _with_statuses(history: SimulatedHistory, table: pa.Table) -> pa.Table:
    rows = history.subscriptions
    hour, last = CONTRACT_HOUR[history.traits.region[rows.account]], history.end * 24
    starts = rows.started * 24 + hour
    ends = np.where(rows.ended == OPEN, _NEVER, rows.ended * 24 + hour)
    trial_days, (paused_from, paused_to) = trial_lengths(history), pauses(history)
    first = (rows.product == 0) & (rows.started == history.traits.created[rows.account])
    begins, resumes = paused_from[rows.account] * 24 + hour, paused_to[rows.account] * 24 + hour
    # What happens after the end of the data is not in them.
    begins, resumes = np.where(begins < last, begins, _NEVER), np.where(resumes < last, resumes, _NEVER)
    begins, resumes = np.clip(begins, starts, ends), np.clip(resumes, starts, ends)
    parts = (
        (TRIAL, first & (trial_days[rows.account] > 0), starts - 24 * trial_days[rows.account], starts),
        (ACTIVE, (begins > starts) | (ends == starts), starts, begins),
        (PAUSED, resumes > begins, begins, resumes),
        (ACTIVE, ends > resumes, resumes, ends),
    )
    return _united(table, parts, ends)


def _united(table: pa.Table, parts: tuple[tuple[int, Bools, Ints, Ints], ...], ends: Ints) -> pa.Table:
    """Return the parts of the rows, ordered as the rows are."""
    chosen = [np.flatnonzero(which) for _, which, _, _ in parts]
    index = np.concatenate(chosen)
    order = np.argsort(index, kind="stable")
    status = np.repeat([each for each, *_ in parts], [len(some) for some in chosen])[order]
    start = np.concatenate([first[some] for some, (_, _, first, _) in zip(chosen, parts, strict=True)])[order]
    end = np.concatenate([last[some] for some, (*_, last) in zip(chosen, parts, strict=True)])[order]
    index = index[order]
    result = table.take(pa.array(index))
    never = end >= _NEVER
    # Only the last part of a row has what its end says.
    inner = pa.array(end < ends[index])
    replaced = {
        "started_at": timestamp_array(start * _HOUR),
        "ended_at": timestamp_array(np.where(never, 0, end) * _HOUR, never),
        "end_reason": pc.if_else(inner, pa.scalar(None, pa.string()), result["end_reason"].cast(pa.string())),
    }
    if "notice_at" in result.column_names:
        given = result["notice_at"]
        outside = pc.or_(
            pc.less(given, replaced["started_at"]), pc.fill_null(pc.greater_equal(given, replaced["ended_at"]), False)
        )
        replaced["notice_at"] = pc.if_else(pc.fill_null(outside, False), pa.scalar(None, given.type), given)
    for name, values in replaced.items():
        result = result.set_column(result.column_names.index(name), name, values)
    return result.append_column("status", choice_array(STATUSES, status))


def trial_lengths(history: SimulatedHistory) -> Ints:
    """Draw the days of the trial before the first contract of each account; 0 for none. Shape (n,).

    Parameters
    ----------
    history : the simulated history.
    """
    rng, traits = history.rng("trials"), history.traits
    n = len(traits)
    tried = (rng.random(n) < TRIAL_SHARE) & (traits.segment < MID_MARKET) & (traits.created >= history.start)
    return np.where(tried, np.array(TRIAL_DAYS)[rng.integers(0, len(TRIAL_DAYS), n)], 0)


def pauses(history: SimulatedHistory) -> tuple[Ints, Ints]:
    """Draw the first day of one pause of each account, and the day after it; `NOT_LEFT` for none. Shape (n,) each.

    Parameters
    ----------
    history : the simulated history.
    """
    rng, traits, left = history.rng("pauses"), history.traits, departures(history)
    n = len(traits)
    length = rng.integers(*PAUSE_DAYS, n, endpoint=True)
    monthly: Bools = traits.term == 1
    leaves = monthly & (rng.random(n) < PAUSED_BEFORE_LEAVING) & (left != NOT_LEFT)
    lifetime = np.maximum(np.minimum(left, history.end) - np.maximum(traits.created, history.start), 1)
    chance: Floats = np.minimum(PAUSES_A_YEAR * lifetime / 365.25, 1.0)
    other = monthly & ~leaves & (rng.random(n) < chance)
    day = np.maximum(traits.created, history.start) + (rng.random(n) * lifetime).astype(np.int64)
    begins = np.where(leaves, left - length, np.where(other, day, NOT_LEFT))
    ends = np.where(leaves, left, np.where(other, day + length, NOT_LEFT))
    return begins, ends
