"""Delivers what is in the outbox: a few at once, some threads a process, as many processes as there are.

A delivery is claimed by moving its due time ahead before it is sent, so that no two couriers send it at once; if the
one that claimed it ends, it comes due again by itself. At least once, therefore, and with the same webhook-id each
time. An endpoint that is slow keeps those of its own deliveries waiting, and nobody else's.
"""

from __future__ import annotations

import http.client
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from serving.common.json_logs import log_event
from serving.store.database import Store
from serving.store.encryption import SecretKeyError
from serving.store.tables import webhook_deliveries, webhook_endpoints
from serving.webhooks.delivery import Delivery, RefusedAddress, send
from serving.webhooks.endpoints import disable_endpoint

#: Seconds until the next attempt, after each (those that Standard Webhooks proposes), give or take a tenth.
WAITS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
JITTER = 0.1
#: Longer than any attempt takes.
CLAIM_DURATION = timedelta(minutes=2)
#: Deliveries under way at once, in all and to one endpoint.
MAX_DELIVERIES, MAX_PER_ENDPOINT = 32, 8
#: Seconds that those just begun are waited for; what takes longer goes on beside the next ones.
SLOW = 1.0
GONE = 410

Send = Callable[[Delivery, datetime, bool], int]


class DeliveryWorker:
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
        self._under_way: dict[Future[None], str] = {}

    def deliver(self, many: int = MAX_DELIVERIES) -> int:
        """Claim up to ``many`` deliveries that are due and begin them, at the same time; how many. Returns when they
        are made, or some seconds later.

        To be called from one thread.

        Raises
        ------
        StoreDown : the store cannot be reached.
        """
        self._settle()
        begun = {
            self._begin(each): each.endpoint_id
            for each in self._claim(min(many, MAX_DELIVERIES - len(self._under_way)))
        }
        self._under_way |= begun
        wait(begun, timeout=SLOW)
        self._settle()
        return len(begun)

    def _begin(self, delivery: Delivery) -> Future[None]:
        made: Future[None] = Future()

        def make() -> None:
            try:
                self._make(delivery)
                made.set_result(None)
            except BaseException as error:  # noqa: BLE001 it is raised where the result is looked at
                made.set_exception(error)

        # A thread that ends with the process: one that waits for a slow receiver must not keep it from stopping.
        threading.Thread(target=make, name="webhook", daemon=True).start()
        return made

    def _settle(self) -> None:
        """Forget what is made, and raise what it has raised."""
        done = [made for made in self._under_way if made.done()]
        for made in done:
            del self._under_way[made]
        for made in done:
            made.result()

    def _claim(self, many: int) -> list[Delivery]:
        now, deliveries, found = self._clock(), webhook_deliveries, list[Delivery]()
        busy = Counter(self._under_way.values())
        with self._store.begin() as connection:
            of = webhook_endpoints.c
            endpoints = connection.execute(select(of.id, of.url, of.secret).where(of.disabled_at.is_(None))).all()
            # Those with the fewest under way first, and by chance among equals.
            for endpoint in sorted(endpoints, key=lambda each: (busy[each.id], random.random())):
                due = (
                    select(deliveries)
                    .where(deliveries.c.endpoint_id == endpoint.id, deliveries.c.due_at <= now)
                    .order_by(deliveries.c.due_at, deliveries.c.id)
                    .limit(max(0, min(many - len(found), MAX_PER_ENDPOINT - busy[endpoint.id])))
                    .with_for_update(skip_locked=True)
                )
                found += [
                    Delivery(row.id, endpoint.id, endpoint.url, endpoint.secret, row.event_id, row.body, row.attempts)
                    for row in connection.execute(due)
                ]
            if found:
                mine = deliveries.c.id.in_([each.id for each in found])
                connection.execute(deliveries.update().where(mine).values(due_at=now + CLAIM_DURATION))
        return found

    def _make(self, delivery: Delivery) -> None:
        status: int | None = None
        reason = ""
        try:
            secret = self._store.cipher.decrypt(delivery.secret, delivery.endpoint_id)
            status = self._sending(replace(delivery, secret=secret), self._clock(), self._anywhere)
        except RefusedAddress as error:
            reason = str(error)
        except SecretKeyError as error:
            reason = error.found
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
        there, endpoint = webhook_deliveries.c.id == delivery.id, webhook_endpoints.c
        with self._store.begin() as connection:
            asked = select(endpoint.disabled_at).where(endpoint.id == delivery.endpoint_id)
            if not delivered and connection.execute(asked).scalar() is not None:
                # Disabled meanwhile, by the answer to another one.
                told |= {"due_at": None, "given_up": True}
            connection.execute(webhook_deliveries.update().where(there).values(**told))
            if status == GONE:
                disable_endpoint(connection, delivery.endpoint_id, "it answered 410 Gone")
        level = logging.INFO if delivered else logging.WARNING
        log_event("webhook", level, endpoint=delivery.endpoint_id, status=status, reason=reason, attempts=attempts)
