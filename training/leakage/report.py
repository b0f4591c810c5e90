"""Report of a leak check: typed findings and the sentences that describe them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from features.utils.dates import to_iso
from features.utils.formatting import count_of
from models.targets import Target

Check = Literal[
    "future added",
    "future dropped",
    "rows repeated",
    "separation",
    "arrival",
    "due dates",
    "other accounts",
    "other ids",
    "other dates",
]
LeakSeverity = Literal["failure", "note"]

MAXIMUM_NAMED = 5
"""Maximum number of leaks that a sentence names; the report lists all of them."""


@dataclass(frozen=True)
class LeakFinding:
    """A leak, or a note about the data.

    Parameters
    ----------
    check : the check that found it.
    subject : the feature, table or column concerned.
    words : a sentence for people, which starts with the subject and contains no customer's value.
    severity : a ``failure`` prevents promotion, a ``note`` does not.
    target : the target concerned; None for all.
    dates : the snapshot dates at which it was found, if it depends on dates.
    """

    check: Check
    subject: str
    words: str
    severity: LeakSeverity = "failure"
    target: Target | None = None
    dates: tuple[datetime, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        own = {k: getattr(self, k) for k in ("check", "subject", "words", "severity", "target")}
        return own | {"dates": [to_iso(date) for date in self.dates]}


@dataclass(frozen=True)
class CheckRun:
    """One check of a leak report.

    Parameters
    ----------
    check, target : the check and its target; None if it concerns all targets.
    what : description of the check.
    at : description of the data that was checked: accounts, dates, snapshots.
    lacking : why the check could not run; empty if it did.
    """

    check: Check
    what: str
    at: str
    target: Target | None = None
    lacking: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        own = {k: getattr(self, k) for k in ("check", "target", "what", "at", "lacking")}
        return own | {"looked_at": not self.lacking}


@dataclass(frozen=True)
class LeakReport:
    """Report of a leak check.

    Parameters
    ----------
    origin : the signals source.
    data_through : nothing at or after this instant was read.
    catalogue_version : version of the feature catalogue.
    accounts : number of rebuilt accounts.
    dates : the rebuilt snapshot dates, ascending.
    checks : the checks, in the order in which they ran.
    findings : failures and notes.
    arrivals : arrival of rows per event table (see `training.leakage.late_arrivals.Arrivals`), as JSON values.
    seconds : run time.
    open_questions : what the mapping of the signals has not answered, so that figures are uncertain.
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
    open_questions: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no leak was found. A check that could not run is no leak; `checks` lists it."""
        return not self.failures

    @property
    def failures(self) -> tuple[LeakFinding, ...]:
        """The leaks."""
        return tuple(f for f in self.findings if f.severity == "failure")

    @property
    def notes(self) -> tuple[LeakFinding, ...]:
        """Findings that are no leaks."""
        return tuple(f for f in self.findings if f.severity == "note")

    def leaks(self, target: Target) -> list[str] | None:
        """Return the leaks that concern ``target``, one line each; None if one of its checks could not run."""
        if any(
            c.lacking for c in self.checks if c.check not in ("arrival", "due dates") and c.target in (None, target)
        ):
            return None
        return self.leak_lines(target)

    def leak_lines(self, target: Target) -> list[str]:
        """Return the leaks that concern ``target``, one line each, even if some of its checks could not run."""
        return [f.words for f in self.failures if f.target in (None, target)]

    def words(self) -> str:
        """Return the verdict in one or two sentences."""
        skipped = [_name(c) for c in self.checks if c.lacking]
        rest = f"; not checked: {', '.join(skipped)}" if skipped else ""
        if self.ok:
            sample = f"{count_of(self.accounts, 'account')} at {count_of(len(self.dates), 'date')}"
            return f"no leak found: snapshots of {sample} do not change with later data{rest}"
        subjects = list(dict.fromkeys(f.subject for f in self.failures))
        return f"{count_of(len(subjects), 'leak')} found: {first_names(subjects)}{rest}"

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values, instants as ISO 8601."""
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
    """Return the first few of ``names``, and the number of the others."""
    more = f" and {len(names) - MAXIMUM_NAMED} more" if len(names) > MAXIMUM_NAMED else ""
    return ", ".join(names[:MAXIMUM_NAMED]) + more


def _name(run: CheckRun) -> str:
    return f"{run.check} of {run.target}" if run.target else run.check
