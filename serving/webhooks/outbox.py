"""Transactional outbox of webhooks: events are stored in the transaction of the change that causes them.

So there is never a change without its webhook, nor a webhook without its change, even if the process crashes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from serving.store.tables import webhook_deliveries, webhook_endpoints
from serving.webhooks.endpoints import EventType

#: Number of rows per statement.
CHUNK = 5_000


@dataclass(frozen=True)
class Occurrence:
    """One occurrence of an event.

    Parameters
    ----------
    event : its type.
    id : its identifier, the same in every delivery: the header webhook-id, by which receivers detect repetitions.
    data : its content, as plain data for JSON.
    """

    event: EventType
    id: str
    data: dict[str, Any]


def enqueue(
    connection: Connection, occurrences: Iterable[Occurrence], at: datetime, known_by: datetime | None = None
) -> int:
    """Queue a delivery for every endpoint that subscribes to an event.

    An occurrence that was queued for an endpoint before is not queued again.

    Parameters
    ----------
    occurrences : the events.
    at : their time, UTC.
    known_by : only endpoints that were created by this time get them; by default all.

    Returns
    -------
    int
        The number of new deliveries.
    """
    query = select(webhook_endpoints.c.id, webhook_endpoints.c.events).where(webhook_endpoints.c.disabled_at.is_(None))
    if known_by is not None:
        query = query.where(webhook_endpoints.c.created_at <= known_by)
    endpoints = connection.execute(query).all()
    wanted = [(endpoint.id, set(endpoint.events.split(","))) for endpoint in endpoints]
    if not wanted:
        return 0
    rows = [
        {
            "id": f"dlv_{secrets.token_hex(8)}",
            "endpoint_id": endpoint,
            "event_id": each.id,
            "event": each.event,
            "body": _body(each, at),
            "created_at": at,
            "due_at": at,
            "attempts": 0,
            "given_up": False,
        }
        for each in occurrences
        for endpoint, events in wanted
        if each.event in events
    ]
    queued = 0
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        existing = {
            (row.endpoint_id, row.event_id)
            for ids in _batched(sorted({row["event_id"] for row in chunk}))
            for row in connection.execute(
                select(webhook_deliveries.c.endpoint_id, webhook_deliveries.c.event_id).where(
                    webhook_deliveries.c.event_id.in_(ids)
                )
            )
        }
        new = [row for row in chunk if (row["endpoint_id"], row["event_id"]) not in existing]
        if new:
            connection.execute(webhook_deliveries.insert(), new)
        queued += len(new)
    return queued


def _batched(ids: list[str], size: int = 500) -> list[list[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def _body(each: Occurrence, at: datetime) -> str:
    timestamp = at.isoformat().replace("+00:00", "Z")
    payload = {"type": each.event, "timestamp": timestamp, "data": each.data}
    return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
