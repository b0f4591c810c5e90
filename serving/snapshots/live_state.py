"""What answers now: the champion and the latest scored snapshot, exchanged without a restart when they change.

A request looks at three file stamps: of the pointer to the champion, of what reviews have decided of rubrics, of the
snapshots. The one that finds a change loads what is new while the others go on with what there was; what is broken is
refused, and what there was goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from features.errors import RenewcastError
from models.artifacts.champion import Champion, load_champion
from models.home import Home
from models.peer_groups.peers import Peers
from models.targets import TARGETS
from serving.common.errors import NotReady
from serving.common.json_logs import error_location, log_event
from serving.common.settings import ServiceSettings
from serving.snapshots.lookback_rows import SCORE_AGAIN
from serving.snapshots.scored_snapshot import ScoredSnapshot, SnapshotCache, score_published
from serving.snapshots.snapshot_files import FileVersion, SnapshotFiles, file_version

#: A file system tells times in steps: a stamp younger than this (seconds) may hide a second change in the same step.
TIMESTAMP_RESOLUTION = 2.0
#: What explanations are looked up in is made so long (seconds) after a champion has come, so that a service that starts
#: is ready before; a request that comes sooner and wants it makes it.
PREPARE_AFTER = 0.1

ChampionStamp = tuple[FileVersion | None, FileVersion | None]
"""Of the pointer to the bundles, and of the history of what reviews have decided of rubrics."""

T = TypeVar("T")


@dataclass(frozen=True)
class LiveState:
    """What answers at one moment; never changed.

    ``errors`` are what was refused, a sentence each; with a ``champion`` or ``latest`` of None, why there is none.
    """

    champion: Champion | None = None
    shelf: SnapshotCache | None = None
    latest: ScoredSnapshot | None = None
    errors: tuple[str, ...] = ()
    champion_stamp: ChampionStamp | None = None

    def scored(self, as_of: datetime | None) -> ScoredSnapshot:
        """The latest snapshot, or that at ``as_of``, assessed.

        Raises
        ------
        NotReady : there is no sound champion file, or no snapshot.
        UnknownSnapshot, HomeError : as `Snapshots.at`.
        """
        if self.shelf is not None:
            if self.latest is not None and as_of in (None, self.latest.as_of):
                return self.latest
            if as_of is not None:
                return self.shelf.get(as_of)
        raise self.not_ready()

    def dates(self) -> list[datetime]:
        """The dates that were scored, in order.

        Raises
        ------
        NotReady : there is no sound champion file.
        HomeError : as `Snapshots.dates`.
        """
        if self.shelf is None:
            raise self.not_ready()
        return self.shelf.snapshots.dates()

    def cached(self, as_of: datetime | None) -> ScoredSnapshot | None:
        """The latest snapshot, if it is the one asked for."""
        latest = self.latest if self.shelf is not None else None
        return latest if latest is not None and as_of in (None, latest.as_of) else None

    def scorer(self) -> Champion:
        """The champion, for signals in a body.

        Raises
        ------
        NotReady : there is none, or neither a model nor a snapshot to compare an account with.
        """
        if self.champion is None or not self.answers:
            raise self.not_ready()
        return self.champion

    @property
    def peers(self) -> Peers | None:
        """What an account that comes alone is compared with: the latest snapshot, or else what the champion learned
        from."""
        if self.latest is not None:
            return self.latest.peers
        return None if self.champion is None else self.champion.peers

    @property
    def answers(self) -> bool:
        """Whether anything at all can be answered: ids from a snapshot, or signals in a body by a model."""
        return self.champion is not None and (self.latest is not None or self.champion.peers is not None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why a person should look: what was refused, or that nothing was scored yet."""
        return self.errors or (() if self.latest else ("no snapshot was scored yet",))

    def not_ready(self) -> NotReady:
        """The error that says why there is no answer."""
        cure = "mend what is named" if self.errors else SCORE_AGAIN.replace("it again", "one")
        return NotReady("; ".join(self.reasons), "a sound champion and a scored snapshot", cure)


