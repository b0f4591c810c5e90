"""API keys and their scopes. The store holds only digests of keys, so it cannot leak a key.

A key is ``rc_`` followed by 43 characters that encode 256 random bits. Its SHA-256 digest cannot be reversed. Unlike a
password, it needs neither salt nor a slow hash, since random bits cannot be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from features.errors import BadRequest
from serving.store.key_records import SCOPES, ApiKey, Scope, key_from_columns
from serving.store.tables import api_keys

PREFIX = "rc_"
#: Longer keys are not looked up.
LENGTH_LIMIT = 200
#: The maximum length of an owner.
OWNER_LIMIT = 1024


def create_key(
    connection: Connection, name: str, scopes: Collection[str], owner: str | None = None
) -> tuple[ApiKey, str]:
    """Create a key.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    name : the name of the person or the program that uses it.
    scopes : what it is allowed to do.
    owner : the CSM whose accounts the pages show first.

    Returns
    -------
    tuple
        The metadata, and the key itself, which cannot be shown again.

    Raises
    ------
    BadRequest : no name, a name or owner that is too long or empty, or an unknown scope.
    """
    if not 0 < len(name.strip()) <= 200:
        raise BadRequest(
            "the name of the key is empty or has more than 200 characters", "a name that says what the key is for"
        )
    if owner is not None and not 0 < len(owner.strip()) <= OWNER_LIMIT:
        raise BadRequest(
            f"the owner of the key is empty or has more than {OWNER_LIMIT} characters",
            "a value of the csm column in the accounts table",
        )
    if not scopes or set(scopes) - set(SCOPES):
        raise BadRequest("the key has an unknown scope, or none", "one or more of " + ", ".join(SCOPES))
    granted = frozenset(scope for scope in SCOPES if scope in scopes)
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(f"key_{secrets.token_hex(6)}", name.strip(), granted, datetime.now(UTC), owner=owner)
    connection.execute(
        api_keys.insert().values(
            id=key.id,
            name=key.name,
            digest=secret_digest(secret),
            scopes=_joined(granted),
            created_at=key.created_at,
            owner=owner,
        )
    )
    return key, secret


def list_keys(connection: Connection) -> list[ApiKey]:
    """Return all keys, including revoked ones, oldest first."""
    return [
        key_from_columns(row._mapping)
        for row in connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id))
    ]


def revoke_key(connection: Connection, key_id: str) -> ApiKey:
    """Revoke a key. It is refused from the next request on. Revoking it again has no effect.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    key_id : the id of the key.

    Returns
    -------
    ApiKey
        Its metadata.

    Raises
    ------
    BadRequest : there is no such key.
    """
    now = datetime.now(UTC)
    has_id = api_keys.c.id == key_id
    connection.execute(api_keys.update().where(has_id, api_keys.c.revoked_at.is_(None)).values(revoked_at=now))
    row = connection.execute(select(api_keys).where(has_id)).one_or_none()
    if row is None:
        raise BadRequest("there is no key with this id", "an id from `renewcast keys list`")
    return key_from_columns(row._mapping)


def find_key(connection: Connection, secret: str) -> ApiKey | None:
    """Look up the key of a secret.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    secret : the secret, as the caller sent it.

    Returns
    -------
    ApiKey or None
        None if it is not valid.
    """
    if len(secret) > LENGTH_LIMIT:
        return None
    digest = secret_digest(secret)
    row = connection.execute(select(api_keys).where(api_keys.c.digest == digest)).one_or_none()
    # The time of the look-up depends on digests only; compare_digest takes constant time.
    if row is None or row.revoked_at is not None or not hmac.compare_digest(row.digest, digest):
        return None
    return key_from_columns(row._mapping)


def secret_digest(secret: str) -> str:
    """Return the stored form of a secret: its SHA-256 digest in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _joined(scopes: Collection[Scope]) -> str:
    return ",".join(scope for scope in SCOPES if scope in scopes)
