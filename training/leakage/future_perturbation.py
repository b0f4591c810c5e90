"""Altered sources with the same past and another future, which must give the same snapshots of the past."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import reduce
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.contract.current_contract import current_tables
from features.contract.schema import TableSchema
from features.utils.arrays import Bools, Ints
from training.leakage.account_sample import ContractTables
from training.leakage.synthetic_rows import (
    DAY_US,
    FUTURE_ACCOUNTS,
    as_instants,
    instants_us,
    micros,
    random_rows,
    random_values,
    with_column,
)

NEW_ROWS = 1_000
"""Rows added to each table that are dated at or after the date, and as many dated before it that arrive after it."""
LONGEST_DELAY = 400 * DAY_US
"""Maximum delay of the late rows that are added."""
NEVER = 2**60
"""Microseconds after every instant."""
AHEAD = 200 * DAY_US
"""Maximum time after the date of the rows that are added."""


def perturb_future(tables: Mapping[str, pa.Table], as_of: datetime, seed: int = 0) -> ContractTables:
    """Return the tables with another future: facts known before ``as_of`` are unchanged, and all others are altered.

    In every table, half of the later rows are removed and the others get other values. Rows are added at ``as_of`` and
    after it, with other values, users and kinds, and for accounts that did not exist. Rows are added that are dated
    before it, even before the feed started, but loaded at or after it. Ends that were open at ``as_of`` are filled in
    with instants at or after it, or with earlier ones that become known only then.

    Parameters
    ----------
    tables : rows by contract table, in all of the contract's columns (see
    `training.leakage.account_sample.sampled_tables`).
    as_of : the date.
    seed : the same seed gives the same rows.

    Returns
    -------
    ContractTables
    """
    at, altered = micros(as_of), {}
    for name, table in tables.items():
        rng = np.random.default_rng([seed, at // DAY_US, crc32(name.encode())])
        if name == "accounts":
            altered[name] = _with_future_accounts(table, at)
        else:
            altered[name] = _perturbed(current_tables()[name], tables, at, rng)
    return altered


def drop_future(tables: Mapping[str, pa.Table], as_of: datetime) -> ContractTables:
    """Remove anything that happened, arrived or was filled in at or after an instant.

    Accounts have no history and stay.

    Parameters
    ----------
    tables : tables of the contract.
    as_of : the instant.

    Returns
    -------
    ContractTables
    """
    at, remaining = micros(as_of), {}
    for name, table in tables.items():
        contract = current_tables()[name]
        if name != "accounts":
            table = table.filter(pa.array(known_us(contract, table) < at))
            for end in _ends(contract):
                unknown = pa.array(~_before(table, end, at))
                for column in (c for c in contract.columns if c.known_from == end):
                    table = with_column(table, column.name, pc.if_else(unknown, None, table[column.name]))
        remaining[name] = table
    return remaining


def repeat_rows(tables: Mapping[str, pa.Table], seed: int = 0) -> ContractTables:
    """Shuffle rows, and repeat a third of the events (and accounts).

    If rows have an arrival, the repeated row arrives later than the first one, but before the next version of the same
    event: after it, it would replace that version. Subscriptions are not repeated, because each row is a subscription.

    Parameters
    ----------
    tables : tables of the contract.
    seed : the seed.

    Returns
    -------
    ContractTables
    """
    shuffled = {}
    for name, table in tables.items():
        rng = np.random.default_rng([seed, crc32(name.encode())])
        many = 0 if name == "subscriptions" else -(-len(table) // 3)
        again = table.take(rng.permutation(len(table))[:many])
        if "loaded_at" in table.column_names:
            contract = current_tables()[name]
            arrival = known_us(contract, again)
            later = arrival + rng.integers(0, 30 * DAY_US, len(again))
            later = np.minimum(later, _next_version_us(contract, table, again))
            again = with_column(again, "loaded_at", as_instants(np.maximum(later, arrival)))
        both = pa.concat_tables([table, again])
        shuffled[name] = both.take(rng.permutation(len(both)))
    return shuffled


def _next_version_us(contract: TableSchema, table: pa.Table, some: pa.Table) -> Ints:
    """Return the instant just before the next version of each of ``some`` rows arrives; `NEVER` if there is none."""
    arrivals: dict[Any, list[int]] = {}
    for identity, at in zip(table[contract.identity].to_pylist(), known_us(contract, table).tolist(), strict=True):
        if identity is not None:
            arrivals.setdefault(identity, []).append(at)
    own = zip(some[contract.identity].to_pylist(), known_us(contract, some).tolist(), strict=True)
    following = [min((t for t in arrivals.get(identity, ()) if t > at), default=NEVER) for identity, at in own]
    return np.array(following, dtype=np.int64) - 1


def known_us(contract: TableSchema, table: pa.Table) -> Ints:
    """Return when each row became known: it had happened and arrived.

    Parameters
    ----------
    contract : the table of the contract.
    table : n rows.

    Returns
    -------
    array of shape (n,)
        Microseconds since 1970.
    """
    at = instants_us(table[contract.at], 0)
    return np.maximum(at, instants_us(table["loaded_at"], 0)) if "loaded_at" in contract.names else at


def _perturbed(contract: TableSchema, tables: Mapping[str, pa.Table], at: int, rng: np.random.Generator) -> pa.Table:
    table = tables[contract.name]
    later = known_us(contract, table) >= at
    before, after = table.filter(pa.array(~later)), table.filter(pa.array(later))
    after = after.filter(pa.array(rng.random(len(after)) < 0.5))
    other = random_rows(contract, table, instants_us(after[contract.at], at), rng)
    if not contract.of_accounts:
        # Keys are unique, so rows of the same instants get other values and none are added.
        keys = [(name, after[name]) for name in contract.unique]
        return pa.concat_tables([before, reduce(lambda rows, key: with_column(rows, *key), keys, other)])
    parts = [_filled_in(contract, before, table, at, rng), with_column(other, "account_id", after["account_id"])]
    parts += _sent_again(contract, before, table, at, rng)
    accounts = tables["accounts"]["account_id"].to_numpy(zero_copy_only=False)
    if "loaded_at" in contract.names:
        parts[1] = with_column(parts[1], "loaded_at", after["loaded_at"])
        # Most of them shortly before the date, where feature windows are short, and some at the last moment.
        back = np.exp(rng.uniform(np.log(DAY_US / 24), np.log(LONGEST_DELAY), NEW_ROWS)).astype(np.int64)
        back = np.where(rng.random(NEW_ROWS) < 0.1, 1, back)
        parts.append(_added(contract, table, at - back, accounts, at + _delays(NEW_ROWS, rng), rng))
    ahead = at + _delays(NEW_ROWS, rng)
    some = np.concatenate([accounts, np.array(FUTURE_ACCOUNTS, dtype=object)])
    parts.append(_added(contract, table, ahead, some, ahead + _delays(NEW_ROWS, rng), rng))
    whole = pa.concat_tables(parts)
    return whole.take(rng.permutation(len(whole)))


def _delays(many: int, rng: np.random.Generator) -> Ints:
    """Return delays up to `AHEAD`; a tenth of them are 0, because the date itself is already too late."""
    return np.where(rng.random(many) < 0.1, 0, rng.integers(0, AHEAD, many))


def _added(
    contract: TableSchema, like: pa.Table, at: Ints, accounts: npt.NDArray[Any], loaded: Ints, rng: np.random.Generator
) -> pa.Table:
    owners = pa.array(rng.choice(accounts, len(at)), pa.string())
    rows = with_column(random_rows(contract, like, at, rng), "account_id", owners)
    return with_column(rows, "loaded_at", as_instants(loaded)) if "loaded_at" in contract.names else rows


def _with_future_accounts(accounts: pa.Table, at: int) -> pa.Table:
    """Return the accounts, and a few that are created at the date or later."""
    new = accounts.schema.empty_table().to_pandas().reindex(range(len(FUTURE_ACCOUNTS)))
    new["account_id"] = list(FUTURE_ACCOUNTS)
    new["created_at"] = pd.to_datetime(at + np.arange(len(FUTURE_ACCOUNTS)) * DAY_US, unit="us")
    return pa.concat_tables([accounts, pa.Table.from_pandas(new, accounts.schema, preserve_index=False)])


def _filled_in(contract: TableSchema, before: pa.Table, like: pa.Table, at: int, rng: np.random.Generator) -> pa.Table:
    """Return rows known before the date, with other values for everything that was still open then."""
    for end in _ends(contract):
        still_open = ~_before(before, end, at)
        # Rows that are duplicates while they are open must stay duplicates, so that one event does not become two.
        same = [c.name for c in contract.columns if c.known_from is None and c.name != "loaded_at"]
        group = before.select(same).to_pandas().groupby(same, dropna=False, sort=False).ngroup().to_numpy(np.int64)
        groups = int(group.max()) + 1 if len(group) else 0
        # Half of the open rows end soon after the date, half never do.
        never = rng.random(groups) < 0.5
        ends = pa.array(at + _delays(groups, rng) // 4, pa.timestamp("us"), mask=never).take(pa.array(group))
        for column in (c for c in contract.columns if c.known_from == end):
            values = ends
            if column.name != end:
                some = random_values(contract, column, like, groups, rng)
                values = pc.if_else(pa.array(never), None, some).take(pa.array(group))
            before = with_column(before, column.name, pc.if_else(pa.array(still_open), values, before[column.name]))
    return before


def _sent_again(
    contract: TableSchema, before: pa.Table, like: pa.Table, at: int, rng: np.random.Generator
) -> list[pa.Table]:
    """Return half of the rows open at the date again: they arrive after it, and now have an end before it."""
    repeated = []
    for end in _ends(contract) if "loaded_at" in contract.names else ():
        rows = before.filter(pa.array(~_before(before, end, at) & (rng.random(len(before)) < 0.5)))
        start = instants_us(rows[contract.at], 0)
        rows = with_column(rows, "loaded_at", as_instants(at + _delays(len(rows), rng)))
        for column in (c for c in contract.columns if c.known_from == end):
            ended = as_instants(start + (rng.random(len(rows)) * (at - start)).astype(np.int64))
            values = ended if column.name == end else random_values(contract, column, like, len(rows), rng)
            rows = with_column(rows, column.name, values)
        repeated.append(rows)
    return repeated


def _ends(contract: TableSchema) -> list[str]:
    """Return the columns of instants from which other columns of a row become known."""
    return sorted({c.known_from for c in contract.columns if c.known_from is not None})


def _before(table: pa.Table, column: str, at: int) -> Bools:
    """Return whether an instant is known and before ``at``; shape (n,)."""
    return instants_us(table[column], at) < at
