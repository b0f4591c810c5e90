"""Rate limits per minute by token buckets.

Each process counts separately, so with n workers a caller may make up to n times as many requests.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

#: How many callers are remembered, the most recent ones.
CACHED_CALLERS = 10_000
MINUTE = 60.0


@dataclass(frozen=True)
class Allowance:
    """The state of a caller's rate limit.

    Parameters
    ----------
    allowed : whether this request is allowed.
    limit : requests per minute.
    remaining : requests left now.
    reset : seconds until the bucket is full again, rounded up.
    wait : seconds until a request is allowed, rounded up; 0 if it is now.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: int
    wait: int

    @property
    def headers(self) -> dict[str, str]:
        """The `RateLimit-*` headers (draft-ietf-httpapi-ratelimit-headers-03)."""
        values = {"Limit": self.limit, "Remaining": self.remaining, "Reset": self.reset}
        return {f"RateLimit-{name}": str(value) for name, value in values.items()}


class RateLimiter:
    """Limit the requests of each caller. Thread-safe.

    Parameters
    ----------
    limit : requests per minute, which may also come in one burst.
    clock : monotonic seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._lock = threading.Lock()
        self._buckets = LRUCache[str, tuple[float, float]](CACHED_CALLERS)

    def peek(self, caller: str) -> Allowance:
        """Return a caller's allowance without counting a request."""
        return self._take(caller, 0.0)

    def take(self, caller: str) -> Allowance:
        """Count one request and return the caller's allowance."""
        return self._take(caller, 1.0)

    def give_back(self, caller: str) -> None:
        """Undo the count of one request."""
        self._take(caller, -1.0)

    def _take(self, caller: str, cost: float) -> Allowance:
        now, each = self._clock(), MINUTE / self._limit
        with self._lock:
            tokens, updated = self._buckets.get(caller, (float(self._limit), now))
            tokens = min(float(self._limit), tokens + (now - updated) / each)
            allowed = tokens >= 1
            tokens = min(float(self._limit), tokens - cost) if allowed or cost < 0 else tokens
            self._buckets[caller] = tokens, now
        wait = 0 if allowed else max(1, math.ceil((1 - tokens) * each))
        return Allowance(allowed, self._limit, int(tokens), math.ceil((self._limit - tokens) * each), wait)


class SignInLimiter:
    """Limit failed sign-ins: from one address, and from all addresses together.

    The common limit does not apply to an address from which someone signed in before, so failures elsewhere do not
    lock out its users.

    Parameters
    ----------
    limit : failed attempts per minute from one address; `COMMON_FACTOR` times as many from all together.
    clock : monotonic seconds.
    """

    COMMON_FACTOR = 60

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._each, self._failed = RateLimiter(limit, clock), RateLimiter(self.COMMON_FACTOR * limit, clock)
        self._lock = threading.Lock()
        self._trusted = LRUCache[str, None](CACHED_CALLERS)

    def wait(self, address: str) -> int:
        """Count an attempt from ``address`` and return the seconds until it is allowed, 0 if it is now."""
        wait = self._each.take(address).wait
        if wait or address in self._trusted:
            return wait
        return self._failed.peek("").wait

    def count(self, address: str, *, succeeded: bool) -> None:
        """Record the result of an attempt to sign in.

        Parameters
        ----------
        address : the address of the caller.
        succeeded : whether the key was valid.
        """
        if not succeeded:
            self._failed.take("")
            return
        self._each.give_back(address)
        with self._lock:
            self._trusted[address] = None
