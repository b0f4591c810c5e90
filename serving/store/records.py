"""Records of interventions, outcomes and snoozes. They are stored as sent and never changed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, select

from serving.store.tables import records

RecordKind = Literal["intervention", "outcome", "snooze"]


@dataclass(frozen=True)
class StoredRecord:
    """One record.

    Parameters
    ----------
    id : its identifier.
    what : its kind.
    account_id : the account that it is about.
    occurred_at : when it happened, UTC.
    recorded_at : when it was sent, UTC.
    document : its other fields, as plain data.
    """

    id: str
    what: RecordKind
    account_id: str
    occurred_at: datetime
    recorded_at: datetime
    document: Mapping[str, Any]


def store_record(
    connection: Connection,
    what: RecordKind,
    account_id: str,
    occurred_at: datetime,
    document: Mapping[str, Any],
    by: str,
    name: str | None = None,
) -> StoredRecord:
    """Store one record.

    Parameters
    ----------
    by : the id of the API key that sent it.
    name : makes the id. Only the first record of a name is stored; later calls return it.

    Returns
    -------
    StoredRecord
        The record that is stored now.
    """
    record_id = f"{what[:3]}_{name or secrets.token_hex(8)}"
    if name is not None:
        row = connection.execute(select(records).where(records.c.id == record_id)).one_or_none()
        if row is not None:
            first = json.loads(row.document)
            return StoredRecord(row.id, what, row.account_id, row.occurred_at, row.recorded_at, first)
    record = StoredRecord(record_id, what, account_id, occurred_at, datetime.now(UTC), dict(document))
    connection.execute(
        records.insert().values(
            id=record.id,
            what=what,
            account_id=account_id,
            occurred_at=occurred_at,
            recorded_at=record.recorded_at,
            recorded_by=by,
            document=json.dumps(record.document, ensure_ascii=False, allow_nan=False),
        )
    )
    return record
