"""Answers as JSON text, kept once they were worked out: what is asked for again is only read."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

#: All texts of one snapshot together (bytes); the oldest go first.
LIMIT = 64 * 2**20


class Written:
    """Texts by key; safe to use from many threads.

    Parameters
    ----------
    limit : bytes of all texts together.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit, self._bytes = limit, 0
        self._texts: OrderedDict[tuple[str, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def at_hand(self, *key: str) -> bytes | None:
        """The text that was kept; None if it was not, or no longer is. Waits for nobody."""
        return self._texts.get(key)

    def of(self, *key: str, make: Callable[[], Any]) -> bytes:
        """The text that was kept, or else that of what ``make`` gives (plain data), which is then kept."""
        if (kept := self.at_hand(*key)) is not None:
            return kept
        text = json.dumps(make(), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        with self._lock:
            if key not in self._texts:
                self._texts[key] = text
                self._bytes += len(text)
            while self._bytes > self._limit:
                self._bytes -= len(self._texts.popitem(last=False)[1])
        return text
