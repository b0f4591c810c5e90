"""The worklist of a published snapshot, with the interventions that callers have recorded since.

What follows from the snapshot is worked out once. What was recorded is read again whenever the store has changed, by
whichever process, so that it counts at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from models.rules.intervention_effects import Intervention, Standing
from serving.snapshots.compute_once_cache import ComputeOnceCache
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import file_version
from serving.store.database import Store
from serving.worklist.account_view import WorklistAccounts
from serving.worklist.interventions import (
    INTERVENTIONS,
    RecordedActions,
    next_publication,
    published_interventions,
    read_recorded,
    snooze_day,
)
from serving.worklist.rank import WorklistContext, build_worklist

#: So many lists of one snapshot are kept.
CACHE_SIZE = 16


class WorklistCache:
    """The worklists of one snapshot. Safe to use from many threads.

    Raises
    ------
    HomeError : what was kept beside the snapshot is broken.
    """

    def __init__(self, scored: ScoredSnapshot) -> None:
        self._scored = scored
        accounts = read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS)
        self._people = {} if accounts is None else accounts["accounts"]
        self._kept = published_interventions(scored.snapshots, scored.as_of)
        self._seen = WorklistAccounts.of(scored.assessment, self._people)
        self._active = frozenset(scored.assessment.account_ids)
        self._made = ComputeOnceCache(CACHE_SIZE)

    def of(self, store: Store, capacity: int, csm: str | None, save_rate: float | None) -> dict[str, Any]:
        """As `published_worklist`."""
        version, known = self._known(store)
        if version is None:
            return self._work(known, capacity, csm, save_rate)
        key = (*version, capacity, csm, save_rate)
        return self._made.get(key, lambda: self._work(known, capacity, csm, save_rate))

    def standing(self, store: Store) -> Mapping[str, Standing]:
        """The accounts whose plays are off the list, and why: held out, under way or done.

        Raises
        ------
        StoreDown : the store cannot be reached.
        """
        version, known = self._known(store)
        as_of, kept = self._scored.as_of, self._kept or ()
        if version is None:
            return known.standing(kept, as_of)
        return self._made.get(("standing", *version), lambda: known.standing(kept, as_of))

    def snoozed(self, store: Store) -> Mapping[str, date]:
        """The accounts that are snoozed, and until when.

        Raises
        ------
        StoreDown : the store cannot be reached.
        """
        return self._known(store)[1].snoozed

    def _known(self, store: Store) -> tuple[tuple[Any, ...] | None, RecordedActions]:
        """What was recorded, and its version; None where the store cannot say whether it has changed."""
        # Asked before the store is read: what is recorded meanwhile makes the next answer anew.
        changed, until = store.version(), next_publication(self._scored.snapshots, self._scored.as_of)
        if changed is None:
            return None, self._told(store, until)
        # A snooze ends with its day, although nothing changes in the store.
        version = (changed, until, snooze_day(self._scored.as_of, until))
        return version, self._made.get(version, lambda: self._told(store, until))

    def _told(self, store: Store, until: datetime | None) -> RecordedActions:
        with store.read() as connection:
            return read_recorded(connection, self._active, self._scored.as_of, until)

    def _work(self, known: RecordedActions, capacity: int, csm: str | None, save_rate: float | None) -> dict[str, Any]:
        nothing = self._kept is None and not known.interventions
        interventions: Sequence[Intervention] | None = None if nothing else [*(self._kept or ()), *known.interventions]
        team = WorklistContext(self._people, interventions, known.snoozed)
        return build_worklist(self._scored.assessment, capacity, team, csm, save_rate, self._seen)


def worklist_cache(scored: ScoredSnapshot) -> WorklistCache:
    """The worklists of a snapshot, made once for each version of what was kept beside it."""
    stamps = [file_version(sidecar_path(scored.snapshots, scored.as_of, name)) for name in (ACCOUNTS, INTERVENTIONS)]
    return scored.cache.get(("worklist", *stamps), lambda: WorklistCache(scored))


def published_worklist(
    scored: ScoredSnapshot, store: Store, capacity: int, csm: str | None = None, save_rate: float | None = None
) -> dict[str, Any]:
    """What `serving.worklist.schemas.Worklist` says, what was recorded a moment ago included; not to be changed.

    Raises
    ------
    BadRequest : no account has this CSM.
    HomeError : what was kept beside the snapshot is broken.
    StoreDown : the store cannot be reached.
    """
    return worklist_cache(scored).of(store, capacity, csm, save_rate)
