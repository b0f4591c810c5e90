"""Versions of rubrics: the decisions of the quarterly reviews, and the version in force at a time.

``RENEWCAST_HOME/rubrics/history.json`` holds every decision, also rejections, and the first signatures that wait for a
second one. Only this module reads and writes it; the file is replaced as a whole. ``rubrics/NAME/VERSION.toml`` holds
each version in the history, whose SHA-256 the history records.
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

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from features.errors import HomeError
from features.utils.atomic_files import write_file
from features.utils.formatting import day
from models.health.score_calibration import ScoreCalibration
from models.home import Home
from models.json_files import read_json_file
from models.peer_groups.rule_files import read_rules_text
from models.statements import WHY_LIMIT, Person

if TYPE_CHECKING:
    from features.definitions.feature import Feature
    from models.health.rubric import Rubric

#: Maximum size of the history in bytes.
SIZE_LIMIT = 64 * 2**20
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
VersionName = Annotated[str, Field(pattern=NAME_PATTERN)]
DecisionId = Annotated[str, Field(pattern=r"^cal_[0-9a-f]{16}$")]
DECISION_NOUNS = {"approved": "approval", "rejected": "rejection", "rolled_back": "rollback"}
"""The noun for each kind of decision."""


class ReviewedHashes(BaseModel):
    """Hashes of what was reviewed: signals, text of the rubric, and champion bundle (None without a model)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    rubric: str
    model: str | None = None


class RubricVersion(BaseModel):
    """A version of a rubric in a file: its name and the SHA-256 of its text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: VersionName
    sha256: str


class Signature(BaseModel):
    """A person's signature, made with that person's API key.

    Parameters
    ----------
    role : the author signs first, the reviewer second.
    key, name : id and name of the API key, as stored at that time.
    at : the time of the signature, UTC.
    previous : SHA-256 of the previous signature. For the reviewer, this is the author's; for the author, the last one
        in the history, None if there is none.
    sha256 : the hash of the signed content and of all fields above; see `signature_hash`.
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
    """Return the SHA-256, in hex, of the signed content, signer, time and previous signature.

    Parameters
    ----------
    signed : the signed content, as plain JSON data. The other parameters are as in `Signature`.
    """
    signature = {"role": role, "key": key, "name": name, "at": at.astimezone(UTC).isoformat(), "previous": previous}
    return sha256(json.dumps([signed, signature], sort_keys=True, separators=(",", ":"), ensure_ascii=True))


class DecisionTerms(BaseModel):
    """The terms that both people sign.

    Parameters
    ----------
    what : approved, rejected, or rolled_back.
    review, rubric : the id of the review and the name of the rubric.
    owner : the CS owner.
    why : the reason, if given.
    effective : the date from which an approved version is in force.
    takes_back : the decision that a rollback reverts.
    hashes : the hashes of what was reviewed.
    proposal : SHA-256 of the review's proposal; None in files of older versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: Literal["approved", "rejected", "rolled_back"]
    review: str
    rubric: VersionName
    owner: Person | None = None
    why: Annotated[str, Field(max_length=WHY_LIMIT)] | None = None
    effective: date | None = None
    takes_back: str | None = None
    hashes: ReviewedHashes | None = None
    proposal: str | None = None

    @property
    def terms(self) -> DecisionTerms:
        """The terms without the fields of a subclass."""
        return DecisionTerms(**{name: getattr(self, name) for name in DecisionTerms.model_fields})


class PendingDecision(DecisionTerms):
    """Terms that wait for the signature of a second person. ``id`` is the id of the future decision."""

    id: DecisionId
    signature: Signature

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for a list."""
        return self.model_dump(mode="json")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _check(self.signature, "author", self.terms.model_dump(mode="json"))
        return self


