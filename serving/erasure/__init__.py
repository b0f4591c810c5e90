"""Erasure of one account's data from a home and its store."""
