"""Requests that no client should send, generated in turn for every operation of an OpenAPI document."""

from __future__ import annotations

import http.client
import json
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

#: Seconds to wait for an answer.
PATIENCE = 60.0
#: Number of cases that are drawn per operation at a time.
DRAWN = 60
ODD: tuple[Any, ...] = (
    None, True, 0, -0.0, 1e308, -1e308, 5e-324, 2**63, -(2**63) - 1, 10**400, "", " ", "\x00", "\ud800", "é" * 3000,
    "x" * 100_000, "2026-02-30", "9999-12-31T23:59:59-23:59", "0001-01-01", "1e999", "NaN", "../../etc/passwd",
    "'; DROP TABLE records; --", "=1+1", "\u202e", "a05", [], {}, [[]], [None] * 2000, {"": {}}, {"__proto__": 1},
)  # fmt: skip
RAW: tuple[bytes, ...] = (
    b"", b"{", b"[", b'"', b"nul", b"\x00", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"{}{}", b'{"a":1,"a":2}',
    b"[" * 100_000, b'{"a":' * 50_000, b"[" * 5000 + b"]" * 5000, b"NaN", b"Infinity", b'{"account_id": NaN}',
    b'{"account_id": 1e999999}', b'{"account_id": ' + b"9" * 10_000 + b"}", b'{"account_id": "\\ud800"}',
    b'{"account_id": "\xc3\x28"}', b'{"account_id": "\\u0000"}', b"\x1f\x8b\x08\x00\x00", b"--x\r\n\r\n", b"a=1&b=2",
    b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", b"-", b"1e", b"0" * 1000,
    b'{"items":[' + b'{"account_id":"a"},' * 300 + b"{}]}", b'{"instances": [[' + b"1e308," * 3000 + b"1]]}",
)  # fmt: skip
TYPES = (
    "application/json", "application/json; charset=utf-16", "application/json; charset=klingon", "text/plain", "",
    "*/*",
    "multipart/form-data", "multipart/form-data; boundary=", "application/x-www-form-urlencoded", "application/xml",
    "APPLICATION/JSON", "application/json, text/html", "application/problem+json", "\xe4/\xf6", "a" * 4000,
)  # fmt: skip
HEADERS: tuple[dict[str, str], ...] = (
    {"Idempotency-Key": "x" * 300}, {"Idempotency-Key": "\xe9"}, {"Idempotency-Key": ""}, {"Accept": "q=;;,,"},
    {"Accept": "text/html;q=nan"}, {"Content-Encoding": "gzip"}, {"Transfer-Encoding": "gzip, chunked"},
    {"Content-Length": "99999999999999999999"}, {"Content-Length": "-1"}, {"Content-Length": "1, 2"},
    {"Expect": "100-continue"}, {"Authorization": "Bearer \xff\xfe"}, {"Authorization": "Basic Og=="},
    {"X-API-Key": "\x7f" * 50}, {"X-Forwarded-For": "127.0.0.1"}, {"Range": "bytes=0-"}, {"Host": ""},
    {"X-Much": "y" * 30_000}, {"Upgrade": "websocket", "Connection": "Upgrade"}, {"If-None-Match": "*"},
)  # fmt: skip


