"""Files of published snapshots: the scored features, stored in the home so that the service can answer from them.

There is one Parquet file per ``as_of`` under ``snapshots/``, with the snapshot's metadata as JSON in the metadata of
the file. A file is replaced atomically, so rows and metadata always belong together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from features.catalogue.catalogue import KEYS, Catalogue
from features.custom.current_catalogue import current_catalogue
from features.errors import HomeError, UnknownSnapshot
from features.utils.atomic_files import new_file
from models.artifacts.portfolio_identity import RecordedValues, SortedRecords, sorted_records
from models.home import Home
from models.predictions.payload import format_instant
from serving.snapshots.lookback_rows import read_lookback, write_lookback
from serving.snapshots.stored_tables import SCORE_AGAIN, stored_table, unusable_file

#: Files with more uncompressed bytes are not read.
UNPACKED_LIMIT = 8 * 2**30
#: How many of the nearest dates an UnknownSnapshot names.
NEAREST = 3

METADATA_KEY = b"renewcast"
_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})(?:T(\d{6})Z)?\.parquet")

FileVersion = tuple[int, int, int]
"""Identifies a version of a file: inode, time of modification (ns), size (bytes)."""


class SnapshotMetadata(BaseModel):
    """Metadata of a snapshot.

    Parameters
    ----------
    as_of : date of the snapshot, UTC.
    origin : address of the signals.
    data_through : time up to which the signals were complete, UTC; never after ``as_of``.
    horizon_days : without contracts, an account with an order within this time counted as active.
    catalogue_version : version of the features.
    feeds : the newest event of each table that was known at ``as_of``.
    jumped : columns (``table.column``) whose unit seems to have changed.
    records : by table and column, the only values that the source of the signals can record.
    open_questions : what the mapping of the signals has not answered.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    as_of: AwareDatetime
    origin: str
    data_through: AwareDatetime
    horizon_days: Annotated[int, Field(gt=0)]
    catalogue_version: str
    feeds: dict[str, AwareDatetime | None]
    jumped: tuple[str, ...] = Field(default=(), strict=False)
    records: SortedRecords = Field(default_factory=dict)
    open_questions: tuple[str, ...] = Field(default=(), strict=False)


@dataclass(frozen=True)
class PublishedSnapshot:
    """A snapshot for one ``as_of``, as `features.snapshots.snapshot.snapshot` returned it, with its metadata.

    ``past`` contains rows of the weeks before, which the rules look back on; None if there are none.
    """

    metadata: SnapshotMetadata
    frame: pd.DataFrame
    past: pd.DataFrame | None = None


