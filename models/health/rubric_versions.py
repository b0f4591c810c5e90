"""Which version of a rubric is in force at an instant: the decisions of the quarterly reviews, oldest first.

``RENEWCAST_HOME/rubrics/history.json`` holds every decision, rejected ones too, and the first signatures that wait for
a second one. It is read and written here, by one schema, and replaced whole. ``rubrics/NAME/VERSION.toml`` holds each
version that it names, with the SHA-256 that the history records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from features.errors import HomeError
from features.utils.atomic_files import write_file
from models.health.rubric import Rubric, rubric_from_text
from models.health.score_calibration import ScoreCalibration
from models.home import Home
from models.peer_groups.rule_files import read_text
from models.scorer.base import ScorerError
from models.scorer.strict_files import read_bounded

if TYPE_CHECKING:
    from features.definitions.feature import Feature

#: A larger history (bytes) is not one.
SIZE_LIMIT = 64 * 2**20
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
VersionName = Annotated[str, Field(pattern=NAME_PATTERN)]
Person = Annotated[str, Field(min_length=1, max_length=200)]
DecisionId = Annotated[str, Field(pattern=r"^cal_[0-9a-f]{16}$")]


class ReviewedHashes(BaseModel):
    """What was reviewed: the signals, the rubric's text, the champion's bundle (None without a model)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    rubric: str
    model: str | None = None


class RubricVersion(BaseModel):
    """A version of a rubric as a file: its version and the SHA-256 of its text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: VersionName
    sha256: str


class Signature(BaseModel):
    """One person's signature, made with a key of that person.

    Parameters
    ----------
    role : the author signs first, the reviewer second.
    key, name : id and name of the API key that made it, as the store had them.
    at : when, UTC.
    previous : SHA-256 of the signature before: of the author's for the reviewer's; for the author's the last one of the
        history, None if there was none.
    sha256 : of what is signed together with all of the above; see `signature_hash`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["author", "reviewer"]
    key: Annotated[str, Field(min_length=1, max_length=100)]
    name: Person
    at: AwareDatetime
    previous: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def signature_hash(
    signed: Mapping[str, Any], role: str, key: str, name: str, at: datetime, previous: str | None
) -> str:
    """SHA-256, in hex, over what is signed, by whom, when, and the signature before.

    Parameters
    ----------
    signed : plain data, as JSON can hold it. The rest as in `Signature`.
    """
    made = {"role": role, "key": key, "name": name, "at": at.astimezone(UTC).isoformat(), "previous": previous}
    return sha256(json.dumps([signed, made], sort_keys=True, separators=(",", ":"), ensure_ascii=True))


class DecisionTerms(BaseModel):
    """What both people sign.

    Parameters
    ----------
    what : approved, rejected, or rolled_back.
    review, rubric : the review's id and the rubric's name.
    owner : the CS owner. why : the reason, if one was given.
    effective : the date from which on an approved version is in force.
    takes_back : of a rollback: the decision that it takes back.
    hashes : of what was reviewed.
    proposal : SHA-256 of what the review proposes; None in files of older versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: Literal["approved", "rejected", "rolled_back"]
    review: str
    rubric: VersionName
    owner: Person | None = None
    why: Annotated[str, Field(max_length=2000)] | None = None
    effective: date | None = None
    takes_back: str | None = None
    hashes: ReviewedHashes | None = None
    proposal: str | None = None

    @property
    def terms(self) -> DecisionTerms:
        """These alone."""
        return DecisionTerms(**{name: getattr(self, name) for name in DecisionTerms.model_fields})


class PendingDecision(DecisionTerms):
    """Terms that one person has signed, and that wait for another person. ``id`` is that of the decision to come."""

    id: DecisionId
    signature: Signature

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _check(self.signature, "author", self.terms.model_dump(mode="json"))
        return self


class ReviewDecision(DecisionTerms):
    """One sign-off, or one rollback.

    ``id`` names it, and the webhook about it. ``version`` is the new one; None where nothing changes, or nothing was
    approved. ``replaces`` is the one in force before. ``meaning`` is what the new version's scores would have meant, as
    reviewed. ``signatures`` are the author's and the reviewer's; none in files of older versions, which recorded names
    only.
    """

    id: DecisionId
    at: AwareDatetime
    author: Person
    reviewer: Person
    version: RubricVersion | None = None
    replaces: RubricVersion | None = None
    meaning: ScoreCalibration | None = None
    signatures: tuple[Signature, ...] = ()

    @property
    def signed_by_reviewer(self) -> dict[str, Any]:
        """What the reviewer's signature covers: the terms, and the version that comes of them."""
        return signed_with_version(self.terms, self.version, self.replaces)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.signatures:
            return self
        if len(self.signatures) != 2:
            raise ValueError("a decision has two signatures")
        first, second = self.signatures
        _check(first, "author", self.terms.model_dump(mode="json"))
        _check(second, "reviewer", self.signed_by_reviewer)
        if second.previous != first.sha256 or second.key == first.key:
            raise ValueError("the second signature is not another person's under the first")
        if (first.name, second.name) != (self.author, self.reviewer):
            raise ValueError("the signatures are not those of author and reviewer")
        return self

    @property
    def begins(self) -> datetime:
        """The first instant of its effective date, UTC."""
        assert self.effective is not None
        return datetime(self.effective.year, self.effective.month, self.effective.day, tzinfo=UTC)

    def words(self) -> str:
        """The decision as a person reads it."""
        if self.what == "rejected":
            return f"{self.review} was rejected by {self.author} and {self.reviewer}; nothing changes"
        if self.what == "rolled_back":
            told = f"version {self.replaces.version}" if self.replaces else "the version"
            back = f", and version {self.version.version} is in force again" if self.version else ""
            return f"{told} of {self.rubric} is taken back{back}"
        if self.version is None:
            return f"{self.review} is approved: {self.rubric} stays as it is"
        version, since = self.version.version, self.effective
        return f"{self.review} is approved: version {version} of {self.rubric} is in force from {since} on"


