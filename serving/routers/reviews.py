"""Routes for quarterly reviews and their sign-off."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import Field
from starlette.responses import JSONResponse, Response

from models.health.rubric_versions import read_history
from models.predictions.schema import ResponseModel
from models.reviews.review_store import ReviewRecord, find_review, list_reviews, read_document
from models.reviews.sign_off import Signer, SignOffRequest, earliest_for_review
from models.statements import WHO_LIMIT, WHY_LIMIT
from serving.http.authentication import Caller, current_caller, require_scope
from serving.http.dependencies import BODY_PROBLEMS, JSON_ONLY, NO_PARAMETER, HomeDep, StoreDep, problem_responses
from serving.http.idempotency import IDEMPOTENT
from serving.review_sign_off import (
    sign_off_rollback,
    sign_review,
    signature_payload,
)
from serving.schemas.base import RequestModel
from serving.schemas.field_types import Text
from serving.schemas.query_params import REVIEW_ID

REVIEWS_UNREADABLE = "The reviews or the history of decisions cannot be read; the detail says why."

router = APIRouter(tags=["reviews"])
ReviewId = Annotated[str, Path(pattern=REVIEW_ID, description="The id of the review, as in the list.")]
OwnerName = Annotated[Text, Field(min_length=1, max_length=WHO_LIMIT)]


class ReviewSummary(ResponseModel):
    """A summary of one review."""

    id: str
    quarter: str
    rubric: str
    rubric_version: str
    created_at: str
    state: str = Field(description="open, pending (signed by one person), approved or rejected.")
    headline: str = Field(description="The conclusion of the review.")
    weights: str = Field(description="keep, change or not_enough_evidence.")
    bands: str = Field(description="keep, change or not_enough_evidence.")


class ReviewSignature(ResponseModel):
    """The signature of one person, made with that person's API key."""

    role: str = Field(description="author (signed first) or reviewer.")
    key: str = Field(description="The id of the API key.")
    name: str = Field(description="The name of the API key.")
    at: str
    previous: str | None = Field(description="The SHA-256 of the previous signature.")
    sha256: str = Field(
        description="The SHA-256 of the signed content, the signer, the time and the previous signature."
    )


class PendingDecisionResponse(ResponseModel):
    """A decision that one person has signed and that needs a second signature."""

    id: str = Field(description="The id that the decision will have.")
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


class ReviewDecisionResponse(ResponseModel):
    """An approval, a rejection or a rollback."""

    id: str
    at: str
    what: str
    review: str
    rubric: str
    author: str
    reviewer: str
    owner: str | None
    why: str | None
    effective: str | None = Field(description="The date from which scores use the version.")
    version: dict[str, str] | None = Field(description="The version that takes effect, and its SHA-256.")
    replaces: dict[str, str] | None
    takes_back: str | None
    hashes: dict[str, str | None] | None = Field(
        description="The SHA-256 of the data, the rubric and the model reviewed."
    )
    proposal: str | None = Field(description="The SHA-256 of the proposal of the review.")
    signatures: list[ReviewSignature] = Field(
        description="The signatures of author and reviewer; empty in old records."
    )


class ReviewList(ResponseModel):
    """All reviews, newest first, and all decisions, oldest first."""

    data: list[ReviewSummary]
    decisions: list[ReviewDecisionResponse]
    pending: list[PendingDecisionResponse] = Field(description="The decisions that need a second signature.")


class ReviewResponse(ResponseModel):
    """The document of a review as it was written, and the decision about it."""

    state: str = Field(description="open, pending (signed by one person), approved or rejected.")
    decision: ReviewDecisionResponse | None
    pending: PendingDecisionResponse | None = Field(description="A sign-off or rollback that needs a second signature.")
    earliest_effective: str = Field(description="The earliest possible effective date, which is the default.")
    review: dict[str, Any] = Field(description="The content of review.json; its keys depend on schema_version.")


class SignatureResult(ResponseModel):
    """The result of a signature: a decision, or one that needs a second signature."""

    state: str = Field(description="pending, approved, rejected or rolled_back.")
    decision: ReviewDecisionResponse | None
    pending: PendingDecisionResponse | None


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FIRST_SIGNATURE = (
    "The SHA-256 of the first signature that the signer has read. The request is rejected if it has changed."
)


class ApprovalRequest(RequestModel):
    """An approval or a rejection. The second signer may leave out everything that the first signer has stated."""

    owner: OwnerName | None = Field(
        None, description="The CS owner who is responsible for the change; required for an approval."
    )
    effective: str | None = Field(
        None,
        max_length=10,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="The date from which the version is used. Default: the earliest possible date.",
    )
    reject: bool = Field(False, description="Reject the proposal; the rubric does not change.")
    why: str | None = Field(None, max_length=WHY_LIMIT)
    first_signature: Sha256 | None = Field(None, description=FIRST_SIGNATURE)


