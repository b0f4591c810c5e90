"""What the weekly batch leaves in the store: predictions, alerts and webhooks, in one transaction.

A batch that was published before changes nothing when it is published again, whatever was interrupted between: its
predictions' ids are those of their content.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from features.clock import parse_instant
from models.champion import Change
from models.targets import TARGETS
from serving.store.database import Store, next_number
from serving.store.tables import alerts, batches, predictions
from serving.webhooks.outbox import Occurrence, tell
from serving.webhooks.senders import promotions

#: So many rows go into one statement.
CHUNK = 2_000
DISAGREE = frozenset({"model_worse", "model_better"})


@dataclass(frozen=True)
class PublishedBatch:
    """What a publication did.

    Parameters
    ----------
    predictions, alerts : how many are new.
    webhooks : deliveries put into the outbox.
    """

    predictions: int
    alerts: int
    webhooks: int

    def words(self) -> str:
        """As a person reads it."""
        if not self.predictions:
            return "published before: nothing has changed"
        return f"published {self.predictions:,} predictions and {self.alerts:,} alerts; {self.webhooks:,} webhooks wait"


@dataclass(frozen=True)
class _Before:
    churn: str | None
    health: str | None
    agreement: str | None


def publish_batch(store: Store, answers: Sequence[Mapping[str, Any]], changes: Sequence[Change] = ()) -> PublishedBatch:
    """Keep a portfolio's answers, those of `models.answer.answer`, all of one as_of.

    Told by webhook is what differs from an account's answer at its date before: another churn or health band, a
    disagreement of model and health score that has opened, an alert that was raised; further that the batch is there,
    and of the ``changes`` of champion those since the batch before, unless they were told of when they happened.

    Raises
    ------
    StoreDown : the store cannot be reached; nothing was kept then.
    """
    packed = [zlib.compress(json.dumps(each, ensure_ascii=False, allow_nan=False).encode()) for each in answers]
    as_of, now = parse_instant(str(answers[0]["as_of"])), datetime.now(UTC)
    ids = [str(each["prediction_id"]) for each in answers]
    models: dict[str, str | None] = {target: _version(answers[0], target) for target in TARGETS}
    mark = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:32]
    with store.begin() as connection:
        if connection.execute(select(batches.c.id).where(batches.c.id == f"bat_{mark}")).first():
            return PublishedBatch(0, 0, 0)
        known = set(connection.execute(select(predictions.c.id).where(predictions.c.as_of == as_of)).scalars())
        new = [i for i, name in enumerate(ids) if name not in known]
        before = _before(connection, as_of)
        rows = [_row(answers[i], packed[i], as_of, now) for i in new]
        _insert(connection, predictions, "predictions", rows)
        raised = _raised(connection, [answers[i] for i in new], as_of)
        _insert(connection, alerts, "alerts", raised)
        last = connection.execute(select(func.max(batches.c.published_at))).scalar_one()
        told = [
            *_changes([answers[i] for i in new], before),
            *(_of_alert(row) for row in raised),
            *promotions(change for change in changes if last is not None and change.at > last),
            Occurrence("batch.completed", f"bat_{mark}", {"as_of": answers[0]["as_of"], "accounts": len(ids)}),
        ]
        connection.execute(
            batches.insert().values(
                id=f"bat_{mark}", as_of=as_of, published_at=now, accounts=len(ids), models=json.dumps(models)
            )
        )
        return PublishedBatch(len(new), len(raised), tell(connection, told, now))


def _version(answer: Mapping[str, Any], target: str) -> str | None:
    model = answer["model"] if target == "churn" else answer[target]["model"]
    return None if model is None else str(model["version"])


def _row(answer: Mapping[str, Any], packed: bytes, as_of: datetime, now: datetime) -> dict[str, Any]:
    return {
        "id": answer["prediction_id"],
        "account_id": answer["account_id"],
        "as_of": as_of,
        "churn_band": answer["churn"]["band"],
        "health_band": answer["health"]["band"],
        "agreement": answer["health"]["agreement"],
        "updated_at": now,
        "document": packed,
    }


def _insert(connection: Connection, table: Any, name: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    first = next_number(connection, name, len(rows))
    for start in range(0, len(rows), CHUNK):
        chunk = [row | {"sequence": first + start + i} for i, row in enumerate(rows[start : start + CHUNK])]
        connection.execute(table.insert(), chunk)


def _before(connection: Connection, as_of: datetime) -> dict[str, _Before]:
    """Of each account, what was said of it at its last date before."""
    newest = (
        select(func.max(predictions.c.sequence).label("sequence"))
        .where(predictions.c.as_of < as_of)
        .group_by(predictions.c.account_id)
        .subquery()
    )
    told = select(
        predictions.c.account_id, predictions.c.churn_band, predictions.c.health_band, predictions.c.agreement
    ).join(newest, newest.c.sequence == predictions.c.sequence)
    return {row.account_id: _Before(row[1], row[2], row[3]) for row in connection.execute(told)}


def _raised(connection: Connection, answers: Sequence[Mapping[str, Any]], as_of: datetime) -> list[dict[str, Any]]:
    """Alerts that came about now and were not told of."""
    codes = {(row.account_id, row.key) for row in connection.execute(select(alerts.c.account_id, alerts.c.key))}
    return [
        {
            "account_id": answer["account_id"],
            "key": alert["key"],
            "code": alert["code"],
            "as_of": as_of,
            "document": json.dumps(alert, ensure_ascii=False, allow_nan=False),
        }
        for answer in answers
        for alert in answer["alerts"]
        if alert["raised"] and (answer["account_id"], alert["key"]) not in codes
    ]


def _changes(answers: Sequence[Mapping[str, Any]], before: Mapping[str, _Before]) -> list[Occurrence]:
    told = []
    for answer in answers:
        was = before.get(answer["account_id"])
        if was is None:
            continue
        head = {name: answer[name] for name in ("prediction_id", "account_id", "as_of")}
        for of, band in (("churn", was.churn), ("health", was.health)):
            if answer[of]["band"] != band:
                data = head | {"of": of, "before": band, "after": answer[of]["band"]}
                told.append(Occurrence("prediction.band_changed", f"{answer['prediction_id']}-{of}", data))
        agreement = answer["health"]["agreement"]
        if agreement in DISAGREE and was.agreement not in DISAGREE:
            data = head | {"agreement": agreement, "explained_by": answer["health"]["explained_by"]}
            told.append(Occurrence("health.disagreement_opened", f"{answer['prediction_id']}-gap", data))
    return told


def _of_alert(row: Mapping[str, Any]) -> Occurrence:
    # An account's id may be long; the header of a webhook may not.
    mark = hashlib.sha256(json.dumps([row["account_id"], row["key"]]).encode()).hexdigest()[:32]
    data = {"account_id": row["account_id"], "alert": json.loads(row["document"])}
    return Occurrence("health.alert", f"alr_{mark}", data)
