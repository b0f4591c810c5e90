"""What people did and what became of it: interventions, outcomes and snoozes, kept as they were told, never changed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, select

from serving.store.tables import records

What = Literal["intervention", "outcome", "snooze"]


@dataclass(frozen=True)
class Record:
    """One record: ``id``, ``what`` it is, of which account, when it happened and when it was told (UTC), and the rest
    as plain data."""

    id: str
    what: What
    account_id: str
    occurred_at: datetime
    recorded_at: datetime
    told: Mapping[str, Any]


def keep(
    connection: Connection,
    what: What,
    account_id: str,
    occurred_at: datetime,
    told: Mapping[str, Any],
    by: str,
    name: str | None = None,
) -> Record:
    """Keep one; ``by`` is the id of the key that told it. One of the same ``name`` is kept once: the first."""
    made = f"{what[:3]}_{name or secrets.token_hex(8)}"
    if name is not None:
        row = connection.execute(select(records).where(records.c.id == made)).one_or_none()
        if row is not None:
            kept = json.loads(row.document)
            return Record(row.id, what, row.account_id, row.occurred_at, row.recorded_at, kept)
    record = Record(made, what, account_id, occurred_at, datetime.now(UTC), dict(told))
    connection.execute(
        records.insert().values(
            id=record.id,
            what=what,
            account_id=account_id,
            occurred_at=occurred_at,
            recorded_at=record.recorded_at,
            recorded_by=by,
            document=json.dumps(record.told, ensure_ascii=False, allow_nan=False),
        )
    )
    return record
