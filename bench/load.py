"""A mixed load on a real service while workers are killed, champions swapped, a bundle broken and the store
unavailable. Counts requests and failures, and checks that nothing that was accepted is lost.

    python bench/load.py [--seconds 60] [--workers 2] [--callers 6] [--store sqlite|postgresql] [--home FOLDER]

The exit code is 1 if an answer was not a declared one, or if something accepted is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from service.callers import Caller, Ledger
from service.chaos import Chaos
from service.receiver import Receiver
from service.served import Served, scratch_home, serving
from service.stores import Place, store_of
from sqlalchemy import select

from features.utils.dates import parse_instant
from models.home import Home
from models.predictions.payload import format_instant
from serving.common.errors import StoreDown
from serving.http.api_keys import create_key
from serving.scoring.publish_predictions import publish_batch
from serving.store.database import Store
from serving.store.tables import records, webhook_deliveries
from serving.webhooks.endpoints import add_endpoint

#: Seconds between two published batches, and until everything accepted must be done, including claims of killed
#: workers.
BATCH_EVERY, SETTLING = 5.0, 300.0


class Publisher:
    """Publishes a batch at regular intervals, in which the bands of every account have changed."""

    def __init__(self, store: Store, answers: list[dict[str, Any]]) -> None:
        self._store, self._answers = store, answers
        self.ids: set[str] = set()
        self.webhooks = 0

    def run(self, stop: threading.Event) -> None:
        """Publish until stopped."""
        number = 0
        while not stop.is_set():
            number += 1
            bodies = [self._later(answer, number) for answer in self._answers]
            while True:
                with suppress(StoreDown):
                    self.webhooks += publish_batch(self._store, bodies).webhooks
                    break
                time.sleep(0.5)
            self.ids |= {answer["prediction_id"] for answer in bodies}
            stop.wait(BATCH_EVERY)

    def _later(self, answer: dict[str, Any], number: int) -> dict[str, Any]:
        as_of = format_instant(parse_instant(str(answer["as_of"])) + timedelta(days=7 * number))
        result = json.loads(json.dumps(answer)) | {"as_of": as_of, "alerts": []}
        result["prediction_id"] = f"{answer['prediction_id']}x{number}"
        result["churn"]["band"] = ("high", "low")[number % 2]
        return dict(result)


def measure(
    seconds: float, workers: int, callers: int, kind: str, inputs: Path | None, place: Path, publish: int = 20
) -> dict[str, Any]:
    """Return all counts and checks; "lost" and "wrong" must be empty."""
    home = scratch_home(inputs, place)
    with store_of(kind, home, place) as where:
        store = Store.of(home, where.address)
        receiver = Receiver()
        with store.begin() as connection:
            _, key = create_key(connection, "load", ["predict", "write"])
            _, receiver.secret = add_endpoint(connection, receiver.url, [], anywhere=True)
        settings = {"webhooks_anywhere": "true", "retry_seconds": "1", "requests_a_minute": "60000"}
        if where.address is not None:
            settings["store"] = where.address
        try:
            with serving(home, place, workers, **settings) as served:
                result = _under_load(served, home, store, where, receiver, key, seconds, callers, publish)
                result["exit code"] = served.stop()
                # Raises if a line of the log is not JSON.
                result["seconds to start a worker"] = _back_after(served)
        finally:
            receiver.close()
            store.close()
    return result


def _under_load(
    served: Served, home: Home, store: Store, where: Place, receiver: Receiver, key: str,
    seconds: float, callers: int, publish: int,
) -> dict[str, Any]:  # fmt: skip
    ledger, stop = Ledger(), threading.Event()
    asking = Caller(served.port, key, [], ledger, callers)
    accounts = _accounts(home)
    answers = [asking.sure("prediction by id", f"/v1/accounts/{name}/prediction") for name in accounts[:publish]]
    publisher, chaos = Publisher(store, answers), Chaos(served, home, where)
    began = time.monotonic()
    everyone = [Caller(served.port, key, accounts, ledger, seed) for seed in range(callers)]
    with ThreadPoolExecutor(callers + 2) as pool:
        working = [pool.submit(each.run, stop) for each in (*everyone, publisher, chaos)]
        # An error of any of them ends the run, and is raised below.
        while time.monotonic() < began + seconds and not any(each.done() for each in working):
            time.sleep(0.1)
        stop.set()
        for each in working:
            each.result()
    lasted = time.monotonic() - began
    statuses: Counter[int] = Counter()
    for (_, status), count in ledger.answers.items():
        statuses[status] += count
    requests, took = (
        sum(statuses.values()),
        {what: 1000 * np.array(each) for what, each in sorted(ledger.seconds.items())},
    )
    settled = time.monotonic()
    lost = _lost(asking, store, ledger, receiver, publisher)
    return {
        "store": store.kind,
        "seconds": round(lasted, 1),
        "requests": requests,
        "requests a second": round(requests / lasted, 1),
        "connections broken": ledger.broken,
        "by status": {str(status): count for status, count in sorted(statuses.items())},
        "p50 and p99 in ms": {w: [round(float(np.quantile(t, q)), 1) for q in (0.5, 0.99)] for w, t in took.items()},
        "befell": dict(chaos.done),
        "accepted": {kind: len(result) for kind, result in ledger.accepted.items()},
        "predictions published": len(publisher.ids),
        "webhooks": {"events": len(receiver.times), "received": sum(receiver.times.values())},
        "seconds until all was done": round(time.monotonic() - settled, 1),
        "wrong": ledger.wrong[:20],
        "lost": lost,
    }


def _accounts(home: Home) -> list[str]:
    newest = max(home.snapshots.glob("*.parquet"))
    return [str(name) for name in pd.read_parquet(newest, columns=["account_id"])["account_id"]]


def _lost(asking: Caller, store: Store, ledger: Ledger, receiver: Receiver, publisher: Publisher) -> list[str]:
    """Return what was accepted and is missing or stored twice after the time limit."""
    until = time.monotonic() + SETTLING
    jobs = dict.fromkeys(ledger.accepted["job"], "?")
    reasons: dict[str, str] = {}
    waiting = len(jobs)
    while time.monotonic() < until:
        for name, state in jobs.items():
            if state != "finished":
                result = asking.sure("job", f"/v1/jobs/{name}")
                jobs[name], reasons[name] = result["state"], result.get("reason") or "no reason"
        waiting = sum(state in ("?", "queued", "running") for state in jobs.values())
        with store.read() as connection:
            rows = connection.execute(select(webhook_deliveries)).all()
        if not waiting and not any(row.due_at is not None for row in rows):
            break
        time.sleep(1.0)
    lost = [f"job {name} is {state}: {reasons[name]}" for name, state in jobs.items() if state != "finished"]
    with store.read() as connection:
        stored = Counter(
            json.loads(document)["note"] for document in connection.execute(select(records.c.document)).scalars()
        )
        ids = set(connection.execute(select(records.c.id)).scalars())
    for kind in ("intervention", "outcome"):
        lost += [f"{kind} {name} is gone" for name in ledger.accepted[kind] if name not in ids]
        lost += [
            f"{kind} {name} is there {stored[w]} times" for name, w in ledger.accepted[kind].items() if stored[w] != 1
        ]
    lost += [
        f"a record was kept {times} times" for word, times in stored.items() if times > 1 or word not in ledger.tried
    ]
    lost += [f"delivery {row.id} was not received" for row in rows if row.event_id not in receiver.times]
    lost += [f"delivery {row.id} has not ended" for row in rows if row.delivered_at is None]
    if len(rows) != publisher.webhooks:
        lost.append(f"{publisher.webhooks} deliveries were promised, {len(rows)} are there")
    lost += ["an event came with two bodies" for bodies in receiver.bodies.values() if len(bodies) > 1]
    lost += ["a delivery was not signed rightly"] * receiver.forged
    return lost + _not_streamed(asking, publisher)


def _not_streamed(asking: Caller, publisher: Publisher) -> list[str]:
    counts: Counter[str] = Counter()
    cursor = ""
    while True:
        page = asking.sure("predictions stream", f"/v1/predictions?limit=200{cursor}")
        counts.update(each["prediction_id"] for each in page["data"])
        if not page["data"]:
            break
        cursor = f"&cursor={page['next']}"
    return [f"prediction {name} was streamed {counts[name]} times" for name in publisher.ids if counts[name] != 1]


def _back_after(served: Served) -> list[float]:
    """Return how long each restarted worker took to answer. Raises if a line of the log is not JSON."""
    started = [line["seconds"] for line in served.lines() if line["event"] == "worker"]
    return [float(str(seconds)) for seconds in started]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of the load (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="number of worker processes (default: %(default)s)")
    parser.add_argument(
        "--callers", type=int, default=6, help="clients that send requests at the same time (default: %(default)s)"
    )
    parser.add_argument(
        "--store",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="store of the service (default: %(default)s)",
    )
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get("RENEWCAST_HOME", ".renewcast")),
        help="folder of a home with a champion (%(default)s)",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="renewcast-load-", ignore_cleanup_errors=True) as place:
        result = measure(options.seconds, options.workers, options.callers, options.store, options.home, Path(place))
    json.dump(result, sys.stdout, indent=1)
    print()
    sys.exit(1 if result["wrong"] or result["lost"] or result["exit code"] else 0)


if __name__ == "__main__":
    main()
