"""Saved views: a name for a page with its filter, search and order, of one person or for everyone."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select
from sqlalchemy.exc import IntegrityError

from features.errors import BadRequest
from serving.common.errors import NameTaken, UnknownId
from serving.store.tables import saved_views

#: The owner in the table of views for everyone. No person has an empty name.
EVERYONE = ""
#: The maximum number of views of one owner.
VIEWS_LIMIT = 200


@dataclass(frozen=True)
class SavedView:
    """One view.

    Parameters
    ----------
    id : its identifier.
    owner : the person it belongs to; None: it is for everyone.
    name : unique among the views of the owner.
    page : the path of a page.
    query : the query string of the page, without a question mark.
    created_at : UTC.
    author : the name of the person who saved it.
    """

    id: str
    owner: str | None
    name: str
    page: str
    query: str
    created_at: datetime
    author: str

    @property
    def href(self) -> str:
        """The URL of the page with the view."""
        return f"{self.page}?{self.query}" if self.query else self.page


def save_view(
    connection: Connection,
    owner: str | None,
    name: str,
    page: str,
    query: str,
    author: str,
    request_name: str | None = None,
) -> SavedView:
    """Store a view.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    owner, name, page, query, author : see `SavedView`.
    request_name : the name of the request (`serving.http.idempotency.request_name`), if it can be repeated.

    Returns
    -------
    SavedView
        The stored view; of a repeated request, the view that the first one stored.

    Raises
    ------
    NameTaken : the owner has a view with this name. The transaction must be rolled back.
    BadRequest : the owner has too many views.
    """
    of = saved_views.c
    view_id = f"viw_{request_name or secrets.token_hex(8)}"
    first = connection.execute(select(saved_views).where(of.id == view_id)).one_or_none() if request_name else None
    if first is not None:
        return _from_row(first)
    count = connection.execute(select(func.count()).where(of.owner == (owner or EVERYONE))).scalar_one()
    if count >= VIEWS_LIMIT:
        raise BadRequest(f"there are {count} views already", f"at most {VIEWS_LIMIT}", "delete those that no one needs")
    view = SavedView(view_id, owner, name, page, query, datetime.now(UTC), author)
    row = {"id": view.id, "owner": owner or EVERYONE, "name": name, "page": page, "query": query}
    try:
        connection.execute(saved_views.insert().values(**row, created_at=view.created_at, author=author))
    except IntegrityError:
        raise _taken() from None
    return view


def list_views(connection: Connection, owner: str | None) -> list[SavedView]:
    """Return the views of a person and those for everyone, by name.

    Parameters
    ----------
    connection : a connection to the store, in a transaction.
    owner : the person; None: only the views for everyone.
    """
    of = saved_views.c
    rows = connection.execute(select(saved_views).where(of.owner.in_({owner or EVERYONE, EVERYONE}))).all()
    views = [_from_row(row) for row in rows]
    return sorted(views, key=lambda view: (view.name.casefold(), view.owner is None, view.id))


def every_view(connection: Connection) -> list[SavedView]:
    """Return the views of all people, in the order in which they were saved."""
    of = saved_views.c
    return [_from_row(row) for row in connection.execute(select(saved_views).order_by(of.created_at, of.id))]


def find_view(connection: Connection, view_id: str) -> SavedView:
    """Return a view by its id.

    Raises
    ------
    UnknownId : there is none with this id.
    """
    row = connection.execute(select(saved_views).where(saved_views.c.id == view_id)).one_or_none()
    if row is None:
        raise UnknownId("there is no saved view with this id", "an id from `renewcast views list`, or GET /v1/views")
    return _from_row(row)


def rename_view(connection: Connection, view: SavedView, name: str) -> SavedView:
    """Give a view another name.

    Raises
    ------
    NameTaken : another view of the owner has this name. The transaction must be rolled back.
    """
    try:
        connection.execute(saved_views.update().where(saved_views.c.id == view.id).values(name=name))
    except IntegrityError:
        raise _taken() from None
    return find_view(connection, view.id)


def delete_view(connection: Connection, view: SavedView) -> None:
    """Delete a view, if it still exists."""
    connection.execute(delete(saved_views).where(saved_views.c.id == view.id))


def _taken() -> NameTaken:
    return NameTaken(
        "there is already a view with this name", "another name", "choose another name, or delete the other view first"
    )


def _from_row(row: Row[Any]) -> SavedView:
    return SavedView(row.id, row.owner or None, row.name, row.page, row.query, row.created_at, row.author)
