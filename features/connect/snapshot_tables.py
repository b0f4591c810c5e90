"""Tables with the state of every account at several dates, in sources whose tool no pack knows.

The pack ``snapshots`` reads them. By its columns alone, a table of accounts with the month in which each was won looks
the same, and so does a list of changes. So the rows decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.connect.column_names import plain_name
from features.connect.table_guesses import guess_columns
from features.packs.inputs import Relation
from features.packs.options import with_names
from features.packs.pack import shipped_pack
from features.packs.queries import pack_queries
from features.packs.recognition import Recognition
from features.utils.sql_text import sql_identifier

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

PACK = "snapshots"
INPUT = "snapshots"
"""The input of the pack that is the given table."""
LEAST_ROWS = 1.5
"""Each account must have at least this many rows on average."""
LEAST_PRESENT = 0.8
"""An account must be in at least this share of the snapshots between its first and its last one, on average."""
_OPTIONS = {"account_id": "account_column", "renewal_at": "renewal_column"}
"""Options of the pack with the name of a column of the contract."""


@dataclass(frozen=True)
class SnapshotTable:
    """A table of snapshots.

    Parameters
    ----------
    name : the given table.
    options : the options with which the pack reads it.
    units : further units of its amounts.
    recognition : the pack with its inputs.
    """

    name: str
    options: Mapping[str, str]
    units: tuple[str, ...]
    recognition: Recognition


def snapshots_column(columns: Mapping[str, str]) -> str | None:
    """Return the column with the date of a snapshot, if every row may be the revenue of an account at a date.

    Parameters
    ----------
    columns : the columns with their types.
    """
    guess = guess_columns("subscriptions", "", columns)
    if not {"account_id", "arr"} <= set(guess.matched) or (guess.amounts is not None and guess.amounts.varies):
        return None
    given = {plain_name(own): own for own in columns}
    # The start of a contract is no date of a snapshot.
    return next(
        (given[n] for n in _known_names("taken_at") if n in given and given[n] != guess.matched.get("started_at")), None
    )


def find_snapshots(connection: Backend, place: str, tables: Mapping[str, Mapping[str, str]]) -> SnapshotTable | None:
    """Return the table with the most snapshots of a source; None if no table has snapshots.

    Parameters
    ----------
    connection : the engine.
    place : the schema of the tables.
    tables : the columns of each table with their types.
    """
    found = []
    for name, columns in tables.items():
        date = snapshots_column(columns)
        if date is None:
            continue
        account = guess_columns("subscriptions", "", columns).matched["account_id"]
        relation = f"{place}.{sql_identifier(name)}"
        dates = _dates_of_snapshots(connection, relation, account, date)
        if dates and (table := _table(name, columns)) and _is_readable(connection, table, columns, relation):
            found.append((dates, table))
    return max(found, key=lambda each: each[0])[1] if found else None


def _known_names(column: str) -> tuple[str, ...]:
    """Return the names by which the pack finds a column without an option."""
    return tuple(with_names(shipped_pack(PACK).file.inputs[INPUT].columns[column].names, {}))


def _dates_of_snapshots(connection: Backend, relation: str, account: str, date: str) -> int:
    """Return the number of snapshots; 0 if the rows are not the states of accounts at common dates."""
    account_text, date_text = (f"trim(CAST({sql_identifier(column)} AS VARCHAR))" for column in (account, date))
    row = connection.con.execute(
        f"""WITH states AS (
          SELECT DISTINCT {account_text} AS account, {date_text} AS date FROM {relation}
          WHERE {account_text} <> '' AND {date_text} <> ''
        ), numbered AS (
          SELECT date, row_number() OVER (ORDER BY try_cast(date AS TIMESTAMP), date) AS number
          FROM (SELECT DISTINCT date FROM states)
        ), spans AS (
          SELECT count(*) AS present, max(number) - min(number) + 1 AS span FROM states JOIN numbered USING (date)
          GROUP BY account
        )
        SELECT (SELECT count(*) FROM numbered), sum(present), sum(span), count(*) FROM spans"""
    ).fetchone() or (0, 0, 0, 0)
    dates, present, span, accounts = (int(each or 0) for each in row)
    is_history = dates > 1 and present >= LEAST_ROWS * accounts and present >= LEAST_PRESENT * span
    return dates if is_history else 0


def _table(name: str, columns: Mapping[str, str]) -> SnapshotTable:
    guess = guess_columns("subscriptions", name, columns)
    units = guess.units.get("arr", ())
    wanted = {column: option for column, option in _OPTIONS.items() if column in guess.matched}
    options = {
        option: guess.matched[column]
        for column, option in wanted.items()
        if guess.matched[column].lower() not in _known_names(column)
    }
    date = snapshots_column(columns) or ""
    if date.lower() not in _known_names("taken_at"):
        options["month_column" if plain_name(date) in _known_names("month") else "date_column"] = date
    amount = guess.matched["arr"]
    kind = "mrr" if "monthly" in units else "arr"
    if amount.lower() not in _known_names(kind):
        options[f"{kind}_column"] = amount
    pack = shipped_pack(PACK)
    if name.lower() not in pack.file.inputs[INPUT].names:
        options = {"table": name, **options}
    further = tuple(unit for unit in units if unit != "monthly")
    return SnapshotTable(name, options, further, Recognition(pack, float(len(columns)), {INPUT: name}, ()))


def _is_readable(connection: Backend, table: SnapshotTable, columns: Mapping[str, str], relation: str) -> bool:
    """Return whether the pack can read the dates of a table."""
    queries = pack_queries(shipped_pack(PACK), [Relation(table.name, columns, relation)], table.options)
    row = connection.con.execute(queries.data_through).fetchone()
    return row is not None and row[0] is not None
