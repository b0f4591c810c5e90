"""Which rows are one event, and which of an event's versions is known when.

A table's ``identity`` (`features.contract.schema.TableSchema`) names what a row is about: ``event_id``, for a ticket
``ticket_id``.
Rows of one id are versions of one event, whatever they say. The version that was loaded last before a date counts at
that date; ``until_at`` is the instant at which the next version arrived, null for the newest. A null ``loaded_at``
means that a version arrived as it happened. Of versions that arrived at the same instant the last one holds, in this
order: by when it happened; by what is filled in later (a version with a resolution follows one without, a later
resolution an earlier one); then by its other columns, so that the order of the rows decides nothing.
`features.signals.validation` names such rows.

Without an id, rows are one event only if every column that was given is equal but ``loaded_at``, columns outside the
contract included.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce
from operator import and_
from typing import Any

import ibis

from features.contract.schema import TABLES, TableSchema, known_at_column
from features.signals.casting import Schema, arrived, conformed, given_table
from features.sources.engine import CUTOFF, contract_table
from features.sources.sql_functions import epoch_us

NEVER = 2**62
"""Microseconds: the end of what has not ended."""

EXTRA = "_extra_"
"""How the names of columns outside the contract begin while rows are told apart."""


def extra_columns(contract: TableSchema, schema: Schema, partitions: Collection[str] = ()) -> tuple[str, ...]:
    """The given columns that the contract does not have, but for the keys of folders (``partitions``)."""
    return tuple(name for name, _ in schema if name not in contract.names and name not in partitions)


def extras_of(given: ibis.Table, names: tuple[str, ...]) -> dict[str, ibis.Value]:
    """The columns ``names``, outside the contract, as values that can be compared on every engine."""
    return {
        f"{EXTRA}{i}": given[name].cast("string") if given[name].type().is_nested() else given[name]
        for i, name in enumerate(names)
    }


def has_identity(contract: TableSchema, schema: Schema) -> bool:
    """Whether the table as given says which event a row is about."""
    return contract.event and contract.identity in dict(schema)


def events(rows: ibis.Table, contract: TableSchema, by_id: bool) -> ibis.Table:
    """The events of an event table, in the columns of `features.sources.engine.contract_table`.

    Parameters
    ----------
    rows : the conformed rows that arrived before the cut-off, with the columns of `extras_of`.
    by_id : whether the identity is given; rows where it is null are told apart by all their columns.
    """
    if not by_id:
        return _shaped(_once(rows, contract), contract)
    identity = rows[contract.identity]
    versions = _shaped(_versions(rows.filter(identity.notnull()), contract), contract)
    if contract[contract.identity].required:
        return versions
    return versions.union(_shaped(_once(rows.filter(identity.isnull()), contract), contract))


def arrival_of(rows: ibis.Table) -> ibis.Value:
    """When a row arrived; a null ``loaded_at``: as it happened."""
    return ibis.coalesce(rows.loaded_at, rows.occurred_at) if "loaded_at" in rows.columns else rows.occurred_at


def version_order(rows: ibis.Table, contract: TableSchema) -> list[Any]:
    """The order of the versions of one event."""
    first = [arrival_of(rows), rows[contract.at]]
    later = sorted({c.known_from for c in contract.columns if c.known_from})
    others = [c for c in _content(contract) if c not in (contract.at, contract.identity, *later)]
    return [ibis.asc(value, nulls_first=True) for value in (*first, *(rows[c] for c in (*later, *others)))]


def repeated_ids(name: str, schema: Schema, text: bool) -> ibis.Table:
    """One row: ``n``, how many rows of event table ``name`` as given have an id, and ``ids``, how many ids there
    are."""
    given, contract = given_table(name, schema), TABLES[name]
    rows = given.select(**conformed(given, contract, text))
    identity = rows[contract.identity]
    return rows.aggregate(n=identity.count(), ids=identity.nunique())


def at_one_instant(rows: ibis.Table, contract: TableSchema) -> ibis.Value:
    """Which of the conformed ``rows`` arrived at the same instant as another version of their event that differs."""
    rows_of = [contract.identity, "_arrival"]
    alike = [*rows_of, *(c for c in _content(contract) if c != contract.identity)]
    several = rows.count().over(ibis.window(group_by=rows_of)) != rows.count().over(ibis.window(group_by=alike))
    return several & rows[contract.identity].notnull()


def of_several_accounts(rows: ibis.Table, contract: TableSchema) -> ibis.Value:
    """Which of the conformed ``rows`` share their id with a row of another account."""
    same = ibis.window(group_by=contract.identity)
    differ = rows.account_id.min().over(same) != rows.account_id.max().over(same)
    return differ & rows[contract.identity].notnull()


def overlaps(rows: ibis.Table) -> ibis.Table:
    """The conformed subscriptions with ``_overlaps``: whether another period of the same subscription runs then too."""
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
    # What is sent again unchanged is the version that it repeats.
    same = reduce(and_, (rows[c].lag().over(order).identical_to(rows[c]) for c in _content(contract)))
    rows = rows.mutate(_place=ibis.row_number().over(order), _same=same)
    rows = rows.filter((rows._place == 0) | ~rows._same)
    rows = rows.mutate(_arrival=arrival_of(rows))
    following = ibis.window(group_by=contract.identity, order_by=rows._place)
    rows = rows.mutate(until_at=rows._arrival.lead().over(following))
    rows = rows.mutate(known_at=ibis.greatest(rows.occurred_at, rows._arrival)).cross_join(CUTOFF)
    # A version that was replaced before it was known was never known.
    return rows.filter((rows.until_at.isnull() | (rows.until_at > rows.known_at)) & (rows[contract.at] < rows.cutoff))


def _once(rows: ibis.Table, contract: TableSchema) -> ibis.Table:
    known = arrived(rows) if "loaded_at" in rows.columns else rows[contract.at]
    rows = rows.mutate(known_at=known).cross_join(CUTOFF)
    rows = rows.filter(rows[contract.at] < rows.cutoff)
    same = [*_content(contract), *(c for c in rows.columns if c.startswith(EXTRA))]
    found = rows.group_by(same).aggregate(known_at=rows.known_at.min(), cutoff=rows.cutoff.max())
    return found.mutate(until_at=ibis.null("timestamp"))


def _shaped(rows: ibis.Table, contract: TableSchema) -> ibis.Table:
    """In the columns of the contract's table; what is filled in at the cut-off or later is forgotten."""
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