class ReviewDecision(DecisionTerms):
    """A sign-off or a rollback.

    ``id`` identifies it, also in its webhook. ``version`` is the new version; None if nothing changes or nothing was
    approved. ``replaces`` is the version that was in force before. ``meaning`` holds the churn rates that followed the
    new version's scores, as reviewed. ``signatures`` are those of author and reviewer; empty in files of older
    versions, which recorded names only.
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
        """The content that the reviewer signs: the terms and the resulting version."""
        return signed_with_version(self.terms, self.version, self.replaces)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for a webhook or a list."""
        return self.model_dump(mode="json", exclude={"meaning"})

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
            raise ValueError("the second signature is not by another person, or does not follow the first")
        if (first.name, second.name) != (self.author, self.reviewer):
            raise ValueError("the signatures are not those of the author and the reviewer")
        return self

    @property
    def begins(self) -> datetime:
        """The start of its effective date, UTC."""
        assert self.effective is not None
        return datetime(self.effective.year, self.effective.month, self.effective.day, tzinfo=UTC)

    def words(self) -> str:
        """Describe the decision in a sentence."""
        if self.what == "rejected":
            return f"{self.review} was rejected by {self.author} and {self.reviewer}; nothing changes"
        if self.what == "rolled_back":
            version = f"version {self.replaces.version}" if self.replaces else "the version"
            back = f", and version {self.version.version} is in force again" if self.version else ""
            return f"{version} of {self.rubric} was rolled back{back}"
        if self.version is None:
            return f"{self.review} is approved: {self.rubric} does not change"
        return (
            f"{self.review} is approved: version {self.version.version} of {self.rubric} is in force"
            f" from {day(self.effective)} on"
        )


def signed_with_version(
    terms: DecisionTerms, version: RubricVersion | None, replaces: RubricVersion | None
) -> dict[str, Any]:
    """Return the content of the second signature, as plain data.

    Parameters
    ----------
    terms : the terms of the decision.
    version : the new version; None without a change.
    replaces : the version that it replaces; None without a change.

    Returns
    -------
    dict
    """
    files = {name: None if each is None else each.model_dump() for name, each in (("new", version), ("old", replaces))}
    return {"terms": terms.model_dump(mode="json"), "versions": files}


def _check(signature: Signature, role: str, signed: Mapping[str, Any]) -> None:
    if signature.role != role:
        raise ValueError(f"the signature is not that of the {role}")
    if (
        signature_hash(signed, signature.role, signature.key, signature.name, signature.at, signature.previous)
        != signature.sha256
    ):
        raise ValueError(f"what the {role} signed has changed since")


class HistoryFile(BaseModel):
    """The content of ``history.json``: every decision, oldest first, and first signatures that wait for a second one.

    Version 1 has no signatures; it can be read, and version 2 is named.
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
                raise ValueError(f"the decision {each.id} occurs twice")
            ids.add(each.id)
            if each.signatures and each.signatures[0].previous not in signed:
                raise ValueError(f"a decision before {each.id} is missing, or comes after it")
            signed |= {signature.sha256 for signature in each.signatures}
        if any(each.signature.previous not in signed for each in self.pending):
            raise ValueError("a decision before the newest signature is missing")
        return self

    @property
    def last_signature(self) -> str | None:
        """The hash of the last signature of the newest signed decision; None if there is none."""
        return next((each.signatures[-1].sha256 for each in reversed(self.decisions) if each.signatures), None)

    def pending_of(self, review: str, rollback: bool = False) -> PendingDecision | None:
        """Return what waits for a second signature on a review: its sign-off, or its rollback."""
        matches = [e for e in self.pending if e.review == review and (e.what == "rolled_back") == rollback]
        return matches[-1] if matches else None

    def approvals(self, rubric: str) -> list[ReviewDecision]:
        """Return the approvals of new versions of a rubric that were not rolled back, oldest first."""
        rolled_back = {each.takes_back for each in self.decisions if each.what == "rolled_back"}
        return [
            each
            for each in self.decisions
            if each.what == "approved"
            and each.version is not None
            and each.rubric == rubric
            and each.id not in rolled_back
        ]

    def of_review(self, review: str) -> ReviewDecision | None:
        """Return the last decision on a review; None if there is none or it was rolled back."""
        rolled_back = {each.takes_back for each in self.decisions if each.what == "rolled_back"}
        matches = [
            e for e in self.decisions if e.review == review and e.what != "rolled_back" and e.id not in rolled_back
        ]
        return matches[-1] if matches else None


@dataclass(frozen=True)
class RubricHistory:
    """The decisions, and the rubrics that they name, by name and version."""

    file: HistoryFile = field(default_factory=HistoryFile)
    rubrics: Mapping[tuple[str, str], Rubric] = field(default_factory=dict)

    def at(self, rubric: Rubric, as_of: datetime) -> Rubric:
        """Return the version of ``rubric`` in force at ``as_of``.

        Parameters
        ----------
        rubric : the rubric as shipped, from a file of the deployment, or from a bundle. If the history does not have
            its version, or has another rubric under that name, it was edited by hand since and is returned unchanged.
        as_of : a version is in force from the UTC midnight at the start of its effective date, inclusive.
        """
        recorded = self.rubrics.get((rubric.name, rubric.version))
        if recorded is None or recorded.rules != rubric.rules:
            return rubric
        began = [each for each in self.file.approvals(rubric.name) if each.begins <= as_of]
        in_force = began[-1].version if began else self._first[rubric.name]
        assert in_force is not None
        return self.rubrics[(rubric.name, in_force.version)]

    def meaning(self, rubric: Rubric) -> ScoreCalibration | None:
        """Return the churn rates of a version's scores, as reviewed; None if the version was not reviewed."""
        recorded = self.rubrics.get((rubric.name, rubric.version))
        if recorded is None or recorded.rules != rubric.rules:
            return None
        reviewed = [
            each.meaning
            for each in self.file.decisions
            if each.what == "approved" and each.version is not None
            if (each.rubric, each.version.version) == (rubric.name, rubric.version)
        ]
        return reviewed[-1] if reviewed else None

    @cached_property
    def _first(self) -> dict[str, RubricVersion]:
        """For each rubric, the version before the first approved one."""
        first: dict[str, RubricVersion] = {}
        for each in self.file.decisions:
            if each.what == "approved" and each.version is not None and each.replaces is not None:
                first.setdefault(each.rubric, each.replaces)
        return first


