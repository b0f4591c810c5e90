"""How Alembic reaches the store: over the connection that it is given."""

from __future__ import annotations

from alembic import context

from serving.store.tables import METADATA

connection = context.config.attributes["connection"]
# SQLite changes tables by making them anew.
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
context.run_migrations()
