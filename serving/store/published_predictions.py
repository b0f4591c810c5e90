"""Published predictions and alerts, read back."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from features.errors import BadRequest
from serving.common.errors import UnknownId
from serving.store.tables import alerts, predictions, records

CURSOR = "s"


@dataclass(frozen=True)
class ResultPage:
    """A part of a stream: ``data``, and ``next``, the cursor to go on from. There is always one, so that a caller who
    has read everything can ask again later for what came since."""

    data: list[dict[str, Any]]
    next: str


def find_prediction(connection: Connection, prediction_id: str) -> dict[str, Any]:
    """A published answer, as it was given.

    Raises
    ------
    UnknownId : nothing of that id was published.
    """
    found = connection.execute(select(predictions.c.document).where(predictions.c.id == prediction_id)).scalar()
    if found is None:
        raise UnknownId(
            "no prediction of this id was published", "an id from a batch that `renewcast score --publish` made"
        )
    return _unpacked(found)


def list_predictions(connection: Connection, cursor: str | None, since: datetime | None, limit: int) -> ResultPage:
    """Predictions in the order in which they were published.

    Parameters
    ----------
    cursor : ``next`` of the page before; with it, ``since`` is not looked at.
    since : only those published at or after this instant, UTC.
    limit : at most so many.

    Raises
    ------
    BadRequest : a cursor that was not given out here.
    """
    of = predictions.c
    after = _after(cursor)
    query = select(of.document, of.sequence).where(of.sequence > after).order_by(of.sequence).limit(limit)
    if cursor is None and since is not None:
        query = query.where(of.updated_at >= since)
    rows = connection.execute(query).all()
    return ResultPage([_unpacked(row.document) for row in rows], _cursor(rows, after))


def list_alerts(connection: Connection, cursor: str | None, limit: int, account_id: str | None = None) -> ResultPage:
    """Alerts in the order in which they were raised, of one account or all; else as `list_predictions`."""
    of = alerts.c
    after = _after(cursor)
    query = select(of.document, of.account_id, of.sequence).where(of.sequence > after)
    if account_id is not None:
        query = query.where(of.account_id == account_id)
    rows = connection.execute(query.order_by(of.sequence).limit(limit)).all()
    return ResultPage(
        [{"account_id": row.account_id, **json.loads(row.document)} for row in rows], _cursor(rows, after)
    )


def _cursor(rows: Any, after: int) -> str:
    return f"{CURSOR}{rows[-1].sequence if rows else after}"


def _after(cursor: str | None) -> int:
    if cursor is None:
        return 0
    number = cursor.removeprefix(CURSOR)
    if not cursor.startswith(CURSOR) or not number.isascii() or not number.isdigit() or len(number) > 18:
        raise BadRequest("the cursor is none that was given out", "`next` of the page before", "begin without a cursor")
    return int(number)


def _unpacked(document: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(zlib.decompress(document))
    return told


def list_records(connection: Connection, account_id: str, limit: int) -> list[dict[str, Any]]:
    """What was done about an account and what became of it, the latest first: ``what``, ``occurred_at`` (UTC) and what
    was told with it."""
    of = records.c
    query = select(of.what, of.occurred_at, of.document).where(of.account_id == account_id)
    rows = connection.execute(query.order_by(of.occurred_at.desc(), of.id).limit(limit)).all()
    return [{**json.loads(row.document), "what": row.what, "occurred_at": row.occurred_at} for row in rows]
