"""Tables with several versions of a row, in sources whose tool no pack knows: an id repeats with a time of change."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.connect.column_names import plain_name
from features.connect.table_guesses import TableGuess
from features.connect.values import count_each, count_rows
from features.contract.schema import TABLES
from features.utils.formatting import and_list, count_of
from features.utils.latest_rows import latest_rows, unreadable_versions
from features.utils.sql_text import sql_identifier
from features.utils.sql_types import is_text

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_CHANGED = re.compile(
    r"^(?:last_|row_|record_)?(?:updated|modified|changed|update|modification|edited)(?:_(?:at|on|date|time|timestamp|ts|datetime))?$"
    r"|^(?:date|time)_(?:updated|modified|changed)$|^system_?mod_?stamp$|^last_(?:update|modification|change)$"
)
_NUMBER = re.compile(r"^(?:row_|record_)?(?:version|revision)(?:_(?:no|nr|number|num))?$")
_LOADED = re.compile(
    r"^(?:fivetran_synced|sdc_(?:extracted|batched|received)_at|airbyte_(?:extracted|emitted)_at|dbt_valid_from|dbt_updated_at)$"
    r"|^(?:etl_|row_)?(?:loaded|synced|extracted|ingested|exported|inserted|imported)(?:_(?:at|on|date|time|timestamp|ts))$"
)
_ORDERS = (_CHANGED, _NUMBER, _LOADED)
"""Names of columns that order versions, those that say most about a row first."""
_IDS = {"accounts": "account_id", "subscriptions": "subscription_id", "orders": "order_id", "support": "ticket_id"}
"""The id of a row, by table of the contract; others have the id of an event."""


@dataclass(frozen=True)
class RowVersions:
    """The versions of the rows of one table.

    Parameters
    ----------
    key : the columns that identify a row.
    by : the columns that order its versions, the most important first.
    rows, ids : the number of versions and of rows.
    """

    key: tuple[str, ...]
    by: tuple[str, ...]
    rows: int
    ids: int

    def note(self, name: str) -> str:
        """Return what is assumed, as a sentence.

        Parameters
        ----------
        name : the table.
        """
        return (
            f"{name} has {count_of(self.rows, 'row')} of {self.ids:,} different {and_list(self.key)}: of each, the "
            f"latest by {and_list(self.by)} counts, also for the past."
        )

    def latest(self, relation: str, types: Mapping[str, str]) -> str:
        """Return a SELECT of the latest version of each row.

        Parameters
        ----------
        relation : the rows.
        types : the columns with their types.
        """
        return latest_rows(relation, types, self.key, self.by)


def row_versions(connection: Backend, relation: str, guess: TableGuess, types: Mapping[str, str]) -> RowVersions | None:
    """Return the versions of the rows of a table; None if every row has one version, or nothing orders them.

    Periods of one contract that begin on different days are no versions. Nor are rows that share their id and the time
    of the change, such as the lines of an order. Versions of events with the time of their arrival are those of the
    contract.

    Parameters
    ----------
    connection, relation : the engine and the rows.
    guess : what the table looks like.
    types : its columns with their types.
    """
    own = guess.matched.get(_IDS.get(guess.table, "event_id"))
    if own is None or (TABLES[guess.table].event and "loaded_at" in guess.matched):
        return None
    by = _order(connection, relation, types, guess)
    if not by:
        return None
    key: tuple[str, ...] = (own,)
    if guess.table == "subscriptions" and (start := guess.matched.get("started_at")):
        periods = count_rows(connection, f"SELECT count(*) FROM ({_several(relation, own, start)})")
        key = (own, start) if periods else key
    keys, ordered = _listed(key), _listed((*key, *by))
    filled = " AND ".join(f"trim(CAST({sql_identifier(each)} AS VARCHAR)) <> ''" for each in key)
    rows, ids, versions = count_each(
        connection,
        f"SELECT count(*), count(DISTINCT ({keys})), count(DISTINCT ({ordered})) "
        f"FROM (SELECT DISTINCT * FROM {relation}) WHERE {filled}",
    )
    return RowVersions(key, by, rows, ids) if ids < rows == versions else None


def _order(connection: Backend, relation: str, types: Mapping[str, str], guess: TableGuess) -> tuple[str, ...]:
    """Return the columns that order versions and can be read."""
    found = [
        column
        for pattern in _ORDERS
        for column in types
        if pattern.search(plain_name(column)) and column not in guess.matched.values()
    ]
    return tuple(
        column
        for column in found
        if not is_text(types[column]) or not count_rows(connection, unreadable_versions(relation, column))
    )


def _several(relation: str, key: str, other: str) -> str:
    """Return a SELECT of the keys with several values of another column."""
    return f"SELECT {sql_identifier(key)} FROM {relation} GROUP BY 1 HAVING count(DISTINCT {sql_identifier(other)}) > 1"


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(sql_identifier, columns))
