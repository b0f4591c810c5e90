"""API keys as they are stored, and reading them from a SQLite file without SQLAlchemy, which takes long to import."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from serving.store.schema_revision import SCHEMA_VERSION

Scope = Literal["predict", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""``predict``: read data of accounts, and score. ``write``: record interventions and outcomes, start jobs. ``admin``:
everything, including signing reviews."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ApiKey:
    """Metadata of an API key, never the key itself.

    Parameters
    ----------
    id : its identifier in lists and logs.
    name : its purpose, in the words of the person who created it.
    scopes : what it allows.
    created_at : UTC.
    revoked_at : UTC; None while the key is valid.
    owner : the CSM whose accounts the pages show first to whoever signs in with the key; None for all accounts. It
        restricts nothing.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None = None
    owner: str | None = None

    def may(self, scope: Scope) -> bool:
        """Return whether the key has ``scope``. The scope admin includes every other."""
        return scope in self.scopes or "admin" in self.scopes


def key_from_columns(columns: Mapping[Any, Any]) -> ApiKey:
    """Return a row of the table of keys as a key.

    Parameters
    ----------
    columns : the values by column. Times are aware.
    """
    scopes = frozenset(scope for scope in SCOPES if scope in columns["scopes"].split(","))
    return ApiKey(
        columns["id"], columns["name"], scopes, columns["created_at"], columns["revoked_at"], columns["owner"]
    )


def read_key_records(file: Path) -> list[ApiKey] | None:
    """Return all keys in a SQLite store, oldest first.

    Parameters
    ----------
    file : the file of the store.

    Returns
    -------
    list or None
        None if the file does not exist, cannot be read in this way, or has another schema than that of this release:
        `serving.store.database` then upgrades it or says what is wrong.
    """
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            versions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            if [row[0] for row in versions] != [SCHEMA_VERSION]:
                return None
            rows = connection.execute("SELECT * FROM api_keys ORDER BY created_at, id").fetchall()
        times = ("created_at", "revoked_at")
        return [key_from_columns({**dict(row), **{name: _time(row[name]) for name in times}}) for row in rows]
    except (sqlite3.Error, LookupError, ValueError, TypeError, OverflowError, AttributeError):
        return None


def _time(microseconds: int | None) -> Any:
    """Return a time as `serving.store.tables.UtcMicroseconds` does."""
    return None if microseconds is None else _EPOCH + timedelta(microseconds=int(microseconds))
