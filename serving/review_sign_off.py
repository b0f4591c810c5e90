"""Sign-offs of reviews as the service and the command line do them: the data are looked at again, the decision is kept,
and webhooks are sent.

The history file is the truth and is written first. The webhook follows in a transaction of the store, under the
decision's own id: should the process end in between, it is sent when a service starts next, and recording it twice does
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from features.errors import BadRequest, RenewcastError
from features.utils.progress import Progress, no_progress, subprogress
from models.health.rubric_versions import PendingDecision, ReviewDecision, read_history
from models.home import Home
from models.reviews.review_store import find_review
from models.reviews.sign_off import Signer, SignOffResult, check_sign, sign, sign_rollback
from serving.http.api_keys import find_key, list_keys
from serving.store.database import Store
from serving.webhooks.outbox import Occurrence, enqueue

#: Decisions that are older are not sent again at a start.
RESEND_WITHIN = timedelta(days=2)


@dataclass(frozen=True)
class SignOffRequest:
    """What somebody wants to sign; see `models.reviews.sign_off.sign`. What is None is as in the first signature."""

    reject: bool = False
    owner: str | None = None
    effective: date | str | None = None
    why: str | None = None
    first: str | None = None
    replace: bool = False


def signer_from_key(store: Store, secret: str) -> Signer:
    """Who signs with an API key.

    Raises
    ------
    BadRequest
        The key is not good, or has no scope admin.
    """
    with store.read() as connection:
        key = find_key(connection, secret.strip())
    cure = "`renewcast keys create NAME --scope admin` makes one for one person"
    if key is None:
        raise BadRequest("the API key is not good", "a key of this store that was not revoked", cure)
    if not key.may("admin"):
        raise BadRequest(f"the key of {key.name} may not sign", "a key with the scope admin", cure)
    return Signer(key.id, key.name)


def sign_review(
    home: Home,
    store: Store,
    review: str,
    signer: Signer,
    asked: SignOffRequest,
    signals: str | None = None,
    progress: Progress = no_progress,
) -> SignOffResult:
    """Sign a review off, as the first person or the second, and send webhooks about an approval.

    Parameters
    ----------
    signer : who signs; the caller has checked the key.
    signals : where the reviewed signals are; as the review says if None. A password is never kept in a review: such an
        address has to be given.

    Raises
    ------
    SignalsError
        The signals cannot be read.
    The others as `models.reviews.sign_off.sign`.
    """
    given = {"reject": asked.reject, "owner": asked.owner, "effective": asked.effective, "why": asked.why}
    given |= {"first": asked.first, "replace": asked.replace}
    # Before the data are looked at, which can take a while.
    check_sign(home, review, signer, **given)  # type: ignore[arg-type]
    found = None
    if not asked.reject:
        progress(0.1, "looking at the data again")
        found = current_fingerprint(home, review, signals, progress)
    is_good = _active_keys(store).__contains__
    signed = sign(home, review, signer, **given, is_good=is_good, data_fingerprint=found)  # type: ignore[arg-type]
    _notify(store, [] if signed.decision is None else [signed.decision])
    progress(1.0, "signed")
    return signed


def sign_off_rollback(
    home: Home,
    store: Store,
    signer: Signer,
    asked: SignOffRequest,
    rubric: str | None = None,
    review: str | None = None,
) -> SignOffResult:
    """Sign that the newest approved version is taken back, as `models.reviews.sign_off.sign_rollback` does."""
    is_good = _active_keys(store).__contains__
    return sign_rollback(home, signer, rubric=rubric, review=review, why=asked.why, first=asked.first, is_good=is_good)


def _active_keys(store: Store) -> set[str]:
    """The ids of the keys that were not revoked."""
    with store.read() as connection:
        return {key.id for key in list_keys(connection) if key.revoked_at is None}


def current_fingerprint(home: Home, review: str, address: str | None = None, progress: Progress = no_progress) -> str:
    """The fingerprint of a review's signals as they are now, up to its ``data_through``."""
    # Only here: who is told of decisions needs no query engine.
    from features.signals.fingerprint import fingerprint
    from features.signals.signals import open_signals

    told = find_review(home, review).review.sign_off
    opened = open_signals(
        address or told.signals, told.data_through, subprogress(progress, 0.1, 0.7), kept=home.rollups
    )
    try:
        progress(0.75, "fingerprint of the data")
        return fingerprint(opened)
    finally:
        opened.close()


def notify_missed_approvals(home: Home, store: Store) -> None:
    """Tell of the newest approvals, those of which a process that ended too early could not; what is wrong with the
    home or the store is no reason not to start."""
    try:
        since = datetime.now(UTC) - RESEND_WITHIN
        _notify(store, [each for each in read_history(home).decisions if each.at >= since])
    except RenewcastError:
        return


def _notify(store: Store, decisions: list[ReviewDecision]) -> None:
    approved = [each for each in decisions if each.what == "approved"]
    if not approved:
        return
    with store.begin() as connection:
        for each in approved:
            enqueue(
                connection,
                [Occurrence("calibration.approved", each.id, decision_payload(each))],
                each.at,
                known_by=each.at,
            )


def decision_payload(decision: ReviewDecision) -> dict[str, Any]:
    """A decision in a webhook, or in a list."""
    return decision.model_dump(mode="json", exclude={"meaning"})


def pending_payload(pending: PendingDecision) -> dict[str, Any]:
    """Terms that wait for a second signature, in a list."""
    return pending.model_dump(mode="json")


def signature_payload(signed: SignOffResult) -> dict[str, Any]:
    """What a signature has led to."""
    decision, pending = signed.decision, signed.pending
    return {
        "state": "pending" if decision is None else decision.what,
        "decision": None if decision is None else decision_payload(decision),
        "pending": None if pending is None else pending_payload(pending),
    }
