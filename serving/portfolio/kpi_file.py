"""The file with the contributions of every account to the KPIs of a published snapshot.

It is ``snapshots/companions/<date>/contributions.parquet``, with one group of rows for each period and span, so that a
request reads only what it needs. The KPIs of any accounts are computed from it exactly, without the signals.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import HomeError
from features.utils.atomic_files import new_file
from serving.portfolio.kpi_values import ROW_COLUMNS, Contributions, KpiContributions
from serving.snapshots.lookback_rows import FILE_LIMIT, SCORE_AGAIN
from serving.snapshots.sidecars import sidecar_path
from serving.snapshots.snapshot_files import METADATA_KEY, FileVersion, SnapshotFiles, file_version

NAME = "contributions"
#: The layout of the file.
FORMAT = 1
#: How many groups of rows stay in memory: those of a year, of the year before and of the quarter, of two snapshots.
CACHED_GROUPS = 6
_TEXTS = ("measure", "account_id", "segment")
_KINDS = {**dict.fromkeys(_TEXTS, pa.string()), "overwritten": pa.bool_()}
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
                columns = [
                    pa.array(part.rows[each.name], each.type, from_pandas=each.name in _TEXTS) for each in schema
                ]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=len(part.rows))
    return path


def read_contributions(
    snapshots: SnapshotFiles, as_of: datetime, period: str, span: str = "now", cached: bool = True
) -> Contributions | None:
    """Read the contributions to the KPIs of a period.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.
    period : the name of the period.
    span : now, or last for the period before.
    cached : whether they stay in memory for further requests.

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
    read = _read if cached else _read.__wrapped__
    return read(path, version, as_of, _Group(period, span))


@lru_cache(maxsize=CACHED_GROUPS)
def _read(path: Path, _version: FileVersion, as_of: datetime, group: _Group) -> Contributions | None:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > FILE_LIMIT:
                raise _broken(path, f"it is larger than {FILE_LIMIT:,} bytes")
            parquet = pq.ParquetFile(file, read_dictionary=list(_TEXTS))
            about: dict[str, Any] = json.loads((parquet.schema_arrow.metadata or {})[METADATA_KEY])
            if (about["format"], about["as_of"]) != (FORMAT, as_of.isoformat()):
                raise _broken(path, "it belongs to another snapshot or layout")
            missing = {_Group(*key): dict(why) for *key, why in about["missing"]}
            if group not in missing:
                return None
            groups = [_Group(*each) for each in about["groups"]]
            if group in groups:
                rows = parquet.read_row_group(groups.index(group)).select(list(ROW_COLUMNS)).to_pandas()
            else:
                rows = pd.DataFrame({each.name: pd.Series(dtype=each.type.to_pandas_dtype()) for each in SCHEMA})
    # The reasons are left out, since they can repeat values.
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise _broken(path, f"it cannot be read ({type(error).__name__})") from None
    return Contributions(rows, missing[group])


def _broken(path: Path, why: str) -> HomeError:
    return HomeError(f"{path} cannot be used: {why}", "a file written by `renewcast score --publish`", SCORE_AGAIN)
