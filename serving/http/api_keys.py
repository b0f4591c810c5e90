"""API keys: who may call, and for what. Only their digests are kept, so that the store gives none away.

A key is ``rc_`` and 43 characters that hold 256 random bits; a digest of it by SHA-256 cannot be turned back, and needs
no salt or slowness as a password's would, since there is nothing to guess from.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from sqlalchemy import Connection, select

from features.errors import BadRequest
from serving.store.tables import api_keys

Scope = Literal["predict", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""``predict``: read what is known of accounts, and score. ``write``: record interventions and outcomes, start jobs.
``admin``: everything, signing reviews among it."""
PREFIX = "rc_"
#: Longer ones are not looked up.
LENGTH_LIMIT = 200


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key; never the key itself.

    Parameters
    ----------
    id : names it in lists and logs.
    name : what it is for, in its maker's words.
    scopes : what it may do.
    created_at, revoked_at : UTC; None while it is good.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it may do what needs ``scope``; an admin's key may do everything."""
        return scope in self.scopes or "admin" in self.scopes


def create_key(connection: Connection, name: str, scopes: Collection[str]) -> tuple[ApiKey, str]:
    """Make a key: what is known of it, and the key itself, which is shown this once.

    Raises
    ------
    BadRequest : no name, a name that is too long, or an unknown scope.
    """
    if not 0 < len(name.strip()) <= 200:
        raise BadRequest("a key without a name, or with one of over 200 characters", "what the key is for")
    if not scopes or set(scopes) - set(SCOPES):
        raise BadRequest("a key with a scope that there is not, or none", "some of " + ", ".join(SCOPES))
    granted = frozenset(scope for scope in SCOPES if scope in scopes)
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(f"key_{secrets.token_hex(6)}", name.strip(), granted, datetime.now(UTC))
    connection.execute(
        api_keys.insert().values(
            id=key.id, name=key.name, digest=secret_digest(secret), scopes=_words(granted), created_at=key.created_at
        )
    )
    return key, secret


def list_keys(connection: Connection) -> list[ApiKey]:
    """All keys, revoked ones too, oldest first."""
    return [
        key_from_row(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id))
    ]


def revoke_key(connection: Connection, key_id: str) -> ApiKey:
    """Take a key back; it is refused from the next request on. Twice is as good as once.

    Raises
    ------
    BadRequest : there is no such key.
    """
    now = datetime.now(UTC)
    there = api_keys.c.id == key_id
    connection.execute(api_keys.update().where(there, api_keys.c.revoked_at.is_(None)).values(revoked_at=now))
    row = connection.execute(select(api_keys).where(there)).one_or_none()
    if row is None:
        raise BadRequest("there is no key of that id", "an id from `renewcast keys list`")
    return key_from_row(row)


def find_key(connection: Connection, secret: str) -> ApiKey | None:
    """The key that somebody shows, if it is good."""
    if len(secret) > LENGTH_LIMIT:
        return None
    shown = secret_digest(secret)
    row = connection.execute(select(api_keys).where(api_keys.c.digest == shown)).one_or_none()
    # The look-up's time tells of digests only; the comparison takes the same time wherever they differ.
    if row is None or row.revoked_at is not None or not hmac.compare_digest(row.digest, shown):
        return None
    return key_from_row(row)


def secret_digest(secret: str) -> str:
    """What is kept of a key: SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _words(scopes: Collection[Scope]) -> str:
    return ",".join(scope for scope in SCOPES if scope in scopes)


def key_from_row(row: object) -> ApiKey:
    """A row of the keys' table as a key."""
    told = row._mapping  # type: ignore[attr-defined]
    scopes = frozenset(scope for scope in SCOPES if scope in told["scopes"].split(","))
    return ApiKey(told["id"], told["name"], scopes, told["created_at"], told["revoked_at"])
