"""Tables of the operational store.

Times are stored as whole microseconds in UTC, so that SQLite and PostgreSQL sort and compare them in the same way.
Documents are JSON texts, stored as they were returned; those of predictions are compressed with zlib to a quarter of
their size. This module has the newest schema; `migrations` upgrades older ones.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from serving.common.errors import StoreDown

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcMicroseconds(TypeDecorator[datetime]):
    """An aware datetime, stored as microseconds since 1970 in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Convert a Python value for the database."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Convert a database value for Python."""
        try:
            return None if value is None else _EPOCH + timedelta(microseconds=int(value))
        except (ValueError, TypeError, OverflowError):
            raise StoreDown(
                "the store is damaged: it contains an invalid time", "a file written by Renewcast", "restore a backup"
            ) from None


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# One row per name: the last number used. A transaction that takes the next numbers locks the row until it ends. So
# numbers become visible in order, and a reader that continues after the last one it read never misses any.
counters = Table(
    "counters",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("last", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", String(100), nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("revoked_at", UtcMicroseconds),
    Column("owner", Text),
)

sessions = Table(
    "sessions",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("key_id", String(40), ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("expires_at", UtcMicroseconds, nullable=False, index=True),
)

predictions = Table(
    "predictions",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("as_of", UtcMicroseconds, nullable=False),
    Column("churn_band", String(20)),
    Column("health_band", String(20)),
    Column("agreement", String(20)),
    Column("sequence", BigInteger, nullable=False, unique=True),
    Column("updated_at", UtcMicroseconds, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("ix_predictions_account_id_as_of", "account_id", "as_of"),
    Index("ix_predictions_updated_at", "updated_at"),
)

batches = Table(
    "batches",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("as_of", UtcMicroseconds, nullable=False),
    Column("published_at", UtcMicroseconds, nullable=False, index=True),
    Column("accounts", Integer, nullable=False),
    Column("models", Text, nullable=False),
)

alerts = Table(
    "alerts",
    METADATA,
    Column("account_id", Text, primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("code", String(40), nullable=False),
    Column("as_of", UtcMicroseconds, nullable=False),
    Column("sequence", BigInteger, nullable=False, unique=True),
    Column("document", Text, nullable=False),
    # Raised while a play ran on the account: not part of the stream.
    Column("suppressed", Boolean, nullable=False, server_default=false()),
)

records = Table(
    "records",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("what", String(20), nullable=False),
    Column("account_id", Text, nullable=False),
    Column("occurred_at", UtcMicroseconds, nullable=False),
    Column("recorded_at", UtcMicroseconds, nullable=False),
    Column("recorded_by", String(200), nullable=False),
    Column("author", String(200)),
    Column("document", Text, nullable=False),
    Index("ix_records_account_id", "account_id"),
)

# What people changed about recorded interventions. An intervention has version 1, and each change the next number. Rows
# are only added, and two changes cannot have the same version, so no change overwrites another one.
intervention_changes = Table(
    "intervention_changes",
    METADATA,
    Column("intervention_id", String(40), ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("recorded_at", UtcMicroseconds, nullable=False),
    Column("recorded_by", String(200), nullable=False),
    Column("author", String(200), nullable=False),
    Column("document", Text, nullable=False),
)

# Views of pages. The owner of a view for everyone is empty.
saved_views = Table(
    "saved_views",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("name", String(100), nullable=False),
    Column("page", String(40), nullable=False),
    Column("query", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("author", String(200), nullable=False),
    UniqueConstraint("owner", "name"),
)

idempotency = Table(
    "idempotency",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("running_until", UtcMicroseconds),
    Column("status", Integer),
    Column("headers", Text),
    Column("body", LargeBinary),
    Column("created_at", UtcMicroseconds, nullable=False, index=True),
)

jobs = Table(
    "jobs",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("state", String(20), nullable=False, index=True),
    Column("request", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("running_until", UtcMicroseconds),
    Column("attempts", Integer, nullable=False),
    Column("finished_at", UtcMicroseconds),
    Column("rows_done", Integer, nullable=False),
    Column("rows_total", Integer),
    Column("file", String(200)),
    Column("reason", Text),
    Column("notes", Text),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", String(200), nullable=False),
    Column("events", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("disabled_at", UtcMicroseconds),
    Column("reason", Text),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("endpoint_id", String(40), ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", String(80), nullable=False),
    Column("event", String(60), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("due_at", UtcMicroseconds),
    Column("attempts", Integer, nullable=False),
    Column("last_status", Integer),
    Column("delivered_at", UtcMicroseconds),
    Column("given_up", Boolean, nullable=False),
    Index("ix_webhook_deliveries_endpoint_id_due_at", "endpoint_id", "due_at"),
    Index("uq_webhook_deliveries_endpoint_id_event_id", "endpoint_id", "event_id", unique=True),
)
