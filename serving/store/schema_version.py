"""Version of the store's schema, and its migrations."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from features.errors import HomeError
from serving.store.schema_revision import SCHEMA_VERSION
from serving.store.tables import METADATA

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade_schema(connection: Connection) -> bool:
    """Upgrade the schema to the newest version. Return whether the store had an older one."""
    if schema_version(connection) == SCHEMA_VERSION:
        return False
    # Imported here, since an older schema is rare, and Alembic takes a while to import.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    version = schema_version(connection)
    if version is not None and version not in {script.revision for script in scripts.walk_revisions()}:
        raise HomeError(
            f"the store's schema version is {version}, which this release does not support",
            f"{SCHEMA_VERSION} or an earlier one",
            "use the newer release that wrote the store",
        )
    command.upgrade(config, "head")
    return version is not None


def schema_version(connection: Connection) -> str | None:
    """Return the schema version that Alembic has recorded, or None for an empty store."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def has_every_column(connection: Connection) -> bool:
    """Return whether every table of the schema exists, with every column. Other tables and columns do not matter."""
    found = inspect(connection).get_multi_columns()
    columns = {table: {column["name"] for column in each} for (_, table), each in found.items()}
    return all(set(table.columns.keys()) <= columns.get(table.name, set()) for table in METADATA.tables.values())
