"""The quarterly reviews: what each came to, the whole document, and its sign-off."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import Field
from starlette.responses import JSONResponse, Response

from models.health.rubric_versions import read_history
from models.predictions.schema import ResponseModel
from models.reviews.review_store import ReviewRecord, find_review, list_reviews, read_document
from models.reviews.sign_off import Signer, earliest_for_review
from serving.http.authentication import Caller, current_caller, require_scope
from serving.http.dependencies import BODY_PROBLEMS, JSON_ONLY, NO_PARAMETER, HomeDep, StoreDep, problem_responses
from serving.http.idempotency import IDEMPOTENT
from serving.review_sign_off import (
    SignOffRequest,
    decision_payload,
    pending_payload,
    sign_off_rollback,
    sign_review,
    signature_payload,
)
from serving.schemas.base import RequestModel
from serving.schemas.query_params import REVIEW_ID
from serving.schemas.signal_rows import Text

REVIEWS_UNREADABLE = "The reviews or the history of sign-offs cannot be used; the detail says why."

router = APIRouter(tags=["reviews"])
ReviewId = Annotated[str, Path(pattern=REVIEW_ID, description="As the list tells it.")]
OwnerName = Annotated[Text, Field(min_length=1, max_length=200)]


class ReviewSummary(ResponseModel):
    """One review at a glance."""

    id: str
    quarter: str
    rubric: str
    rubric_version: str
    created_at: str
    state: str = Field(description="open, pending (signed by one person), approved or rejected.")
    headline: str = Field(description="What the evidence leads to.")
    weights: str = Field(description="keep, change or not_enough_evidence.")
    bands: str = Field(description="keep, change or not_enough_evidence.")


class ReviewSignature(ResponseModel):
    """One person's signature, made with a key of that person."""

    role: str = Field(description="author, who signed first, or reviewer.")
    key: str = Field(description="The id of the API key.")
    name: str = Field(description="The name of the API key.")
    at: str
    previous: str | None = Field(description="The sha256 of the signature before.")
    sha256: str = Field(description="Of what was signed, by whom, when, and of the signature before.")


class PendingDecision(ResponseModel):
    """What one person has signed, and what waits for another person's signature."""

    id: str = Field(description="Of the decision to come.")
    what: str = Field(description="approved, rejected or rolled_back.")
    review: str
    rubric: str
    owner: str | None
    why: str | None
    effective: str | None
    takes_back: str | None
    hashes: dict[str, str | None] | None
    proposal: str | None
    signature: ReviewSignature


class ReviewDecision(ResponseModel):
    """One sign-off, rejection or rollback."""

    id: str
    at: str
    what: str
    review: str
    rubric: str
    author: str
    reviewer: str
    owner: str | None
    why: str | None
    effective: str | None = Field(description="From this date on scores use the version.")
    version: dict[str, str] | None = Field(description="The version that it puts in force, and its SHA-256.")
    replaces: dict[str, str] | None
    takes_back: str | None
    hashes: dict[str, str | None] | None = Field(description="Of the data, the rubric and the model reviewed.")
    proposal: str | None = Field(description="SHA-256 of what the review proposes.")
    signatures: list[ReviewSignature] = Field(description="The author's and the reviewer's; none in old records.")


class ReviewList(ResponseModel):
    """The reviews, the newest first, and every decision, oldest first."""

    data: list[ReviewSummary]
    decisions: list[ReviewDecision]
    pending: list[PendingDecision] = Field(description="What waits for a second signature.")


class ReviewResponse(ResponseModel):
    """The whole document as it was written, and what was decided of it."""

    state: str = Field(description="open, pending (signed by one person), approved or rejected.")
    decision: ReviewDecision | None
    pending: PendingDecision | None = Field(description="What waits for a second signature: sign-off or rollback.")
    earliest_effective: str = Field(description="The first date from which on it may be in force; the default.")
    review: dict[str, Any] = Field(description="review.json; its schema_version says which keys it has.")


class SignatureResult(ResponseModel):
    """What a signature has led to: a decision, or terms that wait for another person's signature."""

    state: str = Field(description="pending, approved, rejected or rolled_back.")
    decision: ReviewDecision | None
    pending: PendingDecision | None


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FIRST_SIGNATURE = "The sha256 of the first signature that the signer has seen; refused if there is another one by now."


class ApprovalRequest(RequestModel):
    """What is signed: an approval, or a rejection. A second signature may leave out all that the first one says."""

    owner: OwnerName | None = Field(None, description="The CS owner, who is responsible for it; an approval needs one.")
    effective: str | None = Field(
        None,
        max_length=10,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="The date from which on it is in force (default: the earliest).",
    )
    reject: bool = Field(False, description="Sign that it is turned down; nothing changes then.")
    why: str | None = Field(None, max_length=2000)
    first_signature: Sha256 | None = Field(None, description=FIRST_SIGNATURE)