def signed_with_version(
    terms: DecisionTerms, version: RubricVersion | None, replaces: RubricVersion | None
) -> dict[str, Any]:
    """What the second signature covers, as plain data."""
    files = {name: None if each is None else each.model_dump() for name, each in (("new", version), ("old", replaces))}
    return {"terms": terms.model_dump(mode="json"), "versions": files}


def _check(made: Signature, role: str, signed: Mapping[str, Any]) -> None:
    if made.role != role:
        raise ValueError(f"the signature is not of the {role}")
    if signature_hash(signed, made.role, made.key, made.name, made.at, made.previous) != made.sha256:
        raise ValueError(f"what the {role} signed was changed since")


class HistoryFile(BaseModel):
    """``history.json``: every decision, oldest first, and the first signatures that wait for a second one.

    Version 1 knew no signatures; it is read as well, and version 2 is written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1, 2] = 2
    decisions: tuple[ReviewDecision, ...] = ()
    pending: tuple[PendingDecision, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        ids: set[str] = set()
        signed: set[str | None] = {None}
        for each in self.decisions:
            if each.id in ids:
                raise ValueError(f"the decision {each.id} stands there twice")
            ids.add(each.id)
            if each.signatures and each.signatures[0].previous not in signed:
                raise ValueError(f"a decision before {each.id} is missing, or comes after it")
            signed |= {made.sha256 for made in each.signatures}
        if any(each.signature.previous not in signed for each in self.pending):
            raise ValueError("a decision before the newest signature is missing")
        return self

    @property
    def last_signature(self) -> str | None:
        """The hash of the newest decision's last signature; None where no decision has one."""
        return next((each.signatures[-1].sha256 for each in reversed(self.decisions) if each.signatures), None)

    def pending_of(self, review: str, rollback: bool = False) -> PendingDecision | None:
        """What waits for a second signature about a review: its sign-off, or the rollback of it."""
        found = [e for e in self.pending if e.review == review and (e.what == "rolled_back") == rollback]
        return found[-1] if found else None

    def approvals(self, rubric: str) -> list[ReviewDecision]:
        """The approved new versions of a rubric that were not rolled back, oldest first."""
        back = {each.takes_back for each in self.decisions if each.what == "rolled_back"}
        return [
            each
            for each in self.decisions
            if each.what == "approved" and each.version is not None and each.rubric == rubric and each.id not in back
        ]

    def of_review(self, review: str) -> ReviewDecision | None:
        """What was decided of a review last; None if nothing was, or if it was rolled back."""
        back = {each.takes_back for each in self.decisions if each.what == "rolled_back"}
        found = [e for e in self.decisions if e.review == review and e.what != "rolled_back" and e.id not in back]
        return found[-1] if found else None


