"""Group rows into events, and determine when each version of an event is known.

A table's ``identity`` (`features.contract.schema.TableSchema`) identifies the subject of a row: ``event_id``, or
``ticket_id`` for tickets. Rows with the same id are versions of one event. At any date, the version that was loaded
last before it counts. ``until_at`` is the instant at which the next version arrived, null for the newest. A null
``loaded_at`` means that a version arrived when it happened. Of versions that arrived at the same instant, the last one
counts, ordered by the instant of the event, then by values filled in later (a version with a resolution comes after one
without, a later resolution after an earlier one), then by the other columns, so that the result does not depend on the
order of rows. `features.signals.validation` reports such rows.

Without an id, rows are the same event only if all columns of the source except ``loaded_at`` are equal, including
columns outside the contract.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce
from operator import and_
from typing import Any

import ibis

from features.contract.current_contract import current_tables
from features.contract.schema import TableSchema, known_at_column
from features.signals.casting import SourceSchema, conformed_columns, known_instant, source_table
from features.sources.engine import CUTOFF, contract_table
from features.sources.sql_functions import epoch_us

NEVER = 2**62
"""The end of periods that have not ended, in microseconds."""

EXTRA_PREFIX = "_extra_"
"""Name prefix of columns outside the contract while rows are compared."""


def extra_columns(contract: TableSchema, schema: SourceSchema, partitions: Collection[str] = ()) -> tuple[str, ...]:
    """Return the source columns outside the contract, without the keys of folders (``partitions``)."""
    return tuple(name for name, _ in schema if name not in contract.names and name not in partitions)


def extra_values(source_rows: ibis.Table, names: tuple[str, ...]) -> dict[str, ibis.Value]:
    """Return the columns ``names`` outside the contract as values that every engine can compare."""
    return {
        f"{EXTRA_PREFIX}{i}": source_rows[name].cast("string")
        if source_rows[name].type().is_nested()
        else source_rows[name]
        for i, name in enumerate(names)
    }


def has_identity(contract: TableSchema, schema: SourceSchema) -> bool:
    """Return whether the source table has the column that identifies events."""
    return contract.event and contract.identity in dict(schema)


def event_versions(rows: ibis.Table, contract: TableSchema, by_id: bool) -> ibis.Table:
    """Return the event versions of an event table, in the columns of `features.sources.engine.contract_table`.

    Parameters
    ----------
    rows : the conformed rows that arrived before the cut-off, with the columns of `extra_values`.
    contract : the contract's table.
    by_id : whether the source has the identity; rows without it are compared by all their columns.
    """
    if not by_id:
        return _contract_rows(_distinct_events(rows, contract), contract)
    identity = rows[contract.identity]
    versions = _contract_rows(_versions(rows.filter(identity.notnull()), contract), contract)
    if contract[contract.identity].required:
        return versions
    return versions.union(_contract_rows(_distinct_events(rows.filter(identity.isnull()), contract), contract))


def arrival_instant(rows: ibis.Table, contract: TableSchema) -> ibis.Value:
    """Return when a row arrived; without ``loaded_at``, when it happened."""
    at = rows[contract.at]
    return ibis.coalesce(rows.loaded_at, at) if "loaded_at" in rows.columns else at


def version_order(rows: ibis.Table, contract: TableSchema) -> list[Any]:
    """Return the sort order of the versions of one event."""
    first = [arrival_instant(rows, contract), rows[contract.at]]
    later = sorted({c.known_from for c in contract.columns if c.known_from})
    others = [c for c in _content(contract) if c not in (contract.at, contract.identity, *later)]
    return [ibis.asc(value, nulls_first=True) for value in (*first, *(rows[c] for c in (*later, *others)))]


def repeated_ids(name: str, schema: SourceSchema, text: bool) -> ibis.Table:
    """Return one row for event table ``name``: ``n``, the rows with an id, and ``ids``, the distinct ids."""
    source_rows, contract = source_table(name, schema), current_tables()[name]
    rows = source_rows.select(**conformed_columns(source_rows, contract, text))
    identity = rows[contract.identity]
    return rows.aggregate(n=identity.count(), ids=identity.nunique())


def is_ambiguous_version(rows: ibis.Table, contract: TableSchema) -> ibis.Value:
    """Return which conformed ``rows`` arrived at the same instant as a different version of their event."""
    rows_of = [contract.identity, "_arrival"]
    same = [*rows_of, *(c for c in _content(contract) if c != contract.identity)]
    several = rows.count().over(ibis.window(group_by=rows_of)) != rows.count().over(ibis.window(group_by=same))
    return several & rows[contract.identity].notnull()


def has_several_accounts(rows: ibis.Table, contract: TableSchema) -> ibis.Value:
    """Return which conformed ``rows`` have the same id as a row of another account."""
    same = ibis.window(group_by=contract.identity)
    differ = rows.account_id.min().over(same) != rows.account_id.max().over(same)
    return differ & rows[contract.identity].notnull()


def with_overlaps(rows: ibis.Table) -> ibis.Table:
    """Return the conformed subscriptions with ``_overlaps``: whether another period of the subscription overlaps."""
    runs = rows.subscription_id.notnull() & (rows.ended_at.isnull() | (rows.ended_at > rows.started_at))
    rows = rows.mutate(
        _from=ibis.ifelse(runs, epoch_us(rows.started_at), None),
        _to=ibis.ifelse(runs, ibis.coalesce(epoch_us(rows.ended_at), NEVER), None),
    )
    order = {"group_by": "subscription_id", "order_by": rows._from}
    before = rows._to.max().over(ibis.window(**order, preceding=(None, 1)))
    after = rows._from.min().over(ibis.window(**order, following=(1, None)))
    wrong = (rows._from < before).fill_null(False) | (rows._to > after).fill_null(False)
    return rows.mutate(_overlaps=wrong).drop("_from", "_to")


def _content(contract: TableSchema) -> list[str]:
    return [c for c in contract.names if c != "loaded_at"]


def _versions(rows: ibis.Table, contract: TableSchema) -> ibis.Table:
    order = ibis.window(group_by=contract.identity, order_by=version_order(rows, contract))
    # A row that is sent again unchanged is the same version.
    same = reduce(and_, (rows[c].lag().over(order).identical_to(rows[c]) for c in _content(contract)))
    rows = rows.mutate(_place=ibis.row_number().over(order), _same=same)
    rows = rows.filter((rows._place == 0) | ~rows._same)
    rows = rows.mutate(_arrival=arrival_instant(rows, contract))
    following = ibis.window(group_by=contract.identity, order_by=rows._place)
    rows = rows.mutate(until_at=rows._arrival.lead().over(following))
    rows = rows.mutate(known_at=ibis.greatest(rows[contract.at], rows._arrival)).cross_join(CUTOFF)
    # A version that was replaced before it was known never counts.
    return rows.filter((rows.until_at.isnull() | (rows.until_at > rows.known_at)) & (rows[contract.at] < rows.cutoff))


def _distinct_events(rows: ibis.Table, contract: TableSchema) -> ibis.Table:
    known = known_instant(rows, contract.at) if "loaded_at" in rows.columns else rows[contract.at]
    rows = rows.mutate(known_at=known).cross_join(CUTOFF)
    rows = rows.filter(rows[contract.at] < rows.cutoff)
    same = [*_content(contract), *(c for c in rows.columns if c.startswith(EXTRA_PREFIX))]
    distinct = rows.group_by(same).aggregate(known_at=rows.known_at.min(), cutoff=rows.cutoff.max())
    return distinct.mutate(until_at=ibis.null("timestamp"))


def _contract_rows(rows: ibis.Table, contract: TableSchema) -> ibis.Table:
    """Select the columns of the contract's table; values filled in at or after the cut-off become null."""
    filled_in = [c for c in contract.columns if c.known_from is not None]
    if filled_in:
        rows = rows.mutate(
            **{c.name: ibis.ifelse(rows[c.known_from] < rows.cutoff, rows[c.name], None) for c in filled_in}
        )
    if "loaded_at" in contract.names:
        rows = rows.mutate(
            **{
                known_at_column(c): ibis.ifelse(
                    rows[c.name].notnull(), ibis.greatest(rows[c.known_from], rows.known_at), None
                )
                for c in filled_in
            }
        )
    return rows.select(*contract_table(contract.name).columns)
