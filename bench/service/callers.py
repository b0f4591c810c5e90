"""Clients that call every operation in turn, retry when the service asks for it, and count the answers."""

from __future__ import annotations

import http.client
import json
import random
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

#: Statuses that ask for a retry: unavailable (503), too many requests (429), and the same request still running (409).
AGAIN = frozenset({409, 429, 503})
#: Seconds for one answer, and for retrying a request that must be accepted.
PATIENCE, KEEP_TRYING = 60.0, 180.0
SIGNALS_FROM = "2026-01-05"


@dataclass
class Ledger:
    """The record of all callers.

    ``answers`` counts by operation and status, ``broken`` connections that ended without an answer; ``wrong`` are
    answers that were not declared; ``seconds`` how long each answer took; ``accepted`` what was accepted, by kind and
    id, with the word that marks it; ``tried`` the words of what may or may not have been accepted.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    broken: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    accepted: dict[str, dict[str, str]] = field(default_factory=lambda: {"intervention": {}, "outcome": {}, "job": {}})
    tried: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Caller:
    """One caller with a connection of its own.

    Parameters
    ----------
    port, key : where the service is, and the API key.
    accounts : the accounts to request.
    ledger : where answers are recorded.
    seed : of the random choices.
    """

    def __init__(self, port: int, key: str, accounts: list[str], ledger: Ledger, seed: int) -> None:
        self._port, self._accounts, self._ledger = port, accounts, ledger
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._random = random.Random(seed)
        self._connection: http.client.HTTPConnection | None = None

    def run(self, stop: threading.Event) -> None:
        """Call until stopped."""
        asks = (
            (self._by_id, 40), (self._batch, 10), (self._alerts, 8), (self._stream, 8), (self._intervention, 14),
            (self._outcome, 10), (self._signals, 4), (self._job, 2), (self._health, 4),
        )  # fmt: skip
        kinds, weights = zip(*asks, strict=True)
        while not stop.is_set():
            self._random.choices(kinds, weights)[0]()

    def get(self, what: str, path: str) -> tuple[int, Any]:
        """Return status and JSON of one GET; (0, None) if the connection broke."""
        return self._ask(what, "GET", path, None, {})

    def sure(self, what: str, path: str) -> Any:
        """Return the JSON of one GET, with retries until it is answered."""
        until = time.monotonic() + KEEP_TRYING
        while True:
            payload = self.get(what, path)[1]
            if payload is not None or time.monotonic() > until:
                return payload
            time.sleep(0.2)

    def _account(self) -> str:
        return self._random.choice(self._accounts)

    def _by_id(self) -> None:
        self.get("prediction by id", f"/v1/accounts/{self._account()}/prediction")

    def _health(self) -> None:
        self.get("health", f"/v1/accounts/{self._account()}/health")

    def _alerts(self) -> None:
        self.get("alerts", "/v1/alerts?limit=20")

    def _stream(self) -> None:
        self.get("predictions stream", "/v1/predictions?limit=20")

    def _batch(self) -> None:
        items = [{"account_id": self._account()} for _ in range(20)]
        self._ask("batch of 20", "POST", "/v1/predictions:batch", {"items": items}, {})

    def _signals(self) -> None:
        rows = [
            {"account_id": "x1", "occurred_at": f"2026-0{m}-1{d}", "user_id": f"u{d}", "quantity": 1.0}
            for m in range(1, 8)
            for d in range(5)
        ]
        terms = {"account_id": "x1", "started_at": SIGNALS_FROM, "arr": 12_000.0, "seats": 5}
        signals = {
            "accounts": [{"account_id": "x1", "created_at": SIGNALS_FROM}],
            "subscriptions": [terms],
            "usage": rows,
        }
        body = {"account_id": "x1", "as_of": "2026-08-01", "history_from": SIGNALS_FROM, "signals": signals}
        self._ask("signals in the body", "POST", "/v1/predictions", body, {})

    def _intervention(self) -> None:
        self._accept("intervention", "/v1/interventions", {"play": "executive_change"})

    def _outcome(self) -> None:
        self._accept("outcome", "/v1/outcomes", {"result": "saved"})

    def _job(self) -> None:
        self._accept("job", "/v1/jobs", None)

    def _accept(self, kind: str, path: str, more: dict[str, Any] | None) -> None:
        """Post with one key until it is accepted. Sometimes post again, which must give the same answer."""
        word = secrets.token_hex(8)
        record = {"account_id": self._account(), "occurred_at": "2026-06-30", "note": word}
        body: dict[str, Any] = {"format": "csv"} if more is None else record | more
        key = {"Idempotency-Key": word}
        with self._ledger.lock:
            self._ledger.tried.add(word)
        until = time.monotonic() + KEEP_TRYING
        while time.monotonic() < until:
            status, payload = self._ask(kind, "POST", path, body, key)
            if status in (201, 202):
                with self._ledger.lock:
                    self._ledger.accepted[kind][payload["id"]] = word
                break
            time.sleep(0.2 if status == 0 else 1.0)
        else:
            self._wrong(f"{kind} was not accepted within {KEEP_TRYING:g} s")
            return
        if self._random.random() < 0.1:
            status, again = self._ask(kind, "POST", path, body, key)
            if status in (201, 202) and again["id"] != payload["id"]:
                self._wrong(f"{kind}: the same key gave another id")

    def _ask(self, what: str, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        began = time.monotonic()
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            content = None if body is None else json.dumps(body)
            self._connection.request(method, path, content, self._headers | headers)
            answer = self._connection.getresponse()
            payload, status = answer.read(), answer.status
        except (OSError, http.client.HTTPException):
            self._connection = None
            with self._ledger.lock:
                self._ledger.broken += 1
            time.sleep(0.05)
            return 0, None
        with self._ledger.lock:
            self._ledger.answers[what, status] += 1
            self._ledger.seconds.setdefault(what, []).append(time.monotonic() - began)
        declared = status in AGAIN and answer.getheader("Retry-After") is not None
        if not (200 <= status < 300 or declared):
            self._wrong(f"{what}: {status} {payload[:300].decode(errors='replace')}")
            return status, None
        return status, json.loads(payload) if status < 300 else None

    def _wrong(self, description: str) -> None:
        with self._ledger.lock:
            self._ledger.wrong.append(description)
