"""The portfolio page: summary figures and the account list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from features.errors import UnknownSnapshot
from models.health.parent_health import PARENT_HEALTH_WORDS
from models.predictions.payload import format_instant
from serving.html.links import with_query
from serving.html.sparklines import axis_maximum, polylines
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.http.dependencies import LiveStateDep, StoreDep
from serving.pages.snapshot_context import (
    accounts_off_worklist,
    cached_weekly_health,
    health_trend_chart,
    snapshot_dates,
)
from serving.portfolio.account_list import (
    CHOICES,
    LARGEST_FIRST,
    PAGE_SIZES,
    AccountList,
    AccountListQuery,
    AccountPage,
    Division,
    Order,
    health_of_parent,
    published_account_list,
)
from serving.portfolio.kpi_schemas import DEFAULT_PERIOD, published_kpis
from serving.portfolio.portfolio_groups import NO_GROUP, cached_groups
from serving.snapshots.scored_snapshot import ScoredSnapshot

#: The sortable columns and their headings.
HEADINGS: dict[Order, str] = {
    "account": "Account",
    "segment": "Segment",
    "csm": "CSM",
    "arr": "ARR",
    "health": "Health",
    "change": "7-day change",
    "risk": "Churn risk",
    "loss": "ARR at risk",
    "renewal": "Renewal",
}
ONLY = {
    "alerted": "With an alert this week",
    "play": "With a play to run",
    "differs": "Model and health score disagree",
    "ready": "Ready for expansion",
}
DIVISION_NAMES: dict[Division, str] = {
    "segment": "Segment",
    "csm": "CSM",
    "region": "Region",
    "parent": "Parent company",
    "product": "Product",
}
#: Maximum number of groups shown.
GROUPS = 25
SPARK = (84, 24)

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


@router.get("/")
def get_portfolio_page(
    request: Request, live: LiveStateDep, store: StoreDep, asked: Annotated[AccountListQuery, Query()]
) -> Response:
    """Return the portfolio page."""
    state = live.current()
    scored = state.scored(asked.as_of)
    roster = published_account_list(scored)
    work = accounts_off_worklist(scored, store)
    found = roster.find(asked, work)
    by: Division = asked.group if asked.group in roster.divisions else "segment"
    groups = cached_groups(scored, roster, by)
    return render_page(
        request,
        "portfolio.html",
        title="Portfolio",
        section="portfolio",
        summary=scored.portfolio,
        kpis=_kpis(scored),
        weeks=cached_weekly_health(scored),
        trend=health_trend_chart(scored),
        by=by,
        groups=groups[:GROUPS],
        more_groups=max(0, len(groups) - GROUPS),
        company_health=by == "parent" and scored.assessment.champion.rubric.rules.parent_health != "own",
        parent_words=PARENT_HEALTH_WORDS,
        no_group=NO_GROUP[by],
        divisions={name: DIVISION_NAMES[name] for name in roster.divisions},
        companies=_choices(list(roster.companies), asked.parent),
        products=_choices(roster.products, asked.product),
        asked=asked,
        found=found,
        rows=_rows(scored, roster, found, work),
        risk_top=axis_maximum(float(roster.frame["high"].quantile(0.98) or 0.0)),
        roster=roster,
        headings=_headings(asked, roster),
        link=_Links(asked),
        dates=snapshot_dates(state, scored),
        query=with_query("", {"as_of": asked.when}),
        sizes=PAGE_SIZES,
        only=ONLY,
    )


def _kpis(scored: ScoredSnapshot) -> dict[str, Any] | None:
    """Return the KPIs of the trailing twelve months; None if none were stored with the snapshot."""
    try:
        return published_kpis(scored, DEFAULT_PERIOD)
    except UnknownSnapshot:
        return None


def _choices(names: list[str], chosen: str | None) -> list[str]:
    """Return the first choices of a filter, and the chosen one."""
    first = names[:CHOICES]
    return first if chosen is None or chosen in first else [*first, chosen]


class _Links:
    """URLs of the same list with other parameters."""

    def __init__(self, asked: AccountListQuery) -> None:
        self._params = {
            name: value
            for name, value in asked.model_dump(mode="json", exclude_defaults=True).items()
            if name != "as_of"
        }
        if asked.as_of is not None:
            self._params["as_of"] = format_instant(asked.as_of)

    def __call__(self, **changes: object) -> str:
        """Return the URL with these parameters replaced, on the first page by default."""
        return with_query("/", {**self._params, "page": None, **changes}) + "#accounts"

    def grouped(self, by: Division) -> str:
        """Return the URL of the same list with other groups."""
        return with_query("/", {**self._params, "group": None if by == "segment" else by}) + "#groups"

    @property
    def other_filters(self) -> dict[str, object]:
        """The parameters that a change of date retains."""
        return {name: value for name, value in self._params.items() if name not in ("as_of", "page")}

    @property
    def hidden(self) -> dict[str, object]:
        """The parameters that a change of filters retains."""
        return {
            name: value for name, value in self._params.items() if name in ("as_of", "sort", "way", "size", "group")
        }


def _headings(asked: AccountListQuery, roster: AccountList) -> list[dict[str, Any]]:
    link = _Links(asked)
    headings = []
    for name, words in HEADINGS.items():
        if name == "csm" and not roster.csms:
            continue
        sorted_by = name == asked.order
        fresh = name in LARGEST_FIRST
        down = not asked.descending if sorted_by else fresh
        headings.append(
            {
                "name": name,
                "words": words,
                "href": link(sort=name, way="down" if down else "up"),
                "sorted": None if not sorted_by else "descending" if asked.descending else "ascending",
            }
        )
    return headings


def _rows(
    scored: ScoredSnapshot, roster: AccountList, found: AccountPage, work: Mapping[str, str]
) -> list[dict[Any, Any]]:
    judged = scored.assessment.rule_results
    shown = roster.frame.iloc[found.rows].astype(object)
    shown = shown.where(shown.notna(), None)
    rows = []
    for place, row in zip(found.rows, shown.to_dict("records"), strict=True):
        state = work.get(row["account_id"])
        play = None if state else judged.plays[place]
        rows.append(
            {
                **row,
                "parent_health": health_of_parent(roster, row["account_id"]),
                "spark": polylines(judged.score[place].tolist(), *SPARK),
                "act": None if play is None else play.act,
                "who": None if play is None else play.who,
                "due": None if play is None else play.due,
                "overdue": play is not None and play.overdue,
                "work": state,
            }
        )
    return rows