class RollbackRequest(RequestModel):
    """That the version that a review has led to is taken back."""

    why: str | None = Field(None, max_length=2000)
    first_signature: Sha256 | None = Field(None, description=FIRST_SIGNATURE)


CurrentSigner = Annotated[Caller, Depends(current_caller)]
_ANSWERS = BODY_PROBLEMS | {
    "s403": "The key has no scope admin.",
    "s404": "There is no such review.",
    "s422": "It cannot be signed so; the detail says why.",
    "s503": REVIEWS_UNREADABLE,
}
_CONFLICT = (
    "It was decided before; the first signature is of the same person, or is not the one that was shown; {}or the "
    "first request with the Idempotency-Key is still running."
)


@router.get(
    "/v1/reviews",
    summary="The quarterly reviews and what was decided",
    operation_id="listReviews",
    response_model=ReviewList,
    dependencies=[require_scope("predict")],
    responses=problem_responses(s503=REVIEWS_UNREADABLE),
)
def get_reviews(home: HomeDep) -> Response:
    """Those that `renewcast review` keeps in the home."""
    history = read_history(home)
    told = {"data": [_shown(kept) for kept in list_reviews(home, history)]}
    signed = {"decisions": [decision_payload(each) for each in history.decisions]}
    return JSONResponse({**told, **signed, "pending": [pending_payload(each) for each in history.pending]})


@router.get(
    "/v1/reviews/{review_id}",
    summary="One review as it was written",
    operation_id="getReview",
    response_model=ReviewResponse,
    dependencies=[require_scope("predict")],
    responses=problem_responses(s404="There is no such review.", s422=NO_PARAMETER, s503=REVIEWS_UNREADABLE),
)
def get_review(home: HomeDep, review_id: ReviewId) -> Response:
    """All of its sections, and whether it was signed."""
    kept = find_review(home, review_id)
    signed = {
        "state": kept.state,
        "decision": None if kept.decided is None else decision_payload(kept.decided),
        "pending": None if kept.pending is None else pending_payload(kept.pending),
    }
    earliest = earliest_for_review(home, read_history(home), kept.review.sign_off).day.isoformat()
    return JSONResponse({**signed, "earliest_effective": earliest, "review": read_document(kept)})


@router.post(
    "/v1/reviews/{review_id}/approval",
    status_code=201,
    summary="Sign a review off, or reject it",
    operation_id="approveReview",
    response_model=SignatureResult,
    dependencies=[require_scope("admin"), JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_ANSWERS | {"s409": _CONFLICT.format("data, rubric or model have changed since; ")}),
)
def approve_review(
    home: HomeDep, store: StoreDep, caller: CurrentSigner, review_id: ReviewId, asked: ApprovalRequest
) -> Response:
    """Two people sign, each with a key of their own: the first call is kept with its terms, the same call with another
    person's key completes it. Other terms are signed anew. What the review proposes is then in force from the effective
    date on."""
    given = SignOffRequest(asked.reject, asked.owner, asked.effective, asked.why, asked.first_signature)
    return JSONResponse(
        signature_payload(sign_review(home, store, review_id, Signer(caller.id, caller.name), given)), 201
    )


@router.post(
    "/v1/reviews/{review_id}/rollback",
    status_code=201,
    summary="Take the version back that a review has led to",
    operation_id="rollBackReview",
    response_model=SignatureResult,
    dependencies=[require_scope("admin"), JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_ANSWERS | {"s409": _CONFLICT.format("")}),
)
def roll_back_review(
    home: HomeDep, store: StoreDep, caller: CurrentSigner, review_id: ReviewId, asked: RollbackRequest
) -> Response:
    """Two people sign, as for an approval. It has to be the rubric's newest approved version; the one before is then in
    force again for all dates."""
    given = SignOffRequest(why=asked.why, first=asked.first_signature)
    signed = sign_off_rollback(home, store, Signer(caller.id, caller.name), given, review=review_id)
    return JSONResponse(signature_payload(signed), 201)


def _shown(kept: ReviewRecord) -> dict[str, Any]:
    told = kept.review
    return {
        "id": told.id,
        "quarter": told.quarter,
        "rubric": told.sign_off.rubric,
        "rubric_version": told.sign_off.version,
        "created_at": told.created_at.isoformat().replace("+00:00", "Z"),
        "state": kept.state,
        "headline": told.decision.headline,
        "weights": told.decision.weights.answer,
        "bands": told.decision.bands.answer,
    }
