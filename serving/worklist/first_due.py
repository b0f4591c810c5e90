"""When plays were first due, and which the executives were handed: kept with each published snapshot.

A play keeps the day on which it was first due for as long as each publication calls for it and nothing was done about
the account, so that it is not put off. Only so can it become overdue: at its first publication every play is due in
the future. What executives were handed takes their room for a week, so that daily publications hand them no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from models.rules.intervention_effects import Intervention
from models.rules.playbook import Called
from serving.snapshots.published_plays import previous_publication, read_due_dates
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.worklist.interventions import RecordedActions


def open_plays_before(
    snapshots: SnapshotFiles, as_of: datetime, interventions: Sequence[Intervention], recorded: RecordedActions
) -> Called:
    """The plays of the publication before ``as_of``, without those of accounts about which something has been done
    since, or is being done, or whose plays were snoozed since then: these are due anew when they are back.

    Parameters
    ----------
    interventions : those of the signals.
    recorded : what callers recorded before ``as_of``.

    Raises
    ------
    HomeError : what was kept is broken.
    """
    before = previous_publication(snapshots, as_of)
    if before is None:
        return {}
    known = [one for one in (*interventions, *recorded.interventions) if one.occurred_at < as_of]
    worked = {one.account_id for one in known if max(one.occurred_at, one.closed_at or one.occurred_at) >= before}
    worked |= set(recorded.standing(interventions, as_of))
    worked |= {one.account_id for one in recorded.snoozes if one.until > before.date()}
    return {account: plays for account, plays in read_due_dates(snapshots, before).items() if account not in worked}
