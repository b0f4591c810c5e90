"""The filter that holds on all pages about accounts: its bar, its links, and the accounts that a person starts with.

The filter is in the URL, and every link between pages carries it. Someone who signs in with a key that has an owner
starts with the accounts of that CSM: a page without a filter redirects to the page with it. Whoever asks for all
accounts gets them until the next sign-in. This is a convenience, not a restriction: every key reads all accounts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.responses import Response

from features.errors import RenewcastError
from serving.common.browser_requests import view_cookie_name
from serving.html.links import with_query
from serving.http.authentication import Caller
from serving.routers.saved_views import view_owner
from serving.schemas.account_filter import FILTER_FIELDS, PageFilter
from serving.schemas.saved_views import NAME_LIMIT, PASSING
from serving.snapshots.account_attributes import AccountSelection, account_attributes
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.store.saved_views import SavedView, list_views

#: The labels of the fields.
LABELS = {
    "csm": "CSM",
    "segment": "Segment",
    "region": "Region",
    "product": "Product",
    "parent": "Parent company",
    "health": "Health",
    "risk": "Churn risk",
    "stage": "Stage",
}
#: With more values, a field is an input with suggestions.
SELECT_LIMIT = 200
#: The value of the cookie of someone who asked for all accounts.
ALL = "all"


class FilterChip(NamedTuple):
    """A field that is filtered by: its label, the value in words, and the URL without it."""

    label: str
    words: str
    href: str


@dataclass(frozen=True)
class FilterField:
    """A field to choose a value for.

    Parameters
    ----------
    name, label : of the field.
    value : the chosen one, or an empty text.
    choices : the values with their words.
    """

    name: str
    label: str
    value: str
    choices: Sequence[tuple[str, str]]

    @property
    def long(self) -> bool:
        """Whether there are too many values for a list to choose from."""
        return len(self.choices) > SELECT_LIMIT


@dataclass(frozen=True)
class ViewMenu:
    """The saved views as a page shows them.

    Parameters
    ----------
    views : the person's own views and those for everyone, by name.
    current : the one that the page shows; None if it shows none.
    query : the query string to save.
    href : the URL of the page that lists them.
    may_share : whether the person may save views for everyone.
    """

    views: Sequence[SavedView]
    current: SavedView | None
    query: str
    href: str
    may_share: bool
    name_limit: int = NAME_LIMIT


@dataclass(frozen=True)
class FilterBar:
    """The filter as a page shows it.

    Parameters
    ----------
    path : the path of the page.
    chips : the fields that are filtered by.
    fields : the fields to choose from; those without values in the snapshot are left out.
    hidden : the other parameters of the page, which a change of the filter retains.
    selected, accounts : the number of selected accounts, and of all.
    everyone : the URL of the page for all accounts.
    own : the URL of the page for the person's own accounts; None if they have none, or if it shows exactly these.
    mine : whether the page shows exactly the person's own accounts.
    saved : the saved views; None if the store cannot be read.
    without_model : whether there is no churn model, so that risks are unknown.
    """

    path: str
    chips: Sequence[FilterChip]
    fields: Sequence[FilterField]
    hidden: Mapping[str, object]
    selected: int
    accounts: int
    everyone: str
    own: str | None
    mine: bool
    saved: ViewMenu | None
    without_model: bool


def filter_bar(
    request: Request,
    scored: ScoredSnapshot,
    asked: PageFilter,
    selection: AccountSelection,
    path: str,
    others: Mapping[str, object],
) -> FilterBar:
    """Return the bar of a page.

    Parameters
    ----------
    request : the request.
    scored : the snapshot.
    asked, selection : the filter, and the accounts that it selects.
    path : the path of the page.
    others : the other parameters of the page, without the page number.

    Raises
    ------
    HomeError : a sidecar is not valid.
    """
    attributes, chosen, owner = account_attributes(scored), asked.chosen, _owner(request, scored)

    def link(fields: Mapping[str, object]) -> str:
        return with_query(path, {**fields, **others})

    chips = [
        FilterChip(
            LABELS[name],
            attributes.words(name, value),
            link({each: text for each, text in chosen.items() if each != name})
            if len(chosen) > 1
            else _everyone(path, others, owner),
        )
        for name, value in chosen.items()
    ]
    fields = [
        FilterField(name, LABELS[name], chosen.get(name, ""), values)
        for name, values in attributes.choices.items()
        if values or name in chosen
    ]
    mine = owner is not None and chosen == {"csm": owner}
    return FilterBar(
        path,
        chips,
        fields,
        {name: value for name, value in others.items() if value not in (None, "")},
        int(selection.rows.sum()),
        len(selection.rows),
        _everyone(path, others, owner),
        None if owner is None or mine else link({"csm": owner}),
        mine,
        _view_menu(
            request,
            path,
            link(chosen) if chosen else _everyone(path, others, owner),
            with_query("/views", {"as_of": others.get("as_of"), **chosen}),
        ),
        scored.assessment.target_scores["churn"].bundle is None,
    )


def _view_menu(request: Request, path: str, address: str, href: str) -> ViewMenu | None:
    """Return the saved views of a page; None if the store is unavailable, so that the page shows the rest."""
    caller: Any = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):
        return None
    owner = view_owner(caller)
    try:
        views = request.app.state.store.read_cached(
            ("views", owner), lambda connection: tuple(list_views(connection, owner))
        )
    except RenewcastError:
        return None
    shown = _lasting(address.partition("?")[2])
    current = next((each for each in views if each.page == path and _lasting(each.query) == shown), None)
    query = with_query("", dict(shown)).removeprefix("?")
    if ("csm", "") in shown:
        query += "&csm=" if query else "csm="
    return ViewMenu(views, current, query, href, bool(caller.may("write")))


def _lasting(query: str) -> list[tuple[str, str]]:
    """Return the parameters of a query string that a view has, in order."""
    return sorted(each for each in parse_qsl(query, keep_blank_values=True) if each[0] not in PASSING)


def _everyone(path: str, others: Mapping[str, object], owner: str | None) -> str:
    """Return the URL for all accounts. For a person with own accounts, the empty field says so."""
    address = with_query(path, others)
    if owner is None:
        return address
    return f"{address}{'&' if '?' in address else '?'}csm="


def carried_query(asked: PageFilter, when: str | None) -> str:
    """Return the query string that links between pages carry: the snapshot date and the filter."""
    return with_query("", {"as_of": when, **asked.chosen})


def own_accounts_url(request: Request, scored: ScoredSnapshot) -> str | None:
    """Return the URL of the page with the person's own accounts; None if the page is shown as it was requested.

    Parameters
    ----------
    request : the request of a page.
    scored : the snapshot that it shows.
    """
    owner = _owner(request, scored)
    if owner is None or request.cookies.get(view_cookie_name(request.url.scheme)) == ALL:
        return None
    if any(name in request.query_params for name in FILTER_FIELDS):
        return None
    return with_query(request.url.path, {**request.query_params, "csm": owner})


def remember_view(request: Request, answer: Response, asked: PageFilter) -> Response:
    """Remember until the next sign-in whether a person asked for all accounts, and return the answer.

    Parameters
    ----------
    request : the request of a page.
    answer : its answer.
    asked : its filter.
    """
    owner = _caller_owner(request)
    if owner is None or "csm" not in request.query_params:
        return answer
    scheme = request.url.scheme
    name, secure = view_cookie_name(scheme), scheme == "https"
    if not asked.chosen:
        answer.set_cookie(name, ALL, path="/", secure=secure, httponly=True, samesite="strict")
    elif asked.csm == owner:
        answer.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")
    return answer


def _caller_owner(request: Request) -> str | None:
    caller: Any = getattr(request.state, "caller", None)
    return caller.owner if isinstance(caller, Caller) and caller.in_session else None


def _owner(request: Request, scored: ScoredSnapshot) -> str | None:
    """Return the CSM whose key the person signed in with, if the snapshot has accounts of this CSM."""
    owner = _caller_owner(request)
    if owner is None or owner not in dict(account_attributes(scored).choices["csm"]):
        return None
    return owner
