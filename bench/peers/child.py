"""The frame of every measured process: read the task from the command line, time the build, print its cost.

It uses only the standard library, so that peers in separate environments can use it. The task and the answer are JSON;
the answer is the last line of standard output.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

WINDOWS = (7, 28, 91)
"""The windows, in days, over which every peer counts events, sums quantity and counts users."""


def peak_bytes(pid: int | str = "self") -> int:
    """Return the largest resident memory of a process so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        # Not on Linux, where the figure includes the process that it was forked from.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    # A process that is just ending has no memory any more.
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


class Task:
    """A task: ``address`` of the source, ``as_of`` (the last date), ``n`` weekly dates, and further options.

    ``with task.timed("part"):`` measures a part of the build; their sum is its time.
    """

    def __init__(self, inputs: dict[str, Any]) -> None:
        self.given = inputs
        self.address = Path(inputs["address"])
        self.as_of = datetime.fromisoformat(inputs["as_of"])
        self.n = int(inputs.get("dates") or 1)
        self.threads = int(inputs["threads"])
        self.parts: dict[str, float] = {}
        self.cpu = 0.0

    @property
    def dates(self) -> list[datetime]:
        """Return the dates, a week apart, ending at ``as_of``."""
        return [self.as_of - timedelta(weeks=back) for back in reversed(range(self.n))]

    @property
    def usage(self) -> str:
        """Return the pattern of the usage files."""
        folder = self.address / "usage"
        return str(folder / "*" / "*.parquet") if folder.is_dir() else str(self.address / "usage.parquet")

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time of the body to ``part``."""
        start, busy = time.perf_counter(), time.process_time()
        yield
        self.cpu += time.process_time() - busy
        self.parts[part] = self.parts.get(part, 0.0) + time.perf_counter() - start


def totals(frame: Any) -> list[float]:
    """Return the sums of the nine columns of a frame, by which the peers are compared."""
    return [float(frame[f"{what}_{w}d"].sum()) for w in WINDOWS for what in ("events", "quantity", "users")]


def answer(build: Callable[[Task], dict[str, Any]]) -> None:
    """Run the task of the command line, and print the result of ``build``, its time and its memory."""
    task = Task(json.loads(sys.argv[1]))
    result = build(task)
    peak = max(peak_bytes(), result.pop("other_peak", 0))
    cost = {"seconds": sum(task.parts.values()), "cpu": task.cpu, "parts": task.parts, "peak": peak}
    print(json.dumps(cost | result))
