"""How many accounts with unknown data a figure may leave out."""

from __future__ import annotations

TOLERATED_SHARE = 0.01
"""Tolerated share of accounts with unknown terms. Above it, accounts with known terms are mostly those that left, so
nothing based on terms can be learned from them (see `features.signals.contract_terms`)."""
