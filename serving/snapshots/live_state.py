"""The champion and the latest scored snapshot that requests are answered from, replaced without a restart.

Each request compares three file versions: those of the pointer to the champion, of the history of rubrics, and of the
folder of snapshots. After a change, a thread loads the new state. One request waits for it for a short time, and others
continue with the previous state until it is loaded. A broken champion or snapshot is refused, and the previous one
stays in use.
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
from models.artifacts.portfolio_identity import RecordedValues
from models.home import Home
from models.peer_groups.peers import Peers
from models.targets import TARGETS
from serving.common.errors import NotReady
from serving.common.json_logs import error_location, log_event
from serving.common.settings import ServiceSettings
from serving.snapshots.scored_snapshot import ScoredSnapshot, SnapshotCache, score_published
from serving.snapshots.snapshot_files import FileVersion, SnapshotFiles, file_version
from serving.snapshots.stored_tables import SCORE_AGAIN

#: File systems have coarse timestamps: within this time (seconds) of a change, another may have the same timestamp.
TIMESTAMP_RESOLUTION = 2.0
#: How long (seconds) after loading the first champion its tables for explanations are computed, so that a starting
#: service is ready first. An earlier request that needs them computes them.
PREPARE_AFTER = 0.1

ChampionVersion = tuple[FileVersion | None, FileVersion | None]
"""File versions of the pointer to the bundles, and of the history of rubrics."""

T = TypeVar("T")


@dataclass(frozen=True)
class LiveState:
    """The champion and the snapshots in use at one time. Immutable.

    Parameters
    ----------
    champion : None if there is none that can be used.
    cached_snapshots : snapshots of other dates; None without a champion.
    latest : the latest snapshot; None if nothing was scored or it cannot be used.
    errors : what was refused and why, one sentence each.
    champion_version : file versions from which the champion was loaded.
    """

    champion: Champion | None = None
    cached_snapshots: SnapshotCache | None = None
    latest: ScoredSnapshot | None = None
    errors: tuple[str, ...] = ()
    champion_version: ChampionVersion | None = None

    def scored(self, as_of: datetime | None) -> ScoredSnapshot:
        """Return the assessed snapshot at ``as_of``; None means the latest.

        Raises
        ------
        NotReady : there is no valid champion, or no snapshot.
        UnknownSnapshot, HomeError : as `Snapshots.at`.
        """
        if self.cached_snapshots is not None:
            if self.latest is not None and as_of in (None, self.latest.as_of):
                return self.latest
            if as_of is not None:
                return self.cached_snapshots.get(as_of)
        raise self.not_ready()

    def dates(self) -> list[datetime]:
        """Return the dates that were scored, in order.

        Raises
        ------
        NotReady : there is no valid champion.
        HomeError : as `Snapshots.dates`.
        """
        if self.cached_snapshots is None:
            raise self.not_ready()
        return self.cached_snapshots.snapshots.dates()

    def cached(self, as_of: datetime | None) -> ScoredSnapshot | None:
        """Return the latest snapshot if it is the one at ``as_of``, else None. Does not load anything."""
        latest = self.latest if self.cached_snapshots is not None else None
        return latest if latest is not None and as_of in (None, latest.as_of) else None

    def scorer(self) -> Champion:
        """Return the champion, to score signals in a body.

        Raises
        ------
        NotReady : there is none, or no data to compare an account with.
        """
        if self.champion is None or not self.answers:
            raise self.not_ready()
        return self.champion

    @property
    def peers(self) -> Peers | None:
        """The distributions to compare a single account with: of the latest snapshot, else of the training data."""
        if self.latest is not None:
            return self.latest.peers
        return None if self.champion is None else self.champion.peers

    @property
    def records(self) -> RecordedValues:
        """What the portfolio's source can record, by table and column: at the latest snapshot, else in training."""
        if self.latest is not None:
            return self.latest.records
        bundles = self.champion.bundles.values() if self.champion else ()
        return next((each.manifest.portfolio.records for each in bundles if each.manifest.portfolio), {})

    @property
    def answers(self) -> bool:
        """Whether requests can be answered: by id from a snapshot, or for signals in a body by a model."""
        return self.champion is not None and (self.latest is not None or self.champion.peers is not None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What needs attention: what was refused, or that nothing was scored yet."""
        return self.errors or (() if self.latest else ("no snapshot has been scored yet",))

    def not_ready(self) -> NotReady:
        """Return the error for requests that cannot be answered."""
        cure = "fix the errors above" if self.errors else SCORE_AGAIN.replace("it again", "one")
        return NotReady("; ".join(self.reasons), "a valid champion and a scored snapshot", cure)


class LiveStateManager:
    """Holds the `LiveState` of one home and replaces it when the home changes. Thread-safe."""

    def __init__(self, home: Home, settings: ServiceSettings) -> None:
        self._home, self._settings = home, settings
        self._snapshots = SnapshotFiles(home)
        self._renewing = threading.Lock()
        self._renewed: threading.Event | None = None
        self._awaited: threading.Event | None = None
        self._state: LiveState | None = None
        self._versions: tuple[ChampionVersion, FileVersion | None] | None = None
        self._reload_at = 0.0
        self.refusals: Counter[str] = Counter(champion=0, snapshot=0)
        """How often each was refused, counting every attempt to load it."""

    def cached(self) -> LiveState | None:
        """Return the current state if nothing has to be loaded, else None. Does not block."""
        return None if self._state is None or self._changed() else self._state

    def current(self) -> LiveState:
        """Return the current state.

        The first caller loads it. After a change, another thread loads the new state; the first caller that finds this
        waits for it for up to ``reload_wait_seconds``, and others get the previous state.
        """
        if self._state is None:
            with self._renewing:
                if self._state is None:
                    self._renew(LiveState())
        elif self._changed():
            renewed = self._started_renewal()
            if renewed is not None and renewed is not self._awaited:
                self._awaited = renewed
                renewed.wait(self._settings.reload_wait_seconds)
        assert self._state is not None
        return self._state

    def refresh(self) -> LiveState | None:
        """Return the current state, None before the first. After a change, begin to load the new one."""
        if self._state is not None and self._changed():
            self._started_renewal()
        return self._state

    def _started_renewal(self) -> threading.Event | None:
        """Begin to load the new state, unless another thread does. Return what is set when it is loaded."""
        with self._renewing:
            if self._renewed is None and self._changed():
                self._renewed = renewed = threading.Event()
                threading.Thread(target=self._renew_once, args=(renewed,), name="reload", daemon=True).start()
            return self._renewed

    def _renew_once(self, renewed: threading.Event) -> None:
        try:
            self._renew(self._state or LiveState())
        except Exception as error:  # noqa: BLE001 the previous state stays in use, and a later request tries again
            log_event("reload_failed", logging.ERROR, **error_location(error))
        finally:
            with self._renewing:
                self._renewed = None
            renewed.set()

    def _file_versions(self) -> tuple[ChampionVersion, FileVersion | None]:
        champion = file_version(self._home.champion_file), file_version(self._home.rubric_history)
        return champion, file_version(self._home.snapshots)

    def _changed(self) -> bool:
        return time.monotonic() >= self._reload_at or self._file_versions() != self._versions

    def _renew(self, old: LiveState) -> None:
        versions = self._file_versions()
        new = self._next(old, versions[0])
        newest = max((version[1] for version in (*versions[0], versions[1]) if version is not None), default=0)
        wait = self._settings.retry_seconds if new.errors else float("inf")
        if time.time() - newest / 1e9 < TIMESTAMP_RESOLUTION:
            wait = min(wait, TIMESTAMP_RESOLUTION)
        self._reload_at = time.monotonic() + wait
        self._state, self._versions = new, versions
        if new.champion is not None and old.champion is None:
            preparing = threading.Timer(PREPARE_AFTER, _prepare, args=(new.champion,))
            preparing.daemon = True
            preparing.start()
        _log_changes(old, new)

    def _next(self, old: LiveState, current_version: ChampionVersion) -> LiveState:
        errors: list[str] = []
        champion, version = old.champion, old.champion_version
        if champion is None or current_version != version:
            champion = self._load_or_previous(
                lambda: self._load_champion(old.champion is not None), champion, "champion", errors
            )
            version = version if errors else current_version
        if champion is None:
            return LiveState(errors=tuple(errors))
        snapshots = old.cached_snapshots if champion is old.champion else None
        if snapshots is None:
            snapshots = SnapshotCache(self._snapshots, champion, self._settings.snapshots_in_memory)
        new = replace(old, champion=champion, cached_snapshots=snapshots, champion_version=version)
        latest = self._load_or_previous(lambda: self._latest(new, old), old.latest, "snapshot", errors)
        if latest is old.latest and errors and champion is not old.champion and old.latest is not None:
            # A snapshot that the old champion assessed must not be served together with the new champion.
            return replace(old, errors=tuple(errors))
        return replace(new, latest=latest, errors=tuple(errors))

    def _load_champion(self, prepare: bool) -> Champion:
        champion = load_champion(self._home, self._snapshots.catalogue)
        if prepare:
            # Requests are answered by the previous champion in the meantime.
            _prepare(champion)
        return champion

    def _latest(self, new: LiveState, old: LiveState) -> ScoredSnapshot | None:
        """Return the latest snapshot, assessed by the new champion; the previous object if neither has changed."""
        dates = self._snapshots.dates()
        if not dates or new.champion is None:
            return None
        previous = old.latest
        if (
            previous is not None
            and new.champion is old.champion
            and previous.as_of == dates[-1]
            and previous.file_version == self._snapshots.version(dates[-1])
        ):
            return previous
        return score_published(self._snapshots, new.champion, dates[-1])

    def _load_or_previous(self, make: Callable[[], T], previous: T, what: str, errors: list[str]) -> T:
        """Return ``make()``, or ``previous`` if it fails, and add the reason to ``errors``."""
        try:
            return make()
        except RenewcastError as error:
            reason = error.found.replace(str(self._home.root), "RENEWCAST_HOME")
            cure = f" Fix: {error.cure}." if error.cure else ""
            errors.append(f"the {what} is refused: {reason}.{cure}")
        except Exception as error:  # noqa: BLE001 no request may fail because of a file in the home
            log_event(f"{what}_failed", logging.ERROR, **error_location(error))
            errors.append(f"the {what} is refused: {type(error).__name__}; the log says where")
        self.refusals[what] += 1
        return previous


def _prepare(champion: Champion) -> None:
    """Compute the tables for explanations; otherwise the first request takes most of a second longer."""
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
