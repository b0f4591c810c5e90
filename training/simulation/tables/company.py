"""The tables ``company`` (news of the account's company) and ``interventions`` (plays by customer success)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from training.simulation.calendar import SECONDS_A_DAY
from training.simulation.history import SimulatedHistory
from training.simulation.latent_dynamics import COMPANY_EVENTS, PLAYS
from training.simulation.tables.event_rows import (
    Arrival,
    account_ids,
    choice_array,
    event_table,
    random_working_time,
    timestamp_array,
    within_customer_lifetime,
)

REPORTED_SHARE = 0.85
"""Share of company news that is recorded."""
SEVERITIES = ("low", "medium", "high")
RESULTS = ("saved", "lost")
PLAY_DAYS = 56
"""Days until an intervention is closed, unless the account leaves earlier."""


def company_table(history: SimulatedHistory) -> pa.Table:
    """Build the table ``company``. News is often recorded days later.

    Parameters
    ----------
    history : the simulated history.
    """
    rng = history.rng("company")
    kinds = history.facts("company")
    week, account = np.nonzero((kinds < len(COMPANY_EVENTS)) & (rng.random(kinds.shape) < REPORTED_SHARE))
    day = history.start + 7 * week + rng.integers(0, 7, len(week))
    columns = {"kind": choice_array(COMPANY_EVENTS, kinds[week, account])}
    second = random_working_time(account, day, history, rng)
    return event_table(history, rng, account, second, columns, Arrival(nightly=0.0, late=0.3, late_days=14))


def interventions_table(history: SimulatedHistory) -> pa.Table:
    """Build the table ``interventions``. Some plays are held out at random, and have no result.

    Parameters
    ----------
    history : the simulated history.
    """
    rng = history.rng("interventions")
    week, account = np.nonzero(history.facts("play") >= 0)
    opened = random_working_time(account, history.start + 7 * week + rng.integers(0, 7, len(week)), history, rng)
    in_lifetime = within_customer_lifetime(account, opened, history)
    week, account, opened = week[in_lifetime], account[in_lifetime], opened[in_lifetime]
    order = np.argsort(opened, kind="stable")
    week, account, opened = week[order], account[order], opened[order]
    held_out = history.facts("held_out")[week, account]
    left = history.last_hour[account] * 3600
    closed = np.minimum(opened + PLAY_DAYS * SECONDS_A_DAY, left)
    still_open = held_out | (closed >= history.end * SECONDS_A_DAY)
    return pa.table(
        {
            "account_id": choice_array(account_ids(history), account),
            "occurred_at": timestamp_array(opened),
            "play": choice_array(PLAYS, history.facts("play")[week, account]),
            "severity": choice_array(SEVERITIES, history.facts("play_severity")[week, account]),
            "held_out": pa.array(held_out),
            "closed_at": timestamp_array(closed, still_open),
            "result": choice_array(RESULTS, (closed == left).astype(np.int64), still_open),
        }
    )
