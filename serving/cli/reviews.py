"""Commands that list and sign off quarterly reviews: `reviews`, `approve`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from features.errors import BadRequest
from features.utils.cli import AsJson, progress_bar, write_result
from serving.cli.context import open_store

app = typer.Typer()


@app.command()
def reviews(as_json: AsJson = False) -> None:
    """List all reviews with their results and signatures, and every sign-off and rollback."""
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
    review: Annotated[str | None, typer.Argument(metavar="REVIEW", help="Review id from `renewcast reviews`.")] = None,
    owner: Annotated[
        str | None,
        typer.Option("--owner", metavar="NAME", help="Name of the CS owner who is responsible for the rubric."),
    ] = None,
    effective: Annotated[
        str | None,
        typer.Option(
            "--effective",
            metavar="DATE",
            help="Date from which scores use the new version (default: the earliest possible).",
        ),
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Reject the review. Nothing changes then.")] = False,
    back: Annotated[
        bool, typer.Option("--rollback", help="Withdraw the newest approved version. REVIEW is not needed.")
    ] = False,
    rubric: Annotated[
        str | None, typer.Option("--rubric", metavar="NAME", help="With --rollback: the rubric to roll back.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Sign other terms than the first signature. The first signature then lapses."),
    ] = False,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason. It is recorded.")] = None,
    signals: Annotated[
        str | None,
        typer.Option("--signals", metavar="SIGNALS", help="New location of the reviewed signals, if they were moved."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="KEY",
            envvar="RENEWCAST_KEY",
            show_envvar=False,
            help="Your own API key with the scope admin (default: RENEWCAST_KEY; otherwise you are prompted for it).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign off a review.

    Two people must sign, each with their own API key. The first signature is stored with its terms; a second person
    completes it with `renewcast approve REVIEW`. The proposed change then becomes a new version of the rubric that
    applies from the effective date. Data, rubric and model must be the same as in the review."""
    from models.home import current_home
    from models.reviews.sign_off import SignOffRequest
    from serving.review_sign_off import (
        sign_off_rollback,
        sign_review,
        signature_payload,
        signer_from_key,
    )

    if review is None and not back:
        raise BadRequest(
            "the review is missing", "renewcast approve REVIEW --owner NAME", "name the review, or use --rollback"
        )
    home, store = current_home(), open_store()
    signer = signer_from_key(store, _key(key))
    request = SignOffRequest(reject, owner, effective, why, replace=replace)
    with progress_bar("signing") as tell:
        if back:
            signed = sign_off_rollback(home, store, signer, request, rubric, review)
        else:
            assert review is not None
            signed = sign_review(home, store, review, signer, request, signals, tell)
    write_result(as_json, lambda: signature_payload(signed), lambda _: typer.echo(signed.words()))


def _key(given: str | None) -> str:
    """Return the signing key. It is asked for on a terminal, which keeps it out of the shell history."""
    if given:
        return given
    if sys.stdin.isatty():
        return str(typer.prompt("Your API key", hide_input=True, err=True))
    raise BadRequest(
        "no API key was given",
        "your own key with the scope admin, in RENEWCAST_KEY or --key",
        "create one for yourself with `renewcast keys create NAME --scope admin`",
    )
