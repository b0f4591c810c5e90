"""Fixtures of the tests of packs: run a pack over small tables that are written in the test."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from features.contract.schema import TABLES
from features.packs.inputs import Relation
from features.packs.pack import Pack, shipped_pack
from features.packs.queries import AssumptionQuery, PackQueries, pack_queries
from features.signals.signals import read_signals
from features.signals.validation import check_source
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.utils.dates import Grid, parse_instant
from features.utils.sql_text import sql_identifier

EXPORTS = Path(__file__).resolve().parents[4] / "shared" / "data" / "exports"
#: The main checkout has the folder next to it; a work tree is one level deeper.
FOLDERS = (EXPORTS, EXPORTS.parents[3] / "shared" / "data" / "exports")


@dataclass(frozen=True)
class PackRun:
    """The result of a pack over tables.

    Parameters
    ----------
    tables : the contract tables, each as a frame.
    queries : the SQL of the pack.
    connection : the engine with the tool's tables.
    """

    tables: Mapping[str, pd.DataFrame]
    queries: PackQueries
    connection: duckdb.DuckDBPyConnection

    @property
    def assumptions(self) -> list[str]:
        """The sentences whose count is not zero."""
        return self._sentences("")

    def _sentences(self, words: str) -> list[str]:
        """Return those whose text with placeholders contains ``words``."""
        return [text for each in self.queries.assumptions if words in each.text if (text := each.sentence(self._row(each)))]

    def _row(self, each: AssumptionQuery) -> dict[str, Any]:
        if not each.query:
            return {}
        cursor = self.connection.execute(each.query)
        names = [about[0] for about in cursor.description or ()]
        (values,) = cursor.fetchall()
        return dict(zip(names, values, strict=True))

    @property
    def accounts(self) -> pd.DataFrame:
        """The keys of accounts that other tools may share."""
        return self.connection.execute(self.queries.accounts).df()

    @property
    def users(self) -> pd.DataFrame:
        """The account of each user."""
        return self.connection.execute(self.queries.users).df()

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.tables[name]

    def rows(self, table: str, *columns: str, order: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        """Return the columns of a table as tuples: instants as text without midnight, missing values as None."""
        frame = self.tables[table]
        ordered = frame.sort_values(list(order or [c for c in ("account_id", "started_at", "occurred_at") if c in frame]))
        return [tuple(_plain(value) for value in row) for row in ordered[list(columns)].itertuples(index=False)]

    def stated(self, words: str) -> str:
        """Return the one assumption that contains ``words``."""
        (found,) = self._sentences(words) or [text for text in self.assumptions if words in text]
        return found


def _plain(value: Any) -> Any:
    if value is None or (not isinstance(value, list) and pd.isna(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%S").removesuffix(" 00:00:00")
    if hasattr(value, "item"):
        value = value.item()
    return round(value, 6) if isinstance(value, float) else value


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _create(connection: duckdb.DuckDBPyConnection, name: str, rows: str | Sequence[Mapping[str, Any]]) -> None:
    if isinstance(rows, str):
        # CSV: every column is text, and an empty field is missing.
        header, *lines = list(csv.reader(io.StringIO(textwrap.dedent(rows).strip()), skipinitialspace=True))
        shape = ", ".join(f"{sql_identifier(column.strip())} VARCHAR" for column in header)
        connection.execute(f"CREATE TABLE main.{sql_identifier(name)} ({shape})")
        frame = pa.table({str(i): pa.array([line[i].strip() or None for line in lines], pa.string()) for i in range(len(header))})
        connection.register("frame", frame)
        connection.execute(f"INSERT INTO main.{sql_identifier(name)} SELECT * FROM frame")
        connection.unregister("frame")
    else:
        frame = pd.DataFrame(list(rows))
        connection.register("frame", frame)
        connection.execute(f"CREATE TABLE main.{sql_identifier(name)} AS SELECT * FROM frame")
        connection.unregister("frame")


def relations(connection: duckdb.DuckDBPyConnection) -> list[Relation]:
    """Return the tables of the schema ``main``."""
    columns = connection.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'main' ORDER BY table_name, ordinal_position"
    ).fetchall()
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in columns:
        tables.setdefault(table, {})[column] = kind
    return [Relation(name, found) for name, found in tables.items()]


class _Tables(Mapping[str, pd.DataFrame]):
    """The tables of a pack; each is computed when it is first asked for."""

    def __init__(self, queries: Mapping[str, str], connection: duckdb.DuckDBPyConnection) -> None:
        self._queries, self._connection = queries, connection
        self._frames: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._frames:
            frame = self._connection.execute(self._queries[name]).df()
            assert set(TABLES[name].required) <= set(frame.columns), (name, list(frame.columns))
            self._frames[name] = frame
        return self._frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)


def _run(connection: duckdb.DuckDBPyConnection, pack: Pack, options: Mapping[str, object]) -> PackRun:
    given = relations(connection)
    queries = pack_queries(pack, given, options)
    # A mapping loads only the tables that the queries say they read.
    for name in {each.name for each in given} - queries.tables_read:
        connection.execute(f"DROP TABLE main.{sql_identifier(name)}")
    return PackRun(_Tables(queries.tables, connection), queries, connection)


@pytest.fixture
def run_pack() -> Callable[..., PackRun]:
    """Return ``run_pack(pack, tables, **options)``.

    ``pack`` is the name of a shipped pack or a `Pack`; ``tables`` maps the name of each table to CSV text, of which
    every column is text as in an exported file, or to a list of typed rows.
    """

    def run(
        pack: str | Pack, tables: Mapping[str, str | Sequence[Mapping[str, Any]]], **options: object
    ) -> PackRun:
        connection = _connect()
        for name, rows in tables.items():
            _create(connection, name, rows)
        return _run(connection, shipped_pack(pack) if isinstance(pack, str) else pack, options)

    return run


@pytest.fixture
def run_export() -> Callable[..., PackRun]:
    """Return ``run_export(pack, folder, **options)``: run a pack over a folder of the sample exports, if it is there."""

    def run(pack: str, folder: str, **options: object) -> PackRun:
        place = next((each / folder for each in FOLDERS if (each / folder).is_dir()), None)
        if place is None:
            pytest.skip("the sample exports are not there")
        connection = _connect()
        for file in sorted(place.glob("*.csv")):
            _create(connection, file.stem, file.read_text(encoding="utf-8"))
        return _run(connection, shipped_pack(pack), options)

    return run


def known(frame: pd.DataFrame, at: str) -> list[tuple[Any, ...]]:
    """Return what a snapshot at ``at`` may know of subscriptions: values that are known later are missing."""
    instant = pd.Timestamp(at)
    rows = frame[frame.started_at < instant].copy()
    for column, since in {"ended_at": "ended_at", "end_reason": "ended_at", "notice_at": "notice_at"}.items():
        rows[column] = rows[column].where(rows[since] < instant)
    unknown = rows.term_started_at >= instant
    for column in ("arr", "seats", "plan", "renewal_at", "term_started_at"):
        rows[column] = rows[column].mask(unknown)
    columns = ["account_id", "subscription_id", "started_at", "ended_at", "arr", "seats", "renewal_at", "notice_at", "end_reason", "status"]
    ordered = rows.sort_values(["account_id", "subscription_id", "started_at"])[columns]
    return [tuple(_plain(value) for value in row) for row in ordered.itertuples(index=False)]


@pytest.fixture
def known_at() -> Callable[[pd.DataFrame, str], list[tuple[Any, ...]]]:
    """Return `known`."""
    return known


@pytest.fixture
def export_folder() -> Callable[[str], Path]:
    """Return ``export_folder(name)``: a folder of the sample exports, if it is there."""

    def find(name: str) -> Path:
        place = next((each / name for each in FOLDERS if (each / name).is_dir()), None)
        if place is None:
            pytest.skip("the sample exports are not there")
        return place

    return find


@pytest.fixture
def violations() -> Callable[[PackRun], list[str]]:
    """Return ``violations(run)``: how the tables of a pack violate the contract.

    A pack without contracts, such as one of a support tool, is completed by a contract for each account.
    """

    def check(run: PackRun) -> list[str]:
        tables = dict(run.tables)
        if "subscriptions" not in tables:
            tables["subscriptions"] = tables["accounts"][["account_id"]].assign(
                started_at=tables["accounts"].created_at, arr=1.0
            )
        arrow = {name: pa.Table.from_pandas(frame, preserve_index=False) for name, frame in tables.items() if len(frame)}
        return [str(each) for each in check_source(from_tables(arrow, "a pack")).errors]

    return check


@pytest.fixture
def snapshot_of() -> Callable[[PackRun, str], pd.DataFrame]:
    """Return ``snapshot_of(run, date)``: check the pack's tables against the contract, and compute the features."""

    def compute(run: PackRun, at: str) -> pd.DataFrame:
        tables = {name: run.connection.execute(sql).to_arrow_table() for name, sql in run.queries.tables.items()}
        as_of = parse_instant(at)
        return snapshot(read_signals(from_tables(tables, run.queries.pack.name), as_of), Grid(as_of, 1, 1)).set_index("account_id")

    return compute


@pytest.fixture
def open_tickets() -> Callable[[PackRun, str], set[str]]:
    """Return ``open_tickets(run, at)``: the tickets that were open at an instant, by what was known then."""

    def find(run: PackRun, at: str) -> set[str]:
        instant, support = pd.Timestamp(at), run["support"]
        known = support[support.loaded_at < instant].sort_values("loaded_at").groupby("ticket_id").tail(1)
        return set(known[~(known.resolved_at < instant)].ticket_id)

    return find


@pytest.fixture
def contract_figures() -> Callable[[PackRun, str], tuple[int, float, str]]:
    """Return ``contract_figures(run, at)``: active accounts, their ARR, and the next renewal."""

    def find(run: PackRun, at: str) -> tuple[int, float, str]:
        instant, rows = pd.Timestamp(at), run["subscriptions"]
        running = rows[(rows.started_at <= instant) & ~(rows.ended_at <= instant)]
        return running.account_id.nunique(), float(running.arr.sum()), f"{running.renewal_at.min():%Y-%m-%d}"

    return find
