"""Which values of a column the sources of a table can record. What they cannot record is unknown, not zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce

from features.contract.current_contract import current_tables

Records = Mapping[str, frozenset[str]]


def united_records(parts: Sequence[Records]) -> dict[str, frozenset[str]]:
    """Return what several sources of one table can record together: any value, unless all of them list theirs."""
    if not parts:
        return {}
    shared = reduce(lambda a, b: a & b, (set(part) for part in parts))
    return {column: frozenset().union(*(part[column] for part in parts)) for column in sorted(shared)}


def unrecorded_notes(records: Mapping[str, Records]) -> Iterator[str]:
    """Yield a note for each column with values of the contract that no source records."""
    for table, columns in records.items():
        for column, values in columns.items():
            allowed = current_tables()[table][column].values if table in current_tables() else ()
            if missing := [value for value in allowed if value not in values]:
                yield (
                    f"{table}: the source cannot record the {column} {', '.join(missing)}; "
                    "what counts them is unknown, not zero"
                )
