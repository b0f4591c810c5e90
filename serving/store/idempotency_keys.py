"""State of requests with an Idempotency-Key: first the claim of the running request, then its response."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import IntegrityError

from serving.common.errors import IdempotencyKeyReused, StillRunning
from serving.store.database import Store
from serving.store.tables import idempotency


@dataclass(frozen=True)
class StoredResponse:
    """A stored response: its status, headers and body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Claim:
    """The claim of a running request: the ``key`` of its row, and a ``name`` that is the same for its repetitions."""

    key: str
    name: str


class IdempotencyKeys:
    """The keys of one store. Safe to use from many threads and processes.

    Parameters
    ----------
    retention : how long a response is stored.
    running : how long a claim without a response is valid.
    """

    def __init__(self, store: Store, retention: timedelta, running: timedelta) -> None:
        self._store, self._retention, self._running = store, retention, running

    def claim(self, key: str, fingerprint: str) -> StoredResponse | Claim:
        """Claim a key, or return the response to its first request.

        Parameters
        ----------
        key : the digest of the caller and the key that it sent.
        fingerprint : the hash of the request.

        Returns
        -------
        StoredResponse or Claim

        Raises
        ------
        IdempotencyKeyReused : the key was used for a request with another ``fingerprint``.
        StillRunning : the first request with the key has not finished.
        StoreDown : the store cannot be reached.
        """
        now = datetime.now(UTC)
        row = {"fingerprint": fingerprint, "running_until": now + self._running}
        with self._store.begin() as connection:
            connection.execute(delete(idempotency).where(idempotency.c.created_at < now - self._retention))
            try:
                with connection.begin_nested():
                    connection.execute(idempotency.insert().values(key=key, created_at=now, **row))
                return Claim(key, _name(key, now))
            except IntegrityError:
                return _claim_existing(connection, key, row, now)

    def store_response(self, claim: Claim, response: StoredResponse) -> None:
        """Store the response of the request.

        Parameters
        ----------
        claim : the claim of the request's key.
        response : the response.
        """
        headers = json.dumps(response.headers)
        self._update(claim, running_until=None, status=response.status, headers=headers, body=response.body)

    def release(self, claim: Claim) -> None:
        """Let a repetition run now, with the same name, since some of the work may have been done."""
        self._update(claim, running_until=None)

    def delete(self, claim: Claim) -> None:
        """Delete the claim of a request that did nothing."""
        with self._store.begin() as connection:
            connection.execute(delete(idempotency).where(_unanswered(claim)))

    def _update(self, claim: Claim, **values: Any) -> None:
        with self._store.begin() as connection:
            connection.execute(idempotency.update().where(_unanswered(claim)).values(**values))


def text_digest(*parts: str) -> str:
    """Return one digest of several texts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _claim_existing(connection: Connection, key: str, row: dict[str, Any], now: datetime) -> StoredResponse | Claim:
    first = connection.execute(select(idempotency).where(idempotency.c.key == key).with_for_update()).one()
    if first.fingerprint != row["fingerprint"]:
        raise IdempotencyKeyReused("the Idempotency-Key was used for another request", "a new key for each request")
    if first.status is not None:
        return StoredResponse(first.status, json.loads(first.headers), first.body)
    if first.running_until is not None and first.running_until > now:
        raise StillRunning("the first request with this Idempotency-Key is still running", cure="try again later")
    connection.execute(idempotency.update().where(idempotency.c.key == key).values(**row))
    return Claim(key, _name(key, first.created_at))


def _unanswered(claim: Claim) -> Any:
    return (idempotency.c.key == claim.key) & idempotency.c.status.is_(None)


def _name(key: str, first: datetime) -> str:
    # The time is included, since a key may be reused after its response was deleted. The store has whole microseconds.
    return text_digest(key, first.astimezone(UTC).isoformat())[:24]
