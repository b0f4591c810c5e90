"""The rows of one account as known at an instant, for reports with single events.

The account's id is passed to the engine as data, never as part of a query's text.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa

from features.aggregation.passes import known_before_us
from features.contract.schema import ID_COLUMNS, TABLES, known_at_column
from features.signals.signals import OpenSignals
from features.sources.engine import collect, contract_table, create_table
from features.sources.sql_functions import epoch_us
from features.utils.arrow_records import event_records
from features.utils.dates import epoch_micros

ACCOUNT = ibis.table({"asked": "string", "start": "int64", "end": "int64"}, name="account_asked")
"""One row: the account, and the instants between which its rows are selected (microseconds)."""

LISTED = (
    "subscriptions",
    "engagement",
    "support",
    "outcomes",
    "relationship",
    "billing",
    "company",
    "interventions",
    "pulse",
)
"""Tables whose rows are listed; usage and orders are reported as features."""
FROM_THE_BEGINNING = ("subscriptions", "relationship")
"""Tables that are read from their beginning, because old rows still matter."""
LIMIT = 2_000
"""Maximum number of the latest rows of a table."""


def account_rows(
    signals: OpenSignals, account: str, start: datetime, end: datetime, names: Collection[str] = LISTED
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of one account in ``[start, end)``, as known before ``end``.

    Tables of `FROM_THE_BEGINNING` are read from their first row.

    Parameters
    ----------
    signals : the open signals.
    account : the account id.
    start, end : the period, with the start and without the end.
    names : the tables to read.

    Returns
    -------
    dict
        For each table of the source, the rows as plain data without account_id, oldest first: instants as ISO 8601
        text, null as None. Values filled in later are None if they were not known before ``end``.
    """
    history = {}
    for name in names:
        if signals.has(name):
            _set_account(signals, name, account, start, end)
            history[name] = event_records(collect(signals.connection, _rows, name))[::-1]
    return history


def portfolio_rows(
    signals: OpenSignals, start: datetime, end: datetime, names: Collection[str] = LISTED
) -> dict[str, pa.Table]:
    """Return the rows of all accounts in ``[start, end)``, as known before ``end``.

    Parameters
    ----------
    signals, start, end, names : as in `account_rows`.

    Returns
    -------
    dict
        For each table of the source, its rows with account_id, in the order of account_id. Those of one account are
        the rows of `account_rows`, without their limit.
    """
    history = {}
    for name in names:
        if signals.has(name):
            _set_account(signals, name, None, start, end)
            history[name] = collect(signals.connection, _rows, name, True)
    return history


def _set_account(signals: OpenSignals, name: str, account: str | None, start: datetime, end: datetime) -> None:
    begin = 0 if name in FROM_THE_BEGINNING else epoch_micros(start)
    row = {"asked": pa.array([account], pa.string()), "start": [begin], "end": [epoch_micros(end)]}
    create_table(signals.connection, "account_asked", pa.table(row))


def _rows(name: str, of_all: bool = False) -> ibis.Table:
    contract = TABLES[name]
    rows = contract_table(name).cross_join(ACCOUNT)
    at = epoch_us(rows[contract.at])
    known = (at < rows.end) & (known_before_us(rows, rows.end) if contract.event else ibis.literal(True))
    rows = rows.filter((at >= rows.start) & known)
    if not of_all:
        rows = rows.filter(rows.account_id == rows.asked)
    left_out = ("loaded_at",) if of_all else ("account_id", "loaded_at")
    values: dict[str, Any] = {c.name: rows[c.name] for c in contract.columns if c.name not in left_out}
    if name == "subscriptions":
        values["arr"] = rows.given_arr
    for column in contract.columns:
        if column.known_from is not None:
            known_instant = (
                rows[known_at_column(column)] if known_at_column(column) in rows.columns else rows[column.known_from]
            )
            values[column.name] = ibis.ifelse(epoch_us(known_instant) < rows.end, rows[column.name], None)
    columns = [c for c in values if c != contract.at]
    rows = rows.select(**values)
    # Large feeds may contain an event several times.
    rows = rows.distinct() if contract.event else rows
    shown = [c for c in values if c not in ID_COLUMNS]
    if of_all:
        others = [ibis.desc(c, nulls_first=True) for c in columns if c != "account_id"]
        return rows.order_by(["account_id", contract.at, *others]).select(*shown)
    return rows.order_by([ibis.desc(contract.at), *columns]).limit(LIMIT).select(*shown)
