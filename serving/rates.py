"""How many requests a caller may make in a minute: a bucket that refills steadily (token bucket).

Each process counts for itself: with several workers a caller may make up to so many times as many.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

#: So many callers are remembered, those seen last.
CALLERS = 10_000
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


class Rates:
    """Counts the requests of each caller; safe to use from many threads.

    Parameters
    ----------
    limit : requests a minute, which may also come at once.
    clock : seconds, never falling.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> Allowance:
        """Count one request."""
        now, each = self._clock(), MINUTE / self._limit
        with self._lock:
            tokens, seen = self._buckets.pop(caller, (float(self._limit), now))
            tokens = min(float(self._limit), tokens + (now - seen) / each)
            allowed = tokens >= 1
            tokens -= 1 if allowed else 0
            self._buckets[caller] = tokens, now
            while len(self._buckets) > CALLERS:
                self._buckets.popitem(last=False)
        wait = 0 if allowed else max(1, math.ceil((1 - tokens) * each))
        return Allowance(allowed, self._limit, int(tokens), math.ceil((self._limit - tokens) * each), wait)
