"""Sidecars: JSON documents next to a published snapshot, with data that is not in its rows.

A snapshot contains features. Contracts, revenue movements and KPIs are computed from the signals when a snapshot is
scored, and stored as ``snapshots/companions/<date>/<name>.json``. Each document names its snapshot, so that one that
was copied elsewhere is refused.
"""

from __future__ import annotations

import json
import os
import re
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cachetools import LRUCache, cached
from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue, ValidationError

from features.errors import HomeError, RenewcastError
from features.utils.atomic_files import write_file
from models.predictions.table_export import plain_rows
from serving.common.json_logs import error_location, log_event
from serving.snapshots.snapshot_files import FileVersion, SnapshotFiles, file_version
from serving.snapshots.stored_tables import unusable_file

if TYPE_CHECKING:
    from features.signals.signals import OpenSignals

#: Larger files (bytes) are neither written nor read.
SIZE_LIMIT = 256 * 2**20
#: Size (bytes) of the files that stay in memory after parsing; those that were read last stay.
CACHED_BYTES = SIZE_LIMIT
#: The layout of the envelope.
FORMAT = 1

ACCOUNTS, PRODUCTS, KPIS, COHORTS = "accounts", "products", "measures", "cohorts"
"""Names of sidecars: the facts of each account (`accounts_document`) and its products (`products_document`), which
every scoring writes; and, with a published batch, the portfolio's KPIs by period
(`serving.portfolio.kpi_report.kpi_report`), and the retention of cohorts (`features.kpi.cohort_retention.cohorts`)."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class Envelope(BaseModel):
    """The content of a sidecar's file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int
    name: str
    as_of: AwareDatetime
    document: dict[str, JsonValue]


