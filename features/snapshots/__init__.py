"""Snapshots: all features of all accounts as of given dates."""
