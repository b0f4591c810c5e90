"""Keys and webhook endpoints as tables or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import typer

from features.utils.console import Console, Table
from serving.http.api_keys import ApiKey
from serving.webhooks.endpoints import EVENTS, Endpoint


def print_keys(keys: Sequence[ApiKey], as_json: bool) -> None:
    """To standard output."""
    rows = [
        {
            "id": key.id,
            "name": key.name,
            "scopes": sorted(key.scopes),
            "created_at": _words(key.created_at),
            "revoked_at": _words(key.revoked_at),
        }
        for key in keys
    ]
    _print(rows, as_json, "there is no key; `renewcast keys create NAME` makes one")


def print_endpoints(endpoints: Sequence[Endpoint], as_json: bool) -> None:
    """To standard output."""
    rows = [
        {
            "id": each.id,
            "url": each.url,
            "events": list(each.events),
            "waiting": each.waiting,
            "disabled_at": _words(each.disabled_at),
            "reason": each.reason,
        }
        for each in endpoints
    ]
    _print(
        rows, as_json, "there is no endpoint; `renewcast webhooks add URL` makes one for any of " + ", ".join(EVENTS)
    )


def _print(rows: list[dict[str, Any]], as_json: bool, nothing: str) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        typer.echo(nothing)
        return
    table = Table()
    for name in rows[0]:
        # An id or an address that is cut short is of no use.
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*("" if v is None else ", ".join(v) if isinstance(v, list) else str(v) for v in row.values()))
    Console(soft_wrap=True).print(table)


def _words(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
