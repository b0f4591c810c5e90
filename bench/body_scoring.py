"""Processor time of scoring one account from the signals in a request, in memory and by the database, in turns.

    python bench/body_scoring.py SIGNALS --home HOME [--as-of 2026-09-30] [--rows 400 19000] [--turns 12]

SIGNALS is the folder of Parquet files that the home was trained on. Bodies have all rows of an account, and at most as
many usage events as --rows says: of an account of median size for the first number, of the largest one for the others.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.utils.dates import parse_instant
from models.home import Home
from serving.common.settings import ServiceSettings
from serving.schemas.predictions import PredictionRequest
from serving.scoring.score_payload import SignalsScorer, _arrow
from serving.snapshots.live_state import LiveStateManager

ROWS_LIMIT = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("signals", type=Path, help="folder of Parquet files")
    parser.add_argument("--home", type=Path, required=True, help="folder of a trained and scored home")
    parser.add_argument("--as-of", default="2026-09-30", help="date of the predictions (default: %(default)s)")
    parser.add_argument("--rows", type=int, nargs="+", default=[400, 19_000], help="maximum number of usage events")
    parser.add_argument("--turns", type=int, default=12, help="number of turns (default: %(default)s)")
    options = parser.parse_args()
    state = LiveStateManager(Home(options.home), ServiceSettings()).current()
    sizes = Counter(pq.read_table(options.signals / "usage.parquet", columns=["account_id"])["account_id"].to_pylist())
    by_size = [account for account, _ in sizes.most_common()]
    print(f"load of the machine: {os.getloadavg()[0]:.1f}; CPU milliseconds, minimum, median, maximum")
    for rows, account in zip(
        options.rows, [by_size[len(by_size) // 2], *by_size[:1] * len(options.rows)], strict=False
    ):
        measure(state, account, body_of(options.signals, account, options.as_of, rows), options.turns)


def body_of(signals: Path, account: str, as_of: str, usage_rows: int) -> str:
    """Return the JSON of a request with the rows of one account."""
    instant = parse_instant(as_of)
    tables: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(signals.glob("*.parquet")):
        table = pq.read_table(file)
        rows = table.filter(pc.equal(table["account_id"], account)).to_pylist()
        if file.stem == "usage":
            before = [row for row in rows if row["occurred_at"].replace(tzinfo=UTC) < instant]
            rows = sorted(before, key=lambda row: row["occurred_at"])[-usage_rows:]
        tables[file.stem] = [{k: _text(v) for k, v in row.items() if v is not None} for row in rows]
    known = PredictionRequest.model_fields["signals"].annotation.__args__[0].model_fields  # type: ignore[union-attr]
    signals_of_contract = {name: rows for name, rows in tables.items() if name in known}
    first = min(row["occurred_at"] for row in tables["usage"])
    return json.dumps({"account_id": account, "as_of": as_of, "history_from": first, "signals": signals_of_contract})


def _text(value: Any) -> Any:
    return value.replace(tzinfo=None).isoformat() + "Z" if isinstance(value, datetime) else value


def measure(state: Any, account: str, body: str, turns: int) -> None:
    """Print the processor time of each step for one body; the answers of both engines must be equal."""
    times: dict[str, list[float]] = {"read the body": [], "in memory": [], "by the database": []}

    def timed(what: str, run: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = run()
        times[what].append(1000 * (time.process_time() - start))
        return result

    def by_database(job: SignalsScorer) -> dict[str, Any]:
        tables = {name: _arrow(name, rows, account) for name, rows in job._tables.items()}
        return job._scored_by_database(tables, state.scorer())

    for _ in range(turns + 1):
        request = timed("read the body", lambda: PredictionRequest.model_validate(json.loads(body)))
        job = SignalsScorer(request, state, rows_limit=ROWS_LIMIT)
        answers = timed("in memory", job), timed("by the database", lambda job=job: by_database(job))
        assert len({json.dumps(answer | {"scored_at": None}) for answer in answers}) == 1
    print(f"{job.rows:,} rows")
    for what, values in times.items():
        first, *rest = values
        print(f"  {what}: {min(rest):.0f}, {statistics.median(rest):.0f}, {max(rest):.0f}; first {first:.0f}")


if __name__ == "__main__":
    main()
