"""What a service refuses besides what a person can mend in the data; `serving.http.problem_details` maps it to
statuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from features.errors import (
    BadRequest,
    RenewcastError,
)


class StoreDown(RenewcastError):
    """The store cannot be reached, or does not answer in time."""


class Unauthorized(RenewcastError):
    """No key, or none that is good."""


class Forbidden(RenewcastError):
    """A good key that may not do this."""


class TooManyRequests(RenewcastError):
    """More requests than the caller may make; ``wait`` is in how many seconds the next one may come."""

    def __init__(self, limit: int, wait: int, found: str = "more requests than a key may make in a minute") -> None:
        self.wait = wait
        super().__init__(found, f"at most {limit}", "wait")


class StillRunning(RenewcastError):
    """A request of the same Idempotency-Key that has not come to its end."""


class IdempotencyKeyReused(BadRequest):
    """An Idempotency-Key that was used for another request."""


class UnknownId(RenewcastError):
    """Something asked for by an id that there is not (or not yet, or not any more)."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a request.

    Parameters
    ----------
    pointer : where: a JSON pointer (RFC 6901) into the body, or /query/NAME, /path/NAME or /header/NAME. It holds
        names of the contract and places in lists, never a name that the caller made up.
    code : for programs, stable.
    detail : for people.
    """

    pointer: str
    code: str
    detail: str


class InvalidBody(BadRequest):
    """A body that is JSON of the right shape, but whose content cannot be used; ``faults`` says where."""

    def __init__(self, found: str, faults: Sequence[Fault], expected: str = "", cure: str = "") -> None:
        self.faults = tuple(faults)
        super().__init__(found, expected, cure)


class NotReady(RenewcastError):
    """Nothing to answer from yet, or nothing sound."""


class Busy(RenewcastError):
    """More is being worked on, or waiting, than the service takes at once."""


class TooSlow(RenewcastError):
    """A request that took longer than the service grants."""
