"""What a page about accounts shows: the snapshot, the requested parameters, and the accounts of the filter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from features.errors import UnknownAccount
from serving.html.exports import requested_export
from serving.html.links import with_query
from serving.html.templates import mark_uncertain
from serving.http.dependencies import LiveStateDep
from serving.pages.filter_bar import FilterBar, carried_query, filter_bar, own_accounts_url, remember_view
from serving.pages.snapshot_context import SnapshotDates, snapshot_dates
from serving.schemas.account_filter import AccountFilter, PageFilter
from serving.schemas.form_fields import SnapshotPageQuery
from serving.snapshots.account_attributes import AccountSelection, account_attributes, select_accounts
from serving.snapshots.live_state import LiveState
from serving.snapshots.scored_snapshot import ScoredSnapshot

Asked = TypeVar("Asked", bound=PageFilter)


@dataclass(frozen=True)
class PageView(Generic[Asked]):
    """A page of the accounts that a filter selects.

    Parameters
    ----------
    request : the request.
    state, scored : the state of the service, and the snapshot that the page shows.
    asked : the parameters of the page.
    selection : the accounts that the filter selects.
    """

    request: Request
    state: LiveState
    scored: ScoredSnapshot
    asked: Asked
    selection: AccountSelection

    @property
    def when(self) -> str | None:
        """The requested date, as it appears in URLs; None for the latest, or if the page has no date."""
        return self.asked.when if isinstance(self.asked, SnapshotPageQuery) else None

    @property
    def query(self) -> str:
        """The query string that links between pages carry."""
        return carried_query(self.asked, self.when)

    @property
    def dates(self) -> SnapshotDates:
        """The dates to choose from."""
        return snapshot_dates(self.state, self.scored)

    def filters(self, path: str, others: Mapping[str, object]) -> FilterBar:
        """Return the bar of the filter, as `serving.pages.filter_bar.filter_bar` does."""
        return filter_bar(self.request, self.scored, self.asked, self.selection, path, others)

    def remember(self, page: Response) -> Response:
        """Return the page, and remember whether the person asked for all accounts."""
        return remember_view(self.request, page, self.asked)


class OtherAddress(Exception):
    """A page has another URL: with the accounts that a person starts with, or with an id for a name; not an error.

    Parameters
    ----------
    address : the URL.
    """

    def __init__(self, address: str) -> None:
        self.address = address


async def redirect_to_address(_request: Request, error: Exception) -> Response:
    """Return the redirect of an `OtherAddress`."""
    assert isinstance(error, OtherAddress)
    return RedirectResponse(error.address, 303)


def page_view(parameters: type[PageFilter]) -> Any:
    """Return the dependency of a page about accounts, which is a `PageView`.

    A person with own accounts, who did not choose others, is redirected to the page with these. A parent company that
    is given by name leads to the page with its id. An export refuses a value of the filter that no account has.

    Parameters
    ----------
    parameters : the parameters of the page. Without the date of a snapshot, the page shows the latest.
    """

    def view(request: Request, live: LiveStateDep, asked: Any) -> PageView[Any]:
        state = live.current()
        scored = state.scored(asked.as_of if isinstance(asked, SnapshotPageQuery) else None)
        mark_uncertain(request, scored.assessment.open_questions)
        if (address := own_accounts_url(request, scored)) is not None:
            raise OtherAddress(address)
        if (parent := _parent_id(scored, asked)) != asked.parent:
            raise OtherAddress(with_query(request.url.path, {**request.query_params, "parent": parent}))
        # A page without accounts says so; a file cannot, so that a misspelled value is refused as by the API.
        selection = select_accounts(scored, asked, strict=requested_export(request) is not None)
        return PageView(request, state, scored, asked, selection)

    view.__annotations__["asked"] = Annotated[parameters, Query()]
    return Depends(view)


def _parent_id(scored: ScoredSnapshot, asked: AccountFilter) -> str | None:
    """Return the id of the parent company in a filter; what was typed if no account has such a name.

    Raises
    ------
    UnknownAccount : more than one account can be meant, or one that is spelled nearly alike.
    """
    if asked.parent is None:
        return None
    try:
        return account_attributes(scored).with_parent_id(asked).parent
    except UnknownAccount as error:
        if error.candidates:
            raise
        return asked.parent
