"""Sections of the quarterly review."""
