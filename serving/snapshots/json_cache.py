"""Answers as JSON text, kept once they were worked out: what is asked for again is only read."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cachetools import FIFOCache

#: All texts of one snapshot together (bytes); the oldest go first.
LIMIT = 64 * 2**20


class JsonCache:
    """Texts by key; safe to use from many threads.

    Parameters
    ----------
    limit : bytes of all texts together; a longer text is not kept.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        # First in, first out: reading does not reorder it, so that readers need no lock.
        self._texts = FIFOCache[tuple[str, ...], bytes](limit, getsizeof=len)
        self._lock = threading.Lock()

    def cached(self, *key: str) -> bytes | None:
        """The text that was kept; None if it was not, or no longer is. Waits for nobody."""
        try:
            return self._texts[key]
        except KeyError:
            return None

    def of(self, *key: str, make: Callable[[], Any]) -> bytes:
        """The text that was kept, or else that of what ``make`` gives (plain data), which is then kept."""
        if (kept := self.cached(*key)) is not None:
            return kept
        text = json.dumps(make(), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        # cachetools raises ValueError for a text longer than the limit.
        with self._lock, suppress(ValueError):
            self._texts.setdefault(key, text)
        return text
