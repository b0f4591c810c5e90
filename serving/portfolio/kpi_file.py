"""The file with the contributions of every account to the KPIs of a published snapshot.

It is ``snapshots/companions/<date>/contributions.parquet``, with one group of rows for each period and span, so that a
request reads only what it needs. The KPIs of any accounts are computed from it exactly, without the signals.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cachetools import LRUCache, cached

from features.utils.atomic_files import new_file
from serving.portfolio.contribution_rows import AMOUNT_COLUMNS, ROW_COLUMNS, TEXT_COLUMNS, CodedTexts, ContributionRows
from serving.portfolio.kpi_values import Contributions, KpiContributions
from serving.snapshots.sidecars import sidecar_path
from serving.snapshots.snapshot_files import METADATA_KEY, FileVersion, SnapshotFiles, file_version
from serving.snapshots.stored_tables import stored_table, unusable_file

NAME = "contributions"
#: The layout of the file.
FORMAT = 1
#: Size of the contributions that stay in memory (bytes); the ones used last stay.
MEMORY_LIMIT = 256 * 2**20
_KINDS = {**dict.fromkeys(TEXT_COLUMNS, pa.string()), "overwritten": pa.bool_()}
SCHEMA = pa.schema([(name, _KINDS.get(name, pa.float64())) for name in ROW_COLUMNS])


class _Group(NamedTuple):
    period: str
    span: str


def contributions_path(snapshots: SnapshotFiles, as_of: datetime) -> Path:
    """Return the path of the file of a snapshot; it may not exist."""
    return sidecar_path(snapshots, as_of, NAME).with_suffix(".parquet")


def write_contributions(
    snapshots: SnapshotFiles, as_of: datetime, contributions: Mapping[str, KpiContributions]
) -> Path:
    """Write the contributions to the KPIs of each period atomically.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot, at which the periods end.
    contributions : the contributions by the name of the period.

    Raises
    ------
    HomeError : the home cannot be written.
    """
    parts = {
        _Group(name, span): getattr(each, span) for name, each in contributions.items() for span in ("now", "last")
    }
    about = {
        "format": FORMAT,
        "as_of": as_of.isoformat(),
        "groups": [key for key, part in parts.items() if len(part.rows)],
        "missing": [[*key, dict(part.missing)] for key, part in parts.items()],
    }
    schema = SCHEMA.with_metadata({METADATA_KEY: json.dumps(about).encode()})
    path = contributions_path(snapshots, as_of)
    with new_file(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for part in parts.values():
            if len(part.rows):
                table = part.rows.table()
                columns = [
                    pa.array(table[each.name], each.type, from_pandas=each.name in TEXT_COLUMNS) for each in schema
                ]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=len(table))
    return path


def read_contributions(
    snapshots: SnapshotFiles, as_of: datetime, period: str, span: str = "now"
) -> Contributions | None:
    """Read the contributions to the KPIs of a period. They stay in memory until the file changes.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.
    period : the name of the period.
    span : now, or last for the period before.

    Returns
    -------
    Contributions or None
        None if there is no such file, or it lacks the period: an earlier release published the snapshot.

    Raises
    ------
    HomeError : the file is broken, too large, or of another snapshot or layout.
    """
    path = contributions_path(snapshots, as_of)
    version = file_version(path)
    if version is None:
        return None
    return _read(path, version, as_of, _Group(period, span))


@cached(
    LRUCache[Any, "Contributions | None"](
        MEMORY_LIMIT, getsizeof=lambda found: 1 if found is None else found.rows.nbytes
    ),
    condition=threading.Condition(),
)
def _read(path: Path, _version: FileVersion, as_of: datetime, group: _Group) -> Contributions | None:
    try:
        with stored_table(path, published=True) as file:
            parquet = pq.ParquetFile(file, read_dictionary=list(TEXT_COLUMNS))
            about: dict[str, Any] = json.loads((parquet.schema_arrow.metadata or {})[METADATA_KEY])
            if (about["format"], about["as_of"]) != (FORMAT, as_of.isoformat()):
                raise unusable_file(path, "it belongs to another snapshot or layout", published=True)
            missing = {_Group(*key): dict(why) for *key, why in about["missing"]}
            if group not in missing:
                return None
            groups = [_Group(*each) for each in about["groups"]]
            if group in groups:
                rows = _rows(parquet.read_row_group(groups.index(group), list(ROW_COLUMNS)))
            else:
                rows = _rows(SCHEMA.empty_table())
    except FileNotFoundError:
        return None
    return Contributions(rows, missing[group])


def _rows(table: pa.Table) -> ContributionRows:
    measure, account, segment = (_texts(table[name]) for name in TEXT_COLUMNS)
    amounts = np.column_stack([table[name].to_numpy() for name in AMOUNT_COLUMNS])
    return ContributionRows(measure, account, segment, amounts, table["overwritten"].to_numpy())


def _texts(column: pa.ChunkedArray) -> CodedTexts:
    texts = column.combine_chunks().dictionary_encode()
    codes = texts.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    few = len(texts.dictionary) <= np.iinfo(np.int16).max
    return CodedTexts(codes.astype(np.int16 if few else np.int32), texts.dictionary.to_numpy(zero_copy_only=False))
