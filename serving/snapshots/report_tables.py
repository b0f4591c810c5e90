"""What account reports need of a published snapshot besides its rows: events, weeks and movements of ARR.

Each is a Parquet file next to the snapshot, in the order of account_id, so that the rows of one account are read
without the others. The sidecar `REPORTS` says which there are; it is written last.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.utils.arrow_records import event_records
from features.utils.atomic_files import new_file
from features.utils.periods import Quarter, period_ending
from models.predictions.columns import number_or_null
from models.predictions.table_export import arrow_table
from serving.snapshots.sidecars import read_sidecar, sidecar_path, write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.snapshots.stored_tables import stored_table, unusable_file

if TYPE_CHECKING:
    from features.signals.signals import OpenSignals

REPORTS = "reports"
"""The sidecar with the names of the tables that the source has (``tables``), and whether the source is one picture of
the accounts (``one_date``)."""
REPORT_TABLES = ("support", "outcomes", "relationship")
"""Tables whose rows reports list."""
MOVEMENTS = ("arr_start", "new", "expanded", "contracted")
"""The movements of ARR that reports show."""
EVENT_LIMIT = 2_000
"""The maximum number of rows of one table of an account, the latest ones."""
ROW_GROUP = 4_096
"""Rows that are read together."""
_DATE = b"as_of"


@dataclass(frozen=True)
class ReportRows:
    """The rows of one account.

    Parameters
    ----------
    tables : the names of the tables that the source has.
    one_date : whether the source is one picture of the accounts, without any history.
    events : by table, the rows of the last year as plain data, oldest first; of ``relationship``, all rows.
    weeks : the features of the weeks before, oldest first, with ``as_of``.
    movements : by period (quarter or year), how the ARR changed (`MOVEMENTS`).
    """

    tables: frozenset[str]
    one_date: bool
    events: Mapping[str, list[dict[str, Any]]]
    weeks: tuple[dict[str, Any], ...]
    movements: Mapping[str, dict[str, Any]]


def write_report_tables(
    signals: OpenSignals,
    snapshots: SnapshotFiles,
    as_of: datetime,
    past: pd.DataFrame,
    features: Collection[str],
    active_days: int,
) -> None:
    """Write the files of the snapshot at ``as_of``. They replace earlier ones.

    Parameters
    ----------
    signals : validated signals.
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.
    past : the snapshots of the weeks before.
    features : the features to store of ``past``.
    active_days : without contracts, an order within this many days makes an account active.

    Raises
    ------
    HomeError : the home cannot be written.
    """
    # Imported here, since reading published data needs no query engine.
    from features.revenue.account_history import LISTED, portfolio_rows
    from features.revenue.arr import movements

    year = period_ending(as_of, "year").start
    for name, table in portfolio_rows(signals, year, as_of, REPORT_TABLES).items():
        _write(_path(snapshots, as_of, name), table, as_of)
    columns = ["account_id", "as_of", *(name for name in features if name in past)]
    weeks = past[columns].sort_values(["account_id", "as_of"], kind="stable")
    _write(_path(snapshots, as_of, "weeks"), arrow_table(weeks), as_of)
    one_date = signals.states is not None and signals.states.sole
    if not one_date:
        starts = {"quarter": quarter_start(as_of), "year": year}
        changes = [
            movements(signals, start, as_of, active_days=active_days)[["account_id", *MOVEMENTS]].assign(period=period)
            for period, start in starts.items()
        ]
        ordered = pd.concat(changes).sort_values("account_id", kind="stable")
        _write(_path(snapshots, as_of, "movements"), arrow_table(ordered), as_of)
    tables = [name for name in LISTED if signals.has(name)]
    write_sidecar(snapshots, as_of, REPORTS, {"tables": tables, "one_date": one_date})


def read_report_rows(snapshots: SnapshotFiles, as_of: datetime, account_id: str) -> ReportRows | None:
    """Read the rows of one account.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.
    account_id : the account.

    Returns
    -------
    ReportRows or None
        None if an earlier release published the snapshot, or it was published without signals.

    Raises
    ------
    HomeError : a file is broken, missing or of another snapshot.
    """
    document = read_sidecar(snapshots, as_of, REPORTS)
    if document is None:
        return None
    tables, one_date = frozenset(document["tables"]), bool(document["one_date"])
    events = {
        name: event_records(_read(snapshots, as_of, name, account_id))[-EVENT_LIMIT:]
        for name in REPORT_TABLES
        if name in tables
    }
    changes = [] if one_date else _read(snapshots, as_of, "movements", account_id).to_pylist()
    return ReportRows(
        tables,
        one_date,
        events,
        tuple(_plain(row) for row in event_records(_read(snapshots, as_of, "weeks", account_id))),
        {row["period"]: _plain({name: row[name] for name in MOVEMENTS}) for row in changes},
    )


def quarter_start(as_of: datetime) -> datetime:
    """Return the start of the quarter of a snapshot. One at the end of a quarter belongs to that quarter."""
    return Quarter.of(as_of - timedelta(microseconds=1)).start


def _path(snapshots: SnapshotFiles, as_of: datetime, name: str) -> Path:
    return sidecar_path(snapshots, as_of, f"{REPORTS}_{name}").with_suffix(".parquet")


def _write(path: Path, table: pa.Table, as_of: datetime) -> None:
    dated = table.replace_schema_metadata({_DATE: as_of.isoformat().encode()})
    with new_file(path) as unfinished:
        pq.write_table(dated, unfinished, compression="zstd", row_group_size=ROW_GROUP)


def _read(snapshots: SnapshotFiles, as_of: datetime, name: str, account_id: str) -> pa.Table:
    path = _path(snapshots, as_of, name)
    try:
        with stored_table(path) as file:
            table = pq.read_table(file, filters=[("account_id", "==", account_id)])
    except FileNotFoundError:
        # An erasure deletes a file whose only account it removes.
        return pa.table({})
    if (table.schema.metadata or {}).get(_DATE) != as_of.isoformat().encode():
        raise unusable_file(path, "it belongs to another snapshot")
    return table.drop_columns("account_id")


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: number_or_null(value) if isinstance(value, float) else value for name, value in row.items()}
