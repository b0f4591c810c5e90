"""What a service refuses besides what a person can mend in the data; `serving.problems` maps it to statuses."""

from __future__ import annotations

from features.errors import BadRequest, RenewcastError


class StoreDown(RenewcastError):
    """The store cannot be reached, or does not answer in time."""


class Unauthorized(RenewcastError):
    """No key, or none that is good."""


class Forbidden(RenewcastError):
    """A good key that may not do this."""


class TooMany(RenewcastError):
    """More requests than the caller may make; ``wait`` is in how many seconds the next one may come."""

    def __init__(self, limit: int, wait: int, found: str = "more requests than a key may make in a minute") -> None:
        self.wait = wait
        super().__init__(found, f"at most {limit}", "wait")


class StillRunning(RenewcastError):
    """A request of the same Idempotency-Key that has not come to its end."""


class OtherBody(BadRequest):
    """An Idempotency-Key that was used for another request."""


class Unknown(RenewcastError):
    """Something asked for by an id that there is not (or not yet, or not any more)."""
