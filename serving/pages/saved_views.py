"""Saved views: their page, with forms to rename and delete them, and the form of other pages that saves one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from features.errors import BadRequest
from serving.html.navigation import SECTIONS
from serving.html.templates import render_page
from serving.http.authentication import Caller, current_caller, require_scope
from serving.http.dependencies import StoreDep
from serving.pages.filter_bar import LABELS
from serving.pages.work_forms import refuse_invalid
from serving.routers.saved_views import (
    ViewId,
    delete_caller_view,
    may_change,
    rename_caller_view,
    save_caller_view,
    view_owner,
)
from serving.schemas.form_fields import form_fields
from serving.schemas.saved_views import NAME_LIMIT, ViewChange, ViewRequest
from serving.store.saved_views import SavedView, list_views

PATH = "/views"
PAGE_WORDS: Mapping[str, str] = {each.path: each.words for each in SECTIONS}
#: The labels of parameters besides the filter of accounts.
PARAMETER_WORDS = {
    "q": "search",
    "sort": "sorted by",
    "way": "order",
    "size": "rows",
    "only": "only",
    "group": "groups by",
    "by": "groups by",
    "margin": "gross margin in percent",
    "since": "since",
    "capacity": "capacity",
}

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])
CurrentCaller = Annotated[Caller, Depends(current_caller)]


@router.get(PATH)
def get_views_page(request: Request, store: StoreDep, caller: CurrentCaller) -> Response:
    """Return the list of the person's own views and those for everyone."""
    with store.read() as connection:
        views = list_views(connection, view_owner(caller))
    return render_page(
        request,
        "saved_views.html",
        title="Saved views",
        section="views",
        views=[
            {
                "view": each,
                "page": PAGE_WORDS.get(each.page, each.page),
                "words": _words(each),
                "editable": may_change(caller, each),
            }
            for each in views
        ],
        name_limit=NAME_LIMIT,
    )


@router.post(PATH)
async def post_view_form(request: Request, store: StoreDep, caller: CurrentCaller) -> Response:
    """Save the view of a page, and return to it."""
    form = await form_fields(request)
    try:
        wanted = ViewRequest(
            name=form.get("name", ""),
            page=form.get("page", ""),
            query=form.get("query", ""),
            shared=form.get("shared") == "yes",
        )
    except ValidationError as error:
        raise refuse_invalid(error) from None
    view = await run_in_threadpool(save_caller_view, store, caller, wanted)
    return RedirectResponse(view.href, 303)


@router.post(PATH + "/{view_id}")
async def post_view_change(request: Request, store: StoreDep, caller: CurrentCaller, view_id: ViewId) -> Response:
    """Rename or delete a view, as the form says."""
    form = await form_fields(request)
    if form.get("do") == "delete":
        await run_in_threadpool(delete_caller_view, store, caller, view_id)
    elif form.get("do") == "rename":
        try:
            change = ViewChange(name=form.get("name", ""))
        except ValidationError as error:
            raise refuse_invalid(error) from None
        await run_in_threadpool(rename_caller_view, store, caller, view_id, change.name)
    else:
        raise BadRequest("the form does not say what to do", "one of its buttons", "submit the form on the page")
    return RedirectResponse(PATH, 303)


def _words(view: SavedView) -> str:
    """Return what a view shows, in words."""
    fields: list[tuple[str, Any]] = parse_qsl(view.query, keep_blank_values=True)
    labels = {**LABELS, **PARAMETER_WORDS}
    shown = [f"{labels.get(name, name)} {value}".replace("_", " ") for name, value in fields if value]
    return ", ".join(shown) or "all accounts"
