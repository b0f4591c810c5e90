"""Requests about saved views, and the pages that can be saved with their parameters."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from models.predictions.schema import ResponseModel
from serving.schemas.account_filter import FILTER_FIELDS
from serving.schemas.base import RequestModel

_LIST = frozenset({"q", "sort", "way"})
VIEW_PAGES: dict[str, frozenset[str]] = {
    "/": _LIST | {"only", "size", "group"},
    "/worklist": _LIST | {"capacity", "running_sort", "running_way"},
    "/alerts": _LIST | {"code", "show"},
    "/interventions": _LIST | {"state", "assignee"},
    "/renewals": _LIST | {"period"},
    "/onboarding": _LIST,
    "/churned": _LIST | {"period"},
    "/leadership": _LIST | {"by", "margin", "csms_q", "csms_sort", "csms_way"},
    "/trends": _LIST | {"since"},
    "/cohorts": _LIST | {"margin"},
}
"""The pages that can be saved, with their parameters besides the filter of accounts."""
#: Parameters that a view leaves out, since it always shows the latest data from its first page on.
PASSING = ("as_of", "page", "csms_page", "running_page")
QUERY_LIMIT = 2000
NAME_LIMIT = 100

ViewName = Annotated[
    str,
    BeforeValidator(lambda text: " ".join(text.split()) if isinstance(text, str) else text),
    Field(min_length=1, max_length=NAME_LIMIT, pattern=r"^[^\x00-\x1f\x7f]+$"),
]


def _known_page(path: str) -> str:
    if path not in VIEW_PAGES:
        raise PydanticCustomError("unknown_page", "Input should be one of: " + ", ".join(VIEW_PAGES))
    return path


class ViewChange(RequestModel):
    """Another name for a view."""

    name: ViewName


class ViewRequest(ViewChange):
    """A page with its filter, search and order, and a name for it."""

    page: Annotated[str, AfterValidator(_known_page)] = Field(
        description="The path of a page: " + ", ".join(VIEW_PAGES) + ".", examples=["/worklist"]
    )
    query: str = Field(
        "",
        max_length=QUERY_LIMIT,
        description="The query string of the page, without a question mark. The date and the page number are left out.",
        examples=["csm=Ada+Byron&sort=due"],
    )
    shared: bool = Field(False, description="Whether the view is for everyone instead of only for the caller.")

    @field_validator("query", mode="after")
    @classmethod
    def _readable(cls, query: str, info: ValidationInfo) -> str:
        known = VIEW_PAGES.get(info.data.get("page", ""), frozenset()).union(FILTER_FIELDS, PASSING)
        try:
            query.encode("ascii")
            fields = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
        except ValueError:
            raise PydanticCustomError("query", "Input should be a percent-encoded query string") from None
        if "page" in info.data and any(name not in known for name, _ in fields):
            raise PydanticCustomError(
                "unknown_field",
                "Input should have only parameters of the page: {names}",
                {"names": ", ".join(sorted(known.difference(PASSING)))},
            )
        return urlencode([(name, value) for name, value in fields if name not in PASSING])


class SavedViewResponse(ResponseModel):
    """A saved view."""

    id: str
    name: str
    page: str
    query: str
    href: str = Field(description="The address of the page with the view, without the host.")
    shared: bool = Field(description="Whether the view is for everyone; false: it is the caller's own.")
    created_at: str
    created_by: str


class SavedViewList(ResponseModel):
    """Saved views by name."""

    data: list[SavedViewResponse]
