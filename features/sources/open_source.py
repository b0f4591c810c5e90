"""Opening a signals source by its address."""

from __future__ import annotations

from pathlib import Path

from features.contract.schema import TABLES
from features.errors import SignalsError
from features.sources import postgres
from features.sources.base import ADDRESSES, DUCKDB, STORES, Source
from features.sources.databases import open_database, open_postgres
from features.sources.files import GLOB, fixed_part, matches, open_folder, open_with_spark
from features.sources.mapping_file import open_mapping
from features.sources.object_store import open_store

ELSEWHERE = ("s3a", "gcs", "az", "abfs", "abfss", "azure", "http", "https", "ftp", "hdfs", "r2")
"""Addresses beyond this machine that are not read."""


def open_source(address: str | Path, engine: str = DUCKDB) -> Source:
    """Open ``address``: a folder, a pattern of files, a database or object store (see `ADDRESSES`), or a TOML mapping.

    Parameters
    ----------
    address : where the tables are. A pattern (``exports/2026-*/*.parquet``) names files that bear tables' names.
    engine : ``duckdb``; or ``spark`` (on this machine) or ``spark://HOST:PORT`` for a folder of files.

    Raises
    ------
    BadRequest
        If there is no such engine.
    SignalsError
        If there is nothing there, nothing readable, no table of the contract, or nothing that the engine can read.
        Web addresses are refused. The engine that reads customers' data does not reach out: what an object store
        holds is copied first.
    """
    text = str(address)
    scheme = text.partition("://")[0] if "://" in text else ""
    if engine != DUCKDB:
        source = open_with_spark(text, engine)
    elif scheme in postgres.SCHEMES:
        source = open_postgres(text)
    elif scheme.lower() in STORES:
        source = open_store(text)
    elif scheme.lower() in ELSEWHERE:
        raise SignalsError(
            f"an address of the kind {scheme}, which is not on this machine",
            "a folder of Parquet, CSV or JSON files, a TOML mapping file, or one of " + ", ".join(ADDRESSES),
            "copy the files to this machine with the store's own client, and name the folder of the copies",
        )
    elif scheme:
        source = open_database(text, scheme)
    elif Path(text).is_dir():
        source = open_folder(Path(text))
    elif Path(text).suffix == ".toml" and Path(text).is_file():
        source = open_mapping(Path(text))
    elif any(c in text for c in GLOB) and (found := matches(Path(text))):
        source = open_folder(fixed_part(Path(text)), files=found)
    else:
        raise SignalsError(
            f"no signals source at {text}",
            "a folder of Parquet, CSV or JSON files, a TOML mapping file, a database or an object store: "
            + " or ".join(ADDRESSES),
            "check the path",
        )
    if not source.tables:
        raise SignalsError(
            f"{source.origin} holds no table of the data contract",
            "at least accounts and one of subscriptions or orders; known tables: " + ", ".join(TABLES),
            "name the tables so, or write a mapping file",
        )
    return source