@dataclass(frozen=True)
class SnapshotFiles:
    """The published snapshots of one home.

    Parameters
    ----------
    home : the home.
    catalogue : the features, which are the columns; by default those of the deployment.
    """

    home: Home
    catalogue: Catalogue = field(default_factory=current_catalogue)

    def publish(
        self,
        frame: pd.DataFrame,
        *,
        origin: str,
        data_through: datetime,
        horizon_days: int,
        feeds: Mapping[str, datetime | None],
        jumped: Sequence[str] = (),
        past: pd.DataFrame | None = None,
        looked_back_on: Sequence[str] = (),
        records: RecordedValues | None = None,
        open_questions: Sequence[str] = (),
    ) -> Path:
        """Write a snapshot of one ``as_of``. It replaces an earlier one of that date.

        Parameters
        ----------
        frame : the rows. The same rows give the same bytes.
        origin, data_through, horizon_days, feeds, jumped, records, open_questions : see `SnapshotMetadata`.
        past : rows of earlier weeks.
        looked_back_on : the features to store of ``past``.

        Raises
        ------
        HomeError : the home cannot be written.
        """
        as_of: datetime = frame[KEYS[1]].iloc[0].to_pydatetime()
        metadata = SnapshotMetadata(
            as_of=as_of,
            origin=origin,
            data_through=data_through,
            horizon_days=horizon_days,
            catalogue_version=self.catalogue.version,
            feeds=dict(sorted(feeds.items())),
            jumped=tuple(jumped),
            records=sorted_records(records or {}),
            open_questions=tuple(open_questions),
        )
        schema = self._schema().with_metadata({METADATA_KEY: metadata.model_dump_json().encode()})
        table = pa.table([_column(frame, field) for field in schema], schema=schema)
        path = self.path(as_of)
        if past is not None:
            write_lookback(self._earlier(as_of), past, looked_back_on)
        with new_file(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return path

    def _earlier(self, as_of: datetime) -> Path:
        path = self.path(as_of)
        return path.parent / "earlier" / path.name

    def path(self, as_of: datetime) -> Path:
        """Return the path of the snapshot at ``as_of``."""
        utc = as_of.astimezone(UTC)
        midnight = utc == utc.replace(hour=0, minute=0, second=0, microsecond=0)
        return self.home.snapshots / f"{utc:{'%Y-%m-%d' if midnight else '%Y-%m-%dT%H%M%SZ'}}.parquet"

    def dates(self) -> list[datetime]:
        """Return the dates that were scored, UTC, in order.

        Raises
        ------
        HomeError : the folder cannot be read.
        """
        try:
            names = [entry.name for entry in self.home.snapshots.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise HomeError(f"cannot read {self.home.snapshots}: {error.strerror}", "a folder of snapshots") from error
        return sorted(date for date in map(_date_of, names) if date is not None)

    def version(self, as_of: datetime) -> FileVersion | None:
        """Return the version of the file of the snapshot, or None if there is none."""
        return file_version(self.path(as_of))

    def latest(self) -> PublishedSnapshot:
        """Return the snapshot of the latest date.

        Raises
        ------
        UnknownSnapshot : nothing was scored yet.
        HomeError : it is broken, or has other features.
        """
        dates = self.dates()
        if not dates:
            raise UnknownSnapshot(
                "no snapshot has been scored yet",
                "at least one scored snapshot",
                SCORE_AGAIN.replace("it again", "one"),
            )
        return self.at(dates[-1])

    def at(self, as_of: datetime) -> PublishedSnapshot:
        """Return the snapshot at ``as_of``.

        Raises
        ------
        UnknownSnapshot : that date was not scored. The message names the nearest dates that were.
        HomeError : it is broken, too large, or has other features. The message names the file and the difference.
        """
        path = self.path(as_of)
        try:
            with stored_table(path) as file:
                metadata, table = self._read(path, pq.ParquetFile(file))
        except FileNotFoundError:
            raise self._unknown(as_of) from None
        frame = table.to_pandas()
        for name, feature in self.catalogue.items():
            if feature.kind == "category":
                values = frame[name].astype(object)
                frame[name] = values.where(values.notna(), None)
        if frame.empty:
            raise unusable_file(path, "it has no accounts")
        if metadata.as_of != as_of or not (frame[KEYS[1]] == pd.Timestamp(as_of)).all():
            raise unusable_file(path, "its date differs from its name")
        return PublishedSnapshot(metadata, frame, read_lookback(self._earlier(as_of), as_of))

    def _read(self, path: Path, parquet: pq.ParquetFile) -> tuple[SnapshotMetadata, pa.Table]:
        groups = parquet.metadata
        if sum(groups.row_group(i).total_byte_size for i in range(groups.num_row_groups)) > UNPACKED_LIMIT:
            raise unusable_file(path, f"it has more than {UNPACKED_LIMIT} uncompressed bytes")
        text = (parquet.schema_arrow.metadata or {}).get(METADATA_KEY)
        if text is None:
            raise unusable_file(path, "it has no metadata of a snapshot")
        try:
            metadata = SnapshotMetadata.model_validate_json(text)
        except ValidationError as error:
            # The reasons are left out, since they can repeat values.
            raise unusable_file(path, f"its metadata is invalid ({error.error_count()} errors)") from None
        if metadata.catalogue_version != self.catalogue.version:
            raise HomeError(
                f"{path} was created with version {metadata.catalogue_version} of the feature catalogue",
                f"version {self.catalogue.version}",
                SCORE_AGAIN,
            )
        if not parquet.schema_arrow.remove_metadata().equals(self._schema()):
            raise unusable_file(path, "its columns differ from those of the feature catalogue")
        return metadata, parquet.read()

    def _schema(self) -> pa.Schema:
        kinds = {"number": pa.float64(), "category": pa.string()}
        keys = [(KEYS[0], pa.string()), (KEYS[1], pa.timestamp("us", tz="UTC"))]
        return pa.schema([*keys, *((name, kinds[feature.kind]) for name, feature in self.catalogue.items())])

    def _unknown(self, as_of: datetime) -> UnknownSnapshot:
        nearest = sorted(self.dates(), key=lambda date: abs(date - as_of))[:NEAREST]
        listed = ", ".join(format_instant(date) for date in sorted(nearest))
        return UnknownSnapshot(
            "no snapshot was scored at this date",
            f"a date that was scored; the nearest: {listed}" if listed else "a date that was scored; there is none yet",
            "choose another date, or " + SCORE_AGAIN,
        )


def _column(frame: pd.DataFrame, field: pa.Field) -> pa.Array:
    if pa.types.is_timestamp(field.type):
        return pa.array([instant.to_pydatetime() for instant in frame[field.name]], field.type)
    return pa.array(frame[field.name].to_numpy(), field.type, from_pandas=True)


def file_version(path: Path) -> FileVersion | None:
    """Return the version of a file or folder, or None if it does not exist or cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _date_of(name: str) -> datetime | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        return datetime.strptime(f"{match[1]}{match[2] or '000000'}", "%Y-%m-%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
