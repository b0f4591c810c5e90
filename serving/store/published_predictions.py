"""Queries of published predictions and alerts."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from features.errors import BadRequest
from serving.common.errors import UnknownId
from serving.store.tables import alerts, predictions

CURSOR = "s"
#: How many entries of a stream are looked through in one statement.
CHUNK = 5_000
#: How many accounts are named in one statement, which may have a limited number of parameters.
ACCOUNTS_AT_ONCE = 500


@dataclass(frozen=True)
class ResultPage:
    """One page of results: ``data``, and ``next``, the cursor of the next page.

    There is always a cursor, so that a caller who has read everything can use it later to read what is new.
    """

    data: list[dict[str, Any]]
    next: str


def find_prediction(connection: Connection, prediction_id: str) -> dict[str, Any]:
    """Return a published prediction.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    prediction_id : the id of the prediction.

    Returns
    -------
    dict for JSON

    Raises
    ------
    UnknownId : there is none with this id.
    """
    document = connection.execute(select(predictions.c.document).where(predictions.c.id == prediction_id)).scalar()
    if document is None:
        raise UnknownId(
            "no prediction with this id was published", "an id from a batch that `renewcast score --publish` published"
        )
    return _unpacked(document)


def list_predictions(
    connection: Connection,
    cursor: str | None,
    since: datetime | None,
    limit: int,
    accounts: Collection[str] | None = None,
) -> ResultPage:
    """Return predictions in the order in which they were published.

    Parameters
    ----------
    cursor : ``next`` of the previous page. With a cursor, ``since`` is ignored.
    since : only predictions published at or after this time, UTC.
    limit : the maximum number of predictions.
    accounts : only predictions of these accounts; None for all.

    Raises
    ------
    BadRequest : the cursor is unknown.
    """
    of = predictions.c
    query = select(of.document, of.account_id, of.sequence)
    if cursor is None and since is not None:
        query = query.where(of.updated_at >= since)
    rows, last = _stream(connection, query, of.sequence, cursor, limit, accounts)
    return ResultPage([_unpacked(row.document) for row in rows], last)


@dataclass(frozen=True)
class PublishedPrediction:
    """A published prediction, and when it was published (UTC)."""

    document: dict[str, Any]
    published_at: datetime


def list_account_predictions(
    connection: Connection, account_id: str, until: datetime | None, limit: int
) -> list[PublishedPrediction]:
    """Return what was published about an account: for each date the prediction that was published last, oldest first.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    account_id : the account.
    until : only dates up to this one, UTC; None for all.
    limit : the maximum number of dates, the latest ones.

    Returns
    -------
    list of PublishedPrediction
        Empty if nothing was published about the account.
    """
    of = predictions.c
    last = select(func.max(of.sequence).label("sequence")).where(of.account_id == account_id)
    if until is not None:
        last = last.where(of.as_of <= until)
    newest = last.group_by(of.as_of).order_by(of.as_of.desc()).limit(limit).subquery()
    query = select(of.document, of.updated_at).join(newest, of.sequence == newest.c.sequence).order_by(of.as_of)
    return [PublishedPrediction(_unpacked(row.document), row.updated_at) for row in connection.execute(query)]


def last_predictions(
    connection: Connection, until: Mapping[str, datetime], within: timedelta
) -> dict[str, dict[str, Any]]:
    """Return the last prediction of each account up to an instant of its own.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    until : by account, the instant (UTC) up to which dates count.
    within : how long before its instant the date may be.

    Returns
    -------
    dict
        Predictions by account, for those that have one. Of a date that was published again, the last one.
    """
    of, accounts = predictions.c, sorted(until)
    found: dict[str, dict[str, Any]] = {}
    for first in range(0, len(accounts), ACCOUNTS_AT_ONCE):
        some = accounts[first : first + ACCOUNTS_AT_ONCE]
        ends = [until[account] for account in some]
        query = select(of.account_id, of.as_of, func.max(of.sequence).label("sequence"))
        query = query.where(of.account_id.in_(some), of.as_of >= min(ends) - within, of.as_of <= max(ends))
        last: dict[str, Any] = {}
        for row in connection.execute(query.group_by(of.account_id, of.as_of).order_by(of.as_of)):
            if until[row.account_id] - within <= row.as_of <= until[row.account_id]:
                last[row.account_id] = row.sequence
        documents = select(of.account_id, of.document).where(of.sequence.in_(list(last.values())))
        found |= {row.account_id: _unpacked(row.document) for row in connection.execute(documents)}
    return found


def list_alerts(
    connection: Connection,
    cursor: str | None,
    limit: int,
    account_id: str | None = None,
    accounts: Collection[str] | None = None,
) -> ResultPage:
    """Return alerts in the order in which they were published, without suppressed ones.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    cursor, limit, accounts : as in `list_predictions`.
    account_id : only the alerts of this account.

    Returns
    -------
    ResultPage
    """
    of = alerts.c
    query = select(of.document, of.account_id, of.sequence).where(~of.suppressed)
    if account_id is not None:
        query = query.where(of.account_id == account_id)
    rows, last = _stream(connection, query, of.sequence, cursor, limit, accounts)
    # Alerts of earlier releases have no name.
    data = [{"account_id": row.account_id, "name": None, **json.loads(row.document)} for row in rows]
    return ResultPage(data, last)


def _stream(
    connection: Connection,
    query: Select[Any],
    sequence: Any,
    cursor: str | None,
    limit: int,
    accounts: Collection[str] | None,
) -> tuple[list[Row[Any]], str]:
    """Return the next rows of some accounts, and the cursor after the last row that was looked at.

    A filter can select thousands of accounts, more than a statement may have parameters. So their rows are selected
    here, and the cursor also passes the rows of the other accounts.
    """
    after, found = _after(cursor), list[Row[Any]]()
    size = limit if accounts is None else max(limit, CHUNK)
    while True:
        rows = connection.execute(query.where(sequence > after).order_by(sequence).limit(size)).all()
        for row in rows:
            after = row.sequence
            if accounts is None or row.account_id in accounts:
                found.append(row)
            if len(found) == limit:
                break
        if len(found) == limit or len(rows) < size:
            return found, f"{CURSOR}{after}"


def _after(cursor: str | None) -> int:
    if cursor is None:
        return 0
    number = cursor.removeprefix(CURSOR)
    if not cursor.startswith(CURSOR) or not number.isascii() or not number.isdigit() or len(number) > 18:
        raise BadRequest("unknown cursor", "the value of `next` on the previous page", "start without a cursor")
    return int(number)


def _unpacked(document: bytes) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(zlib.decompress(document))
    return data
