"""Instants as text in answers."""

from __future__ import annotations

from datetime import UTC, datetime


def format_instant(instant: datetime) -> str:
    """Format an instant as a date if it is midnight UTC, otherwise in full with Z."""
    utc = instant.astimezone(UTC)
    midnight = utc == utc.replace(hour=0, minute=0, second=0, microsecond=0)
    return utc.date().isoformat() if midnight else utc.isoformat().replace("+00:00", "Z")
