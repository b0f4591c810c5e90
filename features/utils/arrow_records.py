"""Rows of Arrow tables as plain data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from features.utils.dates import to_iso


def event_records(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows as plain data: instants (UTC) as ISO 8601 text, null as None.

    Parameters
    ----------
    table : the rows.

    Returns
    -------
    list of dict
    """
    return [
        {
            name: to_iso(value.replace(tzinfo=UTC)) if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in table.to_pylist()
    ]
