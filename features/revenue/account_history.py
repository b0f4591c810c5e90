"""One account's own rows, as known at an instant, for documents that tell of single events.

The account's id goes to the engine as data, never into the text of a query.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import ibis
import pyarrow as pa

from features.aggregation.passes import known_before_us
from features.contract.schema import ID_COLUMNS, TABLES, known_at_column
from features.signals.signals import Signals
from features.sources.engine import collect, contract_table, create_table
from features.sources.sql_functions import epoch_us
from features.utils.dates import epoch_micros, to_iso

ASKED = ibis.table({"asked": "string", "start": "int64", "end": "int64"}, name="account_asked")
"""One row: the account, and the instants between which its rows are wanted (microseconds)."""

LISTED = ("subscriptions", "engagement", "support", "outcomes", "relationship", "billing", "company", "interventions")
"""The tables whose rows are told one by one; what is used and ordered is told as features."""
FROM_THE_BEGINNING = ("subscriptions", "relationship")
"""Of these what happened long ago matters still: they are read from their beginning."""
LIMIT = 2_000
"""So many of the latest rows of a table are told at most."""


def account_rows(signals: Signals, account: str, start: datetime, end: datetime) -> dict[str, list[dict[str, Any]]]:
    """The rows of one account in ``[start, end)`` (those of `FROM_THE_BEGINNING` all up to ``end``), as known before
    ``end``.

    Returns
    -------
    By table that the source has, the rows as plain data without account_id, oldest first: instants as ISO 8601 text,
    null as None. What is filled in later is None where it was not known before ``end``.
    """
    found = {}
    for name in LISTED:
        if signals.has(name):
            begin = 0 if name in FROM_THE_BEGINNING else epoch_micros(start)
            row = {"asked": [account], "start": [begin], "end": [epoch_micros(end)]}
            create_table(signals.connection, "account_asked", pa.table(row))
            found[name] = [_plain(each) for each in collect(signals.connection, _rows, name).to_pylist()][::-1]
    return found


def _rows(name: str) -> ibis.Table:
    contract = TABLES[name]
    rows = contract_table(name).cross_join(ASKED)
    at = epoch_us(rows[contract.at])
    known = (at < rows.end) & (known_before_us(rows, rows.end) if contract.event else ibis.literal(True))
    rows = rows.filter((rows.account_id == rows.asked) & (at >= rows.start) & known)
    told: dict[str, Any] = {c.name: rows[c.name] for c in contract.columns if c.name not in ("account_id", "loaded_at")}
    for column in contract.columns:
        if column.known_from is not None:
            learnt = (
                rows[known_at_column(column)] if known_at_column(column) in rows.columns else rows[column.known_from]
            )
            told[column.name] = ibis.ifelse(epoch_us(learnt) < rows.end, rows[column.name], None)
    columns = [c for c in told if c != contract.at]
    rows = rows.select(**told)
    # Large feeds may hold an event several times.
    rows = rows.distinct() if contract.event else rows
    shown = [c for c in told if c not in ID_COLUMNS]
    return rows.order_by([ibis.desc(contract.at), *columns]).limit(LIMIT).select(*shown)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: to_iso(value.replace(tzinfo=UTC)) if isinstance(value, datetime) else value for name, value in row.items()
    }
