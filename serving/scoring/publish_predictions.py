"""Publishing of the weekly batch to the store: predictions, alerts and webhooks, in one transaction.

Publishing the current batch of a date again changes nothing, even after an interruption, because the id of a prediction
depends on its content. A batch that another one has replaced (for example, after a champion was rolled back) becomes
current again, and readers of the stream of predictions get it once more.

While a play runs on an account, its new alerts are suppressed: stored, but neither listed nor sent. Those that are
still active at the first batch after the play has ended are published then.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from features.utils.dates import parse_instant
from models.artifacts.champion_pointer import ChampionChange
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
    predictions, alerts : the numbers of new ones.
    webhooks : deliveries added to the outbox.
    suppressed : new alerts that are not published, because a play is running on the account.
    """

    predictions: int
    alerts: int
    webhooks: int
    suppressed: int = 0

    def words(self) -> str:
        """Return a summary as text."""
        if not self.predictions:
            return "already published; nothing has changed"
        published = f"published {self.predictions:,} predictions and {self.alerts:,} alerts"
        if self.suppressed:
            published += f" ({self.suppressed:,} more are suppressed while plays run)"
        return f"{published}; {self.webhooks:,} webhook deliveries are pending"


@dataclass(frozen=True)
class _PreviousState:
    """The bands and the agreement of an account in its last published prediction."""

    churn: str | None
    health: str | None
    agreement: str | None


@dataclass(frozen=True)
class _Published:
    """What has been published up to a date.

    Parameters
    ----------
    previous : the last published state of each account.
    current : for the date itself, the id of the current prediction of each account.
    ids : the ids of all predictions of the date.
    has_later : True if a later date has been published.
    """

    previous: Mapping[str, _PreviousState]
    current: Mapping[str, str]
    ids: Set[str]
    has_later: bool


def publish_batch(
    store: Store,
    answers: Sequence[Mapping[str, Any]],
    changes: Sequence[ChampionChange] = (),
    running: Collection[str] = (),
) -> PublishedBatch:
    """Store the answers of a portfolio (`models.predictions.payload.account_answer`), all with the same as_of.

    Webhooks report the differences from the last published state of each account, of this date or else of its previous
    date: a different churn or health band, a new disagreement of model and health score, and a raised alert. They also
    report that the batch is complete, and the ``changes`` of the champion since the previous batch that have not been
    reported yet. If a later date has been published already, webhooks report only the batch and the changes of the
    champion, because the later state of the accounts is more recent.

    Parameters
    ----------
    answers : at least one answer.
    changes : the changes of the champion, oldest first.
    running : the accounts on which a play is running, whose new alerts are suppressed.

    Returns
    -------
    The numbers of new predictions, alerts and webhooks.

    Raises
    ------
    StoreDown : the store cannot be reached; nothing was stored.
    """
    packed = [zlib.compress(json.dumps(each, ensure_ascii=False, allow_nan=False).encode()) for each in answers]
    as_of, now = parse_instant(str(answers[0]["as_of"])), datetime.now(UTC)
    ids = [str(each["prediction_id"]) for each in answers]
    models: dict[str, str | None] = {target: _version(answers[0], target) for target in TARGETS}
    digest = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:32]
    with store.begin() as connection:
        lock_publishing(connection)
        if _current_batch(connection, as_of) == f"bat_{digest}":
            return PublishedBatch(0, 0, 0)
        published = _published(connection, as_of)
        new = [i for i, name in enumerate(ids) if published.current.get(answers[i]["account_id"]) != name]
        _put(connection, [_row(answers[i], packed[i], as_of, now) for i in new], published.ids)
        rows = _new_alerts(connection, [answers[i] for i in new], as_of, running)
        released = [] if published.has_later else _release(connection, answers, running)
        _insert(connection, alerts, "alerts", rows)
        raised = [*released, *(row for row in rows if not row["suppressed"])]
        suppressed = len(rows) + len(released) - len(raised)
        last = connection.execute(select(func.max(batches.c.published_at))).scalar_one()
        suffix = _set_current(connection, f"bat_{digest}", as_of, now, len(ids), json.dumps(models))
        occurrences = [
            *promotion_events(change for change in changes if last is not None and change.at > last),
            Occurrence(
                "batch.completed", f"bat_{digest}{suffix}", {"as_of": answers[0]["as_of"], "accounts": len(ids)}
            ),
        ]
        if not published.has_later:
            occurrences += _changes([answers[i] for i in new], published, now)
            occurrences += [_of_alert(row) for row in raised]
        return PublishedBatch(len(new), len(raised), enqueue(connection, occurrences, now), suppressed)


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


def _put(connection: Connection, rows: list[dict[str, Any]], stored: Set[str]) -> None:
    """Append predictions to the stream. Those with an id in ``stored`` are moved to its end."""
    _insert(connection, predictions, "predictions", [row for row in rows if row["id"] not in stored])
    if moved := [row for row in rows if row["id"] in stored]:
        first = next_sequence(connection, "predictions", len(moved))
        statement = predictions.update().where(predictions.c.id == bindparam("of"))
        statement = statement.values(sequence=bindparam("number"), updated_at=bindparam("at"))
        connection.execute(
            statement, [{"of": row["id"], "number": first + i, "at": row["updated_at"]} for i, row in enumerate(moved)]
        )


