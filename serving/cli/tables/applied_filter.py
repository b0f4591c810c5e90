"""The filter of a result as a line of terminal output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from features.utils.console import one_line


def print_filter(payload: Mapping[str, Any], console: Console) -> None:
    """Print which accounts a result is of; nothing if it is of all accounts.

    Parameters
    ----------
    payload : the result, with ``filter`` (`serving.schemas.account_filter.AppliedFilter`) or without it.
    console : the terminal.
    """
    if applied := payload.get("filter"):
        words = ", ".join(f"{name} {value}" for name, value in applied.items() if value is not None)
        console.print(one_line(Text(f"only accounts with: {words}", style="dim")))
