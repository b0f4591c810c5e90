"""What was worked out, kept to be answered again, as things; `serving.snapshots.json_cache` keeps answers as text."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Thing = TypeVar("Thing")

#: So many things worked out from one snapshot are kept.
MADE = 32


class Made:
    """The answers that were asked for last, by what was asked. Safe to use from many threads."""

    def __init__(self, places: int = MADE) -> None:
        self._places = places
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._looking = threading.Lock()
        self._gates: dict[Hashable, threading.Lock] = {}

    def get(self, asked: Hashable, make: Callable[[], Thing]) -> Thing:
        """What was made for ``asked``, made now if it was not. Whoever asks for what is being made waits for it: made
        twice at once it would take both longer."""
        with self._looking:
            if asked in self._kept:
                found: Thing = self._found(asked)
                return found
            gate = self._gates.setdefault(asked, threading.Lock())
        with gate:
            with self._looking:
                if asked in self._kept:
                    found = self._found(asked)
                    return found
            try:
                made = make()
                with self._looking:
                    self._kept[asked] = made
                    while len(self._kept) > self._places:
                        self._kept.popitem(last=False)
                return made
            finally:
                with self._looking:
                    self._gates.pop(asked, None)

    def _found(self, asked: Hashable) -> Any:
        self._kept.move_to_end(asked)
        return self._kept[asked]
