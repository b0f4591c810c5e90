"""What building usage features costs, in time and memory: ours beside peers, each in a process of its own.

Ours checks the source, counts each event once, heeds when each row arrived, and builds all usage features (windows of 7
to 364 days, trends and the rest) of the active accounts at weekly dates. The peers do less: they take the rows as they
are, check nothing, count duplicates, do not look at arrival, and (but for the first two) build nine columns: events,
quantity and distinct users over 7, 28 and 91 days. That is to their advantage.

    scan          DuckDB reads two columns once: the floor
    one_pass      DuckDB groups everything once by account and week, distinct users exactly: the main denominator
    range_join    DuckDB joins events to the dates that see them
    pandas        a groupby per date and window
    featuretools  deep feature synthesis with cut-off times and training windows
    fightchurn    PostgreSQL, one INSERT a metric, after the book "Fighting Churn with Data"; loading and indexing the
                  events is not counted

"build" is the time of the work itself, without starting Python and imports; "CPU" what processors were busy with it
(less moved by what else the machine does; not known of PostgreSQL); "process" is the time of everything; memory is the
peak resident set of the process (for PostgreSQL, of the backend that does the work). Contenders take turns, so that
whatever else the machine does meets all of them. All are held to the same processors. The last two run in environments
of their own, which this script makes from bench/peers/requirements-*.txt (pinned from the .in files beside them with
`uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate`).

    python bench/usage_features.py                                    # 2 million events, 12 dates, all peers
    python bench/usage_features.py --workdir DIR --events 20000000 --dates 12 104
    python bench/usage_features.py --workdir DIR --scaling            # 2, 20 and 200 million events, 12 and 104 dates
    python bench/usage_features.py --workdir DIR --refresh --events 20000000
    python bench/usage_features.py --verify --events 200000

``--workdir`` keeps data and environments from one run to the next. Nothing is appended to any file.
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
"""How often a process is looked at while it runs."""


@dataclass(frozen=True)
class Contender:
    """One that builds features: its script, whether its work depends on the dates, the environment that it needs."""

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
"""What each contender told, by its name and number of dates (0: whatever the dates)."""


BUILD, PEAK = "build s (min / median / max)", "peak GiB (min / median / max)"
FASTER, SMALLER = "ours ÷ it: time", "memory"
COLUMNS = ("who", BUILD, "CPU s", "process s", PEAK, FASTER, SMALLER, "of which")


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


class Bench:
    """The work folder, the environments and the limits of a run."""

    def __init__(self, given: argparse.Namespace, place: Path) -> None:
        self.given = given
        self.place = place
        self.pythons = {"": sys.executable}
        place.mkdir(parents=True, exist_ok=True)

    def data(self, events: int, late: float, duplicates: float) -> Path:
        """The source of so many events, made unless it is there."""
        single = self.given.single_file
        folder = self.place / f"events-{events}-late-{late:g}-duplicates-{duplicates:g}{'-single' * single}"
        if not (folder / ".written.json").exists():
            command = [sys.executable, PEERS / "events.py", folder, "--events", events, "--late", late]
            command += ["--duplicates", duplicates, *(["--single-file"] if single else [])]
            say(f"making {events:,} events")
            subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
        told = json.loads((folder / ".written.json").read_text(encoding="utf-8"))
        say(f"{told['rows']:,} rows, {told['bytes'] / GIB:.2f} GiB of Parquet (written in {told['seconds']:.0f} s)")
        return folder

    def python(self, environment: str) -> str | None:
        """The interpreter of an environment, made unless it is there; None if that fails."""
        if environment not in self.pythons:
            self.pythons[environment] = python_of(environment, self.place, say) or ""
        return self.pythons[environment] or None

    def run(self, script: str, environment: str = "", home: Path | None = None, **task: Any) -> dict[str, Any]:
        """What a process told of its task, its ``wall`` time besides; or why it ``failed``."""
        python = self.python(environment)
        if python is None:
            return {"failed": "cannot be installed here"}
        task = {"as_of": AS_OF.isoformat(), "threads": self.given.threads} | task
        with tempfile.TemporaryDirectory(dir=self.place) as fresh, tempfile.TemporaryFile("w+") as out:
            # State from an earlier run would spare work that is to be measured.
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
        """Wait for a process, and end it when it goes beyond a limit; why, if so."""
        reason = ""
        try:
            while not reason:
                try:
                    process.wait(TURN_SECONDS)
                    return ""
                except subprocess.TimeoutExpired:
                    pass
                if time.perf_counter() - start > self.given.limit:
                    reason = f"did not finish in {self.given.limit:g} s"
                elif sys.platform == "linux" and peak_bytes(process.pid) > self.given.memory * GIB:
                    reason = f"needs more than {self.given.memory:g} GiB"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return reason

    def measure(self, names: Iterable[str], events: int) -> Runs:
        """Let the contenders take turns on ``events`` events."""
        address = self.data(events, self.given.late, self.given.duplicates)
        turns = [(CONTENDERS[name], n) for name in names for n in (self.given.dates if CONTENDERS[name].dated else [0])]
        runs: Runs = defaultdict(list)
        for i in range(self.given.repeat):
            for contender, n in turns:
                told = runs[contender.name, n]
                if told and "failed" in told[-1]:
                    continue
                more = dict(contender.options)
                if contender.name == "fightchurn":
                    more["place"] = str(self.place / f"postgres-{address.name}")
                    if failed := self._loaded(address, Path(more["place"])):
                        told.append({"failed": failed})
                        continue
                told.append(self.run(contender.script, contender.environment, address=str(address), dates=n, **more))
                if contender.name == "fightchurn" and "failed" in told[-1]:
                    # Its server outlives a process that is ended.
                    self.run(contender.script, contender.environment, address=str(address), **more | {"kind": "stop"})
                what = told[-1].get("failed") or f"{told[-1]['seconds']:.2f} s, {told[-1]['peak'] / GIB:.2f} GiB"
                say(f"  {i + 1}: {contender.name}{f', {n} dates' if n else ''}: {what}")
        return runs

    def _loaded(self, address: Path, place: Path) -> str:
        """Load PostgreSQL with the events unless it has them; what failed, if anything."""
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
                told = self.run("postgres.py", "postgres", kind="load", csv=str(csv), **about)
            if "failed" in told:
                self.run("postgres.py", "postgres", kind="stop", **about)
                return f"loading: {told['failed']}"
            parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in told["parts"].items())
            say(f"PostgreSQL has the events ({parts}, not counted)")
            mark.touch()
        return ""


def spread(values: list[float], form: str = ".2f") -> str:
    return " / ".join(f"{f(values):{form}}" for f in (min, statistics.median, max))


def good(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [t for t in told if "failed" not in t]


def median(told: list[dict[str, Any]], key: str) -> float:
    return float(statistics.median(t[key] for t in told))


def compared(runs: Runs, n: int, limit: float) -> pd.DataFrame:
    """The table of one number of dates."""
    ours = good(runs.get(("ours", n), []))
    rows = []
    for (name, dates), told in runs.items():
        if dates not in (0, n):
            continue
        row = dict.fromkeys(COLUMNS, "") | {"who": name}
        rows.append(row)
        if not (done := good(told)):
            row[BUILD] = told[-1]["failed"]
            if ours and "wall" in told[-1]:
                row[FASTER] = f"< {median(ours, 'seconds') / limit:.2f}" if "did not finish" in row[BUILD] else ""
            continue
        row[BUILD] = spread([t["seconds"] for t in done])
        row["CPU s"] = "" if done[0]["cpu"] is None else f"{median(done, 'cpu'):.2f}"
        row["process s"] = f"{median(done, 'wall'):.2f}"
        row[PEAK] = spread([t["peak"] / GIB for t in done])
        if ours:
            row[FASTER] = f"{median(ours, 'seconds') / median(done, 'seconds'):.2f}"
            row[SMALLER] = f"{median(ours, 'peak') / median(done, 'peak'):.2f}"
        if len(parts := done[0]["parts"]) > 1:
            medians = {part: statistics.median(t["parts"][part] for t in done) for part in parts}
            row["of which"] = " + ".join(f"{part} {seconds:.2f}" for part, seconds in medians.items())
        if len(done) < len(told):
            row["of which"] += f" ({told[-1]['failed']} in turn {len(told)})"
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
    """Whether the peers that build the nine columns have built the same."""
    told = {
        name: done[-1]["totals"]
        for (name, dates), t in runs.items()
        if dates == n and (done := good(t)) and "totals" in done[-1]
    }
    if len(told) < 2:
        return ""
    first = next(iter(told.values()))
    others = [name for name, totals in told.items() if totals != first]
    words = ", ".join(told)
    return (
        f"The nine columns of {words} add up to different sums: {told}"
        if others
        else f"The nine columns of {words} add up to the same sums."
    )


def beside_peers(bench: Bench) -> None:
    given = bench.given
    names = given.peers or [n for n in CONTENDERS if n != "ours"]
    runs = bench.measure(["ours", *names], given.events)
    for n in given.dates:
        columns = "".join(f"; ours builds {t['columns']} columns" for t in good(runs["ours", n])[:1])
        size = f"{given.events:,} events of 5,000 accounts over 104 weeks, {n} weekly dates"
        print(f"\n{size}, {given.threads} threads{columns}\n")
        show(compared(runs, n, given.limit), given.markdown)
        if words := agreement(runs, n):
            print(f"\n{words}")


def scaling(bench: Bench) -> None:
    """How time and memory grow with the number of events: log(t2 / t1) / log(n2 / n1) from each size to the next."""
    given = bench.given
    last: dict[tuple[str, int], tuple[int, float]] = {}
    rows = []
    for events in given.sizes:
        for (name, n), told in bench.measure(["ours", *(given.peers or ["one_pass"])], events).items():
            row: dict[str, Any] = {"who": name, "dates": n or "any", "events": f"{events:,}"}
            if done := good(told):
                seconds = median(done, "seconds")
                row[BUILD] = spread([t["seconds"] for t in done])
                row["CPU s"] = f"{median(done, 'cpu'):.2f}" if done[0]["cpu"] is not None else ""
                row["million events a second"] = f"{events / seconds / 1e6:.2f}"
                row["peak GiB"] = f"{max(t['peak'] for t in done) / GIB:.2f}"
                if (name, n) in last:
                    fewer, before = last[name, n]
                    row["exponent"] = f"{math.log(seconds / before) / math.log(events / fewer):.2f}"
                last[name, n] = events, seconds
            else:
                row[BUILD] = told[-1]["failed"]
            rows.append(row)
    print()
    rows.sort(key=lambda row: (row["who"], str(row["dates"]).zfill(4)))
    show(pd.DataFrame(rows).fillna(""), given.markdown)


def refresh(bench: Bench) -> None:
    """A source grows by a week: the new date with what the last run kept, against the same from nothing."""
    given = bench.given
    whole = bench.data(given.events, given.late, given.duplicates)
    if given.single_file:
        raise SystemExit("a refresh needs a folder of partitions; leave --single-file out")
    before = AS_OF - timedelta(weeks=1)
    newest = f"week={before.date()}"
    with tempfile.TemporaryDirectory(dir=bench.place) as folder:
        source, kept = Path(folder) / "signals", Path(folder) / "kept"
        kept.mkdir()
        for file in sorted(whole.rglob("*.parquet")):
            if newest not in file.parts:
                _link(file, source / file.relative_to(whole))
        say(f"building {date.isoformat(before.date())}")
        first = bench.run("ours.py", home=kept, keep=True, address=str(source), as_of=before.isoformat())
        _told("ours, a week ago, from nothing", first)
        for file in sorted((whole / "usage" / newest).iterdir()):
            _link(file, source / file.relative_to(whole))
        size = sum(p.stat().st_size for p in kept.rglob("*") if p.is_file())
        runs: dict[str, list[dict[str, Any]]] = {"refresh": [], "from nothing": []}
        for i in range(given.repeat):
            for who, told in runs.items():
                home = Path(folder) / f"home-{who.replace(' ', '-')}-{i}"
                if who == "refresh":
                    shutil.copytree(kept, home, symlinks=True)
                else:
                    home.mkdir()
                    # What is known of the code, not of the events, is there in either case.
                    shutil.copy2(kept / "texts.json", home)
                told.append(bench.run("ours.py", home=home, keep=True, address=str(source), digest=True))
                _told(f"{i + 1}: {who}", told[-1])
                shutil.rmtree(home)
    print(f"\n{given.events:,} events over 104 weeks, the last week new; one date; kept state {size / 2**20:.1f} MiB\n")
    full = median(runs["from nothing"], "seconds")
    rows = [
        {
            "what": who,
            BUILD: spread([t["seconds"] for t in told]),
            "CPU s": f"{median(told, 'cpu'):.2f}",
            "process s": f"{median(told, 'wall'):.2f}",
            "peak GiB": f"{max(t['peak'] for t in told) / GIB:.2f}",
            "share of the time from nothing": f"{median(told, 'seconds') / full:.1%}",
        }
        for who, told in ({"a week ago, from nothing": [first]} | runs).items()
    ]
    show(pd.DataFrame(rows), given.markdown)
    same = len({t["digest"] for told in runs.values() for t in told}) == 1
    print("\nThe features are the same, refreshed or from nothing." if same else "\nTHE REFRESHED FEATURES DIFFER.")
    if not same:
        raise SystemExit(1)


def _link(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, place)
    except OSError:
        shutil.copy2(file, place)


def _told(what: str, told: dict[str, Any]) -> None:
    """Say what a run of ours took; without it there is no result."""
    if "failed" in told:
        raise SystemExit(f"{what}: {told['failed']}")
    say(f"  {what}: {told['seconds']:.2f} s, {told['peak'] / GIB:.2f} GiB")


def verify(bench: Bench) -> None:
    """Hold ours against the join by hand, on clean rows and on late and repeated ones."""
    given, wrong = bench.given, False
    for late, duplicates, strict in ((0.0, 0.0, False), (given.late, given.duplicates, True)):
        address = bench.data(given.events, late, duplicates)
        for n in given.dates:
            told = bench.run("verify.py", address=str(address), dates=n, strict=strict)
            rows = "late and repeated rows" if strict else "clean rows"
            if "failed" in told:
                raise SystemExit(f"{rows}, {n} dates: {told['failed']}")
            wrong |= bool(told["wrong"])
            result = f"DIFFERENT: {told['wrong']}" if told["wrong"] else "all the same"
            print(
                f"{rows}, {n} dates: {told['compared']:,} values of {', '.join(told['columns'])}: {result} "
                f"({told['unknown']:,} unknown: the window reaches back beyond the feed)"
            )
    if wrong:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--scaling", action="store_true", help="how ours grows with the number of events")
    mode.add_argument("--refresh", action="store_true", help="a weekly refresh against a build from nothing")
    mode.add_argument("--verify", action="store_true", help="hold ours against the join by hand, value by value")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="the events of --scaling")
    parser.add_argument("--dates", type=int, nargs="+", help="numbers of weekly dates (12; with --scaling 12 and 104)")
    parser.add_argument("--peers", nargs="+", choices=[n for n in CONTENDERS if n != "ours"], help="only these")
    parser.add_argument("--late", type=float, default=LATE, help="share of rows that arrive days late")
    parser.add_argument("--duplicates", type=float, default=DUPLICATES, help="share of rows that are there twice")
    parser.add_argument("--single-file", action="store_true", help="usage in one file instead of a folder a week")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a process is ended")
    parser.add_argument("--memory", type=float, help="GiB above which a process is ended (3/4 of the machine's)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workdir", type=Path, help="keep data and environments here")
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    given.dates = given.dates or ([12, 104] if given.scaling else [12])
    if given.memory is None:
        given.memory = 0.75 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(given, (given.workdir or Path(place)).resolve())
        for chosen, work in ((given.scaling, scaling), (given.refresh, refresh), (given.verify, verify)):
            if chosen:
                return work(bench)
        beside_peers(bench)
    if len(sys.argv) == 1:
        print("More events, dates and modes: python bench/usage_features.py --help")
    return None


if __name__ == "__main__":
    main()
