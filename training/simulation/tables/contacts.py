"""The tables ``accounts`` and ``relationship``, and the contact ids used in other tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.utils.arrays import Bools, Ints
from training.simulation.columns import Columns
from training.simulation.history import SimulatedHistory
from training.simulation.latent_dynamics import COMPANY_EVENTS
from training.simulation.market_segments import INDUSTRIES, REGIONS
from training.simulation.tables.event_rows import (
    Arrival,
    account_ids,
    choice_array,
    event_table,
    random_working_time,
    timestamp_array,
)

ROLES = ("champion", "executive_sponsor", "decision_maker", "admin", "user")
CHAMPION, SPONSOR, DECISION_MAKER, ADMIN, USER = range(len(ROLES))
CONTACTS_PER_ACCOUNT = 6
"""Contacts of an account at a time: one of each role, and a second user."""
EVENTS = ("joined", "left", "promoted")
JOINED, LEFT, PROMOTED = range(len(EVENTS))
_FIRST = ("Alder", "Birch", "Cedar", "Delta", "Ember", "Fjord", "Grove", "Harbor", "Indigo", "Juniper")
_SECOND = ("Analytics", "Foods", "Freight", "Health", "Labs", "Learning", "Mills", "Partners", "Retail", "Systems")


def accounts_table(history: SimulatedHistory) -> pa.Table:
    """Build the table ``accounts``, ordered by start date.

    Parameters
    ----------
    history : the simulated history.
    """
    traits = history.traits
    picks = history.rng("accounts").integers(0, len(_FIRST), (len(traits), 2))
    return pa.table(
        {
            "account_id": pa.array(account_ids(history)),
            "created_at": timestamp_array(history.first_hour * 3600),
            "name": pa.array([f"{_FIRST[a]} {_SECOND[b]} {i + 1}" for i, (a, b) in enumerate(picks)]),
            "industry": choice_array(INDUSTRIES, traits.industry),
            "region": choice_array(REGIONS, traits.region),
            "employees": pa.array(traits.employees),
            "csm": pa.array([f"csm-{number:04d}" for number in traits.csm]),
        }
    )


def contact_ids(history: SimulatedHistory, account: Ints, number: Ints) -> pa.Array:
    """Return contact ids. A contact number is its position (0 to 5) plus 10 for each predecessor.

    Parameters
    ----------
    history : the simulated history.
    account, number : account index and contact number of each row.
    """
    ids = account_ids(history)
    return pa.array([f"{ids[a]}-c{k:02d}" for a, k in zip(account, number, strict=True)])


@dataclass(frozen=True)
class _ContactRows(Columns):
    """Rows of ``relationship`` without times. ``day`` is since 1970, ``number`` is the contact number."""

    account: Ints
    day: Ints
    role: Ints
    event: Ints
    number: Ints


def relationship_table(history: SimulatedHistory) -> pa.Table:
    """Build the table ``relationship``: contacts who joined, left or were promoted.

    Parameters
    ----------
    history : the simulated history.
    """
    rng = history.rng("relationship")
    sponsor_left = history.facts("sponsor_left")
    acquired = history.facts("company") == COMPANY_EVENTS.index("acquisition")
    new_decision_maker = acquired | (sponsor_left & (rng.random(sponsor_left.shape) < 0.4))
    filled, never = np.ones_like(acquired), np.zeros_like(acquired)
    champion = history.grid(lambda state: state.champion)
    sponsor = history.grid(lambda state: state.sponsor)
    parts = [
        *_contact_rows(
            history, CHAMPION, champion, history.facts("champion_left"), history.facts("champion_joined"), rng
        ),
        *_contact_rows(history, SPONSOR, sponsor, sponsor_left, history.facts("sponsor_joined"), rng),
        *_contact_rows(history, DECISION_MAKER, filled, new_decision_maker, new_decision_maker, rng),
        *(
            row
            for position in range(ADMIN, CONTACTS_PER_ACCOUNT)
            for row in _contact_rows(history, position, filled, never, never, rng)
        ),
        _promotion_rows(history, rng),
    ]
    rows = _ContactRows(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in _ContactRows.__dataclass_fields__}
    )
    columns = {
        "contact_id": contact_ids(history, rows.account, rows.number),
        "role": choice_array(ROLES, rows.role),
        "event": choice_array(EVENTS, rows.event),
    }
    second = random_working_time(rows.account, rows.day, history, rng)
    second = np.maximum(second, history.first_hour[rows.account] * 3600)
    return event_table(history, rng, rows.account, second, columns, Arrival(nightly=0.0, late=0.15, late_days=12))


def _contact_rows(
    history: SimulatedHistory, position: int, filled: Bools, left: Bools, joined: Bools, rng: np.random.Generator
) -> list[_ContactRows]:
    """All rows of one position; the arguments of shape (weeks, accounts) mark when it is filled, vacated and refilled.

    In an older account, a position that is vacant at the start of the data was vacated earlier.
    """
    created = history.traits.created
    all_accounts = np.arange(len(created), dtype=np.int64)
    before = created < history.start
    here: Bools = filled[history.born_week, all_accounts]
    lost_on = created + (rng.random(len(created)) * (history.start - created)).astype(np.int64)
    joined = joined & _weeks_after_start(history)
    holder = np.cumsum(joined, axis=0, dtype=np.int64)
    # In a week with both, one contact leaves in the first days and the next one joins in the last days.
    out_week, out = np.nonzero(left & _weeks_after_start(history))
    in_week, into = np.nonzero(joined)
    out_day = history.start + 7 * out_week + rng.integers(0, 3, len(out))
    in_day = history.start + 7 * in_week + rng.integers(3, 7, len(into))
    return [
        _rows_of_event(position, JOINED, all_accounts[here | before], created[here | before]),
        _rows_of_event(position, LEFT, all_accounts[~here & before], lost_on[~here & before]),
        _rows_of_event(position, LEFT, out, out_day, (holder - joined)[out_week, out]),
        _rows_of_event(position, JOINED, into, in_day, holder[in_week, into]),
    ]


def _promotion_rows(history: SimulatedHistory, rng: np.random.Generator) -> _ContactRows:
    """Promotions of the champion at that time."""
    week, account = np.nonzero(history.facts("champion_promoted") & _weeks_after_start(history))
    holder = np.cumsum(history.facts("champion_joined") & _weeks_after_start(history), axis=0, dtype=np.int64)[
        week, account
    ]
    day = history.start + 7 * week + rng.integers(0, 7, len(week))
    return _rows_of_event(CHAMPION, PROMOTED, account, day, holder)


def _weeks_after_start(history: SimulatedHistory) -> Bools:
    """Mask of the weeks after the first week of the account in the data, shape (weeks, accounts)."""
    return np.asarray(np.arange(history.weeks)[:, None] > history.born_week, dtype=bool)


def _rows_of_event(position: int, event: int, account: Ints, day: Ints, holder: Ints | int = 0) -> _ContactRows:
    """Rows of one event of a position; ``holder`` is the number of predecessors."""
    n = len(account)
    number = np.full(n, position, dtype=np.int64) + 10 * np.asarray(holder)
    return _ContactRows(account, day, np.full(n, min(position, USER)), np.full(n, event), number)
