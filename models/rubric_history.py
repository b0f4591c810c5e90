"""Which version of a rubric is in force at an instant: the decisions of the quarterly reviews, oldest first.

``RENEWCAST_HOME/rubrics/history.json`` holds every decision, rejected ones too, and is replaced whole;
``rubrics/NAME/VERSION.toml`` holds each version that it speaks of, with the SHA-256 that the history tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from features.errors import HomeError
from models.home import Home
from models.meaning import Meaning
from models.rubric import Rubric, rubric_from_text
from models.rules.reading import read_text
from models.scorer import ScorerError, read_bounded

if TYPE_CHECKING:
    from features.feature import Feature

#: A larger history (bytes) is not one.
SIZE_LIMIT = 64 * 2**20
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME)]
Person = Annotated[str, Field(min_length=1, max_length=200)]


class Hashes(BaseModel):
    """What was reviewed: the signals, the rubric's text, the champion's bundle (None without a model)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    rubric: str
    model: str | None = None


class Written(BaseModel):
    """A version of a rubric as a file: its version and the SHA-256 of its text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Name
    sha256: str


class Decision(BaseModel):
    """One sign-off, or one rollback.

    ``id`` names it, and the webhook that tells of it. ``version`` is the new one; None where nothing changes, or
    nothing
    was approved. ``replaces`` is the one in force before. A rollback names the decision that it takes back. ``meaning``
    is what the new version's scores would have meant, as reviewed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^cal_[0-9a-f]{16}$")]
    at: AwareDatetime
    what: Literal["approved", "rejected", "rolled_back"]
    review: str
    rubric: Name
    author: Person
    reviewer: Person
    owner: Person | None = None
    why: Annotated[str, Field(max_length=2000)] | None = None
    effective: date | None = None
    version: Written | None = None
    replaces: Written | None = None
    takes_back: str | None = None
    hashes: Hashes | None = None
    meaning: Meaning | None = None

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


class HistoryFile(BaseModel):
    """``history.json``: every decision, oldest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    decisions: tuple[Decision, ...] = ()

    def approvals(self, rubric: str) -> list[Decision]:
        """The approved new versions of a rubric that were not rolled back, oldest first."""
        back = {each.takes_back for each in self.decisions if each.what == "rolled_back"}
        return [
            each
            for each in self.decisions
            if each.what == "approved" and each.version is not None and each.rubric == rubric and each.id not in back
        ]

    def of_review(self, review: str) -> Decision | None:
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
        that
            the history knows, somebody has written a new one by hand since: it holds as it is.
        as_of : from its effective date on (a UTC midnight, that instant included) a version is in force.
        """
        if (rubric.name, rubric.version) not in self.rubrics:
            return rubric
        known = self.file.approvals(rubric.name)
        began = [each for each in known if each.begins <= as_of]
        told = began[-1].version if began else self._first[rubric.name]
        assert told is not None
        return self.rubrics[(rubric.name, told.version)]

    def meaning(self, rubric: Rubric) -> Meaning | None:
        """What a version's scores have meant, as it was reviewed; None for another one."""
        found = [
            each.meaning
            for each in self.file.decisions
            if each.what == "approved" and each.version is not None
            if (each.rubric, each.version.version) == (rubric.name, rubric.version)
        ]
        return found[-1] if found else None

    @cached_property
    def _first(self) -> dict[str, Written]:
        """Of each rubric, the version before the first that was approved."""
        found: dict[str, Written] = {}
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
