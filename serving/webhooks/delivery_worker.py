"""Worker that sends the deliveries in the outbox, several at a time, in each process of the service.

A worker claims a delivery by moving its due time ahead, so that no two workers send it at the same time. If the worker
ends, the delivery becomes due again. So each event is delivered at least once, always with the same webhook-id. A slow
endpoint delays only its own deliveries.
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

#: Seconds to wait after each failed attempt (as Standard Webhooks proposes), plus or minus the share `JITTER`.
WAITS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
JITTER = 0.1
#: How long a claim is valid; longer than any attempt takes.
CLAIM_DURATION = timedelta(minutes=2)
#: Concurrent deliveries, in total and to one endpoint.
MAX_DELIVERIES, MAX_PER_ENDPOINT = 32, 8
#: How long (seconds) to wait for new deliveries. Those that take longer continue during the next call.
SLOW = 1.0
GONE = 410

Send = Callable[[Delivery, datetime, bool], int]


class DeliveryWorker:
    """Sends the deliveries that are due.

    Parameters
    ----------
    store : contains the outbox.
    anywhere : whether private addresses are allowed.
    clock : returns the current time, UTC.
    chance : returns a random number from 0 to 1.
    sending : sends one delivery.
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
        self._running: dict[Future[None], str] = {}

    def deliver(self, many: int = MAX_DELIVERIES) -> int:
        """Claim up to ``many`` due deliveries and start them. Call this from one thread only.

        Returns
        -------
        int
            How many were started. The method returns when they are done, or after `SLOW` seconds.

        Raises
        ------
        StoreDown : the store cannot be reached.
        """
        self._collect()
        started = {
            self._start(each): each.endpoint_id for each in self._claim(min(many, MAX_DELIVERIES - len(self._running)))
        }
        self._running |= started
        wait(started, timeout=SLOW)
        self._collect()
        return len(started)

    def _start(self, delivery: Delivery) -> Future[None]:
        future: Future[None] = Future()

        def run() -> None:
            try:
                self._deliver(delivery)
                future.set_result(None)
            except BaseException as error:  # noqa: BLE001 it is raised when the result is read
                future.set_exception(error)

        # A daemon thread, since one that waits for a slow receiver must not delay the end of the process.
        threading.Thread(target=run, name="webhook", daemon=True).start()
        return future

    def _collect(self) -> None:
        """Remove finished deliveries, and raise their exceptions."""
        done = [future for future in self._running if future.done()]
        for future in done:
            del self._running[future]
        for future in done:
            future.result()

    def _claim(self, many: int) -> list[Delivery]:
        now, deliveries, claimed = self._clock(), webhook_deliveries, list[Delivery]()
        busy = Counter(self._running.values())
        with self._store.begin() as connection:
            of = webhook_endpoints.c
            endpoints = connection.execute(select(of.id, of.url, of.secret).where(of.disabled_at.is_(None))).all()
            # Endpoints with the fewest running deliveries first, in random order among equals.
            for endpoint in sorted(endpoints, key=lambda each: (busy[each.id], random.random())):
                due = (
                    select(deliveries)
                    .where(deliveries.c.endpoint_id == endpoint.id, deliveries.c.due_at <= now)
                    .order_by(deliveries.c.due_at, deliveries.c.id)
                    .limit(max(0, min(many - len(claimed), MAX_PER_ENDPOINT - busy[endpoint.id])))
                    .with_for_update(skip_locked=True)
                )
                claimed += [
                    Delivery(row.id, endpoint.id, endpoint.url, endpoint.secret, row.event_id, row.body, row.attempts)
                    for row in connection.execute(due)
                ]
            if claimed:
                mine = deliveries.c.id.in_([each.id for each in claimed])
                connection.execute(deliveries.update().where(mine).values(due_at=now + CLAIM_DURATION))
        return claimed

    def _deliver(self, delivery: Delivery) -> None:
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
        self._record(delivery, status, reason)

    def _record(self, delivery: Delivery, status: int | None, reason: str) -> None:
        now, attempts = self._clock(), delivery.attempts + 1
        delivered = status is not None and 200 <= status < 300
        values: dict[str, Any] = {"attempts": attempts, "last_status": status}
        if delivered:
            values |= {"delivered_at": now, "due_at": None}
        elif attempts > len(WAITS):
            values |= {"due_at": None, "given_up": True}
        else:
            wait = WAITS[attempts - 1] * (1 + JITTER * (2 * self._chance() - 1))
            values |= {"due_at": now + timedelta(seconds=wait)}
        has_id, endpoint = webhook_deliveries.c.id == delivery.id, webhook_endpoints.c
        with self._store.begin() as connection:
            query = select(endpoint.disabled_at).where(endpoint.id == delivery.endpoint_id)
            if not delivered and connection.execute(query).scalar() is not None:
                # The response to another delivery disabled the endpoint meanwhile.
                values |= {"due_at": None, "given_up": True}
            connection.execute(webhook_deliveries.update().where(has_id).values(**values))
            if status == GONE:
                disable_endpoint(connection, delivery.endpoint_id, "it answered 410 Gone")
        level = logging.INFO if delivered else logging.WARNING
        log_event("webhook", level, endpoint=delivery.endpoint_id, status=status, reason=reason, attempts=attempts)
