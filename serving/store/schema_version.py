"""The layout of the store's tables, and its migrations."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from features.errors import HomeError
from serving.store.tables import SCHEMA_VERSION

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade_schema(connection: Connection) -> bool:
    """Bring the layout up to date; whether an older one was there."""
    if schema_version(connection) == SCHEMA_VERSION:
        return False
    # Only here, since a store is hardly ever of an older layout, and Alembic takes a while to import.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = ScriptDirectory.from_config(config)
    now = schema_version(connection)
    if now is not None and now not in {script.revision for script in known.walk_revisions()}:
        raise HomeError(
            f"the store's layout is {now}, which this program does not know",
            f"{SCHEMA_VERSION} or an earlier one",
            "use the newer program that has written it",
        )
    command.upgrade(config, "head")
    return now is not None


def schema_version(connection: Connection) -> str | None:
    """The store's layout as Alembic notes it; None for an empty store."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found
