"""SQL for versions of rows: the latest row of each key."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from features.utils.sql_text import sql_identifier
from features.utils.sql_types import is_text


def latest_rows(
    relation: str, types: Mapping[str, str], key: Sequence[str], by: Sequence[str], may_be_null: Collection[str] = ()
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
    """
    order: list[str] = []
    for name in by:
        column = sql_identifier(name)
        if is_text(types[name]):
            order += [
                f"try_cast({column} AS TIMESTAMPTZ) DESC NULLS LAST",
                f"try_cast({column} AS DOUBLE) DESC NULLS LAST",
            ]
        order.append(f"{column} DESC NULLS LAST")
    order.append(f"hash({', '.join(map(sql_identifier, types))}) DESC")
    keys = ", ".join(map(sql_identifier, key))
    kept = [f"{sql_identifier(name)} IS NULL" for name in key if name not in may_be_null]
    kept.append(f"row_number() OVER (PARTITION BY {keys} ORDER BY {', '.join(order)}) = 1")
    return f"SELECT * FROM {relation} QUALIFY {' OR '.join(kept)}"
