"""Open a signals source by its address."""

from __future__ import annotations

from pathlib import Path

from features.contract.current_contract import current_tables
from features.errors import SignalsError
from features.sources import postgres
from features.sources.base import ADDRESSES, DUCKDB, STORES, Source
from features.sources.databases import open_database, open_postgres
from features.sources.files import WILDCARDS, fixed_prefix, glob_paths, open_folder, open_with_spark
from features.sources.object_store import open_store
from features.sources.spreadsheet.sheet_files import history_files
from features.sources.spreadsheet.workbook import parse_address

UNSUPPORTED_SCHEMES = ("s3a", "gcs", "az", "abfs", "abfss", "azure", "http", "https", "ftp", "hdfs", "r2")
"""Remote address schemes that are not supported."""


def open_source(address: str | Path, engine: str = DUCKDB) -> Source:
    """Open ``address``: files, a database or object store (see `ADDRESSES`), a TOML mapping or a spreadsheet.

    Parameters
    ----------
    address : the location of the tables. A pattern (``exports/2026-*/*.parquet``) selects files named after tables.
    engine : ``duckdb``; or ``spark`` (on this machine) or ``spark://HOST:PORT`` for a folder of files.

    Raises
    ------
    BadRequest
        If the engine is unknown.
    SignalsError
        If nothing is found, nothing is readable, there is no table of the contract, or the engine cannot read it.
        Web addresses are rejected. The engine that reads customers' data has no network access: objects of a store
        are copied first.
    """
    text = str(address)
    scheme = text.partition("://")[0] if "://" in text else ""
    if engine != DUCKDB:
        source = open_with_spark(text, engine)
    elif scheme in postgres.SCHEMES:
        source = open_postgres(text)
    elif scheme.lower() in STORES:
        source = open_store(text)
    elif scheme.lower() in UNSUPPORTED_SCHEMES:
        raise SignalsError(
            f"unsupported remote address: {scheme}",
            "a folder of Parquet, CSV or JSON files, a TOML mapping file, or one of " + ", ".join(ADDRESSES),
            "copy the files to this machine with the object store's own client, and use the folder of copies",
        )
    elif scheme:
        source = open_database(text, scheme)
    elif sheets := history_files(text):
        # Mappings and spreadsheets are imported late, because most sources are folders of the contract's tables.
        from features.sources.spreadsheet.open_spreadsheet import open_sheet_history

        source = open_sheet_history(sheets, text)
    elif Path(text).is_dir():
        source = open_folder(Path(text))
    elif Path(text).suffix == ".toml" and Path(text).is_file():
        from features.sources.mapping.open_mapping import open_mapping

        source = open_mapping(Path(text))
    elif any(c in text for c in WILDCARDS) and (paths := glob_paths(Path(text))):
        source = open_folder(fixed_prefix(Path(text)), files=paths)
    elif (sheet := parse_address(text)) is not None:
        from features.sources.spreadsheet.open_spreadsheet import open_spreadsheet

        source = open_spreadsheet(sheet)
    else:
        raise SignalsError(
            f"no signals source at {text}",
            "a folder of Parquet, CSV or JSON files, a TOML mapping file, a spreadsheet, a database or an object "
            "store: " + " or ".join(ADDRESSES),
            "check the path",
        )
    if not source.tables:
        raise SignalsError(
            f"{source.origin} has no table of the data contract",
            "at least accounts and one of subscriptions or orders; known tables: " + ", ".join(current_tables()),
            f"complete [tables] in {source.origin}"
            if source.origin.endswith(".toml")
            else "rename the tables, or write a mapping file",
        )
    return source
