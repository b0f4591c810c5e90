"""Commands on reviews that were held: `reviews`, `approve`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from features.errors import BadRequest
from features.utils.cli import AsJson, progress_bar, write_result
from serving.cli.context import store_at_hand

app = typer.Typer()


@app.command()
def reviews(as_json: AsJson = False) -> None:
    """List the reviews, what each came to and who has signed it, and every sign-off and rollback."""
    from features.utils.console import Console
    from models.health.rubric_versions import read_history
    from models.home import current_home
    from models.reviews.review_store import list_reviews
    from serving.cli.tables.reviews import print_reviews

    home = current_home()
    history = read_history(home)
    print_reviews(list_reviews(home, history), history, Console(), as_json)


@app.command()
def approve(
    review: Annotated[str | None, typer.Argument(metavar="REVIEW", help="As `renewcast reviews` lists it.")] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="The CS owner, who is responsible for it.")
    ] = None,
    effective: Annotated[
        str | None,
        typer.Option("--effective", metavar="DATE", help="From this date on scores use it (default: the earliest)."),
    ] = None,
    reject: Annotated[
        bool, typer.Option("--reject", help="Sign that it is turned down; nothing changes then.")
    ] = False,
    back: Annotated[
        bool, typer.Option("--rollback", help="Take the newest approved version back; REVIEW is not needed.")
    ] = False,
    rubric: Annotated[str | None, typer.Option("--rubric", metavar="NAME", help="With --rollback: of which.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Sign other terms than the first signature, which then lapses.")
    ] = False,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason; it is kept.")] = None,
    signals: Annotated[
        str | None,
        typer.Option("--signals", metavar="SIGNALS", help="Where the reviewed signals are now, if they were moved."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="KEY",
            envvar="RENEWCAST_KEY",
            show_envvar=False,
            help="Your own API key with the scope admin (or RENEWCAST_KEY; asked for on a terminal).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign a review off. Two people sign, each with a key of their own: the first signature is kept with its terms, and
    `renewcast approve REVIEW` with another person's key completes it. What the review proposes is then a new version of
    the rubric, in force from a date on. Data, rubric and model have to be those that were reviewed."""
    from models.home import current_home
    from serving.review_sign_off import (
        SignOffRequest,
        sign_off_rollback,
        sign_review,
        signature_payload,
        signer_from_key,
    )

    if review is None and not back:
        raise BadRequest(
            "a sign-off without a review", "renewcast approve REVIEW --owner NAME", "name the review, or --rollback"
        )
    home, store = current_home(), store_at_hand()
    signer = signer_from_key(store, _key(key))
    asked = SignOffRequest(reject, owner, effective, why, replace=replace)
    with progress_bar("signing") as tell:
        if back:
            signed = sign_off_rollback(home, store, signer, asked, rubric, review)
        else:
            assert review is not None
            signed = sign_review(home, store, review, signer, asked, signals, tell)
    write_result(as_json, lambda: signature_payload(signed), lambda _: typer.echo(signed.words()))


def _key(given: str | None) -> str:
    """The key that signs; asked for on a terminal, so that it stands neither in the history of a shell nor in the list
    of processes."""
    if given:
        return given
    if sys.stdin.isatty():
        return str(typer.prompt("Your API key", hide_input=True, err=True))
    raise BadRequest(
        "a signature without an API key",
        "your own key with the scope admin, in RENEWCAST_KEY or --key",
        "`renewcast keys create NAME --scope admin` makes one for one person",
    )
