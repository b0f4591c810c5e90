"""Extra tables are read, validated, cut off and measured like event tables of the contract, from every kind of source."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from features.catalogue.catalogue import Catalogue
from features.contract.current_contract import current_tables, event_tables
from features.contract.schema import TABLES
from features.custom.current_catalogue import current_catalogue
from features.errors import BadRequest, SignalsError
from features.feed_health.feed_health import feed_health
from features.signals.fingerprint import fingerprint
from features.signals.signals import open_signals, read_signals
from features.signals.validation import check_source
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.sources.open_source import open_source
from features.utils.dates import Grid

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
TABLE = """
[[tables]]
name = "own_posts"
time = "posted_at"
identity = "post_id"
[tables.columns]
topic = { kind = "string", values = ["question", "idea"] }
author = "string"
votes = { kind = "int", min = 0 }
score = { kind = "float", known_from = "answered_at" }
answered_at = "instant"
internal = "bool"
day = "int"
"""
FEATURES = """
[[features]]
name = "own_posts.posts"
table = "own_posts"
measure = "count"
dimension = "engagement"
unit = "posts"
words = "posts in the last {w} days"
windows = [28]

[[features]]
name = "own.votes"
table = "own_posts"
measure = "sum"
value = "votes"
where = { internal = false }
unit = "votes"
words = "votes in the last {w} days"
windows = [28]

