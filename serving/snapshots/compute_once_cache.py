"""What was worked out, kept to be answered again, as things; `serving.snapshots.json_cache` keeps answers as text."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from cachetools import LRUCache, cached

T = TypeVar("T")

#: So many things worked out from one snapshot are kept.
MAX_ENTRIES = 32


class ComputeOnceCache:
    """The answers that were asked for last, by what was asked. Safe to use from many threads."""

    def __init__(self, places: int = MAX_ENTRIES) -> None:
        cache = LRUCache[Hashable, Any](places)
        # With a condition, cachetools computes each key once: other threads wait for that key, and for no other.
        memoize = cached(cache, key=lambda asked, make: asked, condition=threading.Condition())
        self._get: Callable[[Hashable, Callable[[], Any]], Any] = memoize(lambda asked, make: make())

    def get(self, asked: Hashable, make: Callable[[], T]) -> T:
        """What was made for ``asked``, made now if it was not. Whoever asks for what is being made waits for it: made
        twice at once it would take both longer."""
        found: T = self._get(asked, make)
        return found
