"""Sign-offs of reviews as the service and the command line do them: the data are looked at again, the decision is kept,
and webhooks are told.

The history file is the truth and is written first. The webhook follows in a transaction of the store, under the
decision's own id: should the process end in between, it is told when a service starts next, and telling it twice does
nothing.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from features.errors import RenewcastError
from features.progress import Progress, part_of, silent
from models.home import Home
from models.reviews import one_review
from models.rubric_history import Decision, read_history
from models.signoff import approve, roll_back, two_people
from serving.store.database import Store
from serving.webhooks.outbox import Occurrence, tell

#: Decisions that are older are not told again at a start: whoever was to know has known.
TOLD_AGAIN = timedelta(days=2)


def approve_here(
    home: Home,
    store: Store,
    review: str,
    author: str,
    reviewer: str,
    owner: str,
    effective: date | str,
    reject: bool = False,
    why: str | None = None,
    signals: str | None = None,
    progress: Progress = silent,
) -> Decision:
    """Sign a review off, and tell of it.

    Parameters
    ----------
    signals : where the reviewed signals are; as the review says if None. A password is never kept in a review: such an
        address has to be given.
    The others are as in `models.signoff.approve`, and so is what is raised; also SignalsError where the signals cannot
    be read.
    """
    # Before the data are looked at, which can take a while.
    two_people(author, reviewer)
    told = None
    if not reject:
        progress(0.1, "looking at the data again")
        told = data_now(home, review, signals, progress)
    decided = approve(home, review, author, reviewer, owner, effective, reject=reject, why=why, data_fingerprint=told)
    _tell(store, [decided])
    progress(1.0, "signed")
    return decided


def roll_back_here(
    home: Home, store: Store, rubric: str | None, author: str, reviewer: str, why: str | None = None
) -> Decision:
    """Take the newest approved version back, as `models.signoff.roll_back` does."""
    return roll_back(home, rubric, author, reviewer, why)


def data_now(home: Home, review: str, address: str | None = None, progress: Progress = silent) -> str:
    """The fingerprint of a review's signals as they are now, up to its ``data_through``."""
    # Only here: who is told of decisions needs no query engine.
    from features.fingerprint import fingerprint
    from features.signals import open_signals

    told = one_review(home, review).told.sign_off
    opened = open_signals(address or told.signals, told.data_through, part_of(progress, 0.1, 0.7), kept=home.rollups)
    try:
        progress(0.75, "fingerprint of the data")
        return fingerprint(opened)
    finally:
        opened.close()


def tell_untold(home: Home, store: Store) -> None:
    """Tell of the newest approvals, those of which a process that ended too early could not; what is wrong with the
    home or the store is no reason not to start."""
    try:
        since = datetime.now(UTC) - TOLD_AGAIN
        _tell(store, [each for each in read_history(home).decisions if each.at >= since])
    except RenewcastError:
        return


def _tell(store: Store, decisions: list[Decision]) -> None:
    approved = [each for each in decisions if each.what == "approved"]
    if not approved:
        return
    with store.begin() as connection:
        for each in approved:
            tell(connection, [Occurrence("calibration.approved", each.id, data_of(each))], each.at, known_by=each.at)


def data_of(decision: Decision) -> dict[str, Any]:
    """What a webhook, and a list, tells of a decision."""
    return decision.model_dump(mode="json", exclude={"meaning"})
