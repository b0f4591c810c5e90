"""CPU seconds, wall seconds and peak memory of commands, with another checkout in the same turns, and equal answers.

Each command runs in a new process. With `--changed`, each turn first leaves out a row of support. With `--earlier`,
every turn runs both checkouts, and their JSON must be the same.

    python bench/commands.py SIGNALS --home HOME [--earlier CHECKOUT] [--turns 3] [--commands runs health] [--changed]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from latency import AS_OF

ROOT = Path(__file__).resolve().parents[1]
LISTS = ("help", "runs", "reviews", "card", "keys list")
VIEWS = ("health", "risks", "worklist", "portfolio", "renewals")


def arguments_of(command: str, signals: Path) -> list[str]:
    """Return the arguments of a command on the signals."""
    if command == "help":
        return ["--help"]
    if command in VIEWS:
        return [command, str(signals), "--as-of", AS_OF, "--json"]
    return [command, str(signals), "--json"] if command == "check" else [*command.split(), "--json"]


def run(checkout: Path, home: Path, arguments: Sequence[str]) -> tuple[tuple[float, float, float], bytes]:
    """Run a command of a checkout; return CPU seconds, wall seconds and peak MB, and what it printed."""
    environment = os.environ | {"RENEWCAST_HOME": str(home), "PYTHONPATH": str(checkout), "PYTHONUTF8": "1"}
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        command = [sys.executable, str(checkout / "renewcast.py"), *arguments]
        process = subprocess.Popen(command, env=environment, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        if status:
            raise SystemExit(f"{' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
        out.seek(0)
        return (used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024), out.read()


def shorten(signals: Path) -> None:
    """Leave out the last row of support."""
    table = pq.read_table(signals / "support.parquet")
    pq.write_table(table.slice(0, len(table) - 1), signals / "support.parquet")


def words(values: Sequence[float]) -> str:
    """Return minimum, median and maximum."""
    return f"{min(values):.2f}, **{statistics.median(values):.2f}**, {max(values):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("signals", type=Path, help="the signals that the home was trained on, in Parquet files")
    parser.add_argument("--home", type=Path, required=True, help="a trained home; its copies are used")
    parser.add_argument("--earlier", type=Path, metavar="CHECKOUT", help="another checkout")
    parser.add_argument("--turns", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--commands", nargs="+", default=[*LISTS, *VIEWS, "check"], help="(default: all)")
    parser.add_argument("--changed", action="store_true", help="change a row before each turn")
    options = parser.parse_args()
    checkouts = {"ours": ROOT} | ({"earlier": options.earlier.absolute()} if options.earlier else {})
    with tempfile.TemporaryDirectory() as work:
        # The signals keep their name, which is that of the portfolio.
        signals = Path(work) / options.signals.name
        shutil.copytree(options.signals, signals)
        homes = {name: Path(work) / name for name in checkouts}
        for name, checkout in checkouts.items():
            shutil.copytree(options.home, homes[name])
            # Roll-ups and SQL of this checkout, and of the copied signals.
            run(checkout, homes[name], arguments_of(VIEWS[0], signals))
        print("| command | | CPU s: minimum, median, maximum | wall s | peak MB |\n|---|---|---|---|---|")
        for command in options.commands:
            figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in checkouts}
            for _ in range(options.turns):
                if options.changed:
                    shorten(signals)
                answers = set()
                for name, checkout in checkouts.items():
                    measured, answer = run(checkout, homes[name], arguments_of(command, signals))
                    figures[name].append(measured)
                    answers.add(answer.replace(str(homes[name]).encode(), b"HOME"))
                if len(answers) > 1:
                    raise SystemExit(f"{command} gives different answers")
            for name, rows in figures.items():
                print(
                    f"| {command} | {name} | " + " | ".join(words(part) for part in zip(*rows, strict=True)) + " |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
