"""Terminal output of API keys, webhook endpoints and saved views."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from features.utils.console import Console, Table
from features.utils.formatting import minute
from serving.store.key_records import ApiKey

if TYPE_CHECKING:
    from serving.store.saved_views import SavedView
    from serving.webhooks.endpoints import Endpoint


def print_keys(keys: Sequence[ApiKey], as_json: bool) -> None:
    """Print the API keys as a table or as JSON."""
    rows = [
        {
            "id": key.id,
            "name": key.name,
            "scopes": sorted(key.scopes),
            "owner": key.owner,
            "created_at": _timestamp(key.created_at),
            "revoked_at": _timestamp(key.revoked_at),
        }
        for key in keys
    ]
    _print(rows, as_json, "no keys; create one with `renewcast keys create NAME`")


def print_endpoints(endpoints: Sequence[Endpoint], as_json: bool) -> None:
    """Print the webhook endpoints as a table or as JSON."""
    rows = [
        {
            "id": each.id,
            "url": each.url,
            "events": list(each.events),
            "waiting": each.waiting,
            "disabled_at": _timestamp(each.disabled_at),
            "reason": each.reason,
        }
        for each in endpoints
    ]
    from serving.webhooks.endpoints import EVENTS

    _print(rows, as_json, "no endpoints; add one with `renewcast webhooks add URL` for any of " + ", ".join(EVENTS))


def print_views(views: Sequence[SavedView], as_json: bool) -> None:
    """Print saved views as a table or as JSON."""
    rows = [
        {
            "id": each.id,
            "name": each.name,
            "owner": each.owner,
            "view": each.href,
            "created_at": _timestamp(each.created_at),
            "created_by": each.author,
        }
        for each in views
    ]
    _print(rows, as_json, "no saved views; save one on a page, or with `renewcast views save NAME --page PATH`")


def _print(rows: list[dict[str, Any]], as_json: bool, empty_message: str) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        typer.echo(empty_message)
        return
    table = Table()
    for name in rows[0]:
        # Truncated IDs and addresses would be useless.
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(name, value) for name, value in row.items()))
    Console(soft_wrap=True).print(table)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name.endswith("_at"):
        return minute(value)
    return ", ".join(value) if isinstance(value, list) else str(value)


def _timestamp(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
