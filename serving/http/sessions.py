"""Sessions of people who signed in with a key: a random token in a cookie, whose digest is in the store.

A session has the scopes of its key. It ends when it expires, when the key is revoked or when the person signs out. The
token has 256 random bits, so its digest needs no salt (see `serving.http.api_keys`).
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, select

from serving.http.api_keys import LENGTH_LIMIT, find_key, secret_digest
from serving.store.key_records import ApiKey, key_from_columns
from serving.store.tables import api_keys, sessions


def open_session(connection: Connection, secret: str, lasts: timedelta) -> str | None:
    """Create a session and return its token, or None if the key is not valid. Deletes expired sessions."""
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
    """Return the key of a session, or None if the session has ended or its key was revoked."""
    if len(token) > LENGTH_LIMIT:
        return None
    query = (
        select(api_keys)
        .join(sessions, sessions.c.key_id == api_keys.c.id)
        .where(sessions.c.digest == secret_digest(token), sessions.c.expires_at > datetime.now(UTC))
        .where(api_keys.c.revoked_at.is_(None))
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else key_from_columns(row._mapping)


def end_session(connection: Connection, token: str) -> None:
    """Delete a session, if it exists."""
    connection.execute(delete(sessions).where(sessions.c.digest == secret_digest(token)))
