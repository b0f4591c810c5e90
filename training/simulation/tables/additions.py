"""Optional parts of a simulated portfolio: products, parents, judgments of CSMs (``pulse``), costs, notices, statuses,
and answers about effort.

Each has random numbers of its own, so that the other tables and columns are the same with and without it. Only statuses
also add rows to ``subscriptions`` (trials), and split them (pauses), and efforts add rows to ``outcomes``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal

import numpy as np
import pyarrow as pa

from features.errors import BadRequest
from features.utils.arrays import Ints
from features.utils.formatting import and_list
from training.simulation.calendar import SECONDS_A_DAY
from training.simulation.history import SimulatedHistory
from training.simulation.presets import Pricing
from training.simulation.tables.contract_signs import with_notices, with_statuses
from training.simulation.tables.efforts import with_efforts
from training.simulation.tables.event_rows import (
    Arrival,
    account_ids,
    choice_array,
    event_table,
    random_working_time,
)
from training.simulation.tables.usage import FEATURES

Addition = Literal["products", "parents", "pulse", "costs", "notices", "statuses", "efforts"]
ADDITIONS: tuple[Addition, ...] = ("products", "parents", "pulse", "costs", "notices", "statuses", "efforts")
OF_CONTRACTS: tuple[Addition, ...] = ("products", "notices", "statuses")
"""The parts that orders do not have."""
PRODUCTS = ("platform", "analytics", "automation")
"""The product of the seats, and those of the add-ons."""
PRODUCT_OF_FEATURE: Mapping[str, str] = {
    "reports": "analytics", "exports": "analytics", "forecasts": "analytics",
    "alerts": "automation", "automation": "automation", "api": "automation",
}  # fmt: skip
"""Features whose use counts for an add-on, if the account holds it; otherwise it counts for the platform."""
COMPANY_SHARE = 0.3
"""Share of the accounts that belong to a company with several accounts."""
COMPANY_SIZES = (2, 3, 4, 5)
BELOW_CHILD_SHARE = 0.25
"""Share of the accounts of a company, from the third on, whose parent is itself a child."""
WEEKLY_JUDGMENTS = np.array([0.0, 0.03, 0.08, 0.15])
"""Judgments per week, by segment; self-serve accounts have none."""
CALL_DAYS = 120
"""A judgment so many days before the renewal says what to expect of it."""
CALLS = ("churn", "at_risk", "renew")
_CALL_LIMITS = np.array([-1.1, -0.2])
COST_SHARE, COST_SPREAD = 1.1, 0.5
"""The median acquisition cost as a share of the first year's price, and the standard deviation of its logarithm."""
COST_UNKNOWN = 0.1
"""Share of the accounts without a known acquisition cost."""
_NOISE = 0.8
"""Noise of a judgment, in the unit of the hidden state."""

Tables = Iterable[pa.Table]


def check_additions(additions: Collection[str], pricing: Pricing) -> frozenset[Addition]:
    """Return the optional parts, after a check of their names.

    Parameters
    ----------
    additions : names of `ADDITIONS`.
    pricing : what customers pay for.

    Raises
    ------
    BadRequest
        There is no such part, or it needs contracts that the market does not have.
    """
    chosen = frozenset(name for name in ADDITIONS if name in additions)
    if unknown := sorted(set(additions) - set(ADDITIONS)):
        raise BadRequest(f"there is no optional part {unknown[0]!r}", f"one of {', '.join(ADDITIONS)}")
    wrong = [name for name in OF_CONTRACTS if name in chosen]
    if wrong and pricing is Pricing.ORDERS:
        found = "orders of this preset name their products" if "products" in wrong else "this preset has no contracts"
        raise BadRequest(found, "a preset with contracts", f"leave out {and_list(wrong)}")
    return chosen


def with_products(history: SimulatedHistory, name: str, tables: Tables) -> Tables:
    """Add the column ``product`` to ``subscriptions`` and ``usage``.

    Parameters
    ----------
    history : the simulated history.
    name : the name of the table; others do not change.
    tables : its slices.
    """
    if name == "subscriptions":
        column = choice_array(PRODUCTS, history.subscriptions.product)
        return (table.append_column("product", column) for table in tables)
    return (_with_used_product(history, table) for table in tables) if name == "usage" else tables


