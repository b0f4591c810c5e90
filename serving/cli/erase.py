"""`erase`: erase one account's data from the home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from features.utils.cli import AsJson, write_result
from serving.cli.context import open_store

if TYPE_CHECKING:
    from rich.console import Console

    from serving.erasure.erase import Erasure

app = typer.Typer()


@app.command("erase")
def erase(
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="Account id or name, or the beginning of its name.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Erase. Without it, only what would be erased is shown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase one account's data from the home and its store, for good.

    It removes the account's predictions, alerts, interventions, notes, snapshots' rows and other data, and says what
    was removed where, and what stays. Delete the account at the source first. It is refused while a training, a scoring
    or a review writes to the home; one that starts meanwhile waits."""
    from models.home import current_home
    from serving.erasure.erase import erase_account

    home = current_home().require_own()
    found = erase_account(home, open_store(home), account, write=yes)
    write_result(as_json, found.as_dict, lambda console: _print(found, console))


def _print(found: Erasure, console: Console) -> None:
    from rich.text import Text

    from features.utils.console import Table
    from features.utils.formatting import account_label
    from serving.erasure.erase import STAYS

    label = account_label(found.account_id, found.name)
    console.print(Text(f"{label}: {'erased' if found.erased else 'this would be erased'}", style="bold"))
    table = Table(gap=1)
    for heading in ("where", "what", "count"):
        table.add_column(heading, justify="right" if heading == "count" else "left", overflow="fold")
    for each in found.removed:
        table.add_row(Text(each.where), each.what, f"{each.count:,}")
    console.print(table if found.removed else "nothing")
    for note in found.notes:
        console.print(Text(f"note: {note}"))
    if found.mentions:
        console.print(Text(f"texts that people wrote may still name the account: {', '.join(found.mentions)}"))
    console.print(Text("not erased:"))
    for words in STAYS:
        console.print(Text(f"- {words}"))
    if not found.erased:
        console.print(Text("nothing was changed; to erase it, run the command again with --yes"))
