"""The rows of one account as known at an instant, for reports with single events.

The account's id is passed to the engine as data, never as part of a query's text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import ibis
import pyarrow as pa

from features.aggregation.passes import known_before_us
from features.contract.schema import ID_COLUMNS, TABLES, known_at_column
from features.signals.signals import OpenSignals
from features.sources.engine import collect, contract_table, create_table
from features.sources.sql_functions import epoch_us
from features.utils.dates import epoch_micros, to_iso

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


def account_rows(signals: OpenSignals, account: str, start: datetime, end: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of one account in ``[start, end)``, as known before ``end``.

    Tables of `FROM_THE_BEGINNING` are read from their first row.

    Parameters
    ----------
    signals : the open signals.
    account : the account id.
    start, end : the period, with the start and without the end.

    Returns
    -------
    dict
        For each table of the source, the rows as plain data without account_id, oldest first: instants as ISO 8601
        text, null as None. Values filled in later are None if they were not known before ``end``.
    """
    history = {}
    for name in LISTED:
        if signals.has(name):
            begin = 0 if name in FROM_THE_BEGINNING else epoch_micros(start)
            row = {"asked": [account], "start": [begin], "end": [epoch_micros(end)]}
            create_table(signals.connection, "account_asked", pa.table(row))
            history[name] = [_as_plain_data(each) for each in collect(signals.connection, _rows, name).to_pylist()][
                ::-1
            ]
    return history


def _rows(name: str) -> ibis.Table:
    contract = TABLES[name]
    rows = contract_table(name).cross_join(ACCOUNT)
    at = epoch_us(rows[contract.at])
    known = (at < rows.end) & (known_before_us(rows, rows.end) if contract.event else ibis.literal(True))
    rows = rows.filter((rows.account_id == rows.asked) & (at >= rows.start) & known)
    values: dict[str, Any] = {
        c.name: rows[c.name] for c in contract.columns if c.name not in ("account_id", "loaded_at")
    }
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
    return rows.order_by([ibis.desc(contract.at), *columns]).limit(LIMIT).select(*shown)


def _as_plain_data(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: to_iso(value.replace(tzinfo=UTC)) if isinstance(value, datetime) else value for name, value in row.items()
    }
