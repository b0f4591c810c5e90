"""Packs: how the tables of a known tool become the tables of the data contract.

A pack is a TOML file (`schema`): inputs, which are the tool's tables with typed columns; one SELECT per contract table
over these inputs; and assumptions to state. `pack` reads the shipped packs and a user's own, `inputs` resolves the
inputs against given tables, `queries` builds the SELECT of each contract table, and `recognition` finds the packs that
fit. Nothing here connects to a database: a pack becomes SQL text.
"""
