"""Records of interventions, outcomes and snoozes. They are stored as sent and never changed.

What people change about an intervention later is in `serving.store.intervention_log`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, select

from serving.store.tables import api_keys, records

RecordKind = Literal["intervention", "outcome", "snooze"]


@dataclass(frozen=True)
class Author:
    """Who records something.

    Parameters
    ----------
    id : the id of the API key.
    name : the name of the person, or of the key if it belongs to no person.
    """

    id: str
    name: str


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
    author : the name of the person who sent it; None if it was not recorded.
    """

    id: str
    what: RecordKind
    account_id: str
    occurred_at: datetime
    recorded_at: datetime
    document: Mapping[str, Any]
    author: str | None = None


def store_record(
    connection: Connection,
    what: RecordKind,
    account_id: str,
    occurred_at: datetime,
    document: Mapping[str, Any],
    author: Author,
    name: str | None = None,
) -> StoredRecord:
    """Store one record.

    Parameters
    ----------
    author : who sent it.
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
            return _from_row(row)
    record = StoredRecord(record_id, what, account_id, occurred_at, datetime.now(UTC), dict(document), author.name)
    connection.execute(
        records.insert().values(
            id=record.id,
            what=what,
            account_id=account_id,
            occurred_at=occurred_at,
            recorded_at=record.recorded_at,
            recorded_by=author.id,
            author=author.name,
            document=json.dumps(record.document, ensure_ascii=False, allow_nan=False),
        )
    )
    return record


def read_records(
    connection: Connection,
    account_id: str | None = None,
    record_id: str | None = None,
    what: RecordKind | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[StoredRecord]:
    """Return records, the first one first.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    account_id : only those of this account.
    record_id : only the one with this id.
    what : only those of this kind.
    since, until : only those that happened at or after ``since``, and before ``until``.

    Returns
    -------
    list of StoredRecord
    """
    of = records.c
    # The names of the people are recorded since version 0007 of the schema; before, only the keys are known.
    query = select(records, api_keys.c.name.label("key_name")).join(
        api_keys, api_keys.c.id == of.recorded_by, isouter=True
    )
    for condition in (
        None if account_id is None else of.account_id == account_id,
        None if record_id is None else of.id == record_id,
        None if what is None else of.what == what,
        None if since is None else of.occurred_at >= since,
        None if until is None else of.occurred_at < until,
    ):
        if condition is not None:
            query = query.where(condition)
    rows = connection.execute(query.order_by(of.occurred_at, of.recorded_at, of.id)).all()
    return [_from_row(row, row.key_name) for row in rows]


def _from_row(row: Row[Any], key_name: str | None = None) -> StoredRecord:
    content = json.loads(row.document)
    author = row.author or key_name
    return StoredRecord(row.id, row.what, row.account_id, row.occurred_at, row.recorded_at, content, author)
