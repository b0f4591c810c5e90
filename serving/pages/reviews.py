"""The pages of quarterly reviews: the list, and each review with a form to sign it.

A review is a self-contained HTML file. Its inline style sheet is served from a separate URL, because the content
security policy of this service forbids inline styles. The form replaces a placeholder in the file.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, Response

from features.errors import HomeError, RenewcastError
from features.utils.formatting import day
from models.health.rubric_versions import HistoryFile, read_history
from models.home import Home
from models.reviews.review_store import PAGE, SIZE_LIMIT, ReviewRecord, find_review, list_reviews
from models.reviews.sign_off import DECISION_NOUNS, earliest_for_review, lapse_reason
from models.scorer.errors import ScorerError
from models.scorer.strict_files import read_bounded
from serving.html.assets import static
from serving.html.templates import render_page, render_template
from serving.http.authentication import LOCAL_CALLER, require_scope
from serving.http.dependencies import HomeDep
from serving.pages.exports.details import reviews_exports
from serving.schemas.query_params import REVIEW_ID

STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
ICON = re.compile(r'<link rel="icon"[^>]*>')
EARLIEST = re.compile(r'(<dd id="earliest">)[^<]*')
PLACEHOLDER = "<!--sign-off-->"
TITLE = "Quarterly reviews"

router = APIRouter(include_in_schema=False, dependencies=[require_scope("predict")])
ReviewId = Annotated[str, Path(pattern=REVIEW_ID)]


@router.get("/reviews")
def get_reviews_page(request: Request, home: HomeDep) -> Response:
    """Return the list of reviews, newest first, with the decisions."""
    history = read_history(home)
    return render_page(
        request,
        "reviews.html",
        exports=reviews_exports,
        title=TITLE,
        section="reviews",
        reviews=list_reviews(home, history),
        decisions=history.decisions[::-1],
        pending=history.pending[::-1],
        words=DECISION_NOUNS,
    )


@router.get("/reviews/{review_id}/style.css")
def get_review_style(home: HomeDep, review_id: ReviewId) -> Response:
    """Return the style sheet of one review."""
    style = STYLE.search(_text(find_review(home, review_id)))
    return Response(style[1] if style else "", media_type="text/css; charset=utf-8")


@router.get("/reviews/{review_id}")
def get_review_page(request: Request, home: HomeDep, review_id: ReviewId) -> Response:
    """Return one review, with its signatures or the form to sign it."""
    record, history = find_review(home, review_id), read_history(home)
    style, icon = f'<link rel="stylesheet" href="/reviews/{review_id}/style.css">', static("icon.svg")
    text = ICON.sub(f'<link rel="icon" href="{icon}" type="image/svg+xml">', STYLE.sub(style, _text(record), 1))
    # The file contains the earliest date at the time it was written, which moves as more dates are scored.
    earliest = earliest_for_review(home, history, record.review.sign_off)
    text = EARLIEST.sub(rf"\g<1>{day(earliest.day)}", text)
    caller = getattr(request.state, "caller", None)
    approvals = history.approvals(record.review.sign_off.rubric)
    form = render_template(
        "sign_off.html",
        record=record,
        decided=record.decided,
        waiting=record.pending,
        lapsed=_lapse_reason(home, history, record),
        earliest=earliest,
        can_roll_back=record.decided is not None and bool(approvals) and approvals[-1].id == record.decided.id,
        # The caller of the session, if allowed to sign.
        signer=caller if caller is not None and caller.in_session and caller.may("admin") else None,
        local=caller is not None and caller.id == LOCAL_CALLER.id,
        words=DECISION_NOUNS,
    )
    return HTMLResponse(text.replace(PLACEHOLDER, form, 1))


def _lapse_reason(home: Home, history: HistoryFile, record: ReviewRecord) -> str:
    """Return why the first signature is no longer valid; empty if it is valid or there is none."""
    if record.pending is None:
        return ""
    try:
        return lapse_reason(home, history, record, record.pending)
    except RenewcastError as error:
        return error.found


def _text(record: ReviewRecord) -> str:
    try:
        return read_bounded(record.folder / PAGE, SIZE_LIMIT).decode()
    except (ScorerError, OSError, UnicodeDecodeError):
        raise HomeError(
            f"the page of {record.review.id} cannot be read",
            "a review page",
            "run the review again: `renewcast review`",
        ) from None
