"""How many requests a caller may make in a minute: a bucket that refills steadily (token bucket).

Each process counts for itself: with several workers a caller may make up to so many times as many.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

#: So many callers are remembered, those seen last.
CACHED_CALLERS = 10_000
MINUTE = 60.0


@dataclass(frozen=True)
class Allowance:
    """What a caller has left.

    Parameters
    ----------
    allowed : whether this request may go on.
    limit : requests a minute.
    remaining : whole requests left now.
    reset : seconds until the bucket is full again, rounded up.
    wait : seconds until one more request may go on, rounded up; 0 where it may.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: int
    wait: int

    @property
    def headers(self) -> dict[str, str]:
        """As `RateLimit-*` headers (draft-ietf-httpapi-ratelimit-headers-03)."""
        told = {"Limit": self.limit, "Remaining": self.remaining, "Reset": self.reset}
        return {f"RateLimit-{name}": str(value) for name, value in told.items()}


class RateLimiter:
    """Counts the requests of each caller; safe to use from many threads.

    Parameters
    ----------
    limit : requests a minute, which may also come at once.
    clock : seconds, never falling.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._lock = threading.Lock()
        self._buckets = LRUCache[str, tuple[float, float]](CACHED_CALLERS)

    def peek(self, caller: str) -> Allowance:
        """What a caller has left, without counting a request."""
        return self._take(caller, 0.0)

    def take(self, caller: str) -> Allowance:
        """Count one request."""
        return self._take(caller, 1.0)

    def give_back(self, caller: str) -> None:
        """Count one request less."""
        self._take(caller, -1.0)

    def _take(self, caller: str, cost: float) -> Allowance:
        now, each = self._clock(), MINUTE / self._limit
        with self._lock:
            tokens, seen = self._buckets.get(caller, (float(self._limit), now))
            tokens = min(float(self._limit), tokens + (now - seen) / each)
            allowed = tokens >= 1
            tokens = min(float(self._limit), tokens - cost) if allowed or cost < 0 else tokens
            self._buckets[caller] = tokens, now
        wait = 0 if allowed else max(1, math.ceil((1 - tokens) * each))
        return Allowance(allowed, self._limit, int(tokens), math.ceil((self._limit - tokens) * each), wait)


class SignInLimiter:
    """Bounds how often keys are tried at the sign-in: from one address, and those that fail from all together.

    Whoever has signed in from an address is not kept out by what fails elsewhere: the common bound does not hold there.

    Parameters
    ----------
    limit : attempts a minute from one address that may fail; `TOGETHER` times as many may fail altogether.
    clock : seconds, never falling.
    """

    TOGETHER = 60

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._each, self._failed = RateLimiter(limit, clock), RateLimiter(self.TOGETHER * limit, clock)
        self._lock = threading.Lock()
        self._welcome = LRUCache[str, None](CACHED_CALLERS)

    def wait(self, address: str) -> int:
        """Count an attempt from ``address``; seconds until it may be made, 0 for now."""
        wait = self._each.take(address).wait
        if wait or address in self._welcome:
            return wait
        return self._failed.peek("").wait

    def count(self, address: str, *, succeeded: bool) -> None:
        """Say what came of an attempt."""
        if not succeeded:
            self._failed.take("")
            return
        self._each.give_back(address)
        with self._lock:
            self._welcome[address] = None
