"""Webhook endpoints and the events that they subscribe to."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, delete, func, select

from features.errors import BadRequest
from serving.store.encryption import cipher_of
from serving.store.tables import webhook_deliveries, webhook_endpoints

EventType = Literal[
    "prediction.band_changed",
    "health.alert",
    "health.disagreement_opened",
    "batch.completed",
    "model.promoted",
    "calibration.approved",
    "drift.detected",
]
EVENTS: tuple[EventType, ...] = get_args(EventType)
URL_LIMIT = 2000


@dataclass(frozen=True)
class Endpoint:
    """One endpoint.

    Parameters
    ----------
    id : its identifier.
    url : the address of its deliveries.
    events : the events that it gets.
    created_at : UTC.
    disabled_at, reason : when (UTC) and why it was disabled; None while it is active.
    waiting : number of pending deliveries.
    """

    id: str
    url: str
    events: tuple[EventType, ...]
    created_at: datetime
    disabled_at: datetime | None = None
    reason: str | None = None
    waiting: int = 0


def add_endpoint(
    connection: Connection, url: str, events: Collection[str], anywhere: bool = False
) -> tuple[Endpoint, str]:
    """Add an endpoint.

    Parameters
    ----------
    events : some of `EVENTS`; empty for all.
    anywhere : whether http:// is allowed.

    Returns
    -------
    tuple
        The endpoint, and the secret that signs its deliveries (`whsec_…`, as in Standard Webhooks), which cannot be
        shown again.

    Raises
    ------
    BadRequest : the address cannot be used, or an event is unknown.
    SecretKeyError : there is no key to encrypt the secret with.
    """
    _check(url, anywhere)
    if unknown := sorted(set(events) - set(EVENTS)):
        raise BadRequest(f"{len(unknown)} unknown event(s)", "one or more of " + ", ".join(EVENTS))
    wanted = tuple(event for event in EVENTS if not events or event in events)
    secret = "whsec_" + b64encode(secrets.token_bytes(32)).decode()
    endpoint = Endpoint(f"whe_{secrets.token_hex(6)}", url, wanted, datetime.now(UTC))
    connection.execute(
        webhook_endpoints.insert().values(
            id=endpoint.id,
            url=url,
            secret=cipher_of(connection).encrypt(secret, endpoint.id),
            events=",".join(wanted),
            created_at=endpoint.created_at,
        )
    )
    return endpoint, secret


def reencrypt_secrets(connection: Connection) -> int:
    """Encrypt the secrets of all endpoints with the first key, and return how many there are.

    Raises
    ------
    SecretKeyError : a key is missing.
    """
    cipher = cipher_of(connection)
    rows = connection.execute(select(webhook_endpoints.c.id, webhook_endpoints.c.secret)).all()
    for row in rows:
        secret = cipher.encrypt(cipher.decrypt(row.secret, row.id), row.id)
        connection.execute(webhook_endpoints.update().where(webhook_endpoints.c.id == row.id).values(secret=secret))
    return len(rows)


def list_endpoints(connection: Connection) -> list[Endpoint]:
    """Return all endpoints, including disabled ones, oldest first."""
    due = select(webhook_deliveries.c.endpoint_id, func.count().label("waiting")).where(
        webhook_deliveries.c.due_at.is_not(None)
    )
    waiting = {row.endpoint_id: row.waiting for row in connection.execute(due.group_by("endpoint_id"))}
    rows = connection.execute(select(webhook_endpoints).order_by(webhook_endpoints.c.created_at))
    return [_endpoint(row, waiting.get(row.id, 0)) for row in rows]


def remove_endpoint(connection: Connection, endpoint_id: str) -> None:
    """Remove an endpoint and its pending deliveries.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    endpoint_id : the id of the endpoint.

    Raises
    ------
    BadRequest : there is no such endpoint.
    """
    if not connection.execute(delete(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id)).rowcount:
        raise _unknown()


def enable_endpoint(connection: Connection, endpoint_id: str) -> None:
    """Enable an endpoint again, for events from now on.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    endpoint_id : the id of the endpoint.

    Raises
    ------
    BadRequest : there is no such endpoint.
    """
    has_id = webhook_endpoints.c.id == endpoint_id
    if not connection.execute(webhook_endpoints.update().where(has_id).values(disabled_at=None, reason=None)).rowcount:
        raise _unknown()


def disable_endpoint(connection: Connection, endpoint_id: str, reason: str) -> None:
    """Disable an endpoint, and give up its pending deliveries.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    endpoint_id : the id of the endpoint.
    reason : why, for the list of endpoints.
    """
    now = datetime.now(UTC)
    has_id = webhook_endpoints.c.id == endpoint_id
    connection.execute(webhook_endpoints.update().where(has_id).values(disabled_at=now, reason=reason))
    waiting = (webhook_deliveries.c.endpoint_id == endpoint_id) & webhook_deliveries.c.due_at.is_not(None)
    connection.execute(webhook_deliveries.update().where(waiting).values(due_at=None, given_up=True))


def _unknown() -> BadRequest:
    return BadRequest("there is no endpoint with this id", "an id from `renewcast webhooks list`")


def _check(url: str, anywhere: bool) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in (("http", "https") if anywhere else ("https",)) and bool(parts.hostname)
        usable = usable and parts.username is None and parts.password is None and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or len(url) > URL_LIMIT or not url.isascii() or not url.isprintable():
        raise BadRequest(
            "this address cannot be used for a webhook",
            f"https://HOST/PATH of at most {URL_LIMIT} ASCII characters, without a name or password in it",
            "" if anywhere else "RENEWCAST_WEBHOOKS_ANYWHERE=true allows http and private addresses",
        )


def _endpoint(row: Row[tuple[object, ...]], waiting: int) -> Endpoint:
    events = tuple(event for event in EVENTS if event in row._mapping["events"].split(","))
    columns = {name: row._mapping[name] for name in ("id", "url", "created_at", "disabled_at", "reason")}
    return Endpoint(**columns, events=events, waiting=waiting)
