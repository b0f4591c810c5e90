"""Mapping files: TOML that maps files, databases and tools to the tables of the data contract.

`file_schema` is the format, `open_mapping` opens a file, and the other modules are the steps between: names of tables,
rules of a table (columns, values, units, instants, versions), packs, and accounts of several sources.
"""
