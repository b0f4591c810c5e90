"""Plays of published snapshots: when each was first due, and which were assigned to executives."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from features.errors import HomeError
from models.predictions.assessment import Assessment
from models.rules.history import WEEKS
from models.rules.playbook import ExecutiveAssignments, OpenPlays
from serving.snapshots.sidecars import read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.snapshots.stored_tables import unusable_file

PLAYS = "plays"
"""The sidecar with two tables: by account and play, the day on which the play was first due; and by account, the time
of the publication in the last week that assigned its play to the executives."""
LOOKBACK = timedelta(weeks=WEEKS)
"""Earlier publications are ignored."""


def plays_document(assessment: Assessment) -> dict[str, Any]:
    """Return the sidecar `PLAYS` of an assessed portfolio."""
    judged = assessment.rule_results
    first = {
        account: {play.cause: play.due.isoformat() for play in plays}
        for row, account in enumerate(assessment.account_ids)
        if (plays := judged.plays_of(row))
    }
    assignments = {account: at.isoformat() for account, at in sorted(judged.playbook.assignments.items())}
    return {"first_due": first, "executives": assignments}


def read_due_dates(snapshots: SnapshotFiles, as_of: datetime) -> OpenPlays:
    """Return when the plays of a published snapshot were first due.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.

    Returns
    -------
    OpenPlays
        Empty without the sidecar.

    Raises
    ------
    HomeError : the sidecar is broken.
    """
    document = read_sidecar(snapshots, as_of, PLAYS)
    if document is None:
        return {}
    try:
        return {
            account: {name: date.fromisoformat(due) for name, due in plays.items()}
            for account, plays in document["first_due"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _broken(snapshots, as_of) from None


def read_executive_plays(snapshots: SnapshotFiles, as_of: datetime) -> ExecutiveAssignments:
    """Return the plays that were assigned to executives in the week up to a published snapshot.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.

    Returns
    -------
    ExecutiveAssignments
        Empty without the sidecar.

    Raises
    ------
    HomeError : the sidecar is broken.
    """
    document = read_sidecar(snapshots, as_of, PLAYS)
    try:
        # Earlier releases did not store them.
        executives = {} if document is None else document.get("executives", {})
        assigned = {account: datetime.fromisoformat(at) for account, at in executives.items()}
    except (AttributeError, TypeError, ValueError):
        raise _broken(snapshots, as_of) from None
    if any(at.tzinfo is None for at in assigned.values()):
        raise _broken(snapshots, as_of)
    return assigned


def executive_plays_before(snapshots: SnapshotFiles, as_of: datetime) -> ExecutiveAssignments:
    """Return the plays that the previous publication, and those in the week before it, assigned to executives.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.

    Returns
    -------
    ExecutiveAssignments

    Raises
    ------
    HomeError : the sidecar is broken.
    """
    before = previous_publication(snapshots, as_of)
    return {} if before is None else read_executive_plays(snapshots, before)


def _broken(snapshots: SnapshotFiles, as_of: datetime) -> HomeError:
    path = sidecar_path(snapshots, as_of, PLAYS)
    return unusable_file(path, "it does not have the expected structure", what="document")


def previous_publication(snapshots: SnapshotFiles, as_of: datetime) -> datetime | None:
    """Return the date of the previous publication.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    as_of : the date of the snapshot.

    Returns
    -------
    datetime or None
        None if there is none in the quarter before.
    """
    return max((each for each in snapshots.dates() if as_of - LOOKBACK <= each < as_of), default=None)
