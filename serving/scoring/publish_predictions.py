"""Publishing of the weekly batch to the store: predictions, alerts and webhooks, in one transaction.

Publishing the current batch of a date again changes nothing, even after an interruption, because the id of a prediction
depends on its content. A batch that another one has replaced (for example, after a champion was rolled back) becomes
current again, and readers of the stream of predictions get it once more.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from features.utils.dates import parse_instant
from models.artifacts.champion import ChampionChange
from models.targets import TARGETS
from serving.store.database import Store, lock_publishing, next_sequence
from serving.store.tables import alerts, batches, predictions
from serving.webhooks.events import promotion_events
from serving.webhooks.outbox import Occurrence, enqueue

#: The maximum number of rows per statement.
CHUNK = 2_000
DISAGREE = frozenset({"model_worse", "model_better"})


@dataclass(frozen=True)
class PublishedBatch:
    """The result of a publication.

    Parameters
    ----------
    predictions, alerts : how many are new.
    webhooks : deliveries added to the outbox.
    """

    predictions: int
    alerts: int
    webhooks: int

    def words(self) -> str:
        """A summary for people."""
        if not self.predictions:
            return "published before: nothing has changed"
        return f"published {self.predictions:,} predictions and {self.alerts:,} alerts; {self.webhooks:,} webhooks wait"


@dataclass(frozen=True)
class _Before:
    churn: str | None
    health: str | None
    agreement: str | None


@dataclass(frozen=True)
class _Said:
    """What was said up to a date: ``before``, of each account last; of the date itself ``standing``, the prediction
    that stands for each account, and ``known``, the ids of all; ``later``, whether a date after it was published."""

    before: Mapping[str, _Before]
    standing: Mapping[str, str]
    known: Set[str]
    later: bool


def publish_batch(
    store: Store, answers: Sequence[Mapping[str, Any]], changes: Sequence[ChampionChange] = ()
) -> PublishedBatch:
    """Store the answers of a portfolio, those of `models.predictions.payload.account_answer`, all of one as_of.

    Told by webhook is what differs from what was said of an account last, of this date or else of its date before:
    another churn or health band, a disagreement of model and health score that has opened, an alert that was raised;
    further that the batch is there, and of the ``changes`` of champion those since the batch before, unless they were
    told of when they happened. Of a date before one that was published already, only that it is there: what has been
    said since is nearer to the truth.

    Raises
    ------
    StoreDown : the store cannot be reached; nothing was stored.
    """
    packed = [zlib.compress(json.dumps(each, ensure_ascii=False, allow_nan=False).encode()) for each in answers]
    as_of, now = parse_instant(str(answers[0]["as_of"])), datetime.now(UTC)
    ids = [str(each["prediction_id"]) for each in answers]
    models: dict[str, str | None] = {target: _version(answers[0], target) for target in TARGETS}
    mark = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:32]
    with store.begin() as connection:
        lock_publishing(connection)
        if _standing(connection, as_of) == f"bat_{mark}":
            return PublishedBatch(0, 0, 0)
        said = _said(connection, as_of)
        new = [i for i, name in enumerate(ids) if said.standing.get(answers[i]["account_id"]) != name]
        _put(connection, [_row(answers[i], packed[i], as_of, now) for i in new], said.known)
        raised = _raised(connection, [answers[i] for i in new], as_of)
        _insert(connection, alerts, "alerts", raised)
        last = connection.execute(select(func.max(batches.c.published_at))).scalar_one()
        again = _stand(connection, f"bat_{mark}", as_of, now, len(ids), json.dumps(models))
        told = [
            *promotion_events(change for change in changes if last is not None and change.at > last),
            Occurrence("batch.completed", f"bat_{mark}{again}", {"as_of": answers[0]["as_of"], "accounts": len(ids)}),
        ]
        if not said.later:
            told += _changes([answers[i] for i in new], said, now)
            told += [_of_alert(row) for row in raised]
        return PublishedBatch(len(new), len(raised), enqueue(connection, told, now))


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
    first = next_sequence(connection, name, len(rows))
    for start in range(0, len(rows), CHUNK):
        chunk = [row | {"sequence": first + start + i} for i, row in enumerate(rows[start : start + CHUNK])]
        connection.execute(table.insert(), chunk)


def _put(connection: Connection, rows: list[dict[str, Any]], known: Set[str]) -> None:
    """Put predictions at the end of the stream: those that are ``known`` anew."""
    _insert(connection, predictions, "predictions", [row for row in rows if row["id"] not in known])
    if anew := [row for row in rows if row["id"] in known]:
        first = next_sequence(connection, "predictions", len(anew))
        there = predictions.update().where(predictions.c.id == bindparam("of"))
        told = there.values(sequence=bindparam("number"), updated_at=bindparam("at"))
        connection.execute(
            told, [{"of": row["id"], "number": first + i, "at": row["updated_at"]} for i, row in enumerate(anew)]
        )


def _standing(connection: Connection, as_of: datetime) -> str | None:
    """Return the batch of a date that was published last."""
    of = select(batches.c.id).where(batches.c.as_of == as_of).order_by(batches.c.published_at.desc()).limit(1)
    found: str | None = connection.execute(of).scalar()
    return found


def _stand(connection: Connection, batch: str, as_of: datetime, now: datetime, accounts: int, models: str) -> str:
    """Let a batch stand for its date; what marks its events as new ones where it stood before."""
    there = batches.c.id == batch
    if connection.execute(batches.update().where(there).values(published_at=now)).rowcount:
        return _anew(now)
    row = {"id": batch, "as_of": as_of, "published_at": now, "accounts": accounts, "models": models}
    connection.execute(batches.insert().values(**row))
    return ""


def _anew(now: datetime) -> str:
    return f"-{int(now.timestamp() * 1e6)}"


def _said(connection: Connection, as_of: datetime) -> _Said:
    of = predictions.c
    newest = (
        select(of.account_id, func.max(of.as_of).label("as_of"))
        .where(of.as_of <= as_of)
        .group_by(of.account_id)
        .subquery()
    )
    last = select(of.id, of.account_id, of.as_of, of.churn_band, of.health_band, of.agreement).join(
        newest, (newest.c.account_id == of.account_id) & (newest.c.as_of == of.as_of)
    )
    # Of several that were said of one date the one that was said last counts.
    rows = connection.execute(last.order_by(of.sequence)).all()
    here = [row for row in rows if row.as_of == as_of]
    later = connection.execute(select(batches.c.id).where(batches.c.as_of > as_of).limit(1)).first() is not None
    return _Said(
        {row.account_id: _Before(row.churn_band, row.health_band, row.agreement) for row in rows},
        {row.account_id: row.id for row in here},
        {row.id for row in here},
        later,
    )


def _raised(connection: Connection, answers: Sequence[Mapping[str, Any]], as_of: datetime) -> list[dict[str, Any]]:
    """Return the new alerts that have not been published."""
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


def _changes(answers: Sequence[Mapping[str, Any]], said: _Said, now: datetime) -> list[Occurrence]:
    told = []
    for answer in answers:
        was = said.before.get(answer["account_id"])
        if was is None:
            continue
        name = answer["prediction_id"] + (_anew(now) if answer["prediction_id"] in said.known else "")
        head = {name: answer[name] for name in ("prediction_id", "account_id", "as_of")}
        for of, band in (("churn", was.churn), ("health", was.health)):
            if answer[of]["band"] != band:
                data = head | {"of": of, "before": band, "after": answer[of]["band"]}
                told.append(Occurrence("prediction.band_changed", f"{name}-{of}", data))
        agreement = answer["health"]["agreement"]
        if agreement in DISAGREE and was.agreement not in DISAGREE:
            data = head | {"agreement": agreement, "explained_by": answer["health"]["explained_by"]}
            told.append(Occurrence("health.disagreement_opened", f"{name}-gap", data))
    return told


def _of_alert(row: Mapping[str, Any]) -> Occurrence:
    # An account's id may be long; the header of a webhook may not.
    mark = hashlib.sha256(json.dumps([row["account_id"], row["key"]]).encode()).hexdigest()[:32]
    data = {"account_id": row["account_id"], "alert": json.loads(row["document"])}
    return Occurrence("health.alert", f"alr_{mark}", data)
