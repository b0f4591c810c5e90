"""Signals: a source's tables, validated against the data contract and cast to its types."""
