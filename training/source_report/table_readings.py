"""What was read of each table: from where, which columns are used, and which are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features.contract.current_contract import current_tables
from features.signals.validation import displayable_names
from features.sources.base import Source

MAPPING_SUFFIX = ".toml"


@dataclass(frozen=True)
class TableReading:
    """What was read of one table.

    Parameters
    ----------
    table : the contract's table.
    place : where it was read from, in words.
    rows : its rows in the source; None if they cannot be read.
    used : its columns of the contract, in the contract's order.
    absent : the columns of the contract that it lacks.
    ignored : the names of its other columns, in words; empty without any. Names that may be values are only counted.
    """

    table: str
    place: str
    rows: int | None
    used: tuple[str, ...]
    absent: tuple[str, ...]
    ignored: str

    def as_dict(self) -> dict[str, Any]:
        """Return the reading as JSON values."""
        return vars(self) | {"used": list(self.used), "absent": list(self.absent)}


def table_readings(source: Source, rows: Mapping[str, int]) -> tuple[TableReading, ...]:
    """Return what was read of each table of a source, in the contract's order.

    Parameters
    ----------
    source : the source.
    rows : the number of rows by table.
    """
    readings = []
    for name, table in current_tables().items():
        if name not in source.tables:
            continue
        given = source.tables[name]
        others = [c for c in given.columns if c not in (*table.names, *source.partitions.get(name, ()))]
        readings.append(
            TableReading(
                name,
                source.places.get(name) or _default_place(source, name),
                rows.get(name),
                tuple(c for c in table.names if c in given.columns),
                tuple(c for c in table.names if c not in given.columns),
                displayable_names(others, given, table) if others else "",
            )
        )
    return tuple(readings)


def _default_place(source: Source, name: str) -> str:
    return f"tables.{name} of the mapping" if source.origin.endswith(MAPPING_SUFFIX) else f"table {name}"
