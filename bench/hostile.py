"""Thousands of hostile requests to every operation: bodies, parameters and headers that no client should send.
Counts the answers by status, and checks that none is a failure of the service.

    python bench/hostile.py [--requests 10000] [--seed 0] [--callers 4] [--home FOLDER]

A third of the bodies follow /openapi.json or almost do (Schemathesis), a third are such bodies with damaged JSON or
bytes, and a third are unrelated to it. A real service answers them over HTTP; what no client library would send is sent
as raw bytes. The exit code is 1 if an answer is 5xx (except 503 with Retry-After), missing, or an error without problem
details.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from service.hostility import Exchange, Hostility, ask
from service.served import scratch_home, serving

from serving.app.app import create_app
from serving.http.api_keys import SCOPES, create_key
from serving.schemas.predictions import Problem
from serving.store.database import Store

#: The server waits for announced bytes that are not sent, but not for long.
SETTINGS = {"requests_a_minute": "1000000", "retry_seconds": "1", "request_seconds": "5"}
#: Number of requests that are generated before they are sent.
DRAWN = 200


def measure(requests: int, seed: int, callers: int, inputs: Path | None, place: Path) -> dict[str, Any]:
    """Return counts by status and by kind of request, and unexpected answers under "wrong"."""
    home = scratch_home(inputs, place)
    store = Store.of(home)
    with store.begin() as connection:
        _, key = create_key(connection, "hostile", SCOPES)
    store.close()
    hostility = Hostility(create_app(home).openapi(), random.Random(seed))
    statuses: Counter[int] = Counter()
    kinds: Counter[str] = Counter()
    wrong: list[str] = []
    began = time.monotonic()
    with serving(home, place, 1, **SETTINGS) as served, ThreadPoolExecutor(callers) as pool:
        for start in range(0, requests, DRAWN):
            exchanges = [hostility.next() for _ in range(min(DRAWN, requests - start))]
            answers = pool.map(partial(ask, served.port, key), exchanges)
            for exchange, (status, headers, body) in zip(exchanges, answers, strict=True):
                statuses[status] += 1
                kinds[exchange.kind] += 1
                if text := _wrong(exchange.method, status, headers, body):
                    wrong.append(f"{text}: {_description(exchange)}")
            result = start + len(exchanges)
            if result % 1000 == 0:
                print(f"{result:,} requests, {len(wrong)} wrong", file=sys.stderr, flush=True)
        code = served.stop()
        failures = [line for line in served.lines() if line["level"] == "error"]
    return {
        "requests": requests,
        "seconds": round(time.monotonic() - began, 1),
        "by status": {str(status): count for status, count in sorted(statuses.items())},
        "by kind": dict(sorted(kinds.items())),
        "exit code": code,
        "errors in the log": failures[:5],
        "wrong": wrong[:20],
        "wrong in all": len(wrong),
    }


def _wrong(method: str, status: int, headers: dict[str, str], body: bytes) -> str | None:
    if status == 0:
        return "no answer"
    if status >= 500 and not (status == 503 and "retry-after" in headers):
        return f"status {status}"
    # The server refuses what is not HTTP before it reaches the application. HEAD is answered without a body.
    if method == "HEAD":
        return "a body for HEAD" if body else None
    if status >= 400 and "json" in headers.get("content-type", ""):
        try:
            Problem.model_validate_json(body)
        except ValueError:
            return f"status {status} without a problem"
    return None


def _description(exchange: Exchange) -> str:
    body = exchange.body[:200].decode("latin-1") if exchange.body else ""
    return f"{exchange.kind} {exchange.method} {exchange.path[:200]} {exchange.headers} {body!r}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--requests", type=int, default=10_000, help="number of requests to send (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the random requests (default: %(default)s)")
    parser.add_argument("--callers", type=int, default=4, help="connections at the same time (default: %(default)s)")
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get("RENEWCAST_HOME", ".renewcast")),
        help="folder of a home with a champion (%(default)s)",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="renewcast-hostile-", ignore_cleanup_errors=True) as place:
        result = measure(options.requests, options.seed, options.callers, options.home, Path(place))
    json.dump(result, sys.stdout, indent=1)
    print()
    sys.exit(1 if result["wrong"] or result["exit code"] else 0)


if __name__ == "__main__":
    main()
