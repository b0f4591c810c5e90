"""The quarterly reviews as pages: the list, and each review as it was written, with a form to sign it.

A review's page is a file that needs nothing from elsewhere. Here its style sheet, which it carries within, is served
beside it, since pages of this service may not have styles written into them; the form is put where the file says so.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, Response

from features.errors import HomeError, RenewcastError
from models.health.rubric_versions import HistoryFile, read_history
from models.home import Home
from models.reviews.review_store import PAGE, SIZE_LIMIT, ReviewRecord, find_review, list_reviews
from models.reviews.sign_off import DECISION_NOUNS, earliest_for_review, lapse_reason
from models.scorer.base import ScorerError
from models.scorer.strict_files import read_bounded
from serving.html.assets import static
from serving.html.templates import render_page, render_template
from serving.http.authentication import LOCAL_CALLER, require_scope
from serving.http.dependencies import HomeDep
from serving.schemas.query_params import REVIEW_ID

STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
ICON = re.compile(r'<link rel="icon"[^>]*>')
EARLIEST = re.compile(r'(<dd id="earliest">)[0-9-]*')
PLACE = "<!--sign-off-->"
TITLE = "Quarterly reviews"

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])
ReviewId = Annotated[str, Path(pattern=REVIEW_ID)]


@router.get("/reviews")
def get_reviews_page(request: Request, home: HomeDep) -> Response:
    """The reviews, the newest first, and what was decided."""
    history = read_history(home)
    return render_page(
        request,
        "reviews.html",
        title=TITLE,
        section="reviews",
        reviews=list_reviews(home, history),
        decisions=history.decisions[::-1],
        pending=history.pending[::-1],
        words=DECISION_NOUNS,
    )


@router.get("/reviews/{review_id}/style.css")
def get_review_style(home: HomeDep, review_id: ReviewId) -> Response:
    """The style sheet of one review."""
    found = STYLE.search(_text(find_review(home, review_id)))
    return Response(found[1] if found else "", media_type="text/css; charset=utf-8")


@router.get("/reviews/{review_id}")
def get_review_page(request: Request, home: HomeDep, review_id: ReviewId) -> Response:
    """One review, and how to sign it or how it was signed."""
    kept, history = find_review(home, review_id), read_history(home)
    style, icon = f'<link rel="stylesheet" href="/reviews/{review_id}/style.css">', static("icon.svg")
    text = ICON.sub(f'<link rel="icon" href="{icon}" type="image/svg+xml">', STYLE.sub(style, _text(kept), 1))
    # The file holds the date of the day on which it was written; the earliest moves on as dates are scored.
    earliest = earliest_for_review(home, history, kept.review.sign_off)
    text = EARLIEST.sub(rf"\g<1>{earliest.day}", text)
    caller = getattr(request.state, "caller", None)
    known = history.approvals(kept.review.sign_off.rubric)
    form = render_template(
        "sign_off.html",
        record=kept,
        decided=kept.decided,
        waiting=kept.pending,
        lapsed=_lapsed(home, history, kept),
        earliest=earliest,
        can_roll_back=kept.decided is not None and bool(known) and known[-1].id == kept.decided.id,
        # Whose key this browser is signed in with, if that may sign.
        signer=caller if caller is not None and caller.in_session and caller.may("admin") else None,
        local=caller is not None and caller.id == LOCAL_CALLER.id,
        words=DECISION_NOUNS,
    )
    return HTMLResponse(text.replace(PLACE, form, 1))


def _lapsed(home: Home, history: HistoryFile, kept: ReviewRecord) -> str:
    """Why the first signature no longer counts; empty where it does, or there is none."""
    if kept.pending is None:
        return ""
    try:
        return lapse_reason(home, history, kept, kept.pending)
    except RenewcastError as error:
        return error.found


def _text(kept: ReviewRecord) -> str:
    try:
        return read_bounded(kept.folder / PAGE, SIZE_LIMIT).decode()
    except (ScorerError, OSError, UnicodeDecodeError):
        raise HomeError(
            f"the page of {kept.review.id} cannot be read", "a review", "hold it again: `renewcast review`"
        ) from None
