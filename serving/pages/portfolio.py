"""The portfolio page: summary figures and the account list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from features.errors import UnknownSnapshot
from models.health.parent_health import PARENT_HEALTH_WORDS
from models.predictions.payload import format_instant
from serving.html.links import with_query, without
from serving.html.sparklines import axis_maximum, polylines
from serving.html.templates import render_page
from serving.http.authentication import require_scope
from serving.http.dependencies import StoreDep
from serving.pages.exports.lists import portfolio_exports
from serving.pages.filter_bar import LABELS
from serving.pages.page_view import PageView, page_view
from serving.pages.snapshot_context import (
    accounts_off_worklist,
    cached_weekly_health,
    health_trend_chart,
)
from serving.pages.sortable_list import Heading, ListColumn, headings, paginate
from serving.portfolio.account_list import (
    LARGEST_FIRST,
    PAGE_SIZES,
    AccountList,
    AccountListQuery,
    Order,
    health_of_parent,
    published_account_list,
)
from serving.portfolio.filtered_kpis import filtered_measures
from serving.portfolio.kpi_schemas import DEFAULT_PERIOD, published_kpis
from serving.portfolio.portfolio_groups import NO_GROUP, cached_groups
from serving.schemas.divisions import Division
from serving.snapshots.account_attributes import portfolio_of
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
    "step": "Next step",
}
#: The columns that are aligned to the right.
NUMBERS = frozenset({"arr", "loss", "change"})
ONLY = {
    "alerted": "With an alert this week",
    "play": "With a play to run",
    "differs": "Model and health score disagree",
    "ready": "Ready for expansion",
}
#: Maximum number of groups shown.
GROUPS = 25
SPARK = (84, 24)
#: The parameters of the list besides the filter and the page number.
LIST_FIELDS = ("q", "only", "sort", "way", "size", "group")

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])


@router.get("/")
def get_portfolio_page(
    request: Request, store: StoreDep, view: Annotated[PageView[AccountListQuery], page_view(AccountListQuery)]
) -> Response:
    """Return the portfolio page."""
    scored, asked, selection = view.scored, view.asked, view.selection
    roster = published_account_list(scored)
    work = accounts_off_worklist(scored, store)
    found = roster.find(asked, work, selection.rows)
    listed = paginate(found.rows, asked.page, asked.size)
    by: Division = asked.group if asked.group in roster.divisions else "segment"
    groups = cached_groups(scored, roster, by, selection)
    link = _Links(asked)
    page = render_page(
        request,
        "portfolio.html",
        exports=portfolio_exports,
        title="Portfolio",
        section="portfolio",
        summary=portfolio_of(scored, selection),
        kpis=_kpis(scored, asked),
        weeks=cached_weekly_health(scored, selection),
        trend=health_trend_chart(scored, selection),
        by=by,
        groups=groups[:GROUPS],
        every_group=groups,
        more_groups=max(0, len(groups) - GROUPS),
        company_health=by == "parent" and scored.assessment.champion.rubric.rules.parent_health != "own",
        parent_words=PARENT_HEALTH_WORDS,
        no_group=NO_GROUP[by],
        divisions={name: LABELS[name] for name in roster.divisions},
        asked=asked,
        found=found,
        listed=listed,
        rows=_rows(scored, roster, listed.rows, work),
        every_row=lambda: _rows(scored, roster, found.rows, work),
        risk_top=axis_maximum(float(roster.frame["high"].quantile(0.98) or 0.0)),
        roster=roster,
        headings=_headings(asked, roster),
        link=link,
        filters=view.filters("/", link.others),
        dates=view.dates,
        query=view.query,
        sizes=PAGE_SIZES,
        only=ONLY,
    )
    return view.remember(page)


def _kpis(scored: ScoredSnapshot, asked: AccountListQuery) -> dict[str, Any] | None:
    """Return the KPIs of the trailing twelve months; None if none were stored with the snapshot.

    ``measures`` is None if an earlier release did not store them for the filter.
    """
    try:
        kpis = published_kpis(scored, DEFAULT_PERIOD)
        if not asked.chosen:
            return kpis
        return {**kpis, "measures": filtered_measures(scored, DEFAULT_PERIOD, asked.account_filter)}
    except UnknownSnapshot:
        return None


class _Links:
    """URLs of the same list with other parameters."""

    def __init__(self, asked: AccountListQuery) -> None:
        changed = asked.model_dump(mode="json", exclude_defaults=True)
        self._filter = asked.chosen
        self.others = {name: changed[name] for name in LIST_FIELDS if name in changed}
        """The parameters of the list, without the page number, and the snapshot date."""
        if asked.as_of is not None:
            self.others["as_of"] = format_instant(asked.as_of)

    def __call__(self, **changes: object) -> str:
        """Return the URL with these parameters replaced, on the first page by default."""
        return with_query("/", {**self._filter, **self.others, "page": None, **changes}) + "#accounts"

    def grouped(self, by: Division) -> str:
        """Return the URL of the same list with other groups."""
        return with_query("/", {**self._filter, **self.others, "group": None if by == "segment" else by}) + "#groups"

    @property
    def undated(self) -> dict[str, object]:
        """The parameters that a change of date retains."""
        return {**self._filter, **without(self.others, "as_of")}

    @property
    def hidden(self) -> dict[str, object]:
        """The parameters that a search retains."""
        kept = {name: value for name, value in self.others.items() if name in ("as_of", "size", "group")}
        return {**self._filter, **kept}


def _headings(asked: AccountListQuery, roster: AccountList) -> list[Heading]:
    columns = (
        ListColumn(name, words, name, name in NUMBERS, name in LARGEST_FIRST)
        for name, words in HEADINGS.items()
        if name != "csm" or roster.csms
    )
    return headings(columns, asked.order, "down" if asked.descending else "up", _Links(asked))


def _rows(
    scored: ScoredSnapshot, roster: AccountList, places: Sequence[int], work: Mapping[str, str]
) -> list[dict[Any, Any]]:
    judged = scored.assessment.rule_results
    shown = roster.frame.iloc[list(places)].astype(object)
    shown = shown.where(shown.notna(), None)
    rows = []
    for place, row in zip(places, shown.to_dict("records"), strict=True):
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
