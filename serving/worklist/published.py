"""The worklist of a published snapshot, with the interventions that callers have recorded since."""

from __future__ import annotations

from typing import Any

from models.home import Home
from serving.companion import ACCOUNTS, read_companion
from serving.published import Snapshots
from serving.scored import Scored
from serving.store.database import Store
from serving.worklist.known import interventions_published, recorded
from serving.worklist.made import Team, worklist_of


def worklist_published(
    scored: Scored, home: Home, store: Store, capacity: int, csm: str | None = None, save_rate: float | None = None
) -> dict[str, Any]:
    """What `serving.worklist.told.Worklist` says. It is not kept: what was recorded a moment ago counts.

    Raises
    ------
    BadRequest : no account has this CSM.
    HomeError : what was kept beside the snapshot is broken.
    StoreDown : the store cannot be reached.
    """
    snapshots = Snapshots(home, scored.catalogue)
    accounts = read_companion(snapshots, scored.as_of, ACCOUNTS)
    kept = interventions_published(snapshots, scored.as_of)
    with store.look() as connection:
        told = recorded(connection, frozenset(scored.assessment.account_ids), scored.as_of)
    people = {} if accounts is None else accounts["accounts"]
    known = None if kept is None and not told else [*(kept or ()), *told]
    team = Team(people, known)
    return worklist_of(scored.assessment, capacity, team, csm, save_rate)
