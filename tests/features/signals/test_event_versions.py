"""Rows are grouped into events, and versions are known, as defined, for every engine and format."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from features.aggregation import rollup
from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.contract.schema import EVENT_TABLES, TABLES
from features.kpi.survey_answers import answers
from features.signals.signals import OpenSignals, read_signals
from features.signals.validation import Finding, check_source
from features.snapshots.snapshot import snapshot
from features.sources.base import Source, from_tables
from features.sources.open_source import open_source
from features.utils.dates import Grid
from features.utils.periods import period_ending

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
LONG_AGO = datetime(2010, 1, 1, tzinfo=UTC)
ACCOUNTS = [{"account_id": a, "created_at": "2020-01-01"} for a in "abc"]
SUBSCRIPTIONS = [{"account_id": a, "started_at": "2020-01-01", "arr": 1000.0} for a in "abc"]
GRID = Grid(AS_OF - timedelta(days=7 * 11), 7, 12)
PLAIN = [n for n, f in CATALOGUE.items() if f.term is None or all(m.ago == 0 for m, _ in f.term.needs)]
"""Features of the current state; the others use earlier states."""

Rows = list[dict[str, Any]]


def _signals(to_arrow: Any, through: datetime | None = AS_OF, **tables: Rows) -> OpenSignals:
    signal_tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS} | tables
    source = from_tables({n: to_arrow(n, r) for n, r in signal_tables.items()}, "a test")
    return read_signals(source, through and through + timedelta(days=400), LONG_AGO)


def _text_source(**tables: Rows) -> Source:
    """Return tables with only the given columns, as in a CSV file."""
    signal_tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS} | tables
    arrow = {
        n: pa.table({c: pa.array([None if r.get(c) is None else str(r[c]) for r in rows], pa.string()) for c in rows[0]})
        for n, rows in signal_tables.items()
    }
    return from_tables(arrow, "a test", text=True)


def _now(signals: OpenSignals, *features: str, at: datetime = AS_OF) -> dict[str, float]:
    frame = snapshot(signals, Grid.single(at)).set_index("account_id")
    return {f"{a} {f}": frame.loc[a, f] for f in features for a in frame.index}


def _versions(rng: random.Random, table: str, many: int) -> Rows:
    contract, rows = TABLES[table], []
    for i in range(many):
        at, account = AS_OF - timedelta(days=rng.uniform(0.2, 200)), rng.choice("ab")
        arrival = at + timedelta(days=rng.choice([0, 0, 1, 20]))
        for _ in range(rng.choice([1, 1, 2, 3])):
            row = {c.name: _value(rng, table, c, at) for c in contract.columns}
            row |= {"account_id": account, "occurred_at": at, "loaded_at": arrival, contract.identity: f"{table}{i}"}
            rows.append({k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()})
            # Sometimes it is postponed, or moved to another account.
            at += timedelta(days=rng.choice([0, 0, 0, -3, 12]), seconds=1)
            account = rng.choice([account, account, "a", "b", "c"])
            arrival += timedelta(days=rng.choice([0.5, 5, 9, 40]))
    # Every column exists from the beginning.
    old = {c.name: next(v for v in iter(lambda c=c: _value(rng, table, c, LONG_AGO), c) if v is not None) for c in contract.columns}
    old |= {"account_id": "c", "occurred_at": LONG_AGO, "loaded_at": LONG_AGO, contract.identity: "old"}
    rows.append({k: v.isoformat() if isinstance(v, datetime) else v for k, v in old.items()})
    rng.shuffle(rows)
    return rows


def _value(rng: random.Random, table: str, column: Any, at: datetime) -> Any:
    if column.values:
        return rng.choice(column.values)
    match column.kind:
        case "instant":
            return rng.choice([None, at + timedelta(days=rng.choice([0, 1, 15]))])
        case "bool":
            return rng.choice([None, True, False])
        case "string":
            return rng.choice(["competitor", "x", "y", None]) if not column.required else rng.choice(["x", "y"])
    if table == "outcomes":
        return rng.choice([None, 1.0, 4.0, 5.0])
    return rng.choice([*([] if column.required else [None]), column.minimum or 0.0, 1.0])


def _as_known(rows: Rows, table: str, at: datetime) -> Rows:
    """Return the rows that count at ``at``: for each id, the one loaded last before it."""
    identity = TABLES[table].identity
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda r: datetime.fromisoformat(r["loaded_at"])):
        if datetime.fromisoformat(row["loaded_at"]) < at:
            newest[row[identity]] = row
    return list(newest.values())


VERSIONED = ("support", "outcomes", "engagement", "relationship", "usage", "billing", "orders")


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_at_each_date_the_version_loaded_last_before_it_counts(to_arrow: Any, seed: int) -> None:
    rng = random.Random(seed)
    tables = {name: _versions(rng, name, 60) for name in VERSIONED}
    signals = _signals(to_arrow, **tables)
    assert signals.versioned == set(VERSIONED)
    grid = Grid(AS_OF - timedelta(days=70), 14, 6)
    whole = snapshot(signals, grid)[["account_id", "as_of", *PLAIN]]
    for day in grid.as_ofs:
        visible = {name: _as_known(rows, name, day) for name, rows in tables.items()}
        expected = snapshot(_signals(to_arrow, **visible), Grid.single(day))[["account_id", "as_of", *PLAIN]]
        result = whole[whole["as_of"] == pd.Timestamp(day)].reset_index(drop=True)
        pd.testing.assert_frame_equal(result, expected, check_exact=True)


def test_earlier_states_are_what_was_known_before(to_arrow: Any) -> None:
    signals = _signals(to_arrow, support=_versions(random.Random(5), "support", 200))
    weeks = snapshot(signals, Grid(AS_OF - timedelta(days=91 * 2), 91, 3)).set_index(["as_of", "account_id"])
    for account in "ab":
        counts = [weeks.loc[(pd.Timestamp(d), account), "support.severe_91d"] for d in sorted(weeks.index.unique(0))]
        changes = [weeks.loc[(pd.Timestamp(d), account), "support.severe_change_91d"] for d in sorted(weeks.index.unique(0))]
        assert changes[1:] == [later - earlier for earlier, later in pairwise(counts)]


@pytest.mark.slow
@pytest.mark.parametrize("contractual", [True, False])
def test_row_counts_and_bucket_counts_are_equal(portfolios: ModuleType, contractual: bool) -> None:
    tables = portfolios.portfolio(contractual=contractual)
    built = []
    for several in (False, True):
        tables_by_name = dict(tables)
        for name in EVENT_TABLES:
            if name in tables_by_name and "loaded_at" in TABLES[name].names:
                tables_by_name[name] = pa.concat_tables([_one_version(tables_by_name[name], name), _long_ago(tables_by_name[name], name, several)])
        signals = read_signals(from_tables(tables_by_name, "a test"), AS_OF, LONG_AGO)
        assert len(signals.versioned) == (8 + (not contractual) if several else 0)
        built.append(snapshot(signals, Grid(AS_OF - timedelta(days=500), 28, 14)))
    pd.testing.assert_frame_equal(*built, check_exact=True)


def _one_version(table: pa.Table, name: str) -> pa.Table:
    """Return the rows with one id each."""
    ids = pa.array([f"{name}{i}" for i in range(len(table))])
    return table.set_column(table.schema.get_field_index(TABLES[name].identity), TABLES[name].identity, ids)


def _long_ago(table: pa.Table, name: str, several: bool) -> pa.Table:
    """Return one event of each account with events, replaced long before any date or not at all."""
    frame = table.to_pandas(types_mapper=pd.ArrowDtype).drop_duplicates("account_id")
    frame["occurred_at"], frame[TABLES[name].identity] = datetime(2011, 1, 1), "old " + frame["account_id"]
    for column in TABLES[name].columns:
        if column.known_from:
            frame[column.name] = None
    rows = [frame.assign(loaded_at=datetime(2012, 1, 1))]
    if several:
        rows.append(frame.assign(loaded_at=datetime(2011, 6, 1), occurred_at=datetime(2011, 2, 1)))
    return pa.concat_tables([pa.Table.from_pandas(r, table.schema, preserve_index=False) for r in rows])


REOPENED = [
    {"account_id": "a", "ticket_id": "t1", "occurred_at": "2026-06-01", "resolved_at": "2026-06-05", "severity": "high", "loaded_at": "2026-06-05 01:00"},
    {"account_id": "a", "ticket_id": "t1", "occurred_at": "2026-06-01", "resolved_at": None, "severity": "high", "loaded_at": "2026-06-12"},
    {"account_id": "b", "ticket_id": "t2", "occurred_at": "2026-03-01", "resolved_at": "2026-03-02", "severity": "low", "loaded_at": None},
]


def test_a_ticket_that_was_reopened_is_open_from_the_arrival_of_that_row() -> None:
    signals = read_signals(_text_source(support=REOPENED))
    for day, opened in (("2026-06-08", 0), ("2026-06-12", 0), ("2026-06-13", 1), ("2026-07-01", 1)):
        result = _now(signals, "support.open_tickets", "support.tickets_91d", at=datetime.fromisoformat(day).replace(tzinfo=UTC))
        assert result["a support.open_tickets"] == opened, day
        assert result["b support.open_tickets"] == 0


def test_an_escalated_ticket_counts_once_and_is_closed_with_its_last_row() -> None:
    ticket = {"account_id": "a", "ticket_id": "t1", "occurred_at": "2026-06-01", "severity": "normal"}
    other = {"account_id": "b", "ticket_id": "t2", "occurred_at": "2026-01-01", "severity": "low", "resolved_at": "2026-01-02", "escalated": False, "loaded_at": None}
    rows = [
        ticket | {"resolved_at": None, "escalated": False, "loaded_at": "2026-06-01 01:00"},
        ticket | {"resolved_at": None, "escalated": True, "severity": "urgent", "loaded_at": "2026-06-03"},
        ticket | {"resolved_at": "2026-06-09", "escalated": True, "severity": "urgent", "loaded_at": "2026-06-09"},
        other,
    ]
    names = ("support.tickets_91d", "support.open_tickets", "support.escalated_91d", "support.severe_91d")
    signals = read_signals(_text_source(support=rows), AS_OF)
    expected = {"2026-06-02": (1, 1, 0, 0), "2026-06-04": (1, 1, 1, 1), "2026-06-10": (1, 0, 1, 1)}
    for day, values in expected.items():
        result = _now(signals, *names, at=datetime.fromisoformat(day).replace(tzinfo=UTC))
        assert tuple(result[f"a {n}"] for n in names) == values, day
    # Without loaded_at, the more complete row is the later one, in any order of rows.
    for order in (rows, rows[::-1]):
        bare = [{k: v for k, v in row.items() if k != "loaded_at"} for row in order]
        result = _now(read_signals(_text_source(support=bare), AS_OF), *names)
        assert tuple(result[f"a {n}"] for n in names) == (1, 0, 1, 1)
        (results,) = check_source(_text_source(support=bare)).findings
        assert (results.table, results.column, results.rows) == ("support", "ticket_id", 3)
        assert "loaded_at" in results.cure


def test_rows_that_differ_outside_the_contract_are_separate_events() -> None:
    answer = {"account_id": "a", "occurred_at": "2026-06-01", "kind": "nps"}
    nps = [answer | {"value": v, "respondent_id": r} for v, r in ((9, "r1"), (9, "r2"), (9, "r3"), (3, "r4"), (3, "r4"))]
    failed = {"account_id": "b", "occurred_at": "2026-06-10", "kind": "payment_failed", "amount": 100}
    billing = [failed | {"invoice_id": f"i{i}"} for i in (1, 2, 3, 3)]
    signals = read_signals(_text_source(outcomes=nps, billing=billing), AS_OF, LONG_AGO)
    counted = answers(signals, period_ending(AS_OF, "quarter"), AS_OF).set_index("account_id").loc["a"]
    assert (counted["nps_answers"], counted["promoters"], counted["detractors"]) == (4, 3, 1)
    assert _now(signals, "billing.failed_28d")["b billing.failed_28d"] == 3
    assert {n: signals.rows[n] for n in ("outcomes", "billing")} == {"outcomes": 4, "billing": 3}


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("copied_up_to", [0, 10**9])
def test_a_batch_sent_again_in_another_folder_counts_once(
    to_arrow: Any, tmp_path: Path, kind: str, copied_up_to: int
) -> None:
    """The key of a folder describes where a row is stored, not what happened."""
    pq.write_table(to_arrow("accounts", ACCOUNTS), tmp_path / "accounts.parquet")
    pq.write_table(to_arrow("subscriptions", SUBSCRIPTIONS), tmp_path / "subscriptions.parquet")
    rows = to_arrow("usage", [{"account_id": "a", "occurred_at": f"2026-06-{day:02}", "user_id": "u"} for day in range(1, 8)])
    for week in ("2026-06-08", "2026-06-15"):
        folder = tmp_path / "usage" / f"week={week}"
        folder.mkdir(parents=True)
        if kind == "parquet":
            pq.write_table(rows, folder / "part.parquet")
        else:
            pacsv.write_csv(rows, folder / "part.csv")
    source = open_source(tmp_path)
    assert not any("week" in note for note in check_source(source).notes)
    signals = read_signals(source, AS_OF, LONG_AGO, copied_up_to=copied_up_to)
    assert _now(signals, "usage.events_28d")["a usage.events_28d"] == 5, "from 3 June on"


def test_ids_of_several_accounts_are_reported(to_arrow: Any) -> None:
    rows = [
        {"account_id": a, "occurred_at": "2026-06-01", "event_id": "e1", "loaded_at": at}
        for a, at in (("a", "2026-06-02"), ("b", "2026-06-03"))
    ]
    signals = _signals(to_arrow, usage=rows)
    assert _now(signals, "usage.events_91d") == {"a usage.events_91d": 0, "b usage.events_91d": 1, "c usage.events_91d": 0}
    signal_tables = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "usage": rows}
    (result,) = check_source(from_tables({n: to_arrow(n, r) for n, r in signal_tables.items()}, "a test")).findings
    assert (result.table, result.column, result.rows, result.positions) == ("usage", "event_id", 2, (1, 2))


def _feed(folder: Path, to_arrow: Any, *files: tuple[Rows, list[str] | None]) -> Path:
    """Write a folder with usage in several files, optionally with a column outside the contract."""
    (folder / "usage").mkdir(parents=True, exist_ok=True)
    pq.write_table(to_arrow("accounts", ACCOUNTS), folder / "accounts.parquet")
    pq.write_table(to_arrow("subscriptions", SUBSCRIPTIONS), folder / "subscriptions.parquet")
    for i, (rows, devices) in enumerate(files):
        table = to_arrow("usage", [*rows, _use(1, 1)]).slice(0, len(rows))
        if "event_id" in table.column_names:
            table = table.drop_columns("event_id")
        if any("event_id" in r for r in rows):
            table = table.append_column("event_id", pa.array([r.get("event_id") for r in rows], pa.string()))
        if devices:
            table = table.append_column("device", pa.array(devices))
        pq.write_table(table, folder / "usage" / f"{i}.parquet")
    return folder


def _use(days_ago: float, user: int, late: float = 0, **more: Any) -> dict[str, Any]:
    at = AS_OF - timedelta(days=days_ago)
    return {
        "account_id": "abc"[user % 3],
        "occurred_at": at.isoformat(),
        "user_id": f"u{user}",
        "feature": "f",
        "minutes": 1.0,
        "quantity": 1.0,
        "loaded_at": (at + timedelta(days=late)).isoformat(),
        **more,
    }


USAGE = Catalogue(tuple(f for f in CATALOGUE.values() if f.table == "usage" and f.name != "usage.seats_used_share"))


def _built(folder: Path, copied: bool = False, rollup_folder: Path | None = None) -> pd.DataFrame:
    signals = read_signals(open_source(folder), AS_OF, LONG_AGO, copied_up_to=10**9 if copied else 0, rollup_folder=rollup_folder)
    try:
        return snapshot(signals, GRID, catalogue=USAGE, rollup_folder=rollup_folder)
    finally:
        signals.close()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 3))])
def test_large_feeds_use_columns_outside_the_contract(
    to_arrow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(rollup, "PART_ROWS", rng.choice([3, 20, 10**6]))
    files = []
    for _ in range(3):
        rows = [_use(rng.choice([0.5, 1, 8, 30, 90]), rng.randrange(5), rng.choice([0, 2, 9])) for _ in range(30)]
        rows += [dict(r) for r in rng.sample([*rows, *(r for f, _ in files for r in f)], 15)]
        files.append((rows, [rng.choice("xy") for _ in rows]))
    # In a file without the column, it is null.
    files[rng.randrange(3)] = (files[0][0], None)
    rollup_folder = tmp_path / "rollup_folder"
    for n in range(1, 4):
        folder = _feed(tmp_path / str(n), to_arrow, *files[:n])
        expected = _built(folder, copied=True)
        pd.testing.assert_frame_equal(_built(folder), expected, check_exact=True)
        pd.testing.assert_frame_equal(_built(folder, rollup_folder=rollup_folder), expected, check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True])
def test_large_feeds_with_ids_equal_copied_tables(to_arrow: Any, tmp_path: Path, several: bool) -> None:
    """The same content under two ids is two events; a later version in a later file replaces the earlier one."""
    first = [_use(40, 1, event_id=f"e{i}") for i in range(5)] + [_use(50, 2, event_id=None)] * 2
    second = [_use(40, 1, late=20, event_id="e1" if several else "e9", minutes=9.0), _use(10, 1, event_id="e8")]
    rollup_folder = tmp_path / "rollup_folder"
    for n, files in enumerate(([(first, None)], [(first, None), (second, None)])):
        folder = _feed(tmp_path / str(n), to_arrow, *files)
        for result in (_built(folder), _built(folder, rollup_folder=rollup_folder), _built(folder, rollup_folder=rollup_folder)):
            pd.testing.assert_frame_equal(result, _built(folder, copied=True), check_exact=True)
    last = result[result["as_of"] == pd.Timestamp(AS_OF)].set_index("account_id")
    assert last.loc["b", "usage.events_91d"] == (6 if several else 7)
    assert last.loc["b", "usage.minutes_91d"] == (14.0 if several else 15.0)


def test_findings_are_separate_from_errors(to_arrow: Any) -> None:
    report = check_source(_text_source(support=[{k: v for k, v in r.items() if k != "loaded_at"} for r in REOPENED]))
    assert report.ok
    assert not report.errors
    assert all(isinstance(f, Finding) for f in report.findings)
    assert report.as_dict()["findings"][0]["positions"] == (1, 2)
