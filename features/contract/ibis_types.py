"""The contract's column types as Ibis types."""

from __future__ import annotations

from features.contract.schema import Table

_IBIS_TYPES = {"string": "string", "instant": "timestamp", "float": "float64", "int": "int64", "bool": "boolean"}


def contract_schema(table: Table) -> dict[str, str]:
    """The Ibis type of each contract column of ``table``."""
    return {column.name: _IBIS_TYPES[column.kind] for column in table.columns}
