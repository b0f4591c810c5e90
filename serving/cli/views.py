"""`views …`: list, save, open, rename and delete saved views of the pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.errors import BadRequest
from features.utils.cli import AsJson, write_result
from serving.cli.context import open_store

if TYPE_CHECKING:
    from serving.store.saved_views import SavedView

app = typer.Typer(help="List, save, open, rename and delete saved views of the pages.", no_args_is_help=True)

ADDRESS = "http://127.0.0.1:8000"
Owner = Annotated[
    str | None,
    typer.Option(
        "--owner", metavar="OWNER", help="Whose view it is: the owner of an API key, or the id of a key without one."
    ),
]
View = Annotated[str, typer.Argument(metavar="VIEW", help="Id or name from `renewcast views list`.")]


@app.command("list")
def list_all(owner: Owner = None, as_json: AsJson = False) -> None:
    """List the saved views of all people; with --owner, those of one person and those for everyone."""
    from serving.cli.tables.admin import print_views
    from serving.store.saved_views import every_view, list_views

    with open_store().read() as connection:
        views = every_view(connection) if owner is None else list_views(connection, owner)
    print_views(views, as_json)


@app.command("save")
def save(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the view.")],
    page: Annotated[str, typer.Option("--page", metavar="PATH", help="The path of a page, such as /worklist.")],
    query: Annotated[
        str, typer.Option("--query", metavar="QUERY", help="Its query string, such as csm=Ada+Byron&sort=due.")
    ] = "",
    owner: Owner = None,
    as_json: AsJson = False,
) -> None:
    """Save a page with its filter, search and order; without --owner, for everyone.

    The view always shows the latest data, so a date and a page number in the query are left out."""
    from pydantic import ValidationError

    from models.artifacts.home_portfolio import current_user
    from serving.schemas.saved_views import ViewRequest
    from serving.store.saved_views import save_view

    if owner is not None and not owner.strip():
        raise BadRequest("the owner is empty", "the owner of an API key, or the id of a key", "leave out --owner")
    try:
        wanted = ViewRequest(name=name, page=page, query=query, shared=owner is None)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadRequest(f"the {first['loc'][0]} of the view cannot be used", first["msg"]) from None
    with open_store().begin() as connection:
        view = save_view(connection, owner, wanted.name, wanted.page, wanted.query, current_user(None))
    _print_view(view, f"saved as {view.id}: {view.href}", as_json)


@app.command("open")
def open_view(
    view: View,
    address: Annotated[str, typer.Option("--address", metavar="URL", help="The address of the service.")] = ADDRESS,
    only_print: Annotated[bool, typer.Option("--print", help="Print the URL instead of opening a browser.")] = False,
    owner: Owner = None,
) -> None:
    """Open a saved view in the browser."""
    with open_store().read() as connection:
        url = address.rstrip("/") + _find(connection, view, owner).href
    typer.echo(url)
    if not only_print:
        typer.launch(url)


@app.command("rename")
def rename(
    view: View,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    owner: Owner = None,
    as_json: AsJson = False,
) -> None:
    """Rename a saved view."""
    from pydantic import ValidationError

    from serving.schemas.saved_views import ViewChange
    from serving.store.saved_views import rename_view

    try:
        change = ViewChange(name=name)
    except ValidationError as error:
        raise BadRequest("the name of the view cannot be used", error.errors()[0]["msg"]) from None
    with open_store().begin() as connection:
        found = rename_view(connection, _find(connection, view, owner), change.name)
    _print_view(found, f"{found.id} is now {found.name}", as_json)


@app.command("delete")
def delete(view: View, owner: Owner = None) -> None:
    """Delete a saved view."""
    from serving.store.saved_views import delete_view

    with open_store().begin() as connection:
        found = _find(connection, view, owner)
        delete_view(connection, found)
    typer.echo(f"{found.id} ({found.name}) is deleted")


def _find(connection: Any, text: str, owner: str | None) -> SavedView:
    """Return the view with an id or a name.

    Raises
    ------
    BadRequest : there is none, or several people have one with this name.
    """
    from serving.store.saved_views import every_view, list_views

    views = every_view(connection) if owner is None else list_views(connection, owner)
    own = [each for each in views if each.owner == owner]
    matches: Sequence[SavedView] = [each for each in views if each.id == text]
    matches = matches or [each for each in own if each.name == text] or [each for each in views if each.name == text]
    if len(matches) != 1:
        raise BadRequest(
            "no view has this id or name" if not matches else f"{len(matches)} views have this name",
            "the id or the name of one view",
            "`renewcast views list` lists them; --owner names the person",
        )
    return matches[0]


def _print_view(view: SavedView, words: str, as_json: bool) -> None:
    from serving.routers.saved_views import view_document

    write_result(as_json, lambda: view_document(view), lambda console: console.print(words, markup=False))
