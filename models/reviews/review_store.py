"""The reviews of a home: what sign-offs and the service need of each ``review.json``, without loading training code."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, RootModel

from features.errors import BadRequest, HomeError
from features.utils.periods import Quarter
from models.health.rubric_schema import WeightProfile
from models.health.rubric_versions import HistoryFile, PendingDecision, ReviewDecision, ReviewedHashes, read_history
from models.health.score_calibration import ScoreCalibration
from models.home import Home
from models.json_files import read_json_file
from models.scorer.strict_files import read_bounded

PAGE, DOCUMENT, CHARTS = "index.html", "review.json", "charts.json"
"""The files of a review. Reviews of earlier versions have no file of charts."""
SIZE_LIMIT = 64 * 2**20
_ID = re.compile(r"^[0-9]{4}Q[1-4]-[A-Za-z0-9][A-Za-z0-9._-]{0,120}$")
ProposalAnswer = Literal["keep", "change", "not_enough_evidence"]


class _ReviewPart(BaseModel):
    # Newer versions may have written more fields.
    model_config = ConfigDict(frozen=True, extra="ignore")


class ReasonedAnswer(_ReviewPart):
    """The answer for weights or band limits, as text and with reasons."""

    answer: ProposalAnswer
    words: str
    reasons: tuple[str, ...]


class DecisionSummary(_ReviewPart):
    """The decision that follows from the evidence."""

    headline: str
    weights: ReasonedAnswer
    bands: ReasonedAnswer
    effective: str


class SignOffProposal(_ReviewPart):
    """The content to sign; see `training.review.document.SignOffSection`."""

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
        """Whether approval would create a new version."""
        return self.proposed_weights is not None and self.proposed_bands is not None


class ReviewCharts(RootModel[dict[str, str]]):
    """The charts of a review as SVG, by name."""


class ReviewFile(_ReviewPart):
    """The parts of ``review.json`` that are needed here."""

    schema_version: Literal[1]
    id: str
    quarter: str
    created_at: AwareDatetime
    decision: DecisionSummary
    sign_off: SignOffProposal


@dataclass(frozen=True)
class ReviewRecord:
    """A review of the home with its decision.

    ``decided`` is None if there is no decision yet. ``pending`` is what waits for a second signature: the sign-off, or
    the rollback if the review was approved.
    """

    review: ReviewFile
    folder: Path
    decided: ReviewDecision | None
    pending: PendingDecision | None = None

    @classmethod
    def of(cls, review: ReviewFile, folder: Path, history: HistoryFile) -> ReviewRecord:
        """Combine a review with its decisions in the history.

        Parameters
        ----------
        review : the review as stored.
        folder : its folder.
        history : all decisions of the home.

        Returns
        -------
        ReviewRecord
        """
        decided = history.of_review(review.id)
        return cls(review, folder, decided, history.pending_of(review.id, rollback=decided is not None))

    @property
    def state(self) -> str:
        """``open``, ``pending`` (signed by one person), ``approved`` or ``rejected``."""
        if self.decided is not None:
            return self.decided.what
        return "open" if self.pending is None else "pending"


class UnknownReview(BadRequest):
    """There is no such review in the home."""


def read_review(folder: Path) -> ReviewFile:
    """Read the review in a folder.

    Raises
    ------
    HomeError
        The file is missing, broken or has another schema.
    """
    cure = "run the review again: `renewcast review`"
    return read_json_file(folder / DOCUMENT, ReviewFile, "a review document", cure, limit=SIZE_LIMIT)


def list_reviews(home: Home, history: HistoryFile | None = None) -> list[ReviewRecord]:
    """List the reviews of the home, newest quarter first. Broken ones are left out.

    Raises
    ------
    HomeError
        The history of sign-offs is broken.
    """
    decisions = read_history(home) if history is None else history
    records = []
    for folder in sorted(home.reviews.iterdir()) if home.reviews.is_dir() else []:
        if not _ID.match(folder.name):
            continue
        try:
            review = read_review(folder)
        except HomeError:
            continue
        records.append(ReviewRecord.of(review, folder, decisions))
    return sorted(records, key=lambda record: (record.review.quarter, record.review.created_at), reverse=True)


def find_review(home: Home, name: str) -> ReviewRecord:
    """Find a review by its id, by an unambiguous prefix of it, or by its folder.

    Raises
    ------
    UnknownReview
        There is no such review, or the prefix is ambiguous.
    HomeError
        The review is broken.
    """
    history = read_history(home)
    # A quarter may be written in any of its forms.
    with suppress(BadRequest):
        name = Quarter.parse(name).name
    if Path(name).is_dir() and (Path(name) / DOCUMENT).is_file():
        review = read_review(Path(name))
        return ReviewRecord.of(review, Path(name), history)
    if _ID.match(name) and (home.reviews / name / DOCUMENT).is_file():
        review = read_review(home.reviews / name)
        return ReviewRecord.of(review, home.reviews / name, history)
    names = sorted(folder.name for folder in home.reviews.iterdir()) if home.reviews.is_dir() else []
    matches = [each for each in names if _ID.match(each) and each.startswith(name)] if name else []
    if len(matches) == 1:
        return find_review(home, matches[0])
    available = ", ".join(matches or [each for each in names if _ID.match(each)]) or "there are no reviews yet"
    raise UnknownReview(
        "there is no such review" if not matches else f"{len(matches)} reviews have this prefix",
        f"one of: {available}",
        "`renewcast reviews` lists them",
    )


def read_charts(record: ReviewRecord) -> dict[str, str]:
    """Return the charts of a review as SVG, by name; empty if an earlier version wrote the review.

    Raises
    ------
    HomeError
        The file is broken.
    """
    if not (record.folder / CHARTS).exists():
        return {}
    cure = "run the review again: `renewcast review`"
    return read_json_file(record.folder / CHARTS, ReviewCharts, "the charts of a review", cure, limit=SIZE_LIMIT).root


def read_document(record: ReviewRecord) -> dict[str, Any]:
    """Return the whole content of ``review.json``."""
    content: dict[str, Any] = json.loads(read_bounded(record.folder / DOCUMENT, SIZE_LIMIT))
    return content
