"""When plays were first due, and which the executives were handed: kept with each published snapshot.

A play keeps the day on which it was first due for as long as each publication calls for it and nothing was done about
the account, so that it is not put off. Only so can it become overdue: at its first publication every play is due in
the future. What executives were handed takes their room for a week, so that daily publications hand them no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from features.errors import HomeError
from models.assess import Assessment
from models.interventions import Intervention
from models.rules.history import WEEKS
from models.rules.playbook import Called, Handed
from serving.companion import companion_path, read_companion
from serving.earlier import SCORE_AGAIN
from serving.published import Snapshots
from serving.worklist.known import Recorded

PLAYS = "plays"
"""The companion that holds, by account and by the name of a play, the day on which it was first due; and by account
the instant of the publication that handed its play to the executives, in the week before."""
BACK = timedelta(weeks=WEEKS)
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


def plays_published(snapshots: Snapshots, as_of: datetime) -> Called:
    """When the plays of a published snapshot were first due; empty where nothing was kept.

    Raises
    ------
    HomeError : what was kept is broken.
    """
    kept = read_companion(snapshots, as_of, PLAYS)
    if kept is None:
        return {}
    try:
        return {
            account: {name: date.fromisoformat(due) for name, due in plays.items()}
            for account, plays in kept["first_due"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _broken(snapshots, as_of) from None


def handed_published(snapshots: Snapshots, as_of: datetime) -> Handed:
    """What executives were handed in the week that ended with a published snapshot; empty where nothing was kept.

    Raises
    ------
    HomeError : what was kept is broken.
    """
    kept = read_companion(snapshots, as_of, PLAYS)
    try:
        # Earlier releases kept none.
        told = {} if kept is None else kept.get("executives", {})
        handed = {account: datetime.fromisoformat(at) for account, at in told.items()}
    except (AttributeError, TypeError, ValueError):
        raise _broken(snapshots, as_of) from None
    if any(at.tzinfo is None for at in handed.values()):
        raise _broken(snapshots, as_of)
    return handed


def handed_before(snapshots: Snapshots, as_of: datetime) -> Handed:
    """What executives were handed by the publication before ``as_of``, and in the week before that.

    Raises
    ------
    HomeError : what was kept is broken.
    """
    before = last_published(snapshots, as_of)
    return {} if before is None else handed_published(snapshots, before)


def _broken(snapshots: Snapshots, as_of: datetime) -> HomeError:
    path = companion_path(snapshots, as_of, PLAYS)
    return HomeError(f"{path} is not as written", "what `renewcast score` keeps of plays", SCORE_AGAIN)


def last_published(snapshots: Snapshots, as_of: datetime) -> datetime | None:
    """The date of the publication before ``as_of``; None without one in the quarter before."""
    return max((each for each in snapshots.dates() if as_of - BACK <= each < as_of), default=None)


def called_before(
    snapshots: Snapshots, as_of: datetime, interventions: Sequence[Intervention], recorded: Recorded
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
    before = last_published(snapshots, as_of)
    if before is None:
        return {}
    known = [one for one in (*interventions, *recorded.interventions) if one.occurred_at < as_of]
    worked = {one.account_id for one in known if max(one.occurred_at, one.closed_at or one.occurred_at) >= before}
    worked |= set(recorded.standing(interventions, as_of))
    worked |= {one.account_id for one in recorded.snoozes if one.until > before.date()}
    return {account: plays for account, plays in plays_published(snapshots, before).items() if account not in worked}
