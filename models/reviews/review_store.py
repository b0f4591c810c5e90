"""The reviews of a home: what a sign-off and the service need of each ``review.json``, without what made it."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from features.errors import BadRequest, HomeError
from features.utils.periods import Quarter
from models.health.rubric_schema import WeightProfile
from models.health.rubric_versions import HistoryFile, PendingDecision, ReviewDecision, ReviewedHashes, read_history
from models.health.score_calibration import ScoreCalibration
from models.home import Home
from models.scorer.base import ScorerError
from models.scorer.strict_files import read_bounded

PAGE, DOCUMENT = "index.html", "review.json"
SIZE_LIMIT = 64 * 2**20
_ID = re.compile(r"^[0-9]{4}Q[1-4]-[A-Za-z0-9][A-Za-z0-9._-]{0,120}$")
ProposalAnswer = Literal["keep", "change", "not_enough_evidence"]


class _Part(BaseModel):
    # A newer program may have written more than this one knows.
    model_config = ConfigDict(frozen=True, extra="ignore")


class ReasonedAnswer(_Part):
    """The answer for weights or limits, in words, with its reasons."""

    answer: ProposalAnswer
    words: str
    reasons: tuple[str, ...]


class DecisionSummary(_Part):
    """The decision that the evidence leads to."""

    headline: str
    weights: ReasonedAnswer
    bands: ReasonedAnswer
    effective: str


class SignOffProposal(_Part):
    """What would be signed; see `training.review.document.SignOffSection`."""

    rubric: str
    version: str
    model: str | None
    signals: str
    data_through: AwareDatetime
    hashes: ReviewedHashes
    proposed_weights: dict[str, float] | None
    proposed_bands: dict[str, float] | None
    proposed_profiles: tuple[WeightProfile, ...] = ()
    meaning: ScoreCalibration | None
    earliest_effective: date

    @property
    def changes(self) -> bool:
        """Whether a new version would come of it."""
        return self.proposed_weights is not None and self.proposed_bands is not None


class ReviewFile(_Part):
    """One review."""

    schema_version: Literal[1]
    id: str
    quarter: str
    created_at: AwareDatetime
    decision: DecisionSummary
    sign_off: SignOffProposal


@dataclass(frozen=True)
class ReviewRecord:
    """A review of the home, what was decided about it (None: nothing yet), and what waits for a second signature: its
    sign-off, or, once it was approved, its rollback."""

    review: ReviewFile
    folder: Path
    decided: ReviewDecision | None
    pending: PendingDecision | None = None

    @classmethod
    def of(cls, review: ReviewFile, folder: Path, history: HistoryFile) -> ReviewRecord:
        """A review with what the history knows about it."""
        decided = history.of_review(review.id)
        return cls(review, folder, decided, history.pending_of(review.id, rollback=decided is not None))

    @property
    def state(self) -> str:
        """``open``, ``pending`` (signed by one person), ``approved`` or ``rejected``."""
        if self.decided is not None:
            return self.decided.what
        return "open" if self.pending is None else "pending"


class UnknownReview(BadRequest):
    """A review that the home does not hold."""


def read_review(folder: Path) -> ReviewFile:
    """The review in a folder.

    Raises
    ------
    HomeError
        There is none, or it is broken or of another schema.
    """
    file = folder / DOCUMENT
    try:
        return ReviewFile.model_validate_json(read_bounded(file, SIZE_LIMIT))
    except (ScorerError, OSError) as error:
        raise HomeError(f"{file} cannot be read: {error}", "a review", "hold it again: `renewcast review`") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise HomeError(f"{file}: key {key}: {first['msg']}", "a review", "hold it again: `renewcast review`") from None


def list_reviews(home: Home, history: HistoryFile | None = None) -> list[ReviewRecord]:
    """All sound reviews of the home, the newest quarter first; one that is broken is left out.

    Raises
    ------
    HomeError
        The history of sign-offs is broken.
    """
    decided = read_history(home) if history is None else history
    found = []
    for folder in sorted(home.reviews.iterdir()) if home.reviews.is_dir() else []:
        if not _ID.match(folder.name):
            continue
        try:
            told = read_review(folder)
        except HomeError:
            continue
        found.append(ReviewRecord.of(told, folder, decided))
    return sorted(found, key=lambda kept: (kept.review.quarter, kept.review.created_at), reverse=True)


def find_review(home: Home, named: str) -> ReviewRecord:
    """A review by its id, by an unambiguous beginning of it, or by its folder.

    Raises
    ------
    UnknownReview
        There is none, or several.
    HomeError
        It is broken.
    """
    decided = read_history(home)
    if Path(named).is_dir() and (Path(named) / DOCUMENT).is_file():
        told = read_review(Path(named))
        return ReviewRecord.of(told, Path(named), decided)
    if _ID.match(named) and (home.reviews / named / DOCUMENT).is_file():
        told = read_review(home.reviews / named)
        return ReviewRecord.of(told, home.reviews / named, decided)
    # A quarter may be written in any of its forms.
    with suppress(BadRequest):
        named = Quarter.parse(named).name
    names = sorted(f.name for f in home.reviews.iterdir()) if home.reviews.is_dir() else []
    near = [name for name in names if _ID.match(name) and name.startswith(named)] if named else []
    if len(near) == 1:
        return find_review(home, near[0])
    known = ", ".join(near or [name for name in names if _ID.match(name)]) or "there is none yet"
    raise UnknownReview(
        "there is no such review" if not near else f"{len(near)} reviews begin so",
        f"one of: {known}",
        "`renewcast reviews` lists them",
    )


def read_document(kept: ReviewRecord) -> dict[str, Any]:
    """The whole of ``review.json``, as it was written."""
    found: dict[str, Any] = json.loads(read_bounded(kept.folder / DOCUMENT, SIZE_LIMIT))
    return found