[[features]]
name = "own.score"
table = "own_posts"
measure = "latest"
value = "score"
unit = "points"
words = "latest score"
"""
EXPECTED = {"own_posts.posts_28d": 3.0, "own.votes_28d": 7.0, "own.score": 4.0}
ROWS: dict[str, list[dict[str, Any]]] = {
    "accounts": [{"account_id": a, "created_at": "2024-01-01"} for a in ("a", "b")],
    "subscriptions": [{"account_id": a, "started_at": "2024-01-01", "arr": 12.0} for a in ("a", "b")],
    "own_posts": [
        {"account_id": "b", "post_id": "0", "posted_at": "2024-01-02", "topic": "idea", "votes": 2, "internal": False},
        {"account_id": "a", "post_id": "1", "posted_at": "2026-06-10", "votes": 3, "internal": False, "score": 4.0, "answered_at": "2026-06-12"},
        {"account_id": "a", "post_id": "2", "posted_at": "2026-06-20", "votes": 9, "internal": True, "score": 9.0, "answered_at": "2026-07-01"},
        # A later version of a post replaces the first one when it arrives; one that arrives on the date does not count.
        {"account_id": "a", "post_id": "3", "posted_at": "2026-06-21", "votes": 1, "internal": False},
        {"account_id": "a", "post_id": "3", "posted_at": "2026-06-21", "votes": 4, "internal": False, "loaded_at": "2026-06-25"},
        {"account_id": "a", "post_id": "3", "posted_at": "2026-06-21", "votes": 8, "internal": False, "loaded_at": "2026-07-01"},
        {"account_id": "a", "post_id": "3", "posted_at": "2026-06-21", "votes": 4, "internal": False, "loaded_at": "2026-06-26"},
        # Late, and at the date.
        {"account_id": "a", "post_id": "4", "posted_at": "2026-06-15", "votes": 100, "internal": False, "loaded_at": "2026-07-02"},
        {"account_id": "a", "post_id": "5", "posted_at": "2026-07-01", "votes": 100, "internal": False},
    ],
}  # fmt: skip
Tables = dict[str, pa.Table]


def _own() -> Catalogue:
    return current_catalogue().subset(EXPECTED)


@pytest.fixture
def tables(declare: Callable[..., Path], to_arrow: Any) -> Tables:
    declare(TABLE + FEATURES)
    return {name: to_arrow(name, rows) for name, rows in ROWS.items()}


def _as_parquet(tables: Tables, to: Path) -> str:
    for name, table in tables.items():
        pq.write_table(table, to / f"{name}.parquet")
    return str(to)


def _as_csv(tables: Tables, to: Path) -> str:
    for name, table in tables.items():
        # Names in a source are not case-sensitive.
        pa_csv.write_csv(table.rename_columns([c.upper() for c in table.column_names]), to / f"{name.upper()}.csv")
    return str(to)


def _as_duckdb(tables: Tables, to: Path) -> str:
    with duckdb.connect(str(to / "w.duckdb")) as connection:
        for name, table in tables.items():
            connection.register("source", table)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM source")
    return f"duckdb:///{to / 'w.duckdb'}"


def _as_sqlite(tables: Tables, to: Path) -> str:
    connection = sqlite3.connect(to / "w.db")
    for name, table in tables.items():
        connection.execute(f"CREATE TABLE {name} ({', '.join(table.column_names)})")
        rows = [[str(v) if isinstance(v, datetime) else v for v in row.values()] for row in table.to_pylist()]
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(table.column_names))})", rows)
    connection.commit()
    connection.close()
    return f"sqlite:///{to / 'w.db'}"


def _as_mapping(tables: Tables, to: Path) -> str:
    for name, table in tables.items():
        pq.write_table(table, to / f"x_{name}.parquet")
    files = "".join(f'x_{name} = "x_{name}.parquet"\n' for name in tables)
    queries = "".join(f'{name} = "SELECT * FROM x_{name}"\n' for name in tables)
    (to / "map.toml").write_text(f"[files]\n{files}[tables]\n{queries}")
    return str(to / "map.toml")


@pytest.mark.parametrize("write", [_as_parquet, _as_csv, _as_duckdb, _as_sqlite, _as_mapping])
def test_every_kind_of_source_has_the_table(tables: Tables, tmp_path: Path, write: Any) -> None:
    (tmp_path / "source").mkdir()
    address = write(tables, tmp_path / "source")
    signals = open_signals(address)
    frame = snapshot(signals, Grid.single(AS_OF), catalogue=_own()).set_index("account_id")
    assert {name: frame.loc["a", name] for name in EXPECTED} == EXPECTED
    # Account b has no row in the window, which is zero and not unknown; it has no score.
    assert frame.loc["b", list(EXPECTED)].isna().tolist() == [False, False, True]
    report = check_source(open_source(address))
    assert report.ok
    assert report.rows["own_posts"] == len(ROWS["own_posts"])
    feeds = feed_health(open_source(address))
    assert feeds.tables["own_posts"].rows == len(ROWS["own_posts"])
    assert {c.name for c in feeds.tables["own_posts"].columns} == {"topic", "author", "votes", "score", "internal", "day"}


def test_a_source_read_from_a_postgres_server_has_the_table(tables: Tables, postgres: Any) -> None:
    import psycopg

    with psycopg.connect(postgres.get_uri(), autocommit=True) as server:
        server.execute("CREATE SCHEMA extra_tables")
        for name, table in tables.items():
            types = {pa.string(): "text", pa.timestamp("us"): "timestamp", pa.float64(): "float8", pa.int64(): "int", pa.bool_(): "bool"}
            columns = ", ".join(f"{f.name} {types[f.type]}" for f in table.schema)
            server.execute(f"CREATE TABLE extra_tables.{name} ({columns})")
            with server.cursor().copy(f"COPY extra_tables.{name} FROM STDIN") as copy:
                for row in table.to_pylist():
                    copy.write_row(tuple(row.values()))
    uri = postgres.get_uri()
    signals = open_signals(f"{uri}{'&' if '?' in uri else '?'}schema=extra_tables")
    frame = snapshot(signals, Grid.single(AS_OF), catalogue=_own()).set_index("account_id")
    assert {name: frame.loc["a", name] for name in EXPECTED} == EXPECTED


def test_rows_outside_the_declaration_are_reported(tables: Tables, to_arrow: Any) -> None:
    wrong = [
        {"account_id": "a", "posted_at": "2026-01-01", "topic": "rant", "votes": -1},
        {"account_id": "z", "posted_at": "2026-01-02", "answered_at": "2026-01-01"},
    ]
    errors = [str(e) for e in check_source(from_tables(tables | {"own_posts": to_arrow("own_posts", wrong)}, "a test")).errors]
    assert [error.split(" (")[0].split("; expected")[0] for error in errors] == [
        "own_posts.topic: a value outside the list in 1 row",
        "own_posts.votes: a value below 0 in 1 row",
        "own_posts.answered_at: an end before the start",
        "own_posts.account_id: an account that is not in accounts in 1 row",
    ]
    lacking = tables["own_posts"].drop_columns(["posted_at"])
    (error,) = check_source(from_tables(tables | {"own_posts": lacking}, "a test")).errors
    assert str(error).startswith("own_posts.posted_at: the column is missing; expected instant; the table has account_id")


def test_a_source_without_the_declared_table_is_refused(tables: Tables, tmp_path: Path) -> None:
    del tables["own_posts"]
    address = _as_parquet(tables, tmp_path)
    with pytest.raises(SignalsError, match=r"own_posts: the table is missing; expected a table with account_id, posted_at.*RENEWCAST_FEATURES"):
        open_signals(address)
    # A request, or a sample, may lack it: its features are unknown.
    frame = snapshot(read_signals(from_tables(tables, "a request")), Grid.single(AS_OF), catalogue=_own())
    assert frame[list(EXPECTED)].isna().all(axis=None)


def test_without_a_declaration_the_table_is_not_read(tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").mkdir()
    address = _as_parquet(tables, tmp_path / "source")
    monkeypatch.delenv("RENEWCAST_FEATURES")
    assert current_tables() == TABLES
    assert event_tables() == tuple(name for name, table in TABLES.items() if table.event)
    source = open_source(address)
    assert "own_posts" not in source.tables
    assert source.notes == ["own_posts.parquet is not a table of the contract and was ignored"]


def test_the_load_time_can_be_required(declare: Callable[..., Path], to_arrow: Any) -> None:
    declare(TABLE.replace("[tables.columns]", "load_time = true\n[tables.columns]") + FEATURES)
    tables = {name: to_arrow(name, rows) for name, rows in ROWS.items()}
    (error,) = check_source(from_tables(tables, "a test")).errors
    assert str(error).startswith("own_posts.loaded_at: an empty value in 5 rows")


def test_the_newest_row_determines_the_end_of_the_data(tables: Tables) -> None:
    assert read_signals(from_tables(tables, "a test")).data_through == datetime(2026, 7, 1, tzinfo=UTC)


def test_the_fingerprint_covers_the_table(tables: Tables) -> None:
    through = datetime(2026, 7, 2, tzinfo=UTC)
    one = fingerprint(read_signals(from_tables(tables, "a test"), through))
    fewer = tables | {"own_posts": tables["own_posts"].slice(1)}
    assert fingerprint(read_signals(from_tables(fewer, "a test"), through)) != one


def test_another_declaration_gives_other_features_and_other_queries(tables: Tables, declare: Callable[..., Path]) -> None:
    """Generated SQL and stored definitions depend on the declaration, not only on the names."""
    before = _own()
    grid = Grid.single(AS_OF)
    snapshot(read_signals(from_tables(tables, "a test")), grid, catalogue=before)
    declare(TABLE.replace('identity = "post_id"', 'identity = "author"').replace('author = "string"', 'post_id = "string"') + FEATURES)
    after = _own()
    assert after.version != before.version
    assert all(after[name].definition != before[name].definition for name in EXPECTED)
    frame = snapshot(read_signals(from_tables(tables, "a test")), grid, catalogue=after).set_index("account_id")
    # Without the id of the post, each version is a post.
    assert frame.loc["a", "own_posts.posts_28d"] == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"own_posts"', '"usage"', r"table usage, key name.*\n.*own_posts; names without own_ are for the data contract: accounts"),
        ('"own_posts"', '"posts"', r"table posts, key name"),
        ('time = "posted_at"', "", r"table own_posts, key time: Field required"),
        ('time = "posted_at"', 'time = "loaded_at"', r"table own_posts: loaded_at is reserved"),
        ('author = "string"', 'account_id = "string"', r"table own_posts: account_id is reserved"),
        ('author = "string"', 'json = "string"', r"table own_posts: json is reserved"),
        ('author = "string"', 'posted_at = "instant"', r"posted_at is the time or the identity"),
        ('author = "string"', 'author = "text"', r"table own_posts, key columns.author.kind: Input should be 'string'"),
        ('author = "string"', 'Author = "string"', r"table own_posts, key columns.Author"),
        ('author = "string"', 'author = { kind = "string", min = 1 }', r"columns.author: min and max are allowed only for"),
        ('author = "string"', 'author = { kind = "int", values = ["x"] }', r"columns.author: values are allowed only for"),
        ('author = "string"', 'author = { kind = "int", min = 2, max = 1 }', r"columns.author: min is larger than max"),
        ('author = "string"', 'author = { kind = "int", color = 1 }', r"columns.author.color.*\n.*one of the keys kind, required"),
        ('"answered_at" }', '"author" }', r"known_from is author, which is not an instant column"),
        ('answered_at = "instant"', 'answered_at = { kind = "instant", required = true }', r"must be neither required nor"),
        ('"answered_at" }', '"answered_at", required = true }', r"columns.score: a value that is filled in later cannot be req"),
        ('identity = "post_id"', 'color = "x"', r"table own_posts, key color.*\n.*one of the keys name, time"),
        ("[[tables]]", "[[tables]]\nname = 'own_x'\ntime = 'x'\n[[tables]]\nname = 'own_x'\ntime = 'x'\n[[tables]]", "own_x is declared twice"),
        ("[[tables]]", "[[tables]]\nname = 3\n[[tables]]", "table number 1, key name: Input should be a valid string"),
        ('dimension = "engagement"', "", r"key dimension: missing for the first feature of own_posts\n.*usage, engagement"),
        ('value = "votes"', 'value = "topic"', r"topic is not a number\n.*votes, score, day"),
        ('name = "own.votes"\ntable = "own_posts"', 'name = "own.votes"\ntable = "own_other"', r"own_other is not a table that can be measured\n.*own_posts"),
    ],
)  # fmt: skip
def test_mistakes_are_reported_with_their_location(declare: Callable[..., Path], old: str, new: str, message: str) -> None:
    text = TABLE + FEATURES
    assert old in text
    declare(text.replace(old, new))
    with pytest.raises(BadRequest) as caught:
        current_catalogue()
    assert re.search(f"(?s){message}", str(caught.value)), str(caught.value)
    assert str(caught.value).startswith("mine.toml: ")


def test_a_file_may_declare_only_tables(declare: Callable[..., Path]) -> None:
    declare(TABLE)
    assert "own_posts" in current_tables()
    assert current_catalogue()["usage.events_28d"]