def _current_batch(connection: Connection, as_of: datetime) -> str | None:
    """Return the id of the batch of a date that was published last."""
    of = select(batches.c.id).where(batches.c.as_of == as_of).order_by(batches.c.published_at.desc()).limit(1)
    batch: str | None = connection.execute(of).scalar()
    return batch


def _set_current(connection: Connection, batch: str, as_of: datetime, now: datetime, accounts: int, models: str) -> str:
    """Make a batch the current one of its date.

    Returns a suffix for the ids of its events, which is empty unless the batch was published before.
    """
    is_batch = batches.c.id == batch
    if connection.execute(batches.update().where(is_batch).values(published_at=now)).rowcount:
        return _repeat_suffix(now)
    row = {"id": batch, "as_of": as_of, "published_at": now, "accounts": accounts, "models": models}
    connection.execute(batches.insert().values(**row))
    return ""


def _repeat_suffix(now: datetime) -> str:
    return f"-{int(now.timestamp() * 1e6)}"


def _published(connection: Connection, as_of: datetime) -> _Published:
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
    # If an account has several predictions of one date, the last in the stream counts.
    rows = connection.execute(last.order_by(of.sequence)).all()
    same_date = [row for row in rows if row.as_of == as_of]
    later = connection.execute(select(batches.c.id).where(batches.c.as_of > as_of).limit(1)).first() is not None
    return _Published(
        {row.account_id: _PreviousState(row.churn_band, row.health_band, row.agreement) for row in rows},
        {row.account_id: row.id for row in same_date},
        {row.id for row in same_date},
        later,
    )


def _new_alerts(
    connection: Connection, answers: Sequence[Mapping[str, Any]], as_of: datetime, running: Collection[str]
) -> list[dict[str, Any]]:
    """Return the new alerts that have not been stored."""
    codes = {(row.account_id, row.key) for row in connection.execute(select(alerts.c.account_id, alerts.c.key))}
    return [
        {
            "account_id": answer["account_id"],
            "key": alert["key"],
            "code": alert["code"],
            "as_of": as_of,
            "document": json.dumps({"name": answer["name"], **alert}, ensure_ascii=False, allow_nan=False),
            "suppressed": answer["account_id"] in running,
        }
        for answer in answers
        for alert in answer["alerts"]
        if alert["raised"] and (answer["account_id"], alert["key"]) not in codes
    ]


def _release(
    connection: Connection, answers: Sequence[Mapping[str, Any]], running: Collection[str]
) -> list[dict[str, Any]]:
    """Move suppressed alerts that are still active to the end of the stream if no play runs on the account any more.

    Returns
    -------
    list of dict
        Their rows.
    """
    of = alerts.c
    active = {
        (answer["account_id"], alert["key"])
        for answer in answers
        if answer["account_id"] not in running
        for alert in answer["alerts"]
    }
    suppressed = connection.execute(select(alerts).where(of.suppressed).order_by(of.sequence)).mappings().all()
    rows = [dict(row) for row in suppressed if (row["account_id"], row["key"]) in active]
    if rows:
        first = next_sequence(connection, "alerts", len(rows))
        is_alert = (of.account_id == bindparam("of_account")) & (of.key == bindparam("of_key"))
        statement = alerts.update().where(is_alert).values(sequence=bindparam("number"), suppressed=False)
        connection.execute(
            statement,
            [{"of_account": r["account_id"], "of_key": r["key"], "number": first + i} for i, r in enumerate(rows)],
        )
    return rows


def _changes(answers: Sequence[Mapping[str, Any]], published: _Published, now: datetime) -> list[Occurrence]:
    occurrences = []
    for answer in answers:
        previous = published.previous.get(answer["account_id"])
        if previous is None:
            continue
        name = answer["prediction_id"] + (_repeat_suffix(now) if answer["prediction_id"] in published.ids else "")
        head = {name: answer[name] for name in ("prediction_id", "account_id", "as_of")}
        for of, band in (("churn", previous.churn), ("health", previous.health)):
            if answer[of]["band"] != band:
                data = head | {"of": of, "before": band, "after": answer[of]["band"]}
                occurrences.append(Occurrence("prediction.band_changed", f"{name}-{of}", data))
        agreement = answer["health"]["agreement"]
        if agreement in DISAGREE and previous.agreement not in DISAGREE:
            data = head | {"agreement": agreement, "explained_by": answer["health"]["explained_by"]}
            occurrences.append(Occurrence("health.disagreement_opened", f"{name}-gap", data))
    return occurrences


def _of_alert(row: Mapping[str, Any]) -> Occurrence:
    # The id of an account can be long, so that it is hashed for the header of the webhook.
    digest = hashlib.sha256(json.dumps([row["account_id"], row["key"]]).encode()).hexdigest()[:32]
    alert = json.loads(row["document"])
    data = {"account_id": row["account_id"], "name": alert.pop("name"), "alert": alert}
    return Occurrence("health.alert", f"alr_{digest}", data)
