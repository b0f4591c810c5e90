"""What a leak check has looked at and found: typed facts, and the sentences that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from features.utils.dates import to_iso
from features.utils.formatting import count_of
from models.targets import Target

Check = Literal["future added", "future dropped", "rows repeated", "separation", "arrival", "due dates"]
LeakSeverity = Literal["failure", "note"]

MAXIMUM_NAMED = 5
"""So many leaks are named in a sentence; the report holds them all."""


@dataclass(frozen=True)
class LeakFinding:
    """One leak, or one thing to know of.

    Parameters
    ----------
    check : that found it.
    subject : the feature, table or column that it is about.
    words : a sentence for people, which begins with the subject and holds no customer's value.
    severity : a ``failure`` forbids promotion, a ``note`` does not.
    target : the target that it concerns; None for every one.
    dates : the snapshot dates at which it was seen, where it hangs on dates.
    """

    check: Check
    subject: str
    words: str
    severity: LeakSeverity = "failure"
    target: Target | None = None
    dates: tuple[datetime, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        own = {k: getattr(self, k) for k in ("check", "subject", "words", "severity", "target")}
        return own | {"dates": [to_iso(date) for date in self.dates]}


@dataclass(frozen=True)
class CheckRun:
    """One check that was to be run.

    Parameters
    ----------
    check, target : which one; the target is None where it concerns every one.
    what : what was done, in words.
    at : what it was done to, in words: accounts, dates, snapshots.
    lacking : why it could not be done; empty where it was.
    """

    check: Check
    what: str
    at: str
    target: Target | None = None
    lacking: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        own = {k: getattr(self, k) for k in ("check", "target", "what", "at", "lacking")}
        return own | {"looked_at": not self.lacking}


@dataclass(frozen=True)
class LeakReport:
    """A leak check: what was looked at, and what was found.

    Parameters
    ----------
    origin : the signals source.
    data_through : nothing at or after this instant was read.
    catalogue_version : of the features.
    accounts : how many the rebuilds were made of.
    dates : the snapshot dates that were rebuilt, ascending.
    checks : in the order in which they were run.
    findings : failures and notes.
    arrivals : per event table, how its rows arrive (see `training.leakage.late_arrivals.Arrivals`), as plain data.
    seconds : that it took.
    """

    origin: str
    data_through: datetime
    catalogue_version: str
    accounts: int
    dates: tuple[datetime, ...]
    checks: tuple[CheckRun, ...]
    findings: tuple[LeakFinding, ...]
    arrivals: tuple[dict[str, Any], ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether no leak was found. What could not be looked at is no leak; `checks` name it."""
        return not self.failures

    @property
    def failures(self) -> tuple[LeakFinding, ...]:
        """The leaks."""
        return tuple(f for f in self.findings if f.severity == "failure")

    @property
    def notes(self) -> tuple[LeakFinding, ...]:
        """What is no leak here, but should be known."""
        return tuple(f for f in self.findings if f.severity == "note")

    def leaks(self, target: Target) -> list[str] | None:
        """The leaks that concern ``target``, a line each; None where a check of it could not be run."""
        if any(
            c.lacking for c in self.checks if c.check not in ("arrival", "due dates") and c.target in (None, target)
        ):
            return None
        return self.found(target)

    def found(self, target: Target) -> list[str]:
        """The leaks that concern ``target``, a line each, whether every check of it could be run or not."""
        return [f.words for f in self.failures if f.target in (None, target)]

    def words(self) -> str:
        """The verdict in a sentence or two."""
        missed = [_name(c) for c in self.checks if c.lacking]
        rest = f"; not looked at: {', '.join(missed)}" if missed else ""
        if self.ok:
            seen = f"{count_of(self.accounts, 'account')} at {count_of(len(self.dates), 'date')}"
            return f"no leak found: snapshots of {seen} stay the same whatever comes later{rest}"
        subjects = list(dict.fromkeys(f.subject for f in self.failures))
        return f"{count_of(len(subjects), 'leak')} found: {first_names(subjects)}{rest}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, instants as ISO 8601 text."""
        return {
            "ok": self.ok,
            "words": self.words(),
            "origin": self.origin,
            "data_through": to_iso(self.data_through),
            "catalogue_version": self.catalogue_version,
            "accounts": self.accounts,
            "dates": [to_iso(date) for date in self.dates],
            "checks": [check.as_dict() for check in self.checks],
            "findings": [finding.as_dict() for finding in self.findings],
            "arrivals": list(self.arrivals),
            "seconds": round(self.seconds, 1),
        }


def first_names(names: Sequence[str]) -> str:
    """The first few of ``names``, and how many more there are."""
    more = f" and {len(names) - MAXIMUM_NAMED} more" if len(names) > MAXIMUM_NAMED else ""
    return ", ".join(names[:MAXIMUM_NAMED]) + more


def _name(looked: CheckRun) -> str:
    return f"{looked.check} of {looked.target}" if looked.target else looked.check