class LiveStateManager:
    """Holds the `LiveState` of one home and renews it when the home changes. Safe to use from many threads."""

    def __init__(self, home: Home, settings: ServiceSettings) -> None:
        self._home, self._settings = home, settings
        self._snapshots = SnapshotFiles(home)
        self._renewing = threading.Lock()
        self._state: LiveState | None = None
        self._seen: tuple[ChampionStamp, FileVersion | None] | None = None
        self._look_again_at = 0.0
        self.refusals: Counter[str] = Counter(champion=0, snapshot=0)
        """How often each was refused, every look counted."""

    def cached(self) -> LiveState | None:
        """What answers now, if nothing has to be loaded for it; waits for nobody."""
        return None if self._state is None or self._changed() else self._state

    def current(self) -> LiveState:
        """What answers now. Loads what changed if nobody else is doing so."""
        state = self._state
        if state is not None and not self._changed():
            return state
        # Only where there is nothing yet does anyone wait for another's loading.
        if self._renewing.acquire(blocking=state is None):
            try:
                if self._state is None or self._changed():
                    self._renew(self._state or LiveState())
            finally:
                self._renewing.release()
        assert self._state is not None
        return self._state

    def _stamps(self) -> tuple[ChampionStamp, FileVersion | None]:
        champion = file_version(self._home.champion_file), file_version(self._home.rubric_history)
        return champion, file_version(self._home.snapshots)

    def _changed(self) -> bool:
        return time.monotonic() >= self._look_again_at or self._stamps() != self._seen

    def _renew(self, old: LiveState) -> None:
        seen = self._stamps()
        new = self._next(old, seen[0])
        newest = max((stamp[1] for stamp in (*seen[0], seen[1]) if stamp is not None), default=0)
        wait = self._settings.retry_seconds if new.errors else float("inf")
        if time.time() - newest / 1e9 < TIMESTAMP_RESOLUTION:
            wait = min(wait, TIMESTAMP_RESOLUTION)
        self._look_again_at = time.monotonic() + wait
        self._state, self._seen = new, seen
        if new.champion is not None and new.champion is not old.champion:
            preparing = threading.Timer(PREPARE_AFTER, _prepare, args=(new.champion,))
            preparing.daemon = True
            preparing.start()
        _log_changes(old, new)

    def _next(self, old: LiveState, champion_stamp: ChampionStamp) -> LiveState:
        errors: list[str] = []
        champion, stamp = old.champion, old.champion_stamp
        if champion is None or champion_stamp != stamp:
            catalogue = self._snapshots.catalogue
            champion = self._or_keep(lambda: load_champion(self._home, catalogue), champion, "champion", errors)
            stamp = stamp if errors else champion_stamp
        if champion is None:
            return LiveState(errors=tuple(errors))
        shelf = old.shelf if champion is old.champion else None
        if shelf is None:
            shelf = SnapshotCache(self._snapshots, champion, self._settings.snapshots_in_memory)
        new = replace(old, champion=champion, shelf=shelf, champion_stamp=stamp)
        latest = self._or_keep(lambda: self._latest(new, old), old.latest, "snapshot", errors)
        if latest is old.latest and errors and champion is not old.champion and old.latest is not None:
            # What was assessed by the old champion is not answered beside the new one.
            return replace(old, errors=tuple(errors))
        return replace(new, latest=latest, errors=tuple(errors))

    def _latest(self, new: LiveState, old: LiveState) -> ScoredSnapshot | None:
        """The latest snapshot assessed by the new champion; the old one's where neither changed."""
        dates = self._snapshots.dates()
        if not dates or new.champion is None:
            return None
        kept = old.latest
        if (
            kept is not None
            and new.champion is old.champion
            and kept.as_of == dates[-1]
            and kept.file_version == self._snapshots.version(dates[-1])
        ):
            return kept
        return score_published(self._snapshots, new.champion, dates[-1])

    def _or_keep(self, make: Callable[[], T], kept: T, what: str, errors: list[str]) -> T:
        """``make()``; if it fails ``kept``, with the reason among the ``errors``."""
        try:
            return make()
        except RenewcastError as error:
            reason = error.found.replace(str(self._home.root), "RENEWCAST_HOME")
            cure = f" Fix: {error.cure}." if error.cure else ""
            errors.append(f"the {what} is refused: {reason}.{cure}")
        except Exception as error:  # noqa: BLE001 no request may fail because of what was put into the home
            log_event(f"{what}_failed", logging.ERROR, **error_location(error))
            errors.append(f"the {what} is refused: {type(error).__name__}; the log says where")
        self.refusals[what] += 1
        return kept


def _prepare(champion: Champion) -> None:
    """Beside the requests, which are answered meanwhile; the first of them would take a good part of a second else."""
    for bundle in champion.bundles.values():
        bundle.scorer.prepare()


def _log_changes(old: LiveState, new: LiveState) -> None:
    if new.champion is not old.champion and new.champion is not None:
        bundles = new.champion.bundles
        versions = {target: bundles[target].manifest.version if target in bundles else None for target in TARGETS}
        log_event("champion", versions=versions)
    if new.latest is not old.latest and new.latest is not None:
        log_event("snapshot", as_of=new.latest.as_of.isoformat(), accounts=len(new.latest.assessment.frame))
    for error in new.errors:
        if error not in old.errors:
            log_event("refused", logging.WARNING, reason=error)
