"""The quarterly reviews: what each came to, the whole document, and its sign-off."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import JSONResponse, Response

from models.reviews import Kept, document_of, list_reviews, one_review
from models.rubric_history import read_history
from serving.asked import JSON_ONLY, NO_PARAMETER, OF_A_BODY, TheHome, TheStore, problems_of
from serving.calibration import approve_here, data_of
from serving.door import needs
from serving.idempotency import ONCE
from serving.rows import Text
from serving.shapes import Answer, Asked

BROKEN = "The reviews or the history of sign-offs cannot be used; the detail says why."
REVIEW_ID = r"^[0-9]{4}Q[1-4]-[A-Za-z0-9][A-Za-z0-9._-]{0,120}$"

router = APIRouter(tags=["reviews"])
ReviewId = Annotated[str, Path(pattern=REVIEW_ID, description="As the list tells it.")]
Name = Annotated[Text, Field(min_length=1, max_length=200)]


class ReviewShown(Answer):
    """One review at a glance."""

    id: str
    quarter: str
    rubric: str
    rubric_version: str
    created_at: str
    state: str = Field(description="open, approved or rejected.")
    headline: str = Field(description="What the evidence leads to.")
    weights: str = Field(description="keep, change or not_enough_evidence.")
    bands: str = Field(description="keep, change or not_enough_evidence.")


class DecisionShown(Answer):
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


class ReviewList(Answer):
    """The reviews, the newest first, and every decision, oldest first."""

    data: list[ReviewShown]
    decisions: list[DecisionShown]


class ReviewDocument(Answer):
    """The whole document as it was written, and what was decided of it."""

    state: str
    decision: DecisionShown | None
    review: dict[str, Any] = Field(description="review.json; its schema_version says which keys it has.")


class Approval(Asked):
    """A sign-off, or a rejection."""

    author: Name = Field(description="Who proposes it.")
    reviewer: Name = Field(description="Who has looked at it: another person.")
    owner: Name = Field(description="The CS owner, who sees to it.")
    effective: str = Field(
        max_length=10, pattern=r"^\d{4}-\d{2}-\d{2}$", description="The date from which on it holds."
    )
    reject: bool = Field(False, description="Record that it was turned down; nothing changes.")
    why: str | None = Field(None, max_length=2000)


@router.get(
    "/v1/reviews",
    summary="The quarterly reviews and what was decided",
    operation_id="listReviews",
    response_model=ReviewList,
    dependencies=[needs("predict")],
    responses=problems_of(s503=BROKEN),
)
def get_reviews(home: TheHome) -> Response:
    """Those that `renewcast review` keeps in the home."""
    history = read_history(home)
    told = {"data": [_shown(kept) for kept in list_reviews(home, history)]}
    return JSONResponse({**told, "decisions": [data_of(each) for each in history.decisions]})


@router.get(
    "/v1/reviews/{review_id}",
    summary="One review as it was written",
    operation_id="getReview",
    response_model=ReviewDocument,
    dependencies=[needs("predict")],
    responses=problems_of(s404="There is no such review.", s422=NO_PARAMETER, s503=BROKEN),
)
def get_review(home: TheHome, review_id: ReviewId) -> Response:
    """All of its sections, and whether it was signed."""
    kept = one_review(home, review_id)
    decided = None if kept.decided is None else data_of(kept.decided)
    return JSONResponse({"state": kept.state, "decision": decided, "review": document_of(kept)})


@router.post(
    "/v1/reviews/{review_id}/approval",
    status_code=201,
    summary="Sign a review off, or reject it",
    operation_id="approveReview",
    response_model=DecisionShown,
    dependencies=[needs("admin"), JSON_ONLY, ONCE],
    responses=problems_of(
        **OF_A_BODY
        | {
            "s403": "The key has no scope admin.",
            "s404": "There is no such review.",
            "s409": "It was decided before; data, rubric or model have changed since; or the first request of the "
            "Idempotency-Key is still being worked on.",
            "s422": "It cannot be signed so; the detail says why.",
            "s503": BROKEN,
        }
    ),
)
def approve_review(home: TheHome, store: TheStore, review_id: ReviewId, asked: Approval) -> Response:
    """Author and reviewer are two different people. What the review proposes is in force from the effective date on."""
    told = asked.model_dump(exclude={"effective", "reject", "why"})
    decided = approve_here(
        home, store, review_id, **told, effective=asked.effective, reject=asked.reject, why=asked.why
    )
    return JSONResponse(data_of(decided), 201)


def _shown(kept: Kept) -> dict[str, Any]:
    told = kept.told
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
