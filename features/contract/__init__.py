"""The data contract: tables, columns, types and units."""
