"""Spreadsheets with one row per account: reading, recognition of columns, and the tables that follow from them."""
