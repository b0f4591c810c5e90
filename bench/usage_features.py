"""Time and memory to build usage features: Renewcast and its peers, each in a separate process.

Renewcast checks the source, counts each event once, respects when each row arrived, and builds all usage features
(windows of 7 to 364 days, trends and others) of the active accounts at weekly dates. The peers do less, which is to
their advantage: they take the rows as they are, check nothing, count duplicates, ignore arrival, and (except the first
two) build nine columns: events, quantity and distinct users over 7, 28 and 91 days.

    scan          DuckDB reads two columns once: the lower limit
    one_pass      DuckDB groups everything once by account and week, distinct users exactly: the main denominator
    range_join    DuckDB joins events to the dates that see them
    pandas        a groupby per date and window
    featuretools  deep feature synthesis with cut-off times and training windows
    fightchurn    PostgreSQL, one INSERT a metric, after the book "Fighting Churn with Data"; loading and indexing the
                  events is not counted

"build" is the time of the work itself, without starting Python and imports. "CPU" is processor time (less affected by
other work on the machine; unknown for PostgreSQL). "process" is the time of everything. Memory is the peak resident set
of the process (for PostgreSQL, of the backend that does the work). Contenders take turns, so that other work on the
machine affects all of them. All use the same processors. The last two run in separate environments, which this script
creates from bench/peers/requirements-*.txt (pinned from the .in files next to them with `uv pip compile --universal
--python-version 3.11 --generate-hashes --no-header --no-annotate`).

    python bench/usage_features.py                                    # 2 million events, 12 dates, all peers
    python bench/usage_features.py --workdir DIR --events 20000000 --dates 12 104
    python bench/usage_features.py --workdir DIR --scaling            # 2, 20 and 200 million events, 12 and 104 dates
    python bench/usage_features.py --workdir DIR --refresh --events 20000000
    python bench/usage_features.py --verify --events 200000

``--workdir`` stores data and environments for the next run. Nothing is appended to any file.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from peers.child import peak_bytes
from peers.environments import PEERS, python_of
from peers.events import AS_OF, DUPLICATES, EVENTS, LATE

GIB = 2**30
SIZES = (2_000_000, 20_000_000, 200_000_000)
TURN_SECONDS = 0.1
"""Seconds between two measurements of a running process."""


@dataclass(frozen=True)
class Contender:
    """A contender: its script, whether its work depends on the dates, and the environment that it needs."""

    name: str
    script: str
    dated: bool = True
    environment: str = ""
    options: dict[str, Any] = field(default_factory=dict)


CONTENDERS = {
    c.name: c
    for c in (
        Contender("ours", "ours.py"),
        Contender("scan", "duck.py", dated=False, options={"kind": "scan"}),
        Contender("one_pass", "duck.py", dated=False, options={"kind": "one_pass"}),
        Contender("range_join", "duck.py", options={"kind": "range_join"}),
        Contender("pandas", "frames.py"),
        Contender("featuretools", "deep_features.py", environment="featuretools"),
        Contender("fightchurn", "postgres.py", environment="postgres", options={"kind": "windows"}),
    )
}
Runs = dict[tuple[str, int], list[dict[str, Any]]]
"""The results of each contender, by its name and number of dates (0: independent of the dates)."""


BUILD, PEAK = "build s (min / median / max)", "peak GiB (min / median / max)"
FASTER, SMALLER = "ours ÷ it: time", "memory"
COLUMNS = ("who", BUILD, "CPU s", "process s", PEAK, FASTER, SMALLER, "of which")


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


class Bench:
    """The work folder, the environments and the limits of a run."""

    def __init__(self, options: argparse.Namespace, place: Path) -> None:
        self.options = options
        self.place = place
        self.pythons = {"": sys.executable}
        place.mkdir(parents=True, exist_ok=True)

    def data(self, events: int, late: float, duplicates: float) -> Path:
        """Return the source with the given number of events; create it unless it exists."""
        single = self.options.single_file
        folder = self.place / f"events-{events}-late-{late:g}-duplicates-{duplicates:g}{'-single' * single}"
        if not (folder / ".written.json").exists():
            command = [sys.executable, PEERS / "events.py", folder, "--events", events, "--late", late]
            command += ["--duplicates", duplicates, *(["--single-file"] if single else [])]
            say(f"making {events:,} events")
            subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
        results = json.loads((folder / ".written.json").read_text(encoding="utf-8"))
        say(
            f"{results['rows']:,} rows, {results['bytes'] / GIB:.2f} GiB of Parquet "
            f"(written in {results['seconds']:.0f} s)"
        )
        return folder

    def python(self, environment: str) -> str | None:
        """Return the interpreter of an environment; create it unless it exists. None if that fails."""
        if environment not in self.pythons:
            self.pythons[environment] = python_of(environment, self.place, say) or ""
        return self.pythons[environment] or None

    def run(self, script: str, environment: str = "", home: Path | None = None, **task: Any) -> dict[str, Any]:
        """Return the result of a process with its ``wall`` time, or why it ``failed``."""
        python = self.python(environment)
        if python is None:
            return {"failed": "cannot be installed here"}
        task = {"as_of": AS_OF.isoformat(), "threads": self.options.threads} | task
        with tempfile.TemporaryDirectory(dir=self.place) as fresh, tempfile.TemporaryFile("w+") as out:
            # State of an earlier run would save work that must be measured.
            home = home or Path(fresh)
            task["home"] = str(home)
            surroundings = os.environ | {"RENEWCAST_HOME": str(home)}
            command = [python, str(PEERS / script), json.dumps(task)]
            with tempfile.TemporaryFile("w+") as err:
                start = time.perf_counter()
                process = subprocess.Popen(command, stdout=out, stderr=err, env=surroundings, start_new_session=True)
                reason = self._watch(process, start)
                wall = time.perf_counter() - start
                err.seek(0)
                lines = err.read().strip().splitlines()
            out.seek(0)
            answers = out.read().strip().splitlines()
        if reason:
            return {"failed": reason, "wall": wall}
        if process.returncode or not answers:
            return {"failed": lines[-1] if lines else f"ended with {process.returncode}", "wall": wall}
        return json.loads(answers[-1]) | {"wall": wall}

    def _watch(self, process: subprocess.Popen[bytes], start: float) -> str:
        """Wait for a process, and end it if it exceeds a limit. Return the reason in that case."""
        reason = ""
        try:
            while not reason:
                try:
                    process.wait(TURN_SECONDS)
                    return ""
                except subprocess.TimeoutExpired:
                    pass
                if time.perf_counter() - start > self.options.limit:
                    reason = f"did not finish in {self.options.limit:g} s"
                elif sys.platform == "linux" and peak_bytes(process.pid) > self.options.memory * GIB:
                    reason = f"needs more than {self.options.memory:g} GiB"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return reason

    def measure(self, names: Iterable[str], events: int) -> Runs:
        """Let the contenders take turns on ``events`` events."""
        address = self.data(events, self.options.late, self.options.duplicates)
        turns = [
            (CONTENDERS[name], n) for name in names for n in (self.options.dates if CONTENDERS[name].dated else [0])
        ]
        runs: Runs = defaultdict(list)
        for i in range(self.options.repeat):
            for contender, n in turns:
                results = runs[contender.name, n]
                if results and "failed" in results[-1]:
                    continue
                more = dict(contender.options)
                if contender.name == "fightchurn":
                    more["place"] = str(self.place / f"postgres-{address.name}")
                    if failed := self._loaded(address, Path(more["place"])):
                        results.append({"failed": failed})
                        continue
                results.append(self.run(contender.script, contender.environment, address=str(address), dates=n, **more))
                if contender.name == "fightchurn" and "failed" in results[-1]:
                    # Its server survives a process that is killed.
                    self.run(contender.script, contender.environment, address=str(address), **more | {"kind": "stop"})
                what = (
                    results[-1].get("failed") or f"{results[-1]['seconds']:.2f} s, {results[-1]['peak'] / GIB:.2f} GiB"
                )
                say(f"  {i + 1}: {contender.name}{f', {n} dates' if n else ''}: {what}")
        return runs

    def _loaded(self, address: Path, place: Path) -> str:
        """Load the events into PostgreSQL unless it has them. Return what failed, if anything."""
        mark = place.with_suffix(".loaded")
        if self.python("postgres") is None:
            return "cannot be installed here"
        if not mark.exists():
            usage = address / "usage" / "*" / "*.parquet" if (address / "usage").is_dir() else address / "usage.parquet"
            with tempfile.TemporaryDirectory(dir=self.place) as folder:
                csv = Path(folder) / "events.csv"
                duckdb.execute(f"""
                    COPY (SELECT account_id, occurred_at, user_id, quantity FROM read_parquet('{usage}'))
                    TO '{csv}' (HEADER false)""")
                about = {"address": str(address), "place": str(place)}
                results = self.run("postgres.py", "postgres", kind="load", csv=str(csv), **about)
            if "failed" in results:
                self.run("postgres.py", "postgres", kind="stop", **about)
                return f"loading: {results['failed']}"
            parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in results["parts"].items())
            say(f"PostgreSQL has the events ({parts}, not counted)")
            mark.touch()
        return ""


def spread(values: list[float], form: str = ".2f") -> str:
    return " / ".join(f"{f(values):{form}}" for f in (min, statistics.median, max))


def good(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [t for t in results if "failed" not in t]


def median(results: list[dict[str, Any]], key: str) -> float:
    return float(statistics.median(t[key] for t in results))


def compared(runs: Runs, n: int, limit: float) -> pd.DataFrame:
    """Return the table for one number of dates."""
    ours = good(runs.get(("ours", n), []))
    rows = []
    for (name, dates), results in runs.items():
        if dates not in (0, n):
            continue
        row = dict.fromkeys(COLUMNS, "") | {"who": name}
        rows.append(row)
        if not (result := good(results)):
            row[BUILD] = results[-1]["failed"]
            if ours and "wall" in results[-1]:
                row[FASTER] = f"< {median(ours, 'seconds') / limit:.2f}" if "did not finish" in row[BUILD] else ""
            continue
        row[BUILD] = spread([t["seconds"] for t in result])
        row["CPU s"] = "" if result[0]["cpu"] is None else f"{median(result, 'cpu'):.2f}"
        row["process s"] = f"{median(result, 'wall'):.2f}"
        row[PEAK] = spread([t["peak"] / GIB for t in result])
        if ours:
            row[FASTER] = f"{median(ours, 'seconds') / median(result, 'seconds'):.2f}"
            row[SMALLER] = f"{median(ours, 'peak') / median(result, 'peak'):.2f}"
        if len(parts := result[0]["parts"]) > 1:
            medians = {part: statistics.median(t["parts"][part] for t in result) for part in parts}
            row["of which"] = " + ".join(f"{part} {seconds:.2f}" for part, seconds in medians.items())
        if len(result) < len(results):
            row["of which"] += f" ({results[-1]['failed']} in turn {len(results)})"
    return pd.DataFrame(rows, columns=list(COLUMNS))


def show(table: pd.DataFrame, markdown: bool) -> None:
    if not markdown:
        print(table.to_string(index=False))
        return
    print("| " + " | ".join(table.columns) + " |")
    print("|---" * len(table.columns) + "|")
    for row in table.itertuples(index=False):
        print("| " + " | ".join(map(str, row)) + " |")


def agreement(runs: Runs, n: int) -> str:
    """Return whether the peers that build the nine columns agree."""
    results = {
        name: result[-1]["totals"]
        for (name, dates), t in runs.items()
        if dates == n and (result := good(t)) and "totals" in result[-1]
    }
    if len(results) < 2:
        return ""
    first = next(iter(results.values()))
    others = [name for name, totals in results.items() if totals != first]
    words = ", ".join(results)
    return (
        f"The nine columns of {words} add up to different sums: {results}"
        if others
        else f"The nine columns of {words} add up to the same sums."
    )


def compare_with_peers(bench: Bench) -> None:
    options = bench.options
    names = options.peers or [n for n in CONTENDERS if n != "ours"]
    runs = bench.measure(["ours", *names], options.events)
    for n in options.dates:
        columns = "".join(f"; ours builds {t['columns']} columns" for t in good(runs["ours", n])[:1])
        size = f"{options.events:,} events of 5,000 accounts over 104 weeks, {n} weekly dates"
        print(f"\n{size}, {options.threads} threads{columns}\n")
        show(compared(runs, n, options.limit), options.markdown)
        if words := agreement(runs, n):
            print(f"\n{words}")


def scaling(bench: Bench) -> None:
    """Show how time and memory grow with the number of events: log(t2 / t1) / log(n2 / n1) between two sizes."""
    options = bench.options
    last: dict[tuple[str, int], tuple[int, float]] = {}
    rows = []
    for events in options.sizes:
        for (name, n), results in bench.measure(["ours", *(options.peers or ["one_pass"])], events).items():
            row: dict[str, Any] = {"who": name, "dates": n or "any", "events": f"{events:,}"}
            if result := good(results):
                seconds = median(result, "seconds")
                row[BUILD] = spread([t["seconds"] for t in result])
                row["CPU s"] = f"{median(result, 'cpu'):.2f}" if result[0]["cpu"] is not None else ""
                row["million events a second"] = f"{events / seconds / 1e6:.2f}"
                row["peak GiB"] = f"{max(t['peak'] for t in result) / GIB:.2f}"
                if (name, n) in last:
                    fewer, before = last[name, n]
                    row["exponent"] = f"{math.log(seconds / before) / math.log(events / fewer):.2f}"
                last[name, n] = events, seconds
            else:
                row[BUILD] = results[-1]["failed"]
            rows.append(row)
    print()
    rows.sort(key=lambda row: (row["who"], str(row["dates"]).zfill(4)))
    show(pd.DataFrame(rows).fillna(""), options.markdown)


def refresh(bench: Bench) -> None:
    """Add a week to a source, and compare the new date with stored state to the same without stored state."""
    options = bench.options
    whole = bench.data(options.events, options.late, options.duplicates)
    if options.single_file:
        raise SystemExit("a refresh needs a folder of partitions; leave --single-file out")
    before = AS_OF - timedelta(weeks=1)
    newest = f"week={before.date()}"
    with tempfile.TemporaryDirectory(dir=bench.place) as folder:
        source, stored = Path(folder) / "signals", Path(folder) / "kept"
        stored.mkdir()
        for file in sorted(whole.rglob("*.parquet")):
            if newest not in file.parts:
                _link(file, source / file.relative_to(whole))
        say(f"building {date.isoformat(before.date())}")
        first = bench.run("ours.py", home=stored, keep=True, address=str(source), as_of=before.isoformat())
        _report("ours, a week ago, from nothing", first)
        for file in sorted((whole / "usage" / newest).iterdir()):
            _link(file, source / file.relative_to(whole))
        size = sum(p.stat().st_size for p in stored.rglob("*") if p.is_file())
        runs: dict[str, list[dict[str, Any]]] = {"refresh": [], "from nothing": []}
        for i in range(options.repeat):
            for who, results in runs.items():
                home = Path(folder) / f"home-{who.replace(' ', '-')}-{i}"
                if who == "refresh":
                    shutil.copytree(stored, home, symlinks=True)
                else:
                    home.mkdir()
                    # The cache of SQL texts depends on the code, not on the events, so both cases have it.
                    shutil.copy2(stored / "texts.json", home)
                results.append(bench.run("ours.py", home=home, keep=True, address=str(source), digest=True))
                _report(f"{i + 1}: {who}", results[-1])
                shutil.rmtree(home)
    print(
        f"\n{options.events:,} events over 104 weeks, the last week new; one date; kept state {size / 2**20:.1f} MiB\n"
    )
    full = median(runs["from nothing"], "seconds")
    rows = [
        {
            "what": who,
            BUILD: spread([t["seconds"] for t in results]),
            "CPU s": f"{median(results, 'cpu'):.2f}",
            "process s": f"{median(results, 'wall'):.2f}",
            "peak GiB": f"{max(t['peak'] for t in results) / GIB:.2f}",
            "share of the time from nothing": f"{median(results, 'seconds') / full:.1%}",
        }
        for who, results in ({"a week ago, from nothing": [first]} | runs).items()
    ]
    show(pd.DataFrame(rows), options.markdown)
    same = len({t["digest"] for results in runs.values() for t in results}) == 1
    print("\nThe features are the same, refreshed or from nothing." if same else "\nTHE REFRESHED FEATURES DIFFER.")
    if not same:
        raise SystemExit(1)


def _link(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, place)
    except OSError:
        shutil.copy2(file, place)


def _report(what: str, results: dict[str, Any]) -> None:
    """Print the cost of one of our runs. A failed run ends the benchmark."""
    if "failed" in results:
        raise SystemExit(f"{what}: {results['failed']}")
    say(f"  {what}: {results['seconds']:.2f} s, {results['peak'] / GIB:.2f} GiB")


def verify(bench: Bench) -> None:
    """Compare ours with the join by hand, on clean rows and on late and repeated ones."""
    options, wrong = bench.options, False
    for late, duplicates, strict in ((0.0, 0.0, False), (options.late, options.duplicates, True)):
        address = bench.data(options.events, late, duplicates)
        for n in options.dates:
            results = bench.run("verify.py", address=str(address), dates=n, strict=strict)
            rows = "late and repeated rows" if strict else "clean rows"
            if "failed" in results:
                raise SystemExit(f"{rows}, {n} dates: {results['failed']}")
            wrong |= bool(results["wrong"])
            result = f"DIFFERENT: {results['wrong']}" if results["wrong"] else "all the same"
            print(
                f"{rows}, {n} dates: {results['compared']:,} values of {', '.join(results['columns'])}: {result} "
                f"({results['unknown']:,} unknown: the window reaches back beyond the feed)"
            )
    if wrong:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--scaling", action="store_true", help="measure how ours scales with the number of events")
    mode.add_argument("--refresh", action="store_true", help="compare a weekly refresh with a full build")
    mode.add_argument("--verify", action="store_true", help="compare ours with the hand-written join, value by value")
    parser.add_argument("--events", type=int, default=EVENTS, help="number of usage events (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="numbers of events for --scaling")
    parser.add_argument("--dates", type=int, nargs="+", help="numbers of weekly dates (12; with --scaling 12 and 104)")
    parser.add_argument(
        "--peers", nargs="+", choices=[n for n in CONTENDERS if n != "ours"], help="run only these peers"
    )
    parser.add_argument("--late", type=float, default=LATE, help="share of rows that arrive days late")
    parser.add_argument("--duplicates", type=float, default=DUPLICATES, help="share of rows that are repeated")
    parser.add_argument(
        "--single-file", action="store_true", help="write usage as one file instead of one folder per week"
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs of each measurement (default: %(default)s)")
    parser.add_argument(
        "--limit", type=float, default=600, help="seconds after which a process is stopped (default: %(default)s)"
    )
    parser.add_argument(
        "--memory", type=float, help="GiB above which a process is stopped (default: 3/4 of the memory)"
    )
    parser.add_argument("--threads", type=int, default=2, help="number of threads (default: %(default)s)")
    parser.add_argument("--workdir", type=Path, help="keep data and environments here")
    parser.add_argument("--markdown", action="store_true", help="print tables as Markdown")
    options = parser.parse_args()
    options.dates = options.dates or ([12, 104] if options.scaling else [12])
    if options.memory is None:
        options.memory = 0.75 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(options, (options.workdir or Path(place)).resolve())
        for chosen, work in ((options.scaling, scaling), (options.refresh, refresh), (options.verify, verify)):
            if chosen:
                return work(bench)
        compare_with_peers(bench)
    if len(sys.argv) == 1:
        print("More events, dates and modes: python bench/usage_features.py --help")
    return None


if __name__ == "__main__":
    main()
