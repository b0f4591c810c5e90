"""First due dates of plays, and which plays went to executives, stored with each published snapshot.

A play keeps its first due date as long as each publication calls for it and no action is recorded for the account.
Otherwise it could never become overdue: at its first publication, every play is due in the future. Plays assigned to
executives use their capacity for a week, so that daily publications do not assign more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from models.rules.intervention_effects import InterventionRecord
from models.rules.playbook import OpenPlays
from serving.snapshots.published_plays import previous_publication, read_due_dates
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.worklist.interventions import RecordedActions


def open_plays_before(
    snapshots: SnapshotFiles, as_of: datetime, interventions: Sequence[InterventionRecord], recorded: RecordedActions
) -> OpenPlays:
    """Return the plays of the publication before ``as_of``, except those of accounts with an action since.

    Accounts with an intervention since then or in progress, or snoozed since then, get a new due date when their play
    returns.

    Parameters
    ----------
    interventions : the interventions in the signals.
    recorded : the actions that callers recorded before ``as_of``.

    Raises
    ------
    HomeError : the stored plays are not valid.
    """
    before = previous_publication(snapshots, as_of)
    if before is None:
        return {}
    past = [one for one in (*interventions, *recorded.interventions) if one.occurred_at < as_of]
    worked = {one.account_id for one in past if max(one.occurred_at, one.closed_at or one.occurred_at) >= before}
    worked |= set(recorded.standing(interventions, as_of))
    worked |= {one.account_id for one in recorded.snoozes if one.until > before.date()}
    return {account: plays for account, plays in read_due_dates(snapshots, before).items() if account not in worked}
