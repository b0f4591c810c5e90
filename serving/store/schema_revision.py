"""The revision of the store's tables in this release."""

SCHEMA_VERSION = "0008"
"""The newest revision of `serving.store.migrations`, which creates the tables of `serving.store.tables`."""
