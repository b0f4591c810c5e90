"""Changes of recorded interventions. They are only added, so that the log is the whole history.

An intervention has version 1 when it is recorded, and each change is the next version. The version is part of the
primary key: of two changes that are based on the same version, only the first one is stored.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from serving.store.records import Author
from serving.store.tables import intervention_changes

#: The version of an intervention that was recorded and not changed since.
FIRST_VERSION = 1
#: How many interventions are looked up in one statement.
CHUNK = 500


class VersionTaken(Exception):
    """Another change has this version."""


@dataclass(frozen=True)
class StoredChange:
    """One change.

    Parameters
    ----------
    intervention_id : the intervention.
    version : the version of the intervention after the change, 2 or more.
    recorded_at : when it was made, UTC.
    author : the name of the person who made it.
    document : the new values of the changed fields, and ``note``, as plain data.
    """

    intervention_id: str
    version: int
    recorded_at: datetime
    author: str
    document: Mapping[str, Any]


def append_change(
    connection: Connection, intervention_id: str, version: int, document: Mapping[str, Any], author: Author
) -> StoredChange:
    """Store a change.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    intervention_id : an intervention that is recorded.
    version : the version after the change.
    document : the new values of the changed fields.
    author : who makes it.

    Returns
    -------
    StoredChange

    Raises
    ------
    VersionTaken : another change has this version, or a higher one. The transaction must be rolled back.
    """
    of = intervention_changes.c
    last = connection.execute(select(func.max(of.version)).where(of.intervention_id == intervention_id)).scalar()
    if version != (last or FIRST_VERSION) + 1:
        raise VersionTaken
    change = StoredChange(intervention_id, version, datetime.now(UTC), author.name, dict(document))
    try:
        connection.execute(
            intervention_changes.insert().values(
                intervention_id=intervention_id,
                version=version,
                recorded_at=change.recorded_at,
                recorded_by=author.id,
                author=author.name,
                document=json.dumps(change.document, ensure_ascii=False, allow_nan=False),
            )
        )
    except IntegrityError:
        # On PostgreSQL, a transaction that ran at the same time stored it first.
        raise VersionTaken from None
    return change


def read_changes(
    connection: Connection, intervention_ids: Collection[str] | None = None
) -> dict[str, list[StoredChange]]:
    """Return the changes by intervention, the first one first.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    intervention_ids : only of these; None for all.

    Returns
    -------
    dict
        Without interventions that have no changes.
    """
    of = intervention_changes.c
    query = select(intervention_changes).order_by(of.intervention_id, of.version)
    ids = None if intervention_ids is None or len(intervention_ids) > CHUNK else sorted(intervention_ids)
    if ids is not None:
        query = query.where(of.intervention_id.in_(ids))
    changes: dict[str, list[StoredChange]] = {}
    for row in connection.execute(query):
        content = json.loads(row.document)
        change = StoredChange(row.intervention_id, row.version, row.recorded_at, row.author, content)
        changes.setdefault(row.intervention_id, []).append(change)
    return changes
