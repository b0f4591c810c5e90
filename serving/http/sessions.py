"""Sessions of people who signed in with a key: a random token in a cookie, of which the store keeps a digest.

A session is its key's: it may what the key may, and ends with it, at its own end, or when the person signs out. The
token holds 256 random bits, so its digest needs no salt (see `serving.http.api_keys`).
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, select

from serving.http.api_keys import LENGTH_LIMIT, ApiKey, find_key, key_from_row, secret_digest
from serving.store.tables import api_keys, sessions


def open_session(connection: Connection, secret: str, lasts: timedelta) -> str | None:
    """A session for whoever shows a good key: its token, which is given this once; None where the key is not good.
    Forgets sessions that have ended."""
    now = datetime.now(UTC)
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
    key = find_key(connection, secret)
    if key is None:
        return None
    token = secrets.token_urlsafe(32)
    row = {"digest": secret_digest(token), "key_id": key.id, "created_at": now, "expires_at": now + lasts}
    connection.execute(sessions.insert().values(**row))
    return token


def find_session(connection: Connection, token: str) -> ApiKey | None:
    """The key of a session that has not ended; None where it has, or its key was revoked."""
    if len(token) > LENGTH_LIMIT:
        return None
    asked = (
        select(api_keys)
        .join(sessions, sessions.c.key_id == api_keys.c.id)
        .where(sessions.c.digest == secret_digest(token), sessions.c.expires_at > datetime.now(UTC))
        .where(api_keys.c.revoked_at.is_(None))
    )
    row = connection.execute(asked).one_or_none()
    return None if row is None else key_from_row(row)


def end_session(connection: Connection, token: str) -> None:
    """Forget a session; twice is as good as once."""
    connection.execute(delete(sessions).where(sessions.c.digest == secret_digest(token)))
