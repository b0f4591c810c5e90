"""What an answer, a batch and the memory of the service cost, compared with an earlier release on the same signals.

Each release has a home that it trained and scored (with `--publish`) from the same signals. Rounds alternate between
the two. A round starts the service, requests every account's explained answer for the first time (nothing is cached),
then repeatedly, and runs `renewcast score` for all accounts, from its start to the file.

    python bench/release_cost.py SIGNALS --home HOME --earlier CHECKOUT HOME [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from latency import AS_OF, SETTINGS
from peers.http_load import Load, Request, load, served

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("signals", type=Path, help="the signals of both homes")
    parser.add_argument("--home", type=Path, required=True, help="a home of this release")
    parser.add_argument("--earlier", type=Path, nargs=2, required=True, metavar=("CHECKOUT", "HOME"))
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of a load (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8350, help="(default: %(default)s)")
    options = parser.parse_args()
    releases = {"ours": (ROOT, options.home), "earlier": options.earlier}
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in releases}
    for number in range(options.rounds):
        for name, (checkout, home) in releases.items():
            for what, value in measure(checkout, home.absolute(), options).items():
                figures[name].setdefault(what, []).append(value)
        print(f"round {number + 1} of {options.rounds}", flush=True)
    print(table(figures))


def measure(checkout: Path, home: Path, options: argparse.Namespace) -> dict[str, float]:
    """Return the figures of one release in one round."""
    command = [sys.executable, str(checkout / "renewcast.py")]
    environment = {"RENEWCAST_HOME": str(home), "PYTHONPATH": str(checkout), **SETTINGS}
    accounts = pq.read_table(max((home / "snapshots").glob("*.parquet")), columns=["account_id"]).column(0).to_pylist()
    requests = [Request(f"/v1/accounts/{account}/prediction") for account in accounts]
    with tempfile.TemporaryDirectory() as work:
        serve, log = [*command, "serve", "--port", str(options.port)], Path(work) / "log"
        with served(serve, options.port, "/readyz", log, **environment) as server:
            first = load(options.port, requests, 1, 600.0, once=True)
            with ProcessPoolExecutor(1) as elsewhere:
                again: Load = elsewhere.submit(load, options.port, requests, 1, options.seconds).result()
            result = {
                "first answer, p50 ms": float(np.median(first.milliseconds)),
                "first answer, p99 ms": float(np.percentile(first.milliseconds, 99)),
                "repeated answer, p50 ms": float(np.median(again.milliseconds)),
                "service, MB": server.megabytes(),
                "failed answers": float(first.failed + again.failed),
            }
        score = [*command, "score", str(options.signals), "--as-of", AS_OF, "--out", str(Path(work) / "scores.csv")]
        before = _cpu_of_children()
        subprocess.run(score, check=True, env=os.environ | environment, stdout=subprocess.DEVNULL)
        result[f"score of {len(accounts)} accounts, CPU s"] = _cpu_of_children() - before
    return result


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(figures: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Return medians, ranges and the ratio of ours to the earlier release in the same round, in Markdown."""
    lines = ["| | ours | earlier release | ratio, median (range) |", "|---|---|---|---|"]
    for what, own in figures["ours"].items():
        other = figures["earlier"][what]
        ratios = [a / b for a, b in zip(own, other, strict=True) if b]
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f})" if ratios else ""
        lines.append(f"| {what} | {_words(own)} | {_words(other)} | {ratio} |")
    return "\n".join(lines)


def _words(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}, {max(values):.2f})"


if __name__ == "__main__":
    main()
