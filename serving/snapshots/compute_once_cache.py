"""Cache of values computed from a snapshot; `serving.snapshots.json_cache` holds responses as text."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from cachetools import LRUCache, cached

T = TypeVar("T")

#: How many values computed from one snapshot are cached.
MAX_ENTRIES = 32


class ComputeOnceCache:
    """The values that were requested last, by key. Thread-safe.

    Parameters
    ----------
    max_entries : how many values are cached.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        cache = LRUCache[Hashable, Any](max_entries)
        # With a condition, cachetools computes each key once: other threads wait for that key, and for no other.
        memoize = cached(cache, key=lambda key, make: key, condition=threading.Condition())
        self._get: Callable[[Hashable, Callable[[], Any]], Any] = memoize(lambda key, make: make())

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key.

        While one thread computes a value, others that request it wait for the result instead of computing it again.

        Parameters
        ----------
        key : the key.
        make : computes the value if it is not cached.

        Returns
        -------
        T
            The value.
        """
        value: T = self._get(key, make)
        return value
