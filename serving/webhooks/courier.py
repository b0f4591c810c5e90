"""Delivers what is in the outbox: one thread a process, as many processes as there are.

A delivery is claimed by moving its due time ahead before it is sent, so that no two couriers send it at once; if the
one that claimed it ends, it comes due again by itself. At least once, therefore, and with the same webhook-id each
time.
"""

from __future__ import annotations

import http.client
import logging
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from serving.logs import tell
from serving.store.database import Store
from serving.store.tables import webhook_deliveries, webhook_endpoints
from serving.webhooks.endpoints import disable_endpoint
from serving.webhooks.sending import Delivery, Refused, send

#: Seconds until the next attempt, after each (those that Standard Webhooks proposes), give or take a tenth.
WAITS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
JITTER = 0.1
#: Longer than any attempt takes.
CLAIMED = timedelta(minutes=2)
AT_ONCE = 16
GONE = 410

Send = Callable[[Delivery, datetime, bool], int]


class Courier:
    """Makes the deliveries that are due.

    Parameters
    ----------
    store : where they are.
    anywhere : whether private addresses will do.
    clock, chance, sending : when it is (UTC); a number from 0 to 1; what sends.
    """

    def __init__(
        self,
        store: Store,
        anywhere: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
        sending: Send = send,
    ) -> None:
        self._store, self._anywhere = store, anywhere
        self._clock, self._chance, self._sending = clock, chance, sending

    def deliver(self, many: int = AT_ONCE) -> int:
        """Claim up to ``many`` deliveries that are due and make them, at the same time; how many.

        Raises
        ------
        StoreDown : the store cannot be reached.
        """
        claimed = self._claim(many)
        if claimed:
            with ThreadPoolExecutor(len(claimed), thread_name_prefix="webhooks") as pool:
                list(pool.map(self._make, claimed))
        return len(claimed)

    def _claim(self, many: int) -> list[Delivery]:
        now, deliveries, endpoints = self._clock(), webhook_deliveries, webhook_endpoints
        due = (
            select(deliveries, endpoints.c.url, endpoints.c.secret)
            .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
            .where(deliveries.c.due_at <= now)
            .order_by(deliveries.c.due_at, deliveries.c.id)
            .limit(many)
            .with_for_update(skip_locked=True, of=deliveries)
        )
        with self._store.begin() as connection:
            rows = connection.execute(due).all()
            ids = [row.id for row in rows]
            if ids:
                mine = deliveries.c.id.in_(ids)
                connection.execute(deliveries.update().where(mine).values(due_at=now + CLAIMED))
        return [Delivery(r.id, r.endpoint_id, r.url, r.secret, r.event_id, r.body, r.attempts) for r in rows]

    def _make(self, delivery: Delivery) -> None:
        status: int | None = None
        reason = ""
        try:
            status = self._sending(delivery, self._clock(), self._anywhere)
        except Refused as error:
            reason = str(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = type(error).__name__
        self._note(delivery, status, reason)

    def _note(self, delivery: Delivery, status: int | None, reason: str) -> None:
        now, attempts = self._clock(), delivery.attempts + 1
        delivered = status is not None and 200 <= status < 300
        told: dict[str, Any] = {"attempts": attempts, "last_status": status}
        if delivered:
            told |= {"delivered_at": now, "due_at": None}
        elif attempts > len(WAITS):
            told |= {"due_at": None, "given_up": True}
        else:
            wait = WAITS[attempts - 1] * (1 + JITTER * (2 * self._chance() - 1))
            told |= {"due_at": now + timedelta(seconds=wait)}
        there = webhook_deliveries.c.id == delivery.id
        with self._store.begin() as connection:
            connection.execute(webhook_deliveries.update().where(there).values(**told))
            if status == GONE:
                disable_endpoint(connection, delivery.endpoint_id, "it answered 410 Gone")
        level = logging.INFO if delivered else logging.WARNING
        tell("webhook", level, endpoint=delivery.endpoint_id, status=status, reason=reason, attempts=attempts)
