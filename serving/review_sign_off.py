"""Sign-off of reviews by the service and the command line: check the data, store the decision, send webhooks.

The history file is authoritative and is written first. The webhook follows in a transaction of the store, under the
decision's id. If the process ends between the two, the next start of the service sends the webhook. Queueing it twice
has no effect.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from features.errors import BadRequest, RenewcastError
from features.utils.progress import Progress, no_progress, subprogress
from models.health.rubric_versions import ReviewDecision, read_history
from models.home import Home
from models.reviews.review_store import find_review
from models.reviews.sign_off import Signer, SignOffRequest, SignOffResult, check_sign, sign, sign_rollback
from serving.http.api_keys import find_key, list_keys
from serving.store.database import Store
from serving.webhooks.outbox import Occurrence, enqueue

#: Older decisions are not sent again when the service starts.
RESEND_WITHIN = timedelta(days=2)


def signer_from_key(store: Store, secret: str) -> Signer:
    """Return the signer that an API key belongs to.

    Parameters
    ----------
    store : the store with the keys.
    secret : the API key.

    Returns
    -------
    Signer

    Raises
    ------
    BadRequest
        The key is not valid, or lacks the scope admin.
    """
    with store.read() as connection:
        key = find_key(connection, secret.strip())
    cure = "`renewcast keys create NAME --scope admin` creates a key for one person"
    if key is None:
        raise BadRequest("the API key is not valid", "a key that was created in this store and not revoked", cure)
    if not key.may("admin"):
        raise BadRequest(f"the key of {key.name} is not allowed to sign", "a key with the scope admin", cure)
    return Signer(key.id, key.name)


def sign_review(
    home: Home,
    store: Store,
    review: str,
    signer: Signer,
    request: SignOffRequest,
    signals: str | None = None,
    progress: Progress = no_progress,
) -> SignOffResult:
    """Sign a review as the first or the second person, and send webhooks about an approval.

    Parameters
    ----------
    signer : the person who signs; the caller has checked the key.
    signals : address of the reviewed signals; None for the address in the review. A review never contains a password,
        so an address with a password must be passed.

    Raises
    ------
    SignalsError
        The signals cannot be read.
    Others
        See `models.reviews.sign_off.sign`.
    """
    # Reading the data can take a while, so check everything else first.
    check_sign(home, review, signer, request)
    fingerprint = None
    if not request.reject:
        progress(0.1, "checking the data")
        fingerprint = current_fingerprint(home, review, signals, progress)
    is_good = _active_keys(store).__contains__
    signed = sign(home, review, signer, request, is_good=is_good, data_fingerprint=fingerprint)
    _notify(store, [] if signed.decision is None else [signed.decision])
    progress(1.0, "signed")
    return signed


def sign_off_rollback(
    home: Home,
    store: Store,
    signer: Signer,
    request: SignOffRequest,
    rubric: str | None = None,
    review: str | None = None,
) -> SignOffResult:
    """Sign the rollback of the newest approved version.

    Parameters
    ----------
    home, store : the home and its store.
    signer : the person who signs; the caller has checked the key.
    request : the reason, and the first signature as shown.
    rubric, review : as in `models.reviews.sign_off.sign_rollback`.

    Returns
    -------
    SignOffResult
    """
    is_good, why, first = _active_keys(store).__contains__, request.why, request.first
    return sign_rollback(home, signer, rubric=rubric, review=review, why=why, first=first, is_good=is_good)


def _active_keys(store: Store) -> set[str]:
    """Return the ids of the keys that were not revoked."""
    with store.read() as connection:
        return {key.id for key in list_keys(connection) if key.revoked_at is None}


def current_fingerprint(home: Home, review: str, address: str | None = None, progress: Progress = no_progress) -> str:
    """Return the fingerprint of a review's signals as they are now, up to its ``data_through``.

    Parameters
    ----------
    home : the home.
    review : the id or the folder of the review.
    address : the address of the signals; by default that in the review.
    progress : called with the share done.

    Returns
    -------
    str
    """
    # Imported here, since sending webhooks needs no query engine.
    from features.signals.fingerprint import fingerprint
    from features.signals.signals import open_signals

    reviewed = find_review(home, review).review.sign_off
    opened = open_signals(
        address or reviewed.signals, reviewed.data_through, subprogress(progress, 0.1, 0.7), rollup_folder=home.rollups
    )
    try:
        progress(0.75, "fingerprint of the data")
        return fingerprint(opened)
    finally:
        opened.close()


def notify_missed_approvals(home: Home, store: Store) -> None:
    """Queue webhooks for recent approvals whose process ended before it could.

    Errors of the home or the store are ignored, so that the service starts all the same.

    Parameters
    ----------
    home : the home, with the history of decisions.
    store : the store, with the webhooks.
    """
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
                [Occurrence("calibration.approved", each.id, each.as_dict())],
                each.at,
                known_by=each.at,
            )


def signature_payload(signed: SignOffResult) -> dict[str, Any]:
    """Return the result of a signature as plain data."""
    decision, pending = signed.decision, signed.pending
    return {
        "state": "pending" if decision is None else decision.what,
        "decision": None if decision is None else decision.as_dict(),
        "pending": None if pending is None else pending.as_dict(),
    }
