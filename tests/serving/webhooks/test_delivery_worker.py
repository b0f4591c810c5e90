"""Deliveries: signed as in Standard Webhooks, retried, and sent to public addresses only."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from standardwebhooks import Webhook, WebhookVerificationError

from features.errors import BadRequest
from serving.common.background_thread import BackgroundThread
from serving.common.ip_addresses import is_public
from serving.store.database import Store
from serving.store.tables import webhook_deliveries, webhook_endpoints
from serving.webhooks.delivery import Delivery, RefusedAddress, send
from serving.webhooks.delivery_worker import CLAIM_DURATION, JITTER, MAX_PER_ENDPOINT, WAITS, DeliveryWorker
from serving.webhooks.endpoints import EVENTS, add_endpoint, enable_endpoint, list_endpoints, remove_endpoint
from serving.webhooks.outbox import Occurrence, enqueue

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)


@dataclass
class Receiver:
    """A server that responds with ``status`` and stores the requests."""

    status: int = 204
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def _receiver() -> Iterator[Receiver]:
    result = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            result.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(result.status)
            self.send_header("Location", result.url + "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        result.url = f"http://127.0.0.1:{server.server_port}/hook?for=us"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield result
        server.shutdown()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with _receiver() as result:
        yield result


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 's'}")
    yield opened
    opened.close()


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now


def _listening(store: Store, url: str, *events: str) -> str:
    with store.begin() as connection:
        return add_endpoint(connection, url, events, anywhere=True)[1]


def _happens(store: Store, at: datetime, *names: str) -> int:
    with store.begin() as connection:
        return enqueue(connection, [Occurrence("health.alert", name, {"account_id": "ä"}) for name in names], at)


def _rows(store: Store) -> list[Any]:
    with store.read() as connection:
        return list(connection.execute(select(webhook_deliveries).order_by(webhook_deliveries.c.event_id)))


def _until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it has not come about")


def test_a_delivery_is_what_standard_webhooks_verifies(store: Store, receiver: Receiver) -> None:
    secret, clock = _listening(store, receiver.url), Clock()
    assert _happens(store, clock.now, "alr_1") == 1
    assert DeliveryWorker(store, True, clock).deliver() == 1
    ((headers, body),) = receiver.got
    assert Webhook(secret).verify(body, headers) == json.loads(body)
    assert headers["webhook-id"] == "alr_1"
    assert json.loads(body)["type"] == "health.alert"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)
    assert _rows(store)[0].delivered_at is not None
    assert DeliveryWorker(store, True, clock).deliver() == 0


def test_a_failure_is_retried_with_growing_waits_and_then_given_up(store: Store, receiver: Receiver) -> None:
    receiver.status = 500
    clock = Clock()
    _listening(store, receiver.url)
    _happens(store, clock.now, "alr_1")
    for wait in WAITS:
        assert DeliveryWorker(store, True, clock, lambda: 1.0).deliver() == 1
        assert _rows(store)[0].due_at - clock.now == pytest.approx(timedelta(seconds=wait * (1 + JITTER)), abs=timedelta(seconds=1))
        assert DeliveryWorker(store, True, clock).deliver() == 0
        clock.now += timedelta(seconds=wait * (1 + JITTER) + 1)
    DeliveryWorker(store, True, clock).deliver()
    row = _rows(store)[0]
    assert (row.given_up, row.due_at, row.attempts) == (True, None, len(WAITS) + 1)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len(receiver.got) == len(WAITS) + 1


def test_a_redirect_is_not_followed(store: Store, receiver: Receiver) -> None:
    receiver.status = 307
    clock = Clock()
    _listening(store, receiver.url)
    _happens(store, clock.now, "alr_1")
    DeliveryWorker(store, True, clock).deliver()
    assert len(receiver.got) == 1
    assert _rows(store)[0].delivered_at is None


def test_an_endpoint_that_answers_410_is_disabled(store: Store, receiver: Receiver) -> None:
    receiver.status = 410
    clock = Clock()
    _listening(store, receiver.url)
    _happens(store, clock.now, "alr_1", "alr_2")
    DeliveryWorker(store, True, clock).deliver(1)
    with store.read() as connection:
        (endpoint,) = list_endpoints(connection)
    assert (endpoint.reason, endpoint.waiting) == ("it answered 410 Gone", 0)
    assert _happens(store, clock.now, "alr_3") == 0
    with store.begin() as connection:
        enable_endpoint(connection, endpoint.id)
    assert _happens(store, clock.now, "alr_4") == 1


def test_a_failed_delivery_to_a_disabled_endpoint_is_not_retried(store: Store) -> None:
    clock, removed = Clock(), threading.Event()
    _listening(store, "http://gone.example/")
    _happens(store, clock.now, "alr_1", "alr_2")

    def sending(delivery: Delivery, *_: Any) -> int:
        if delivery.event_id == "alr_1":
            return 410
        assert removed.wait(10)
        return 500

    worker = DeliveryWorker(store, True, clock, sending=sending)
    assert worker.deliver() == 2
    assert _rows(store)[0].given_up
    removed.set()
    _until(lambda: _rows(store)[1].given_up)
    assert _rows(store)[1].due_at is None


def test_nothing_is_sent_to_an_endpoint_once_it_is_disabled(store: Store, receiver: Receiver) -> None:
    """Pending deliveries are given up."""
    clock = Clock()
    _listening(store, receiver.url)
    _happens(store, clock.now, "alr_1")
    with store.begin() as connection:
        connection.execute(webhook_endpoints.update().values(disabled_at=clock.now))
    assert DeliveryWorker(store, True, clock).deliver() == 0
    assert receiver.got == []


def test_a_slow_endpoint_does_not_delay_others(store: Store) -> None:
    clock, go_on = Clock(), threading.Event()
    _listening(store, "http://slow.example/")
    _listening(store, "http://quick.example/")
    many = [f"alr_{i:02}" for i in range(3 * MAX_PER_ENDPOINT)]
    _happens(store, clock.now, *many)
    sent: list[tuple[str, str]] = []

    def sending(delivery: Delivery, *_: Any) -> int:
        sent.append((delivery.url, delivery.event_id))
        if "slow" in delivery.url:
            assert go_on.wait(30)
        return 204

    worker = DeliveryWorker(store, True, clock, sending=sending)
    begun = time.monotonic()
    while worker.deliver():
        pass
    assert time.monotonic() - begun < 10
    assert sorted(name for url, name in sent if "quick" in url) == many
    assert len([url for url, _ in sent if "slow" in url]) == MAX_PER_ENDPOINT, "so many of its own are under way, and no more"
    go_on.set()
    _until(lambda: worker.deliver() == 0 and all(row.delivered_at for row in _rows(store)))
    assert len(sent) == len(set(sent)) == 2 * len(many)


def test_stopping_does_not_wait_for_a_slow_endpoint(store: Store) -> None:
    go_on = threading.Event()
    _listening(store, "http://slow.example/")
    _happens(store, datetime.now(UTC), "alr_1")
    thread = BackgroundThread("worker", DeliveryWorker(store, True, sending=lambda *_: 204 if go_on.wait(30) else 500).deliver, 0.02)
    thread.start()
    _until(lambda: _rows(store)[0].due_at > datetime.now(UTC))
    begun = time.monotonic()
    thread.stop(20)
    assert time.monotonic() - begun < 10
    assert _rows(store)[0].delivered_at is None, "it is left to whoever comes next"
    go_on.set()
    _until(lambda: _rows(store)[0].delivered_at is not None)


def test_the_delivery_of_a_killed_worker_is_sent_by_another(store: Store, receiver: Receiver) -> None:
    clock = Clock()
    _listening(store, receiver.url)
    _happens(store, clock.now, "alr_1")

    def killed(*_: Any) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DeliveryWorker(store, True, clock, sending=killed).deliver()
    assert DeliveryWorker(store, True, clock).deliver() == 0
    clock.now += CLAIM_DURATION
    assert DeliveryWorker(store, True, clock).deliver() == 1
    assert len(receiver.got) == 1


def test_each_endpoint_gets_its_events_once(store: Store) -> None:
    _listening(store, "http://one.example/", "health.alert")
    _listening(store, "http://two.example/", "model.promoted")
    _listening(store, "http://all.example/")
    assert _happens(store, NOW, "alr_1", "alr_2") == 4
    assert _happens(store, NOW, "alr_2", "alr_3") == 2
    with store.begin() as connection:
        remove_endpoint(connection, list_endpoints(connection)[0].id)
    assert len(_rows(store)) == 3


def test_a_background_thread_delivers(store: Store, receiver: Receiver) -> None:
    _listening(store, receiver.url)
    thread = BackgroundThread("worker", DeliveryWorker(store, True).deliver, every_seconds=0.02)
    thread.start()
    _happens(store, datetime.now(UTC), "alr_1", "alr_2", "alr_3")
    for _ in range(200):
        if len(receiver.got) == 3:
            break
        threading.Event().wait(0.02)
    thread.stop(5)
    assert sorted(headers["webhook-id"] for headers, _ in receiver.got) == ["alr_1", "alr_2", "alr_3"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:0a00:0001::1", False),
        ("fec0::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_private_address_is_refused_when_connecting(receiver: Receiver) -> None:
    """Also if a name resolves to it."""
    for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost")):
        with pytest.raises(RefusedAddress):
            send(Delivery("d", "e", url, "whsec_" + "a" * 44, "alr_1", "{}", 0), NOW)
    assert receiver.got == []


@pytest.mark.parametrize(
    "url",
    ["ftp://h/", "http://h.example/", "https:///x", "https://u:p@h/", "https://h:99999/", "h", "", "https://h/" + "x" * 2000, "https://h/\n"],
)
def test_an_address_that_cannot_be_used_is_refused(store: Store, url: str) -> None:
    with pytest.raises(BadRequest), store.begin() as connection:
        add_endpoint(connection, url, EVENTS)
    with store.read() as connection:
        assert list_endpoints(connection) == []


def test_an_unknown_event_is_refused(store: Store) -> None:
    with pytest.raises(BadRequest, match="unknown"), store.begin() as connection:
        add_endpoint(connection, "https://h.example/", ["health.alert", "sunrise"])