def sidecar_path(snapshots: SnapshotFiles, as_of: datetime, name: str) -> Path:
    """Return the path of a sidecar.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.
    name : the name of the sidecar.

    Returns
    -------
    Path
        It may not exist.

    Raises
    ------
    ValueError : the name does not consist of lowercase letters, digits and underscores.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError("the name of a sidecar must consist of lowercase letters, digits and underscores")
    path = snapshots.path(as_of)
    return path.parent / "companions" / path.stem / f"{name}.json"


def write_sidecar(snapshots: SnapshotFiles, as_of: datetime, name: str, document: dict[str, Any]) -> Path:
    """Write a sidecar of the snapshot at ``as_of`` atomically. It replaces an earlier one with the same name.

    Parameters
    ----------
    document : plain data. Numbers must be finite; unknown values are null.

    Returns
    -------
    Path
        The written file. The same document gives the same bytes.

    Raises
    ------
    HomeError : the home cannot be written, or the document is too large.
    ValueError : the document is not plain data, or the name is invalid.
    """
    path = sidecar_path(snapshots, as_of, name)
    envelope = {"format": FORMAT, "name": name, "as_of": as_of.isoformat(), "document": document}
    content = json.dumps(envelope, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    if len(content) > SIZE_LIMIT:
        raise HomeError(f"{path} would be larger than {SIZE_LIMIT:,} bytes", "a smaller portfolio")
    write_file(path, content)
    return path


def read_sidecar(snapshots: SnapshotFiles, as_of: datetime, name: str) -> dict[str, Any] | None:
    """Read a sidecar of a snapshot.

    It is cached until its file changes, so the caller must not modify it.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.
    name : the name of the sidecar.

    Returns
    -------
    dict or None
        None if there is no such sidecar: an earlier release published the snapshot, or it was published without
        signals.

    Raises
    ------
    HomeError : it is broken, too large, or of another snapshot or layout.
    """
    path = sidecar_path(snapshots, as_of, name)
    version = file_version(path)
    if version is None:
        return None
    envelope = _read(path, version).envelope
    if (envelope.format, envelope.name, envelope.as_of) != (FORMAT, name, as_of):
        raise _broken(path, "it belongs to another snapshot, name or layout")
    return envelope.document


def read_sidecar_or_none(snapshots: SnapshotFiles, as_of: datetime, name: str) -> dict[str, Any] | None:
    """Read a sidecar as `read_sidecar` does; None also if it is not valid, so that a page shows the rest."""
    try:
        return read_sidecar(snapshots, as_of, name)
    except RenewcastError as error:
        log_event("companion_refused", name=name, **error_location(error))
        return None


def published_names(snapshots: SnapshotFiles, as_of: datetime) -> dict[str, str | None]:
    """Return the name of each account of a snapshot, and of the accounts of their companies, by its id."""
    document = read_sidecar_or_none(snapshots, as_of, ACCOUNTS) or {}
    named: dict[str, str | None] = dict(document.get("names", {}))
    return named | {account: each.get("name") or None for account, each in document.get("accounts", {}).items()}


class _Parsed(NamedTuple):
    envelope: Envelope
    size: int


@cached(LRUCache[Any, _Parsed](CACHED_BYTES, getsizeof=lambda parsed: parsed.size), condition=threading.Condition())
def _read(path: Path, _version: FileVersion) -> _Parsed:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > SIZE_LIMIT:
                raise _broken(path, f"it is larger than {SIZE_LIMIT:,} bytes")
            content = file.read(SIZE_LIMIT + 1)
            return _Parsed(Envelope.model_validate_json(content), len(content))
    except ValidationError as error:
        # The reasons are left out, since they can repeat values.
        raise _broken(path, f"it does not have the expected structure ({error.error_count()} differences)") from None
    except OSError as error:
        raise _broken(path, f"it cannot be read ({type(error).__name__})") from None


def accounts_document(signals: OpenSignals, as_of: datetime, active_days: int) -> dict[str, Any]:
    """Build the sidecar `ACCOUNTS`.

    Parameters
    ----------
    signals : validated signals.
    as_of : the instant; only what was known before counts.
    active_days : without contracts, an order within this many days makes an account active.

    Returns
    -------
    dict for JSON
        ``contractual`` is true if accounts have contracts and false if they only order. ``accounts`` holds, by
        account_id, the row of `features.revenue.arr.facts`, with instants as ISO 8601 text and unknown values as null.
        ``parents`` holds the parent of each account that has one, active or not, and ``names`` the names of all of
        these. ``former`` holds name, csm and region of the accounts that are not active, so that figures about the past
        can be filtered by them.
    """
    # Imported here, since reading published data needs no query engine.
    from features.revenue.arr import facts, people
    from features.utils.account_hierarchies import parents_of

    rows = plain_rows(facts(signals, as_of, active_days))
    accounts = {row["account_id"]: {k: v for k, v in row.items() if k != "account_id"} for row in rows}
    everyone = people(signals)
    parents = parents_of(everyone)
    names = dict(zip(everyone["account_id"], everyone["name"], strict=True))
    related = sorted({*parents, *parents.values()})
    return {
        "contractual": signals.contractual,
        "accounts": accounts,
        "parents": parents,
        "names": {account: names[account] for account in related if names[account] is not None},
        "former": {
            row["account_id"]: {name: row[name] for name in ("name", "csm", "region")}
            for row in everyone.to_dict("records")
            if row["account_id"] not in accounts
        },
    }


def products_document(signals: OpenSignals, as_of: datetime, active_days: int) -> dict[str, Any]:
    """Build the sidecar `PRODUCTS`.

    Parameters
    ----------
    signals, as_of, active_days : as in `accounts_document`.

    Returns
    -------
    dict for JSON
        ``products`` holds, by account_id, the rows of `features.revenue.product_holdings.product_holdings`, with
        unknown values as null; empty if the source names no product.
    """
    # Imported here, since reading published data needs no query engine.
    from features.revenue.product_holdings import product_holdings

    products: dict[str, list[dict[str, Any]]] = {}
    for row in plain_rows(product_holdings(signals, as_of, active_days)):
        products.setdefault(row["account_id"], []).append({k: v for k, v in row.items() if k != "account_id"})
    return {"products": products}


def _broken(path: Path, why: str) -> HomeError:
    return unusable_file(path, why, what="document")
