"""Commands on reviews that were held: `reviews`, `approve`."""

from __future__ import annotations

from typing import Annotated

import typer

from features.errors import BadRequest
from features.terminal import AsJson, hand_over, progress
from serving.commands.at_hand import store_at_hand

app = typer.Typer()


@app.command()
def reviews(as_json: AsJson = False) -> None:
    """List the reviews, what each came to and whether it was signed, and every sign-off and rollback."""
    from features.console import Console
    from models.home import current_home
    from models.reviews import list_reviews
    from models.rubric_history import read_history
    from serving.calibration_print import print_reviews

    home = current_home()
    print_reviews(list_reviews(home), read_history(home), Console(), as_json)


@app.command()
def approve(
    author: Annotated[str, typer.Option("--author", metavar="NAME", help="Who proposes it.")],
    reviewer: Annotated[str, typer.Option("--reviewer", metavar="NAME", help="Who has looked at it: another person.")],
    review: Annotated[str | None, typer.Argument(metavar="REVIEW", help="As `renewcast reviews` lists it.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="The CS owner, who sees to it.")] = None,
    effective: Annotated[
        str | None, typer.Option("--effective", metavar="DATE", help="From this date on scores use it.")
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Record that it was turned down; nothing changes.")] = False,
    back: Annotated[
        bool, typer.Option("--rollback", help="Take the newest approved version back; REVIEW is not needed.")
    ] = False,
    rubric: Annotated[str | None, typer.Option("--rubric", metavar="NAME", help="With --rollback: of which.")] = None,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason; it is kept.")] = None,
    signals: Annotated[
        str | None,
        typer.Option("--signals", metavar="SIGNALS", help="Where the reviewed signals are now, if they were moved."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign a review off: what it proposes becomes a new version of the rubric, in force from a date on. Data, rubric
    and model have to be those that were reviewed."""
    from models.home import current_home
    from serving.calibration import approve_here, roll_back_here

    home, store = current_home(), store_at_hand()
    with progress("signing") as tell:
        if back:
            decided = roll_back_here(home, store, rubric, author, reviewer, why)
        else:
            if review is None or owner is None or effective is None:
                raise BadRequest(
                    "a sign-off without review, owner or effective date",
                    "renewcast approve REVIEW --author A --reviewer B --owner C --effective DATE",
                    "give all of them, or --rollback",
                )
            decided = approve_here(home, store, review, author, reviewer, owner, effective, reject, why, signals, tell)
    told = decided.model_dump(mode="json", exclude={"meaning"})
    hand_over(as_json, lambda: told, lambda _: typer.echo(decided.words()))
