"""Faults for a service: workers are killed, champions swapped, a bundle broken and repaired, the store unavailable."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import cycle

from models.artifacts.champion_pointer import ChampionEntry, ChampionPointer, read_pointer, write_pointer
from models.home import Home
from models.targets import TARGETS
from service.served import Served
from service.stores import Place

#: Seconds between two faults, and until a broken bundle is repaired.
PAUSE, BROKEN = 3.0, 4.0


class Chaos:
    """Causes the faults in turn.

    Parameters
    ----------
    served, home, store : the service under test.
    """

    def __init__(self, served: Served, home: Home, store: Place) -> None:
        self._served, self._home, self._store = served, home, store
        first = read_pointer(home)
        assert first is not None
        self._first, self._second = first, _copied(home, first, "9001")
        self._swaps: Iterator[ChampionPointer] = cycle((self._second, self._first))
        self.done: Counter[str] = Counter()

    def run(self, stop: threading.Event) -> None:
        """Cause faults until stopped, and then repair everything."""
        blows: tuple[tuple[str, Callable[[threading.Event], None]], ...] = (
            ("worker killed", self._kill), ("champion swapped", self._swap), ("worker killed", self._kill),
            ("bundle broken and repaired", self._break), ("store away", self._take), ("champion swapped", self._swap),
        )  # fmt: skip
        for number, (name, blow) in enumerate(cycle(blows)):
            if stop.wait(PAUSE):
                break
            self._number = number
            blow(stop)
            self.done[name] += 1
        write_pointer(self._home, self._first)

    def _kill(self, _stop: threading.Event) -> None:
        self._served.kill_worker(self._number)

    def _swap(self, _stop: threading.Event) -> None:
        write_pointer(self._home, next(self._swaps))

    def _take(self, _stop: threading.Event) -> None:
        self._store.away()

    def _break(self, stop: threading.Event) -> None:
        broken = _copied(self._home, self._first, f"8{self._number:03d}")
        for target in TARGETS:
            if (pointed := broken.of(target)) is not None:
                file = self._home.root / pointed.folder / "model.txt"
                file.write_bytes(file.read_bytes()[:1000])
        write_pointer(self._home, broken)
        stop.wait(BROKEN)
        write_pointer(self._home, self._first)


def _copied(home: Home, pointer: ChampionPointer, version: str) -> ChampionPointer:
    """Return a pointer to copies of the same bundles under another version."""
    created = {}
    for target in TARGETS:
        if (pointed := pointer.of(target)) is None:
            continue
        folder = home.bundle_folder(target, f"{version}-copy")
        shutil.copytree(home.root / pointed.folder, folder)
        manifest = folder / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": version}), encoding="utf-8")
        created[target] = ChampionEntry(version=version, folder=folder.relative_to(home.root).as_posix())
    return ChampionPointer(promoted_at=datetime.now(UTC), rubric=pointer.rubric, **created)
