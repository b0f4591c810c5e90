"""Sample for leak checks: some accounts at a few dates, so that the cost does not grow with the data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from zlib import crc32

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from features.contract.current_contract import current_tables
from features.signals.signals import OpenSignals
from features.sources.account_states import KEYS, AccountStates
from features.sources.engine import collect, contract_table, create_table, fetch
from features.utils.dates import WEEK_DAYS, Grid, midnight

MAXIMUM_ACCOUNTS = 200
"""Maximum number of accounts to rebuild."""
MAXIMUM_ROWS = 10_000
"""Approximate maximum number of rows read per table. Larger tables are sampled by a hash of account and instant.
All rebuilds use the same rows, so rows may be missing."""
MAXIMUM_DATES = 6
"""Maximum number of dates to rebuild."""

SAMPLED_ACCOUNTS = ibis.table({"account_id": "string"}, name="leakcheck_accounts")
"""Table of the accounts whose rows are read."""

ContractTables = dict[str, pa.Table]
"""Rows by contract table, in the contract's columns and types; instants are microseconds without a zone, in UTC."""


def sampled_accounts(
    accounts: Collection[str], churned: Collection[str], seed: int, at_most: int = MAXIMUM_ACCOUNTS
) -> list[str]:
    """Choose some accounts, the same for the same seed in any given order.

    Half of them have churned if there are enough: leaks show in accounts that have ended.

    Parameters
    ----------
    accounts : all accounts.
    churned : those that have churned.
    seed : the seed.
    at_most : the largest number of accounts.

    Returns
    -------
    list of str
        Sorted.
    """

    def draw(account: str) -> tuple[int, str]:
        return crc32(f"{seed}:{account}".encode()), account

    ended = sorted(set(churned) & set(accounts), key=draw)
    others = sorted(set(accounts) - set(churned), key=draw)
    some = max(at_most // 2, at_most - len(others))
    return sorted([*ended[:some], *others[: at_most - min(some, len(ended))]])


def sampled_tables(signals: OpenSignals, accounts: Sequence[str], rows: int = MAXIMUM_ROWS) -> ContractTables:
    """Read the rows of some accounts, with one filtered scan (and one count) per table.

    In every event table, ``loaded_at`` is the instant from which a row was known.

    Parameters
    ----------
    signals : validated signals.
    accounts : the accounts.
    rows : about how many rows of a table to read at most.

    Returns
    -------
    ContractTables
    """
    create_table(
        signals.connection, SAMPLED_ACCOUNTS.get_name(), pa.table({"account_id": pa.array(accounts, pa.string())})
    )
    tables: ContractTables = {}
    for name in signals.tables:
        (size,) = fetch(signals.connection, _size, name)
        step = 1 if name == "accounts" else max(-(-int(size["n"]) // rows), 1)
        tables[name] = collect(signals.connection, _every, name, step)
    return tables


def sampled_states(signals: OpenSignals, accounts: Sequence[str]) -> AccountStates | None:
    """Return the states of some accounts; None if the source has no states.

    Parameters
    ----------
    signals : validated signals.
    accounts : the accounts.

    Returns
    -------
    AccountStates or None
    """
    if signals.states is None:
        return None
    owners = signals.states.rows[KEYS[0]].cast(pa.string())
    return AccountStates(
        signals.states.rows.filter(pc.is_in(owners, pa.array(accounts, pa.string()))), signals.states.sole
    )


def _size(name: str) -> ibis.Table:
    return _of_sampled(name).aggregate(n=lambda t: t.count())


def _every(name: str, step: int) -> ibis.Table:
    """About every ``step``-th row; rows of one account and instant stay together. Rates are read completely."""
    some, contract = _of_sampled(name), current_tables()[name]
    if step > 1 and contract.of_accounts:
        key = some.account_id.concat(some[contract.at].cast("string"))
        some = some.filter(key.hash() % step == 0)
    if contract.event:
        some = some.rename(loaded_at="known_at")
    if name == "subscriptions":
        # The amounts are converted again when the rows are read.
        some = some.mutate(arr=some.given_arr)
    return some.select(*contract.names)


def _of_sampled(name: str) -> ibis.Table:
    table = contract_table(name)
    return table.semi_join(SAMPLED_ACCOUNTS, "account_id") if current_tables()[name].of_accounts else table


def spread_dates(first: datetime, last: datetime, at_most: int = MAXIMUM_DATES) -> Grid:
    """Return dates that are whole weeks apart.

    Parameters
    ----------
    first : about the first date.
    last : the last date is the midnight at or before it.
    at_most : the largest number of dates.

    Returns
    -------
    Grid
    """
    end = midnight(last)
    span = max((end - first) // timedelta(days=1), 0)
    weeks = span // ((at_most - 1) * WEEK_DAYS)
    # Of the two closest steps, the one whose dates reach further back.
    steps = [step * WEEK_DAYS for step in (max(weeks, 1), weeks + 1)]
    back, step = max((min(span // step, at_most - 1) * step, step) for step in steps)
    return Grid(end - timedelta(days=back), step, back // step + 1)
