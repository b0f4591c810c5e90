"""Companions: JSON documents beside a published snapshot, for what is asked of it and is not in its rows.

A snapshot holds features; contracts, movements and measures are worked out from the signals while these are at hand,
and kept as ``snapshots/companions/<date>/<name>.json``. Each says of which snapshot it is, so that one that was copied
elsewhere is refused.
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue, ValidationError

from features.errors import HomeError
from features.utils.atomic_files import write_file
from models.predictions.table_export import plain_rows
from serving.snapshots.lookback_rows import SCORE_AGAIN
from serving.snapshots.snapshot_files import FileVersion, SnapshotFiles, file_version

if TYPE_CHECKING:
    from features.signals.signals import Signals

#: Larger files (bytes) are neither written nor read.
SIZE_LIMIT = 256 * 2**20
#: So many are kept at hand.
CACHED_FILES = 8
#: The layout of the envelope.
FORMAT = 1

ACCOUNTS, MEASURES, COHORTS = "accounts", "measures", "cohorts"
"""The facts of each account (`accounts_document`), which every scoring writes; and for the store the portfolio's
measures by the name of their period (`serving.portfolio.kpi_report.kpi_report`), and how long accounts have stayed
(`features.kpi.cohort_retention.cohorts`)."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class Envelope(BaseModel):
    """A companion as it lies in its file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int
    name: str
    as_of: AwareDatetime
    document: dict[str, JsonValue]


def sidecar_path(snapshots: SnapshotFiles, as_of: datetime, name: str) -> Path:
    """Where the companion ``name`` of the snapshot at ``as_of`` lies.

    Raises
    ------
    ValueError : the name is not small letters, digits and underscores.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError("a companion's name is small letters, digits and underscores")
    path = snapshots.path(as_of)
    return path.parent / "companions" / path.stem / f"{name}.json"


def write_sidecar(snapshots: SnapshotFiles, as_of: datetime, name: str, document: dict[str, Any]) -> Path:
    """Keep ``document`` beside the snapshot at ``as_of``, in place of an earlier one of that name, whole or not at all.
    The same document gives the same bytes.

    Parameters
    ----------
    document : plain data; a number that is not finite is refused, for unknown is null.

    Raises
    ------
    HomeError : the home cannot be written, or the document is too large.
    ValueError : it is not plain data, or the name is none.
    """
    path = sidecar_path(snapshots, as_of, name)
    told = {"format": FORMAT, "name": name, "as_of": as_of.isoformat(), "document": document}
    content = json.dumps(told, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    if len(content) > SIZE_LIMIT:
        raise HomeError(f"{path} would be larger than {SIZE_LIMIT:,} bytes", "a smaller portfolio")
    write_file(path, content)
    return path


def read_sidecar(snapshots: SnapshotFiles, as_of: datetime, name: str) -> dict[str, Any] | None:
    """The companion ``name`` of the snapshot at ``as_of``; None without one: the snapshot was published before there
    were companions, or without signals. It is kept at hand until its file changes, so it is not to be changed.

    Raises
    ------
    HomeError : it is broken, too large, or of another snapshot or layout.
    """
    path = sidecar_path(snapshots, as_of, name)
    stamp = file_version(path)
    if stamp is None:
        return None
    found = _read(path, stamp)
    if (found.format, found.name, found.as_of) != (FORMAT, name, as_of):
        raise _broken(path, "it is of another snapshot, name or layout")
    return found.document


@lru_cache(maxsize=CACHED_FILES)
def _read(path: Path, _stamp: FileVersion) -> Envelope:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > SIZE_LIMIT:
                raise _broken(path, f"it is larger than {SIZE_LIMIT:,} bytes")
            return Envelope.model_validate_json(file.read(SIZE_LIMIT + 1))
    except ValidationError as error:
        # The reasons are left out: they can repeat values.
        raise _broken(path, f"it is not as written ({error.error_count()} differences)") from None
    except OSError as error:
        raise _broken(path, f"it cannot be read ({type(error).__name__})") from None


def accounts_document(signals: Signals, as_of: datetime, active_days: int) -> dict[str, Any]:
    """The companion `ACCOUNTS`: ``contractual`` (whether accounts have contracts, or only order), and under
    ``accounts``, by account_id, what `features.revenue.arr.facts` says of each: instants as ISO 8601 text, unknown as
    null.
    """
    # Only here: who reads what was published needs no query engine.
    from features.revenue.arr import facts

    rows = plain_rows(facts(signals, as_of, active_days))
    accounts = {row["account_id"]: {k: v for k, v in row.items() if k != "account_id"} for row in rows}
    return {"contractual": signals.contractual, "accounts": accounts}


def _broken(path: Path, why: str) -> HomeError:
    return HomeError(f"{path} is not a sound companion: {why}", "a document as `renewcast score` keeps it", SCORE_AGAIN)
