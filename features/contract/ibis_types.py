"""Ibis types of the contract's columns."""

from __future__ import annotations

from features.contract.schema import TableSchema

IBIS_TYPES = {"string": "string", "instant": "timestamp", "float": "float64", "int": "int64", "bool": "boolean"}


def ibis_schema(table: TableSchema) -> dict[str, str]:
    """Return the Ibis type of each contract column of ``table``."""
    return {column.name: IBIS_TYPES[column.kind] for column in table.columns}
