"""A synthetic portfolio of every contract table with difficult data, and functions to write it in several formats.

Rows arrive late or without an arrival, batches are sent again, columns are filled in later or begin later, accounts have
two subscriptions at the same time, and texts are difficult for CSV files.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from features.contract.schema import EVENT_TABLES, TABLES

BEGIN, DAYS = datetime(2024, 6, 1), 600
ACCOUNTS = 30
ROWS = {"usage": 2500, "orders": 400, "support": 250, "interventions": 60}
TYPES = {"string": pa.string(), "instant": pa.timestamp("us"), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
TEXTS = ("plain", 'he said "no"', "semi;colon, comma", "two\nlines", "ünï", " spaced ", "competitor")


def portfolio(*, contractual: bool = True, seed: int = 7) -> dict[str, pa.Table]:
    """Return the tables by name, with subscriptions if ``contractual``, else with orders."""
    rng = random.Random(seed)
    ids = [f"a{i:03d}" for i in range(ACCOUNTS)]
    tables = {"accounts": [_account(rng, a) for a in ids]}
    if contractual:
        tables["subscriptions"] = [row for a in ids for row in _subscriptions(rng, a)]
    for name in EVENT_TABLES:
        if name != "orders" or not contractual:
            tables[name] = _events(rng, name, ids)
    return {name: _arrow(name, rows) for name, rows in tables.items()}


def _account(rng: random.Random, account: str) -> dict[str, Any]:
    return {
        "account_id": account,
        "created_at": _moment(rng, -200, 60),
        "name": rng.choice(TEXTS),
        "industry": rng.choice(["retail", "software", None]),
        "region": rng.choice(["north", "süd"]),
        "employees": rng.choice([None, 5, 80, 1200]),
    }


def _subscriptions(rng: random.Random, account: str) -> list[dict[str, Any]]:
    rows = []
    for _ in range(rng.choice([1, 1, 2])):
        at = _moment(rng, -150, 300)
        for _ in range(rng.choice([1, 2, 3])):
            end = at + timedelta(days=rng.choice([90, 180, 365]), seconds=rng.choice([0, 0, 3601]))
            over = end < BEGIN + timedelta(days=DAYS) and rng.random() < 0.8
            rows.append(
                {
                    "account_id": account,
                    "started_at": at,
                    "ended_at": end if over else None,
                    "arr": round(rng.uniform(500, 90_000), 2),
                    "seats": rng.choice([None, 3, 40]),
                    "plan": rng.choice(["basic", "pro", "Über", None]),
                    "usage_limit": rng.choice([None, 200.5]),
                    "renewal_at": rng.choice([end, None]),
                    "end_reason": rng.choice(["renewed", "upgraded", "cancelled", "nonpayment"]) if over else None,
                }
            )
            if not over:
                break
            at = end
    return rows


def _events(rng: random.Random, name: str, ids: list[str]) -> list[dict[str, Any]]:
    table = TABLES[name]
    rows = []
    for i in range(ROWS.get(name, 150)):
        at = _moment(rng, 0, DAYS)
        row = _event(rng, name, at, i) | {"account_id": rng.choice(ids[:-1])}
        rows.append(row)
        if rng.random() < 0.08:
            # The same event in a batch that was sent again, immediately or later.
            rows.append(dict(row, loaded_at=rng.choice([row["loaded_at"], at + timedelta(days=50)])))
        if row.get(table.identity) and rng.random() < 0.2:
            # A later version of the event has other values, perhaps another account.
            later = (row["loaded_at"] or at) + timedelta(days=rng.choice([1, 20, 90]))
            owner = rng.choice([row["account_id"]] * 9 + ids[:-1])
            version = _event(rng, name, at, i) | {"account_id": owner, table.identity: row[table.identity]}
            rows.append(version | {"loaded_at": later})
    rng.shuffle(rows)
    return rows


def _event(rng: random.Random, name: str, at: datetime, i: int) -> dict[str, Any]:
    table = TABLES[name]
    row = {c.name: _value(rng, c, at, i) for c in table.columns}
    late = rng.choice([None, 0, 0, 0.01, 3, 45])
    row |= {"occurred_at": at, "loaded_at": None if late is None else at + timedelta(days=late)}
    for kind, column, low, high in table.ranges:
        if row["kind"] == kind:
            row[column] = rng.choice([None, low, high, (low + high) / 2])
    if row.get("resolved_at") is None:
        row |= {c.name: None for c in table.columns if c.known_from == "resolved_at"}
    if name == "usage":
        # A large feed without ids.
        row["event_id"] = None
    return row


def _value(rng: random.Random, column: Any, at: datetime, i: int) -> Any:
    if not column.required and rng.random() < 0.25:
        return None
    if column.values:
        return rng.choice(column.values)
    match column.kind:
        case "instant":
            return at + timedelta(hours=rng.choice([1, 30.5, 400]))
        case "bool":
            return rng.random() < 0.3
        case "int":
            return rng.randint(int(column.minimum or 0), 9 if column.maximum is None else int(column.maximum))
        case "string":
            if column.name in ("ticket_id", "event_id"):
                return f"t{i}"
            return rng.choice([*TEXTS, "c1", "c2", "c3"])
    low = -50.0 if column.minimum is None else column.minimum
    high = 400.0 if column.maximum is None else column.maximum
    # A column that begins later is empty before that.
    if column.name == "minutes" and at < BEGIN + timedelta(days=200):
        return None
    return rng.choice([low, high, round(rng.uniform(low, high), 3), 0.1 + low, (low + high) / 3])


def _moment(rng: random.Random, first: int, last: int) -> datetime:
    """Return a midnight, an instant just before a midnight, or any other instant."""
    at = BEGIN + timedelta(days=rng.randint(first, last - 1))
    return at + rng.choice([timedelta(0), timedelta(days=1, microseconds=-1), timedelta(seconds=rng.uniform(0, 86_000))])


def _arrow(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    rows = list(rows)
    return pa.table({c.name: pa.array([r.get(c.name) for r in rows], TYPES[c.kind]) for c in TABLES[name].columns})


UNUSED_COLUMNS = 40
SPECIAL_INSTANTS = {"engagement": pa.timestamp("ns"), "billing": pa.timestamp("us", "Europe/Berlin")}


def as_parquet(tables: Mapping[str, pa.Table], to: Path) -> str:
    """Write a folder of Parquet files: usage in monthly folders with damaged unused columns; some instants in nanoseconds or
    in another time zone."""
    for name, table in tables.items():
        if name in SPECIAL_INSTANTS:
            place = table.schema.get_field_index("occurred_at")
            instants = table["occurred_at"].cast(SPECIAL_INSTANTS[name])
            table = table.set_column(place, "occurred_at", instants)
        if name != "usage":
            pq.write_table(table, to / f"{name}.parquet")
            continue
        months = pc.strftime(table["occurred_at"], format="%Y-%m")
        for month in sorted(set(months.to_pylist())):
            part = to / name / f"month={month}"
            part.mkdir(parents=True)
            # Rows that agree in all else would count as different events because of these columns.
            _write_damaged(_each_once(table.filter(pc.equal(months, month))), part / "0.parquet")
    return str(to)


def _each_once(table: pa.Table) -> pa.Table:
    """Keep the first arrived row of each event."""
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    loaded_at = frame["loaded_at"].fillna(frame["occurred_at"]).clip(lower=frame["occurred_at"])
    order = loaded_at.sort_values(kind="stable").index
    same = [c for c in table.column_names if c != "loaded_at"]
    rows = frame.loc[order].drop_duplicates(same).index.sort_values()
    return table.take(pa.array(rows.to_numpy()))


def _write_damaged(table: pa.Table, file: Path) -> None:
    """Write the table with additional columns, and overwrite all bytes of these columns."""
    for i in range(UNUSED_COLUMNS):
        table = table.append_column(f"unused_{i:02d}", pa.array(["x" * i + str(j) for j in range(len(table))]))
    pq.write_table(table, file)
    about, content = pq.read_metadata(file), bytearray(file.read_bytes())
    for group in range(about.num_row_groups):
        for column in map(about.row_group(group).column, range(about.num_columns)):
            if column.path_in_schema.startswith("unused"):
                start, size = column.dictionary_page_offset or column.data_page_offset, column.total_compressed_size
                content[start : start + size] = b"\xff" * size
    file.write_bytes(content)


def as_csv(tables: Mapping[str, pa.Table], to: Path) -> str:
    """Write a folder of CSV files."""
    for name, table in tables.items():
        pa_csv.write_csv(table, to / f"{name}.csv")
    return str(to)


def as_duckdb(tables: Mapping[str, pa.Table], to: Path) -> str:
    """Write a DuckDB file."""
    with duckdb.connect(str(to / "w.duckdb")) as connection:
        for name, table in tables.items():
            connection.register("source", table)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM source")
    return f"duckdb:///{to / 'w.duckdb'}"


def as_sqlite(tables: Mapping[str, pa.Table], to: Path) -> str:
    """Write a SQLite file, with instants as text."""
    connection = sqlite3.connect(to / "w.db")
    for name, table in tables.items():
        columns = ", ".join(table.column_names)
        connection.execute(f"CREATE TABLE {name} ({columns})")
        rows = [[str(v) if isinstance(v, datetime) else v for v in row.values()] for row in table.to_pylist()]
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(table.column_names))})", rows)
    connection.commit()
    connection.close()
    return f"sqlite:///{to / 'w.db'}"


POSTGRES_TYPES = {"string": "text", "instant": "timestamp", "float": "float8", "int": "integer", "bool": "boolean"}


def as_postgres(tables: Mapping[str, pa.Table], server: Any, schema: str) -> None:
    """Write a schema on a PostgreSQL server: instants with and without a zone, amounts as numerics, a view, and an unused
    column."""
    server.execute(f"CREATE SCHEMA {schema}")
    for name, table in tables.items():
        special = {"loaded_at": "timestamptz", "arr": "numeric", "amount": "numeric"}
        types = {c.name: special.get(c.name, POSTGRES_TYPES[c.kind]) for c in TABLES[name].columns}
        place = f"{schema}.{'the_view_of_it' if name == 'support' else name}"
        server.execute(f"CREATE TABLE {place} ({', '.join(f'{c} {t}' for c, t in types.items())}, extra jsonb)")
        with server.cursor().copy(f"COPY {place} ({', '.join(types)}) FROM STDIN") as copy:
            for row in table.to_pylist():
                copy.write_row(tuple(row.values()))
    if "support" in tables:
        server.execute(f"CREATE MATERIALIZED VIEW {schema}.support AS SELECT * FROM {schema}.the_view_of_it")
