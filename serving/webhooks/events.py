"""What happens outside the weekly batch and is told by webhook: a change of champion, and drift that monitoring finds.

Each is named after what it is, so that telling it twice is harmless: a change of champion is told when it happens and,
should the store have been away then, with the next batch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from models.artifacts.champion import ChampionChange
from models.predictions.payload import instant_words
from models.targets import Target
from serving.store.database import Store
from serving.webhooks.outbox import Occurrence, enqueue


@dataclass(frozen=True)
class DriftFinding:
    """What monitoring found of one champion.

    Parameters
    ----------
    target, version : of the champion.
    data_through : the end of the signals that it was held against, UTC.
    reasons : why it should be trained again, a sentence each; no values of accounts.
    """

    target: Target
    version: str
    data_through: datetime
    reasons: Sequence[str]


def promotion_events(changes: Iterable[ChampionChange]) -> list[Occurrence]:
    """Changes of champion as events. Who made them and why stays in the home."""
    told = []
    for change in changes:
        facts = {"target": change.target, "version": change.champion.version, "what": change.what}
        at = change.at.astimezone(UTC).isoformat()
        told.append(Occurrence("model.promoted", _id("mod", facts | {"at": at}), facts | {"at": _words(change.at)}))
    return told


def enqueue_promotions(store: Store, changes: Iterable[ChampionChange]) -> int:
    """Put changes of champion into the outbox; how many deliveries.

    Raises
    ------
    StoreDown : the store cannot be reached.
    """
    with store.begin() as connection:
        return enqueue(connection, promotion_events(changes), datetime.now(UTC))


def enqueue_drift(store: Store, found: Iterable[DriftFinding]) -> int:
    """Put what monitoring found into the outbox; how many deliveries. The same champion held against the same signals
    is told of once.

    Raises
    ------
    StoreDown : the store cannot be reached.
    """
    told = []
    for drift in found:
        facts = {"target": drift.target, "version": drift.version, "data_through": _words(drift.data_through)}
        told.append(Occurrence("drift.detected", _id("dri", facts), facts | {"reasons": list(drift.reasons)}))
    with store.begin() as connection:
        return enqueue(connection, told, datetime.now(UTC))


def _id(kind: str, facts: Mapping[str, Any]) -> str:
    return f"{kind}_{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]}"


def _words(at: datetime) -> str:
    return instant_words(at.replace(microsecond=0))
