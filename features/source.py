"""The names of `features.sources` that other packages use."""

from features.sources.base import DUCKDB, SPARK, Source, connect, from_tables, lay_arrow
from features.sources.open_source import open_source

__all__ = ["DUCKDB", "SPARK", "Source", "connect", "from_tables", "lay_arrow", "open_source"]