class RollbackRequest(RequestModel):
    """A rollback of the rubric version that a review introduced."""

    why: str | None = Field(None, max_length=WHY_LIMIT)
    first_signature: Sha256 | None = Field(None, description=FIRST_SIGNATURE)


CurrentSigner = Annotated[Caller, Depends(current_caller)]
_ANSWERS = BODY_PROBLEMS | {
    "s403": "The API key does not have the scope admin.",
    "s404": "There is no such review.",
    "s422": "The request cannot be signed; the detail says why.",
    "s503": REVIEWS_UNREADABLE,
}
_CONFLICT = (
    "There is a decision already; the first signature is by the same person, or is not the one that was read; {}or the "
    "first request with the Idempotency-Key is still running."
)


@router.get(
    "/v1/reviews",
    summary="List quarterly reviews and decisions",
    operation_id="listReviews",
    response_model=ReviewList,
    dependencies=[require_scope("predict")],
    responses=problem_responses(s503=REVIEWS_UNREADABLE),
)
def get_reviews(home: HomeDep) -> Response:
    """Returns the reviews that `renewcast review` stored in the home."""
    history = read_history(home)
    summaries = {"data": [_summary(record) for record in list_reviews(home, history)]}
    signed = {"decisions": [each.as_dict() for each in history.decisions]}
    return JSONResponse({**summaries, **signed, "pending": [each.as_dict() for each in history.pending]})


@router.get(
    "/v1/reviews/{review_id}",
    summary="Get a quarterly review",
    operation_id="getReview",
    response_model=ReviewResponse,
    dependencies=[require_scope("predict")],
    responses=problem_responses(s404="There is no such review.", s422=NO_PARAMETER, s503=REVIEWS_UNREADABLE),
)
def get_review(home: HomeDep, review_id: ReviewId) -> Response:
    """Returns all sections of the review, and its sign-off state."""
    record = find_review(home, review_id)
    signed = {
        "state": record.state,
        "decision": None if record.decided is None else record.decided.as_dict(),
        "pending": None if record.pending is None else record.pending.as_dict(),
    }
    earliest = earliest_for_review(home, read_history(home), record.review.sign_off).day.isoformat()
    return JSONResponse({**signed, "earliest_effective": earliest, "review": read_document(record)})


@router.post(
    "/v1/reviews/{review_id}/approval",
    status_code=201,
    summary="Approve or reject a review",
    operation_id="approveReview",
    response_model=SignatureResult,
    dependencies=[require_scope("admin"), JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_ANSWERS | {"s409": _CONFLICT.format("data, rubric or model have changed since; ")}),
)
def approve_review(
    home: HomeDep, store: StoreDep, caller: CurrentSigner, review_id: ReviewId, body: ApprovalRequest
) -> Response:
    """Two people must sign, each with their own API key. The first call is stored with its terms, and the same call
    with another person's key completes it. A call with other terms starts again. The proposal is then used from the
    effective date on."""
    request = SignOffRequest(body.reject, body.owner, body.effective, body.why, body.first_signature)
    return JSONResponse(
        signature_payload(sign_review(home, store, review_id, Signer(caller.id, caller.name), request)), 201
    )


@router.post(
    "/v1/reviews/{review_id}/rollback",
    status_code=201,
    summary="Roll back the version that a review introduced",
    operation_id="rollBackReview",
    response_model=SignatureResult,
    dependencies=[require_scope("admin"), JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_ANSWERS | {"s409": _CONFLICT.format("")}),
)
def roll_back_review(
    home: HomeDep, store: StoreDep, caller: CurrentSigner, review_id: ReviewId, body: RollbackRequest
) -> Response:
    """Two people must sign, as for an approval. The version must be the newest approved version of the rubric; the
    previous version is then used again for all dates."""
    request = SignOffRequest(why=body.why, first=body.first_signature)
    signed = sign_off_rollback(home, store, Signer(caller.id, caller.name), request, review=review_id)
    return JSONResponse(signature_payload(signed), 201)


def _summary(record: ReviewRecord) -> dict[str, Any]:
    review = record.review
    return {
        "id": review.id,
        "quarter": review.quarter,
        "rubric": review.sign_off.rubric,
        "rubric_version": review.sign_off.version,
        "created_at": review.created_at.isoformat().replace("+00:00", "Z"),
        "state": record.state,
        "headline": review.decision.headline,
        "weights": review.decision.weights.answer,
        "bands": review.decision.bands.answer,
    }
