"""Routes for saved views: list, save, rename and delete them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from serving.common.errors import Forbidden, UnknownId
from serving.http.authentication import Caller, current_caller, require_scope
from serving.http.dependencies import BODY_PROBLEMS, JSON_ONLY, NO_STORE, StoreDep, problem_responses
from serving.http.idempotency import IDEMPOTENT, request_name
from serving.schemas.saved_views import SavedViewList, SavedViewResponse, ViewChange, ViewRequest
from serving.store.database import Store
from serving.store.saved_views import SavedView, delete_view, find_view, list_views, rename_view, save_view

router = APIRouter(tags=["views"], dependencies=[require_scope("predict")])
CurrentCaller = Annotated[Caller, Depends(current_caller)]
ViewId = Annotated[str, Path(max_length=40, pattern="^viw_[0-9a-f]+$")]
_PROBLEMS = {name: words for name, words in BODY_PROBLEMS.items() if name != "s409"} | {
    "s403": "The view is for everyone, and the key lacks the scope write.",
    "s409": "There is already a view with this name.",
    "s422": "The body is invalid; `errors` lists the places.",
    "s503": NO_STORE,
}
_NO_VIEW = "There is no view with this id, or it is another person's."


def view_owner(caller: Caller) -> str:
    """Return who a caller's own views belong to: the owner of the key, or else the key."""
    return caller.owner or caller.id


def view_document(view: SavedView) -> dict[str, Any]:
    """Return a view as a `serving.schemas.saved_views.SavedViewResponse`."""
    return {
        "id": view.id,
        "name": view.name,
        "page": view.page,
        "query": view.query,
        "href": view.href,
        "shared": view.owner is None,
        "created_at": view.created_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "created_by": view.author,
    }


def save_caller_view(store: Store, caller: Caller, request: ViewRequest, repeated: str | None = None) -> SavedView:
    """Store a view of a caller; ``repeated`` is the name of the request if it can be repeated.

    Raises
    ------
    Forbidden : it is for everyone, and the caller may not write.
    NameTaken : there is one with this name.
    BadRequest : there are too many.
    """
    if request.shared:
        _require_write(caller)
    owner = None if request.shared else view_owner(caller)
    with store.begin() as connection:
        author = caller.author.name
        return save_view(connection, owner, request.name, request.page, request.query, author, repeated)


def rename_caller_view(store: Store, caller: Caller, view_id: str, name: str) -> SavedView:
    """Rename a view.

    Raises
    ------
    UnknownId : there is none that the caller sees.
    Forbidden : it is for everyone, and the caller may not write.
    NameTaken : there is one with this name.
    """
    with store.begin() as connection:
        return rename_view(connection, _changeable(connection, caller, view_id), name)


def delete_caller_view(store: Store, caller: Caller, view_id: str) -> None:
    """Delete a view.

    Raises
    ------
    UnknownId, Forbidden : as `rename_caller_view`.
    """
    with store.begin() as connection:
        delete_view(connection, _changeable(connection, caller, view_id))


def may_change(caller: Caller, view: SavedView) -> bool:
    """Return whether a caller may rename and delete a view."""
    return view.owner == view_owner(caller) if view.owner is not None else bool(caller.may("write"))


@router.get(
    "/v1/views",
    summary="List saved views",
    operation_id="listViews",
    response_model=SavedViewList,
    responses=problem_responses(s503=NO_STORE),
)
def get_views(store: StoreDep, caller: CurrentCaller) -> Response:
    """Returns the caller's own views and those for everyone, by name."""
    with store.read() as connection:
        return JSONResponse({"data": [view_document(each) for each in list_views(connection, view_owner(caller))]})


@router.post(
    "/v1/views",
    status_code=201,
    summary="Save a view",
    operation_id="saveView",
    response_model=SavedViewResponse,
    dependencies=[JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(
        **_PROBLEMS
        | {
            "s409": "There is already a view with this name; or the first request with the Idempotency-Key is still "
            "running."
        }
    ),
)
def post_view(request: Request, store: StoreDep, caller: CurrentCaller, body: ViewRequest) -> Response:
    """Saves a page with its filter, search and order under a name. The view always shows the latest data. The caller's
    own views belong to the owner of the key, or to the key if it has no owner. A view for everyone needs the scope
    write. Requests with the same Idempotency-Key are stored once."""
    return JSONResponse(view_document(save_caller_view(store, caller, body, request_name(request))), 201)


@router.patch(
    "/v1/views/{view_id}",
    summary="Rename a saved view",
    operation_id="renameView",
    response_model=SavedViewResponse,
    dependencies=[JSON_ONLY],
    responses=problem_responses(**_PROBLEMS, s404=_NO_VIEW),
)
def patch_view(store: StoreDep, caller: CurrentCaller, view_id: ViewId, body: ViewChange) -> Response:
    """Renames a view."""
    return JSONResponse(view_document(rename_caller_view(store, caller, view_id, body.name)))


@router.delete(
    "/v1/views/{view_id}",
    status_code=204,
    summary="Delete a saved view",
    operation_id="deleteView",
    responses=problem_responses(
        s403=_PROBLEMS["s403"], s404=_NO_VIEW, s422="The id is no id of a view.", s503=NO_STORE
    ),
)
def delete_view_by_id(store: StoreDep, caller: CurrentCaller, view_id: ViewId) -> Response:
    """Deletes a view."""
    delete_caller_view(store, caller, view_id)
    return Response(status_code=204)


def _changeable(connection: Connection, caller: Caller, view_id: str) -> SavedView:
    view = find_view(connection, view_id)
    if view.owner is None:
        _require_write(caller)
    elif view.owner != view_owner(caller):
        raise UnknownId("there is no saved view with this id", "the id of a view of yours, or of one for everyone")
    return view


def _require_write(caller: Caller) -> None:
    if not caller.may("write"):
        raise Forbidden(
            "a view for everyone cannot be changed: the key lacks the scope write",
            "a key with the scope write, or a view of your own",
        )
