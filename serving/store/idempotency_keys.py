"""What is kept of requests with an Idempotency-Key: that one is being worked on, then what it was answered."""

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
    """An answer: its status, the headers that belong to it, its body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Claim:
    """What a request has left: the ``key`` of its row, and ``name``, the same for all that try it again."""

    key: str
    name: str


class IdempotencyKeys:
    """The marks of one store; safe to use from many threads and processes.

    Parameters
    ----------
    kept_for : how long an answer is kept.
    running : how long a mark without an answer is believed.
    """

    def __init__(self, store: Store, kept_for: timedelta, running: timedelta) -> None:
        self._store, self._kept_for, self._running = store, kept_for, running

    def claim(self, key: str, fingerprint: str) -> StoredResponse | Claim:
        """Leave a mark; or what the key's first request was answered.

        Raises
        ------
        OtherBody : the key was used for a request of another ``fingerprint``.
        StillRunning : the key's first request has not come to its end.
        StoreDown : the store cannot be reached.
        """
        now = datetime.now(UTC)
        row = {"fingerprint": fingerprint, "running_until": now + self._running}
        with self._store.begin() as connection:
            connection.execute(delete(idempotency).where(idempotency.c.created_at < now - self._kept_for))
            try:
                with connection.begin_nested():
                    connection.execute(idempotency.insert().values(key=key, created_at=now, **row))
                return Claim(key, _name(key, now))
            except IntegrityError:
                return _claim_existing(connection, key, row, now)

    def settle(self, mark: Claim, kept: StoredResponse) -> None:
        """Keep the answer."""
        told = {"status": kept.status, "headers": json.dumps(kept.headers), "body": kept.body}
        self._update(mark, running_until=None, **told)

    def free(self, mark: Claim) -> None:
        """Let others try at once, under the same name: some of the work may have been done."""
        self._update(mark, running_until=None)

    def forget(self, mark: Claim) -> None:
        """Take the mark away: nothing was done."""
        with self._store.begin() as connection:
            connection.execute(delete(idempotency).where(_unanswered(mark)))

    def _update(self, mark: Claim, **values: Any) -> None:
        with self._store.begin() as connection:
            connection.execute(idempotency.update().where(_unanswered(mark)).values(**values))


def text_digest(*parts: str) -> str:
    """One name for several texts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _claim_existing(connection: Connection, key: str, row: dict[str, Any], now: datetime) -> StoredResponse | Claim:
    found = connection.execute(select(idempotency).where(idempotency.c.key == key).with_for_update()).one()
    if found.fingerprint != row["fingerprint"]:
        raise IdempotencyKeyReused("the Idempotency-Key was used for another request", "a new key for each request")
    if found.status is not None:
        return StoredResponse(found.status, json.loads(found.headers), found.body)
    if found.running_until is not None and found.running_until > now:
        raise StillRunning("the first request of this Idempotency-Key is being worked on", cure="try again later")
    connection.execute(idempotency.update().where(idempotency.c.key == key).values(**row))
    return Claim(key, _name(key, found.created_at))


def _unanswered(mark: Claim) -> Any:
    return (idempotency.c.key == mark.key) & idempotency.c.status.is_(None)


def _name(key: str, first: datetime) -> str:
    # With its instant, since a key may be used anew once its answer is forgotten. Whole microseconds, as it is kept.
    return text_digest(key, first.astimezone(UTC).isoformat())[:24]
