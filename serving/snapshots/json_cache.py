"""Cache of responses as JSON text."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cachetools import FIFOCache

#: Size of all cached texts of one snapshot (bytes); the oldest are removed first.
LIMIT = 64 * 2**20


class JsonCache:
    """JSON texts by key. Thread-safe.

    Parameters
    ----------
    limit : bytes of all texts together; a longer text is not cached.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        # First in, first out: reading does not reorder it, so that readers need no lock.
        self._texts = FIFOCache[tuple[str, ...], bytes](limit, getsizeof=len)
        self._lock = threading.Lock()

    def cached(self, *key: str) -> bytes | None:
        """Return the cached text, or None. Does not block."""
        try:
            return self._texts[key]
        except KeyError:
            return None

    def get(self, *key: str, make: Callable[[], Any]) -> bytes:
        """Return the cached text, or that of the plain data from ``make``, which is then cached."""
        if (text := self.cached(*key)) is not None:
            return text
        text = json.dumps(make(), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        # cachetools raises ValueError for a text longer than the limit.
        with self._lock, suppress(ValueError):
            self._texts.setdefault(key, text)
        return text
