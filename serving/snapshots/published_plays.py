"""The plays of published snapshots: when each was first due, and which were handed to executives."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from features.errors import HomeError
from models.predictions.assessment import Assessment
from models.rules.history import WEEKS
from models.rules.playbook import Called, Handed
from serving.snapshots.lookback_rows import SCORE_AGAIN
from serving.snapshots.sidecars import read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import SnapshotFiles

PLAYS = "plays"
"""The companion that holds, by account and by the name of a play, the day on which it was first due; and by account
the instant of the publication that handed its play to the executives, in the week before."""
LOOKBACK = timedelta(weeks=WEEKS)
"""What was published longer ago is not looked at."""


def plays_document(assessment: Assessment) -> dict[str, Any]:
    """The companion `PLAYS` of an assessed portfolio."""
    judged = assessment.judged
    first = {
        account: {play.cause: play.due.isoformat() for play in plays}
        for row, account in enumerate(assessment.account_ids)
        if (plays := judged.plays_of(row))
    }
    handed = {account: at.isoformat() for account, at in sorted(judged.playbook.handed.items())}
    return {"first_due": first, "executives": handed}


def read_due_dates(snapshots: SnapshotFiles, as_of: datetime) -> Called:
    """When the plays of a published snapshot were first due; empty where nothing was kept.

    Raises
    ------
    HomeError : what was kept is broken.
    """
    kept = read_sidecar(snapshots, as_of, PLAYS)
    if kept is None:
        return {}
    try:
        return {
            account: {name: date.fromisoformat(due) for name, due in plays.items()}
            for account, plays in kept["first_due"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _broken(snapshots, as_of) from None


def read_executive_plays(snapshots: SnapshotFiles, as_of: datetime) -> Handed:
    """What executives were handed in the week that ended with a published snapshot; empty where nothing was kept.

    Raises
    ------
    HomeError : what was kept is broken.
    """
    kept = read_sidecar(snapshots, as_of, PLAYS)
    try:
        # Earlier releases kept none.
        told = {} if kept is None else kept.get("executives", {})
        handed = {account: datetime.fromisoformat(at) for account, at in told.items()}
    except (AttributeError, TypeError, ValueError):
        raise _broken(snapshots, as_of) from None
    if any(at.tzinfo is None for at in handed.values()):
        raise _broken(snapshots, as_of)
    return handed


def executive_plays_before(snapshots: SnapshotFiles, as_of: datetime) -> Handed:
    """What executives were handed by the publication before ``as_of``, and in the week before that.

    Raises
    ------
    HomeError : what was kept is broken.
    """
    before = previous_publication(snapshots, as_of)
    return {} if before is None else read_executive_plays(snapshots, before)


def _broken(snapshots: SnapshotFiles, as_of: datetime) -> HomeError:
    path = sidecar_path(snapshots, as_of, PLAYS)
    return HomeError(f"{path} is not as written", "what `renewcast score` keeps of plays", SCORE_AGAIN)


def previous_publication(snapshots: SnapshotFiles, as_of: datetime) -> datetime | None:
    """The date of the publication before ``as_of``; None without one in the quarter before."""
    return max((each for each in snapshots.dates() if as_of - LOOKBACK <= each < as_of), default=None)
