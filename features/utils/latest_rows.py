"""SQL for versions of rows: the latest row of each key."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from features.utils.sql_text import sql_identifier
from features.utils.sql_types import is_text


def latest_rows(
    relation: str,
    types: Mapping[str, str],
    key: Sequence[str],
    by: Sequence[str],
    may_be_null: Collection[str] = (),
    instants: Mapping[str, str] | None = None,
) -> str:
    """Return a SELECT of the latest row of each key; rows without a key are no versions, and all are kept.

    Text in ``by`` counts as an instant or as a number if it can be read so. The result never depends on the order of
    the rows: versions that are equal in ``by`` are ordered by their content.

    Parameters
    ----------
    relation : SQL for the rows: the name of a table, or a query in parentheses.
    types : the type of each column.
    key : the columns that identify a row.
    by : the columns that order its versions, the most important first. A version without a value comes last.
    may_be_null : the columns of the key that may be null: null is then a value like any other. A row with a null in
        another column of the key has no key.
    instants : for columns of ``by``, SQL for the text of an instant that can be cast.
    """
    order: list[str] = []
    for name in by:
        column = sql_identifier(name)
        if is_text(types[name]):
            order += [f"{each} DESC NULLS LAST" for each in readings(name, instants or {})]
        order.append(f"{column} DESC NULLS LAST")
    order.append(f"hash({', '.join(map(sql_identifier, types))}) DESC")
    keys = ", ".join(map(sql_identifier, key))
    kept = [f"{sql_identifier(name)} IS NULL" for name in key if name not in may_be_null]
    kept.append(f"row_number() OVER (PARTITION BY {keys} ORDER BY {', '.join(order)}) = 1")
    return f"SELECT * FROM {relation} QUALIFY {' OR '.join(kept)}"


def unreadable_versions(relation: str, name: str, instants: Mapping[str, str] | None = None) -> str:
    """Return a SELECT of the number of texts in a column of versions that are neither an instant nor a number."""
    unread = " AND ".join(f"{each} IS NULL" for each in readings(name, instants or {}))
    return f"SELECT count(*) FROM {relation} WHERE trim({sql_identifier(name)}) <> '' AND {unread}"


def readings(name: str, instants: Mapping[str, str]) -> tuple[str, str]:
    """Return SQL for a text as an instant and as a number."""
    column = sql_identifier(name)
    return f"try_cast({instants.get(name, column)} AS TIMESTAMPTZ)", f"try_cast({column} AS DOUBLE)"
