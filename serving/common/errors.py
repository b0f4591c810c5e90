"""Errors of the service. `serving.http.problem_details` maps them to HTTP statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from features.errors import (
    BadRequest,
    RenewcastError,
)


class StoreDown(RenewcastError):
    """The store cannot be reached, or does not respond in time."""


class Unauthorized(RenewcastError):
    """The request has no API key, or not a valid one."""


class Forbidden(RenewcastError):
    """The API key is valid but lacks the scope for this operation."""


class TooManyRequests(RenewcastError):
    """The caller exceeded a rate limit; ``wait`` is the number of seconds until the next request is allowed."""

    def __init__(self, limit: int, wait: int, found: str = "more requests than a key may make in a minute") -> None:
        self.wait = wait
        super().__init__(found, f"at most {limit}", "wait")


class StillRunning(RenewcastError):
    """A request with the same Idempotency-Key has not finished."""


class IdempotencyKeyReused(BadRequest):
    """The Idempotency-Key was used for a different request."""


class UnknownId(RenewcastError):
    """No item has this id, or no longer, or not yet."""


class NameTaken(RenewcastError):
    """Another item has this name."""


class InterventionConflict(RenewcastError):
    """An action that does not fit what other people did with an intervention; ``current`` is its present state."""

    def __init__(self, current: Mapping[str, Any], found: str, expected: str, cure: str) -> None:
        self.current = current
        super().__init__(found, expected, cure)


class InterventionChanged(InterventionConflict):
    """Someone else changed the intervention since the caller read it."""

    def __init__(self, current: Mapping[str, Any]) -> None:
        super().__init__(
            current,
            "someone else has changed the intervention since you read it, so nothing was stored",
            f"a change of version {current['version']}",
            "read the changes, and send yours again for the present version",
        )


class AlreadyUnderWay(InterventionConflict):
    """A play is already run for the account."""

    def __init__(self, current: Mapping[str, Any]) -> None:
        super().__init__(
            current,
            "an intervention of this account is already under way, so no other was started",
            "an account without an intervention under way",
            "change that intervention, or close it first",
        )


class VersionMissing(RenewcastError):
    """The request does not say which version of an item it changes."""


@dataclass(frozen=True)
class Fault:
    """One error in a request.

    Parameters
    ----------
    pointer : its place: a JSON pointer (RFC 6901) into the body, or /query/NAME, /path/NAME or /header/NAME. It
        consists of names of the contract and list indexes only, never of names that the caller chose.
    code : a stable code for programs.
    detail : a description for people.
    """

    pointer: str
    code: str
    detail: str


class InvalidBody(BadRequest):
    """The body has the right structure, but its content is invalid; ``faults`` lists where."""

    def __init__(self, found: str, faults: Sequence[Fault], expected: str = "", cure: str = "") -> None:
        self.faults = tuple(faults)
        super().__init__(found, expected, cure)


class NotReady(RenewcastError):
    """There is no valid model or snapshot to answer from."""


class Busy(RenewcastError):
    """The service has reached its limit of running and waiting work."""


class TooSlow(RenewcastError):
    """The request exceeded the time limit."""
