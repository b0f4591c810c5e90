"""A signals source with as many usage events as wanted, made by DuckDB: the same rows for the same options (and the
same DuckDB, whose ``hash`` is the dice).

5,000 accounts, 104 weeks up to `AS_OF`. A few accounts, users and features make most of the events; an account has 5 to
35 users. Most rows arrive within four hours, before the midnight after they happened; ``--late`` is the share that
arrives 1 to 20 days later, ``--duplicates`` the share that is there twice. What arrives at `AS_OF` or later is not in
the source, so it holds slightly fewer late rows than were drawn.

Usage is laid as an export job leaves it: a folder for each week of arrival, sorted by arrival. One week is in memory at
a time, so 200 million events need no more memory than their largest week.

    python bench/peers/events.py FOLDER [--events 2000000] [--late 0.01] [--duplicates 0.005] [--single-file]
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

AS_OF = datetime(2026, 1, 5)
"""A Monday, UTC: the instant at which the export was taken."""
WEEKS = 104
START = AS_OF - timedelta(weeks=WEEKS)
ACCOUNTS = 5_000
FEATURES = 25
EVENTS, LATE, DUPLICATES = 2_000_000, 0.01, 0.005

DAY = 86_400_000_000
"""Microseconds, as all instants in the SQL below."""
START_US = int((START - datetime(1970, 1, 1)).total_seconds()) * 1_000_000


def _dice(which: int, of: str = "n") -> str:
    """A number in [0, 1) from row ``of``; differently for each ``which`` under 16."""
    return f"((hash({of}::UBIGINT * 16 + {which}) >> 11)::DOUBLE / 9007199254740992)"


def _fresh(week: int, events: int, late: float, duplicates: float) -> str:
    """The rows that happen in ``week``, with the week in which each arrives."""
    low, high = events * week // WEEKS, events * (week + 1) // WEEKS
    return f"""
        WITH thrown AS (
            SELECT n,
                (floor({ACCOUNTS} * {_dice(0)} ** 2)::BIGINT * 2741 + 17) % {ACCOUNTS} AS account,
                {_dice(1)} AS user_dice,
                floor({FEATURES} * {_dice(2)} ** 2)::BIGINT AS feature,
                {_dice(3)} AS day_dice,
                (7 * 3600 + 12 * 3600 * {_dice(4)}) * 1e6 AS time_of_day,
                0.25 * (1 + floor(20 * {_dice(5)} ** 2)) AS quantity,
                round(30 * {_dice(6)} ** 2, 1) AS minutes,
                4 * 3600 * 1e6 * {_dice(7)} AS lag,
                CASE WHEN {_dice(8)} < {late} THEN (1 + 18.8 * {_dice(9)}) * {DAY} ELSE 0 END AS late,
                {_dice(10)} < {duplicates} AS twice
            FROM range({low}, {high}) AS rows (n)
        ), placed AS (
            SELECT *,
                {START_US + week * 7 * DAY} + time_of_day::BIGINT + {DAY} * CASE
                    WHEN day_dice < 0.9 THEN floor(day_dice / 0.18) ELSE 5 + floor((day_dice - 0.9) / 0.05)
                END::BIGINT AS occurred,
                (lag + late)::BIGINT AS wait
            FROM thrown
        )
        SELECT
            'a' || lpad(account::VARCHAR, 5, '0') AS account_id,
            make_timestamp(occurred) AS occurred_at,
            'u' || lpad(account::VARCHAR, 5, '0') || '-'
                || lpad(floor((5 + account * 7919 % 31) * user_dice ** 2)::BIGINT::VARCHAR, 2, '0') AS user_id,
            'feature_' || lpad(feature::VARCHAR, 2, '0') AS feature,
            quantity,
            minutes,
            make_timestamp(occurred + wait) AS loaded_at,
            (occurred + wait - {START_US}) // {7 * DAY} AS arrives,
            n,
            unnest(CASE WHEN twice THEN [1, 2] ELSE [1] END) AS copy
        FROM placed"""


def _accounts(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Every account from before the beginning, under a contract renewed once; one in twelve cancels after that."""
    connection.execute(f"""
        COPY (
            SELECT 'a' || lpad(n::VARCHAR, 5, '0') AS account_id,
                make_timestamp(({START_US} - (60 + floor(900 * {_dice(11)})) * {DAY})::BIGINT) AS created_at
            FROM range({ACCOUNTS}) AS rows (n) ORDER BY n
        ) TO '{folder}/accounts.parquet'""")
    connection.execute(f"""
        COPY (
            WITH drawn AS (
                SELECT n, 'a' || lpad(n::VARCHAR, 5, '0') AS account_id,
                    {START_US} - (1 + floor(30 * {_dice(12)})::BIGINT) * {DAY} AS began,
                    round(5000 + 95000 * {_dice(13)} ** 3, 2) AS arr,
                    5 + n * 7919 % 31 AS seats,
                    CASE WHEN {_dice(14)} < 1 / 12 THEN (400 + floor(320 * {_dice(15)}))::BIGINT END AS last_day
                FROM range({ACCOUNTS}) AS rows (n)
            )
            SELECT account_id, make_timestamp(began) AS started_at, make_timestamp(began + 365 * {DAY}) AS ended_at,
                arr, seats, 'standard' AS plan, 100.0 * seats AS usage_limit,
                make_timestamp(began + 365 * {DAY}) AS renewal_at, 'renewed' AS end_reason, n
            FROM drawn
            UNION ALL
            SELECT account_id, make_timestamp(began + 365 * {DAY}), make_timestamp({START_US} + last_day * {DAY}),
                arr, seats, 'standard', 100.0 * seats, make_timestamp(began + 730 * {DAY}),
                CASE WHEN last_day IS NOT NULL THEN 'cancelled' END, n
            FROM drawn ORDER BY n, started_at
        ) TO '{folder}/subscriptions.parquet'""")


