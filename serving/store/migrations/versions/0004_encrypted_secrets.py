"""Encrypt the secrets of webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from serving.store.encryption import cipher_of

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

endpoints = sa.table("webhook_endpoints", sa.column("id", sa.String), sa.column("secret", sa.String))


def upgrade() -> None:
    """Upgrade the schema."""
    _overwrite()
    for row in op.get_bind().execute(sa.select(endpoints)).all():
        _set(row.id, cipher_of(op.get_bind()).encrypt(row.secret, row.id))


def downgrade() -> None:
    """Downgrade the schema."""
    for row in op.get_bind().execute(sa.select(endpoints)).all():
        _set(row.id, cipher_of(op.get_bind()).decrypt(row.secret, row.id))


def _set(endpoint: str, secret: str) -> None:
    op.get_bind().execute(endpoints.update().where(endpoints.c.id == endpoint).values(secret=secret))


def _overwrite() -> None:
    # By default, SQLite leaves replaced content in the file.
    if op.get_bind().dialect.name == "sqlite":
        op.get_bind().exec_driver_sql("PRAGMA secure_delete=ON")
