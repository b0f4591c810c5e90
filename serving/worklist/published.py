"""The worklist of a published snapshot, with the interventions that callers have recorded since.

What follows from the snapshot is worked out once. What was recorded is read again whenever the store has changed, by
whichever process, so that it counts at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.interventions import Intervention
from serving.companion import ACCOUNTS, companion_path, read_companion
from serving.made import Made
from serving.published import stamp_of
from serving.scored import Scored
from serving.store.database import Store
from serving.worklist.known import INTERVENTIONS, interventions_published, recorded
from serving.worklist.made import Team, worklist_of
from serving.worklist.view import Seen

#: So many lists of one snapshot are kept.
LISTS = 16


class Lists:
    """The worklists of one snapshot. Safe to use from many threads.

    Raises
    ------
    HomeError : what was kept beside the snapshot is broken.
    """

    def __init__(self, scored: Scored) -> None:
        self._scored = scored
        accounts = read_companion(scored.snapshots, scored.as_of, ACCOUNTS)
        self._people = {} if accounts is None else accounts["accounts"]
        self._kept = interventions_published(scored.snapshots, scored.as_of)
        self._seen = Seen.of(scored.assessment, self._people)
        self._active = frozenset(scored.assessment.account_ids)
        self._made = Made(LISTS)

    def of(self, store: Store, capacity: int, csm: str | None, save_rate: float | None) -> dict[str, Any]:
        """As `worklist_published`."""
        # Asked before the store is read: what is recorded meanwhile makes the next answer anew.
        version = store.version()
        if version is None:
            return self._work(self._told(store), capacity, csm, save_rate)
        told = self._made.get(version, lambda: self._told(store))
        return self._made.get((version, capacity, csm, save_rate), lambda: self._work(told, capacity, csm, save_rate))

    def _told(self, store: Store) -> Sequence[Intervention]:
        with store.look() as connection:
            return recorded(connection, self._active, self._scored.as_of)

    def _work(
        self, told: Sequence[Intervention], capacity: int, csm: str | None, save_rate: float | None
    ) -> dict[str, Any]:
        known = None if self._kept is None and not told else [*(self._kept or ()), *told]
        team = Team(self._people, known)
        return worklist_of(self._scored.assessment, capacity, team, csm, save_rate, self._seen)


def lists_of(scored: Scored) -> Lists:
    """The worklists of a snapshot, made once for each version of what was kept beside it."""
    stamps = [stamp_of(companion_path(scored.snapshots, scored.as_of, name)) for name in (ACCOUNTS, INTERVENTIONS)]
    return scored.made.get(("worklist", *stamps), lambda: Lists(scored))


def worklist_published(
    scored: Scored, store: Store, capacity: int, csm: str | None = None, save_rate: float | None = None
) -> dict[str, Any]:
    """What `serving.worklist.told.Worklist` says, what was recorded a moment ago included; not to be changed.

    Raises
    ------
    BadRequest : no account has this CSM.
    HomeError : what was kept beside the snapshot is broken.
    StoreDown : the store cannot be reached.
    """
    return lists_of(scored).of(store, capacity, csm, save_rate)
