"""Time and memory of `renewcast train` on a simulated portfolio, compared with an earlier release on the same signals.

The whole command runs as a separate process: read, check for leaks, backtest, fit, explain, record, register. Memory is
that of all of its processes together, sampled five times a second; pages that processes share count for each.

    python bench/training_cost.py --accounts 1500 --weeks 157 [--earlier CHECKOUT] [--rounds 3] [--signals DIR]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
from peers.http_load import resident_megabytes

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1500, help="(default: %(default)s)")
    parser.add_argument("--weeks", type=int, default=157, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--earlier", type=Path, help="checkout of an earlier release")
    parser.add_argument("--signals", type=Path, help="folder for the signals, used again if it exists")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        signals = options.signals or Path(work) / "signals"
        if not signals.exists():
            size = ["--accounts", str(options.accounts), "--weeks", str(options.weeks), "--seed", str(options.seed)]
            run(ROOT, ["simulate", str(signals), *size], Path(work) / "none")
        releases = {"ours": ROOT} | ({"earlier": options.earlier} if options.earlier else {})
        for number in range(options.rounds):
            for name, checkout in releases.items():
                seconds, cpu, peak = run(checkout, ["train", str(signals)], Path(work) / f"{name}-{number}")
                print(f"{name}: {seconds:.0f} s, {cpu:.0f} CPU s, {peak:.0f} MB at most", flush=True)


def run(checkout: Path, arguments: list[str], home: Path) -> tuple[float, float, float]:
    """Run a command; return its seconds, CPU seconds, and the peak of the memory of all its processes in MB."""
    before, began = os.times(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(checkout / "renewcast.py"), *arguments],
        env=os.environ | {"RENEWCAST_HOME": str(home), "PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0.0
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            peak = max(peak, resident_megabytes(process.pid))
        time.sleep(0.2)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, used, peak


if __name__ == "__main__":
    main()
