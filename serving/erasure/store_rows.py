"""Removal of an account from the operational store."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import Connection, Table, bindparam, delete, func, select

from serving.erasure.home_files import SEARCHED_LENGTH, Removal
from serving.store.tables import (
    alerts,
    idempotency,
    intervention_changes,
    jobs,
    predictions,
    records,
    saved_views,
    webhook_deliveries,
)

#: Parameters of saved views that can name an account.
_NAMING = ("parent", "q")


def erase_from_store(connection: Connection, account: str, name: str | None, *, write: bool) -> list[Removal]:
    """Remove an account from the store.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    account, name : the id and the name of the account.
    write : whether to delete the rows; otherwise only what would be removed is returned.

    Returns
    -------
    list of Removal
    """
    interventions = select(records.c.id).where(records.c.account_id == account)
    conditions: list[tuple[Table, Any]] = [
        (predictions, predictions.c.account_id == account),
        (alerts, alerts.c.account_id == account),
        # Before the records that they refer to.
        (intervention_changes, intervention_changes.c.intervention_id.in_(interventions)),
        (records, records.c.account_id == account),
        # Their files have all accounts.
        (jobs, jobs.c.state.in_(("finished", "failed"))),
    ]
    removals = [_delete(connection, table, condition, write) for table, condition in conditions]
    words = {account, *([name] if name else [])}
    chosen = {
        webhook_deliveries: _naming(connection, webhook_deliveries, webhook_deliveries.c.body, words),
        idempotency: _naming(connection, idempotency, idempotency.c.body, words),
        saved_views: [row.id for row in connection.execute(select(saved_views)) if _view_names(row.query, words)],
    }
    for table, keys in chosen.items():
        if write and keys:
            key = next(iter(table.primary_key.columns))
            connection.execute(delete(table).where(key == bindparam("row")), [{"row": each} for each in keys])
        removals.append(Removal(f"store: {table.name}", "rows", len(keys)))
    return [each for each in removals if each.count]


def count_mentions(connection: Connection, account: str, words: tuple[str, ...]) -> int:
    """Return how many records of other accounts have one of the words in a note or another text."""
    wanted = [word.casefold() for word in words if len(word) >= SEARCHED_LENGTH]
    texts = [
        *connection.execute(select(records.c.document).where(records.c.account_id != account)).scalars(),
        *connection.execute(
            select(intervention_changes.c.document)
            .join(records, records.c.id == intervention_changes.c.intervention_id)
            .where(records.c.account_id != account)
        ).scalars(),
    ]
    return sum(_has(json.loads(text), lambda found: any(word in found.casefold() for word in wanted)) for text in texts)


def accounts_in_store(connection: Connection) -> dict[str, str | None]:
    """Return the accounts that the store knows, with their names where it has them."""
    found: dict[str, str | None] = {}
    for table in (predictions, records):
        found |= dict.fromkeys(connection.execute(select(table.c.account_id).distinct()).scalars())
    # The newest alert has the newest name.
    for row in connection.execute(select(alerts.c.account_id, alerts.c.document).order_by(alerts.c.sequence)):
        found[row.account_id] = json.loads(row.document).get("name") or found.get(row.account_id)
    return found


def _delete(connection: Connection, table: Table, condition: Any, write: bool) -> Removal:
    count: int = connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one()
    if write and count:
        connection.execute(delete(table).where(condition))
    return Removal(f"store: {table.name}", "rows", count)


def _naming(connection: Connection, table: Table, column: Any, words: set[str]) -> list[str]:
    """Return the keys of the rows whose JSON names the account."""
    key = next(iter(table.primary_key.columns))
    found = []
    for row_key, content in connection.execute(select(key, column).where(column.is_not(None))):
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
        try:
            document = json.loads(text)
        except ValueError:
            document = text
        if _has(document, words.__contains__):
            found.append(row_key)
    return found


def _has(value: Any, matches: Callable[[str], bool]) -> bool:
    """Return whether a text of a document matches, be it a key or a value."""
    if isinstance(value, dict):
        return any(_has(each, matches) for each in (*value.keys(), *value.values()))
    if isinstance(value, list):
        return any(_has(each, matches) for each in value)
    return isinstance(value, str) and matches(value)


def _view_names(query: str, words: set[str]) -> bool:
    values = [value.casefold() for name, value in parse_qsl(query) if name in _NAMING]
    return any(value == word.casefold() for value in values for word in words)
