"""Alembic environment that runs the migrations on a given connection."""

from __future__ import annotations

from alembic import context

from serving.store.tables import METADATA

connection = context.config.attributes["connection"]
# SQLite changes tables by recreating them.
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
context.run_migrations()
