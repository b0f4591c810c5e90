"""Webhook events outside the weekly batch: changes of the champion, and drift that monitoring finds.

The id of an event is derived from its content, so queueing it twice is harmless. A change of the champion is queued
when it happens and, if the store is not available at that time, with the next batch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from models.artifacts.champion_pointer import ChampionChange
from models.predictions.payload import format_instant
from models.targets import Target
from serving.store.database import Store
from serving.webhooks.outbox import Occurrence, enqueue


@dataclass(frozen=True)
class DriftFinding:
    """Drift that monitoring found for one champion.

    Parameters
    ----------
    target, version : of the champion.
    data_through : the end of the signals that were compared, UTC.
    reasons : why it should be trained again, one sentence each, without values of accounts.
    """

    target: Target
    version: str
    data_through: datetime
    reasons: Sequence[str]


def promotion_events(changes: Iterable[ChampionChange]) -> list[Occurrence]:
    """Return changes of the champion as events, without the person and the reason, which stay in the home."""
    events = []
    for change in changes:
        facts = {"target": change.target, "version": change.champion.version, "what": change.what}
        at = change.at.astimezone(UTC).isoformat()
        events.append(
            Occurrence("model.promoted", _id("mod", facts | {"at": at}), facts | {"at": _timestamp(change.at)})
        )
    return events


def enqueue_promotions(store: Store, changes: Iterable[ChampionChange]) -> int:
    """Queue changes of the champion.

    Parameters
    ----------
    store : the store.
    changes : the changes.

    Returns
    -------
    int
        The number of deliveries.

    Raises
    ------
    StoreDown : the store cannot be reached.
    """
    with store.begin() as connection:
        return enqueue(connection, promotion_events(changes), datetime.now(UTC))


def enqueue_drift(store: Store, findings: Iterable[DriftFinding]) -> int:
    """Queue drift findings.

    A finding for the same champion and the same end of the signals is delivered only once.

    Parameters
    ----------
    store : the store.
    findings : the findings.

    Returns
    -------
    int
        The number of deliveries.

    Raises
    ------
    StoreDown : the store cannot be reached.
    """
    events = []
    for drift in findings:
        facts = {"target": drift.target, "version": drift.version, "data_through": _timestamp(drift.data_through)}
        events.append(Occurrence("drift.detected", _id("dri", facts), facts | {"reasons": list(drift.reasons)}))
    with store.begin() as connection:
        return enqueue(connection, events, datetime.now(UTC))


def _id(kind: str, facts: Mapping[str, Any]) -> str:
    return f"{kind}_{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]}"


def _timestamp(at: datetime) -> str:
    return format_instant(at.replace(microsecond=0))