def generate(
    folder: Path,
    events: int = EVENTS,
    late: float = LATE,
    duplicates: float = DUPLICATES,
    single_file: bool = False,
) -> dict[str, object]:
    """Write the source to ``folder`` (made anew) and return what was written."""
    start = time.perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    connection = duckdb.connect()
    connection.execute("SET memory_limit = '2GB'")
    connection.execute(f"SET temp_directory = '{folder}/.spill'")
    _accounts(connection, folder)
    usage = folder / "usage"
    columns = "account_id, occurred_at, user_id, feature, quantity, minutes, loaded_at"
    rows = 0
    for week in range(WEEKS):
        connection.execute(f"CREATE TEMP TABLE fresh AS {_fresh(week, events, late, duplicates)}")
        if week:
            connection.execute("INSERT INTO fresh SELECT * FROM waiting")
        place = usage / f"week={(START + timedelta(weeks=week)).date()}"
        place.mkdir(parents=True)
        (written,) = connection.execute(f"""
            COPY (SELECT {columns} FROM fresh WHERE arrives = {week} ORDER BY loaded_at, n, copy)
            TO '{place}/part-0.parquet'""").fetchone() or (0,)
        rows += int(written)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE waiting AS SELECT * FROM fresh WHERE arrives > {week}")
        connection.execute("DROP TABLE fresh")
    if single_file:
        connection.execute(f"""
            COPY (SELECT {columns} FROM read_parquet('{usage}/*/*.parquet', hive_partitioning = false))
            TO '{folder}/usage.parquet'""")
        shutil.rmtree(usage)
    connection.close()
    shutil.rmtree(folder / ".spill", ignore_errors=True)
    told = {
        "events": events,
        "late": late,
        "duplicates": duplicates,
        "rows": rows,
        "bytes": sum(p.stat().st_size for p in folder.rglob("*.parquet")),
        "seconds": time.perf_counter() - start,
    }
    finished = folder / ".written.json"
    finished.write_text(json.dumps(told), encoding="utf-8")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--late", type=float, default=LATE)
    parser.add_argument("--duplicates", type=float, default=DUPLICATES)
    parser.add_argument("--single-file", action="store_true")
    given = parser.parse_args()
    print(json.dumps(generate(**vars(given))))


if __name__ == "__main__":
    main()