@dataclass
class Exchange:
    """A request: ``kind`` says how it was generated; ``path`` with its query; ``headers`` besides those of every
    request."""

    kind: str
    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Hostility:
    """Generates requests.

    Parameters
    ----------
    document : OpenAPI 3.1.
    chance : the random numbers, except those of Schemathesis, which are the same each time.
    """

    def __init__(self, document: dict[str, Any], chance: random.Random) -> None:
        config = schemathesis.Config.from_dict({})
        described = schemathesis.openapi.from_dict(document, config=config)
        self._operations = [result.ok() for result in described.get_all_operations()]
        self._posts = [each for each in self._operations if each.method.upper() == "POST"]
        self._chance, self._made = chance, self._schematic()
        self._ways: tuple[Callable[[], Exchange], ...] = (
            self._described, self._spoiled, self._cut, self._anything, self._raw, self._addressed,
        )  # fmt: skip

    def next(self) -> Exchange:
        """Return the next request."""
        weights = (33, 20, 13, 12, 12, 10)
        exchange = self._chance.choices(self._ways, weights)[0]()
        if self._chance.random() < 0.1:
            exchange.headers |= self._chance.choice(HEADERS)
            exchange.kind += ", odd header"
        if exchange.body is not None and self._chance.random() < 0.1:
            exchange.headers["Content-Type"] = self._chance.choice(TYPES)
            exchange.kind += ", odd type"
        return exchange

    def _described(self) -> Exchange:
        return next(self._made)

    def _with_body(self) -> Exchange:
        while True:
            request = next(self._made)
            if request.body:
                return request

    def _spoiled(self) -> Exchange:
        """Return a valid body in which some values or names were replaced by odd ones."""
        request = self._with_body()
        try:
            body = json.loads(request.body or b"")
        except ValueError:
            return request
        for _ in range(self._chance.randint(1, 4)):
            body = self._exchanged(body)
        request.kind, request.body = "spoiled", _text(body)
        return request

    def _exchanged(self, body: Any) -> Any:
        if isinstance(body, dict) and body and self._chance.random() < 0.8:
            name = self._chance.choice(list(body))
            if self._chance.random() < 0.1:
                return body | {str(self._chance.choice(ODD))[:200]: body[name]}
            return body | {name: self._exchanged(body[name])}
        if isinstance(body, list) and body and self._chance.random() < 0.8:
            place = self._chance.randrange(len(body))
            return [*body[:place], self._exchanged(body[place]), *body[place + 1 :]]
        if self._chance.random() < 0.1:
            deep = body
            for _ in range(self._chance.choice((10, 50, 200))):
                deep = [deep]
            return deep
        return self._chance.choice(ODD)

    def _cut(self) -> Exchange:
        """Return a valid body with bytes removed, replaced or inserted."""
        request = self._with_body()
        body = bytearray(request.body or b"{}")
        for _ in range(self._chance.randint(1, 5)):
            place = self._chance.randrange(len(body) + 1)
            what = self._chance.randrange(3)
            if what == 0:
                del body[place:]
            elif what == 1:
                body[place:place] = self._chance.randbytes(self._chance.randint(1, 8))
            else:
                body[place : place + 1] = self._chance.choice((b"{", b"]", b'"', b"\\", b"\xff", b"\x00", b"-", b"e"))
        request.kind, request.body = "cut", bytes(body)
        return request

    def _anything(self) -> Exchange:
        """Return an arbitrary document for an operation with a body."""
        operation = self._chance.choice(self._posts)
        return Exchange("anything", "POST", operation.path, _text(self._document(0)))

    def _document(self, depth: int) -> Any:
        what = self._chance.random()
        if depth > 5 or what < 0.4:
            return self._chance.choice(ODD)
        names = (
            "account_id",
            "as_of",
            "signals",
            "items",
            "usage",
            "instances",
            "dataframe_split",
            "columns",
            "data",
            "x",
        )
        many = self._chance.randint(0, 4)
        if what < 0.75:
            return {self._chance.choice(names): self._document(depth + 1) for _ in range(many)}
        return [self._document(depth + 1) for _ in range(many)]

    def _raw(self) -> Exchange:
        operation = self._chance.choice(self._posts)
        return Exchange("raw", "POST", operation.path, self._chance.choice(RAW))

    def _addressed(self) -> Exchange:
        """Return a request with odd values in path and query, or an odd method."""
        operation = self._chance.choice(self._operations)
        path = operation.path
        while "{" in path:
            before, _, rest = path.partition("{")
            path = before + quote(str(self._odd_text()), safe="") + rest.partition("}")[2]
        names = ("as_of", "view", "prefix", "limit", "cursor", "updated_since", "account_id", "x")
        url = "&".join(
            f"{self._chance.choice(names)}={quote(self._odd_text(), safe='')}"
            for _ in range(self._chance.randint(0, 3))
        )
        method = self._chance.choice((operation.method.upper(), "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"))
        return Exchange("address", method, path + (f"?{url}" if url else ""))

    def _odd_text(self) -> bytes:
        odd = self._chance.choice(ODD)
        return (odd if isinstance(odd, str) else str(odd)[:3000]).encode(errors="surrogatepass")[:6000]

    def _schematic(self) -> Iterator[Exchange]:
        """Yield cases of Schemathesis for every operation in turn, valid and slightly invalid."""
        while True:
            for operation in self._operations:
                for mode in schemathesis.GenerationMode:
                    asks = operation.definition.raw.get("parameters") or operation.definition.raw.get("requestBody")
                    if asks or mode == schemathesis.GenerationMode.POSITIVE:
                        yield from self._drawn(operation, mode)

    def _drawn(self, operation: Any, mode: Any) -> list[Exchange]:
        values: list[Exchange] = []

        @settings(
            max_examples=DRAWN if operation.method.upper() == "POST" else DRAWN // 4,
            database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def draw(case: schemathesis.Case) -> None:
            values.append(_exchange(case))

        draw()
        self._chance.shuffle(values)
        return values


def _exchange(case: schemathesis.Case) -> Exchange:
    import requests

    arguments = case.as_transport_kwargs(base_url="http://service")
    arguments.pop("cookies", None)
    request = requests.Request(
        **{k: v for k, v in arguments.items() if k in ("method", "url", "params", "data", "json", "headers")}
    )
    prepared = request.prepare()
    body = prepared.body.encode(errors="surrogatepass") if isinstance(prepared.body, str) else prepared.body
    # With a generated key, every request would fail at authentication.
    left_out = ("content-length", "user-agent", "authorization", "x-api-key")
    headers = {str(k): str(v) for k, v in prepared.headers.items() if k.lower() not in left_out}
    return Exchange("described", str(prepared.method), prepared.path_url, body, headers)


def _text(body: Any) -> bytes:
    return json.dumps(body).encode()


def ask(port: int, key: str, exchange: Exchange) -> tuple[int, dict[str, str], bytes]:
    """Send a request and read the answer; status 0 if there is none."""
    headers = {"Host": "service", "Authorization": f"Bearer {key}", "Connection": "close"}
    if exchange.body is not None:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(exchange.body))}
    headers |= exchange.headers
    lines = [f"{exchange.method} {exchange.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join(line.replace("\r", "").replace("\n", "") for line in lines).encode("utf-8", errors="replace")
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            # A request that is refused while it is being sent may still be answered.
            with suppress(OSError):
                connection.sendall(head + b"\r\n\r\n" + (exchange.body or b""))
            answer = http.client.HTTPResponse(connection, method=exchange.method)
            answer.begin()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, {}, b""
