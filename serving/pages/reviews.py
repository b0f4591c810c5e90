"""The pages of quarterly reviews: the list, and each review with a form to sign it.

A review is a self-contained HTML file. Its inline style sheet is served from a separate URL, because the content
security policy of this service forbids inline styles. The form replaces a placeholder in the file, and the navigation
is put before its content. Signing works without scripts; with them, the page waits for a check that takes long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from features.errors import BadRequest, HomeError, RenewcastError
from features.utils.formatting import day
from models.health.rubric_versions import DECISION_NOUNS, HistoryFile, read_history
from models.home import Home
from models.reviews.review_store import (
    PAGE,
    SIZE_LIMIT,
    ReviewRecord,
    find_review,
    list_reviews,
    read_charts,
    read_document,
)
from models.reviews.sign_off import Signer, SignOffRequest, earliest_for_review, lapse_reason
from models.scorer.errors import ScorerError
from models.scorer.strict_files import read_bounded
from serving.html.assets import static
from serving.html.exports import export_href, export_response, file_response, requested_export
from serving.html.navigation import link_query
from serving.html.templates import download_links, render_page, render_template
from serving.http.authentication import LOCAL_CALLER, Caller, current_caller, require_scope
from serving.http.dependencies import HomeDep, SettingsDep, StoreDep
from serving.pages.exports.details import reviews_exports
from serving.pages.exports.quarterly_review import FILES, add_downloads, review_exports
from serving.pages.sign_in import attempted_key
from serving.pages.work_forms import refuse_invalid, text_field
from serving.review_sign_off import sign_off_rollback, sign_review, signer_from_key
from serving.routers.reviews import ApprovalRequest, RollbackRequest
from serving.schemas.form_fields import form_fields
from serving.schemas.query_params import REVIEW_ID
from serving.store.database import Store

STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
ICON = re.compile(r'<link rel="icon"[^>]*>')
BODY = re.compile(r"<body[^>]*>")
#: The heading of the file; the page has its own header.
HEADER = re.compile(r"<(/?)header>")
EARLIEST = re.compile(r'(<dd id="earliest">)[^<]*')
PLACEHOLDER = "<!--sign-off-->"
TITLE = "Quarterly reviews"
DECISIONS = ("approve", "reject", "same")
"""What the buttons of the form decide; the last one repeats the first signature, or rolls the version back."""

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


@router.get("/reviews/{review_id}/file")
def get_review_file(home: HomeDep, review_id: ReviewId) -> Response:
    """Return one review as the file that was written."""
    record = find_review(home, review_id)
    text = FILES.sub("", _text(record).replace(PLACEHOLDER, "", 1))
    return file_response(text.encode(), f"renewcast-{review_id}.html", "html")


@router.get("/reviews/{review_id}")
def get_review_page(request: Request, home: HomeDep, review_id: ReviewId) -> Response:
    """Return one review, with its signatures or the form to sign it."""
    record = find_review(home, review_id)
    exports = review_exports(read_document(record), read_charts(record))
    if (wanted := requested_export(request)) is not None:
        return export_response(exports, *wanted)
    history = read_history(home)
    style, icon = f'<link rel="stylesheet" href="/reviews/{review_id}/style.css">', static("icon.svg")
    text = ICON.sub(f'<link rel="icon" href="{icon}" type="image/svg+xml">', STYLE.sub(style, _text(record), 1))
    # The file contains the earliest date at the time it was written, which moves as more dates are scored.
    earliest = earliest_for_review(home, history, record.review.sign_off)
    text = EARLIEST.sub(rf"\g<1>{day(earliest.day)}", text)
    caller, query = getattr(request.state, "caller", None), link_query(request.query_params)
    approvals = history.approvals(record.review.sign_off.rubric)
    form = render_template(
        "sign_off.html",
        record=record,
        action=f"/reviews/{review_id}{query}",
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
    text = HEADER.sub(_section_tag, text).replace(PLACEHOLDER, form, 1)
    text = add_downloads(text, exports, partial(download_links, partial(export_href, request)))
    frame = render_template(
        "review_frame.html", caller=caller, query=query, review_id=review_id, file=f"/reviews/{review_id}/file"
    )
    text = text.replace("</head>", f'<link rel="stylesheet" href="{static("frame.css")}">\n</head>', 1)
    return HTMLResponse(BODY.sub(lambda body: body[0] + frame, text, count=1))


@router.post("/reviews/{review_id}")
async def post_signature(
    request: Request,
    home: HomeDep,
    store: StoreDep,
    settings: SettingsDep,
    caller: Annotated[Caller, Depends(current_caller)],
    review_id: ReviewId,
) -> Response:
    """Sign as the form says, with the key in the form or else that of the session, and return to the review."""
    form = await form_fields(request)
    secret = text_field(form, "key")
    if secret is not None:
        with attempted_key(request, settings) as attempt:
            signer = await run_in_threadpool(signer_from_key, store, secret)
            attempt.succeeded = True
    elif caller.in_session and caller.may("admin"):
        signer = Signer(caller.id, caller.name)
    else:
        raise BadRequest("the key is missing", "your own key with the scope admin", "enter it in the form")
    await run_in_threadpool(_sign, home, store, review_id, signer, form)
    return RedirectResponse(f"/reviews/{review_id}{link_query(request.query_params)}#sign-off", 303)


def _section_tag(tag: re.Match[str]) -> str:
    """Return the tag of a section in place of that of a header, so that screen readers still find the heading."""
    return "</section>" if tag[1] else '<section aria-label="Quarterly review">'


def _sign(home: Home, store: Store, review_id: str, signer: Signer, form: Mapping[str, str]) -> None:
    """Sign the decision of a form."""
    given = {name: text for name in ("why", "first_signature") if (text := text_field(form, name)) is not None}
    decide, rollback = form.get("decide"), form.get("what") == "rollback"
    if decide not in DECISIONS:
        raise BadRequest("the form does not say what to do", "one of its buttons", "submit the form on the page")
    try:
        if rollback:
            back = RollbackRequest.model_validate(given)
            sign_off_rollback(
                home, store, signer, SignOffRequest(why=back.why, first=back.first_signature), review=review_id
            )
            return
        # A rejection has no effective date.
        terms = ("owner",) if decide == "reject" else ("owner", "effective")
        given |= {name: text for name in terms if (text := text_field(form, name)) is not None}
        body = ApprovalRequest.model_validate({**given, "reject": decide == "reject"})
    except ValidationError as error:
        raise refuse_invalid(error) from None
    wanted = SignOffRequest(body.reject, body.owner, body.effective, body.why, body.first_signature)
    sign_review(home, store, review_id, signer, wanted)


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
