"""The cost of a quarterly review: wall clock, processor time and peak memory, and the seconds of each step.

A portfolio is simulated (by default 5,000 accounts with three years of weekly history) and reviewed once in a separate
process, with the default rubric and a new home: there are no stored roll-ups and no champion, so the review has no
model sections. With ``--again`` it is reviewed a second time in the same home, which then has roll-ups of the usage
feed. Processor time is that of all threads; other work on the machine affects it less than the wall clock. The first
step includes Python, imports and the health of the feeds.

    python bench/review_time.py [--accounts 5000] [--weeks 157] [--quarter 2026Q3] [--workdir DIR] [--again]
                                [--profile FILE]

``--workdir`` stores the portfolio for the next run. ``--profile`` writes the profile of cProfile, and slows the review.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

GIB = 2**30


def child(signals: Path, home: Path, quarter: str, profile: Path | None) -> None:
    """Run one review, and print its cost as JSON."""
    from features.utils.periods import Quarter
    from models.home import Home
    from training.review.run import run_review

    seconds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    at = ["start, imports, health of feeds", 0.0, time.time() - time.process_time()]

    def tell(_done: float, what: str) -> None:
        now, clock = time.process_time(), time.time()
        spent = seconds[str(at[0])]
        spent[0] += now - float(at[1])
        spent[1] += clock - float(at[2])
        spent[2] = max(spent[2], _peak())
        at[:] = [what, now, clock]

    year, number = quarter.split("Q")
    profiler = cProfile.Profile() if profile else contextlib.nullcontext()
    with profiler:
        review = run_review(signals, Quarter(int(year), int(number)), Home(home.absolute()), progress=tell)
    tell(1.0, "end")
    if isinstance(profiler, cProfile.Profile):
        profiler.dump_stats(str(profile))
    result = review.review.definitions
    print(
        json.dumps(
            {"steps": seconds, "accounts": result.accounts, "churned": result.accounts_with_churn, "peak": _peak()}
        )
    )


def _peak() -> float:
    """Return the peak resident set so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def measured(signals: Path, home: Path, quarter: str, profile: Path | None) -> None:
    """Run one review in a separate process, and print its table."""
    command = [sys.executable, __file__, "--child", str(signals), str(home), "--quarter", quarter]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run(
        [*command, *(["--profile", str(profile)] if profile else [])], check=True, stdout=subprocess.PIPE, text=True
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result = json.loads(process.stdout.splitlines()[-1])
    print(f"{result['accounts']} accounts in the quarter, {result['churned']} of them left")
    print(f"wall {wall:.0f} s, CPU {cpu:.0f} s, peak memory {result['peak']:.2f} GiB\n")
    print(f"{'step':<36}{'CPU s':>8}{'wall s':>8}{'peak GiB':>10}")
    for name, (own_cpu, own_wall, peak) in result["steps"].items():
        print(f"{name:<36}{own_cpu:>8.1f}{own_wall:>8.1f}{peak:>10.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--accounts", type=int, default=5000, help="number of simulated accounts (default: %(default)s)"
    )
    parser.add_argument("--weeks", type=int, default=157, help="weeks of simulated history (default: %(default)s)")
    parser.add_argument("--quarter", default="2026Q3", help="quarter to review (default: %(default)s)")
    parser.add_argument(
        "--workdir", type=Path, help="folder for the signals, which are reused (default: a temporary folder)"
    )
    parser.add_argument("--again", action="store_true", help="run the review a second time, with stored roll-ups")
    parser.add_argument("--profile", type=Path, help="file for a cProfile of the review")
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child, options.quarter, options.profile)
        return
    with tempfile.TemporaryDirectory(prefix="review-") as created:
        place = options.workdir or Path(created)
        signals = place / f"signals-{options.accounts}-{options.weeks}"
        if not signals.exists():
            size = ["--accounts", str(options.accounts), "--weeks", str(options.weeks), "--seed", "0"]
            subprocess.run([sys.executable, "-m", "renewcast", "simulate", str(signals), *size], check=True)
        home = Path(created) / "home"
        measured(signals, home, options.quarter, options.profile)
        if options.again:
            print("\nsecond run, with stored roll-ups")
            measured(signals, home, options.quarter, None)


if __name__ == "__main__":
    main()