@dataclass(frozen=True)
class RubricHistory:
    """The decisions, and every version of a rubric that they speak of, by name and version."""

    file: HistoryFile = field(default_factory=HistoryFile)
    rubrics: Mapping[tuple[str, str], Rubric] = field(default_factory=dict)

    def at(self, rubric: Rubric, as_of: datetime) -> Rubric:
        """The version of ``rubric`` in force at ``as_of``.

        Parameters
        ----------
        rubric : as shipped, as a deployment's own file has it, or as a bundle carries it. Where its version is none
            that the history knows, or the history knows another rubric by that name, somebody has written a new one by
            hand since: it holds as it is.
        as_of : from its effective date on (a UTC midnight, that instant included) a version is in force.
        """
        known_as = self.rubrics.get((rubric.name, rubric.version))
        if known_as is None or known_as.rules != rubric.rules:
            return rubric
        known = self.file.approvals(rubric.name)
        began = [each for each in known if each.begins <= as_of]
        told = began[-1].version if began else self._first[rubric.name]
        assert told is not None
        return self.rubrics[(rubric.name, told.version)]

    def meaning(self, rubric: Rubric) -> ScoreCalibration | None:
        """What a version's scores have meant, as it was reviewed; None for another one."""
        known_as = self.rubrics.get((rubric.name, rubric.version))
        if known_as is None or known_as.rules != rubric.rules:
            return None
        found = [
            each.meaning
            for each in self.file.decisions
            if each.what == "approved" and each.version is not None
            if (each.rubric, each.version.version) == (rubric.name, rubric.version)
        ]
        return found[-1] if found else None

    @cached_property
    def _first(self) -> dict[str, RubricVersion]:
        """Of each rubric, the version before the first that was approved."""
        found: dict[str, RubricVersion] = {}
        for each in self.file.decisions:
            if each.what == "approved" and each.version is not None and each.replaces is not None:
                found.setdefault(each.rubric, each.replaces)
        return found


def version_file(home: Home, rubric: str, version: str) -> Path:
    """Where a version lies."""
    return home.rubrics / rubric / f"{version}.toml"


def read_history(home: Home) -> HistoryFile:
    """The decisions; none where nothing was decided yet.

    Raises
    ------
    HomeError
        The file is there but broken.
    """
    file = home.rubric_history
    if not file.exists():
        return HistoryFile()
    cure = "restore it from where it is backed up"
    try:
        return HistoryFile.model_validate_json(read_bounded(file, SIZE_LIMIT))
    except ScorerError as error:
        raise HomeError(f"{file}: {error}", "the history that sign-offs write", cure) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise HomeError(f"{file}: key {key}: {first['msg']}", "the history that sign-offs write", cure) from error


def write_history(home: Home, history: HistoryFile) -> None:
    """Replace the history.

    Raises
    ------
    HomeError
        The home cannot be written.
    """
    text = history.model_copy(update={"schema_version": 2}).model_dump_json(indent=1) + "\n"
    # What cannot be read must never take the place of what can.
    HistoryFile.model_validate_json(text)
    write_file(home.rubric_history, text)


def load_rubric_history(home: Home, catalogue: Mapping[str, Feature] | None = None) -> RubricHistory:
    """The decisions with the versions that they speak of, each held against its SHA-256.

    Raises
    ------
    HomeError
        The history is broken, or a version was changed since it was approved.
    RubricError
        A version is missing, or breaks the rules (of a feature that is gone, say).
    """
    file = read_history(home)
    rubrics: dict[tuple[str, str], Rubric] = {}
    for each in file.decisions:
        for written in (each.replaces, each.version) if each.what == "approved" and each.version is not None else ():
            if written is not None and (each.rubric, written.version) not in rubrics:
                path = version_file(home, each.rubric, written.version)
                text = read_text(path)
                if sha256(text) != written.sha256:
                    raise HomeError(
                        f"{path} was changed since it was approved",
                        f"its SHA-256 as in {home.rubric_history.name}",
                        "restore it; other weights take another review",
                    )
                rubrics[(each.rubric, written.version)] = rubric_from_text(text, path.name, catalogue)
    return RubricHistory(file, rubrics)


def sha256(text: str) -> str:
    """Of a rubric's text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