def version_file(home: Home, rubric: str, version: str) -> Path:
    """Return the path of a version.

    Parameters
    ----------
    home : the home.
    rubric : the name of the rubric.
    version : the version.

    Returns
    -------
    Path
    """
    return home.rubrics / rubric / f"{version}.toml"


def read_history(home: Home) -> HistoryFile:
    """Read the decisions; an empty history if there are none yet.

    Raises
    ------
    HomeError
        The file is broken.
    """
    file = home.rubric_history
    if not file.exists():
        return HistoryFile()
    return read_json_file(
        file, HistoryFile, "a history written by sign-offs", "restore it from a backup", limit=SIZE_LIMIT
    )


def write_history(home: Home, history: HistoryFile) -> None:
    """Replace the history.

    Raises
    ------
    HomeError
        The home cannot be named.
    """
    text = history.model_copy(update={"schema_version": 2}).model_dump_json(indent=1) + "\n"
    # Never replace a readable file with an unreadable one.
    HistoryFile.model_validate_json(text)
    write_file(home.rubric_history, text)


def load_rubric_history(home: Home, catalogue: Mapping[str, Feature] | None = None) -> RubricHistory:
    """Load the decisions with the versions that they name, and check each version's SHA-256.

    Raises
    ------
    HomeError
        The history is broken, or a version was changed after it was approved.
    RubricError
        A version is missing or invalid, for example because a feature no longer exists.
    """
    # Imported here, since listing reviews needs no rubric.
    from models.health.rubric import rubric_from_text

    file = read_history(home)
    rubrics: dict[tuple[str, str], Rubric] = {}
    for each in file.decisions:
        for named in (each.replaces, each.version) if each.what == "approved" and each.version is not None else ():
            if named is not None and (each.rubric, named.version) not in rubrics:
                path = version_file(home, each.rubric, named.version)
                text = read_rules_text(path)
                if sha256(text) != named.sha256:
                    raise HomeError(
                        f"{path} was changed after it was approved",
                        f"the SHA-256 hash in {home.rubric_history.name}",
                        "restore the file; to change weights, run a new review",
                    )
                rubrics[(each.rubric, named.version)] = rubric_from_text(text, path.name, catalogue)
    return RubricHistory(file, rubrics)


def sha256(text: str) -> str:
    """Return the SHA-256 of a rubric's text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
