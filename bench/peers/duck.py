"""Peers written by hand in DuckDB, on the rows as they are: no checks, duplicates count, arrival is ignored."""

from __future__ import annotations

from typing import Any

import duckdb
import pandas as pd  # noqa: F401  DuckDB would import it during the measurement.
from child import WINDOWS, Task, answer, totals


def connect(task: Task) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET threads = {task.threads}")
    return connection


def scan(task: Task) -> dict[str, Any]:
    """Read two columns once: the lower limit."""
    with task.timed("build"):
        (events, quantity) = (
            connect(task).execute(f"SELECT count(*), sum(quantity) FROM read_parquet('{task.usage}')").fetchone()
        )
    return {"rows": 1, "events": events, "quantity": quantity}


def one_pass(task: Task) -> dict[str, Any]:
    """Group everything once by account and week, which any exact answer at weekly dates has to do."""
    with task.timed("build"):
        frame = (
            connect(task)
            .execute(
                f"""
                SELECT account_id,
                    (epoch_us(TIMESTAMP '{task.as_of}') - 1 - epoch_us(occurred_at)) // 604800000000 AS weeks_ago,
                    count(*) AS events, sum(quantity) AS quantity, count(DISTINCT user_id) AS users
                FROM read_parquet('{task.usage}')
                GROUP BY ALL"""
            )
            .df()
        )
    return {"rows": len(frame)}


def range_join_query(task: Task, events: str, recorded: str = "") -> str:
    """Return counts, sums and distinct users by account and date, from a join of events to dates.

    ``seen`` is a further condition of the join.
    """
    dates = ", ".join(f"(TIMESTAMP '{date}')" for date in task.dates)
    measures = ", ".join(
        f"count(*) FILTER ({inside}) AS events_{w}d, coalesce(sum(quantity) FILTER ({inside}), 0) AS quantity_{w}d, "
        f"count(DISTINCT user_id) FILTER ({inside}) AS users_{w}d"
        for w in WINDOWS
        for inside in [f"occurred_at >= as_of - INTERVAL {w} DAY"]
    )
    return f"""
        SELECT account_id, as_of, {measures}
        FROM {events} AS events JOIN (VALUES {dates}) AS dates (as_of)
            ON occurred_at < as_of AND occurred_at >= as_of - INTERVAL {max(WINDOWS)} DAY {recorded}
        GROUP BY account_id, as_of"""


def range_join(task: Task) -> dict[str, Any]:
    """Compute the three windows in the direct way."""
    with task.timed("build"):
        frame = connect(task).execute(range_join_query(task, f"read_parquet('{task.usage}')")).df()
    return {"rows": len(frame), "totals": totals(frame)}


KINDS = {"scan": scan, "one_pass": one_pass, "range_join": range_join}

if __name__ == "__main__":
    answer(lambda task: KINDS[task.given["kind"]](task))