def _with_used_product(history: SimulatedHistory, table: pa.Table) -> pa.Table:
    account, feature = (_indices(table, column) for column in ("account_id", "feature"))
    second = table["occurred_at"].cast(pa.int64()).to_numpy() // 1_000_000
    week = np.clip((second // SECONDS_A_DAY - history.start) // 7, 0, history.weeks - 1)
    wanted = np.array([PRODUCTS.index(PRODUCT_OF_FEATURE.get(each, PRODUCTS[0])) for each in FEATURES])[feature]
    held = history.grid(lambda state: state.add_ons > 0)[week, account, np.maximum(wanted - 1, 0)]
    return table.append_column("product", choice_array(PRODUCTS, np.where(held, wanted, 0)))


def _indices(table: pa.Table, column: str) -> Ints:
    return np.asarray(table[column].combine_chunks().indices.to_numpy(), dtype=np.int64)


def with_parents(history: SimulatedHistory, name: str, tables: Tables) -> Tables:
    """Add the column ``parent_id`` to ``accounts``. The largest account of a company is its top account.

    Parameters
    ----------
    history : the simulated history.
    name : the name of the table; others do not change.
    tables : its slices.
    """
    if name != "accounts":
        return tables
    parent = draw_parents(history)
    column = choice_array(account_ids(history), np.maximum(parent, 0), parent < 0)
    return (table.append_column("parent_id", column) for table in tables)


def draw_parents(history: SimulatedHistory) -> Ints:
    """Draw the parent of each account, as its index; -1 for none. Shape (n,)."""
    rng, traits = history.rng("parents"), history.traits
    n = len(traits)
    parent = np.full(n, -1, dtype=np.int64)
    waiting = rng.permutation(n)[: round(COMPANY_SHARE * n)].tolist()
    size = traits.first_seats * traits.first_price
    while len(waiting) > 1:
        members = sorted(waiting[: rng.choice(COMPANY_SIZES)], key=lambda account: (-size[account], account))
        waiting = waiting[len(members) :]
        for place, account in enumerate(members[1:], start=1):
            below_child = place > 1 and rng.random() < BELOW_CHILD_SHARE
            parent[account] = members[1] if below_child else members[0]
    return parent


def with_costs(history: SimulatedHistory, name: str, tables: Tables) -> Tables:
    """Add the column ``acquisition_cost`` to ``accounts``, unknown for `COST_UNKNOWN` of them.

    Parameters
    ----------
    history : the simulated history.
    name : the name of the table; others do not change.
    tables : its slices.
    """
    if name != "accounts":
        return tables
    rng, traits = history.rng("costs"), history.traits
    n = len(traits)
    first_year = traits.first_seats * traits.first_price
    cost = np.round(first_year * COST_SHARE * np.exp(COST_SPREAD * rng.standard_normal(n)), 2)
    column = pa.array(cost, mask=rng.random(n) < COST_UNKNOWN)
    return (table.append_column("acquisition_cost", column) for table in tables)


def pulse_table(history: SimulatedHistory) -> pa.Table:
    """Build the table ``pulse``: what a CSM sees of value, relationship, budget and competitors, with noise.

    Parameters
    ----------
    history : the simulated history.
    """
    rng, traits = history.rng("pulse"), history.traits
    running = history.grid(lambda state: state.running)
    seen = history.grid(
        lambda state: (
            0.6 * state.value + 0.6 * state.rapport - 0.5 * state.strain - 0.4 * state.trouble - 0.8 * state.rival
        )
    )
    week, account = np.nonzero(rng.random(running.shape) < WEEKLY_JUDGMENTS[traits.segment] * running)
    judged = seen[week, account] + _NOISE * rng.standard_normal(len(week))
    day = history.start + 7 * week + rng.integers(0, 5, len(week))
    renewal = history.grid(lambda state: traits.renewal_day(state.terms))[week, account]
    called = (renewal - day >= 0) & (renewal - day < CALL_DAYS)
    columns = {
        "by": choice_array(
            tuple(f"csm-{number:04d}" for number in range(int(traits.csm.max()) + 1)), traits.csm[account]
        ),
        "sentiment": pa.array(np.clip(np.round(judged), -2, 2).astype(np.int64)),
        "renewal_call": choice_array(CALLS, np.searchsorted(_CALL_LIMITS, judged), ~called),
    }
    second = random_working_time(account, day, history, rng)
    return event_table(history, rng, account, second, columns, Arrival(nightly=0.0, late=0.05, late_days=5))


Extend = Callable[[SimulatedHistory, str, Tables], Tables]
COLUMNS: Mapping[Addition, Extend] = {
    "products": with_products,
    "parents": with_parents,
    "costs": with_costs,
    "notices": with_notices,
    # The last of the contracts, because it changes the rows.
    "statuses": with_statuses,
    "efforts": with_efforts,
}
"""The parts that add columns or rows to other tables, in the order in which they do."""
