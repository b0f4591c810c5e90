"""The rebuilds of the leak check obey what a source says: which values it can record, and the states of accounts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.signals.signals import OpenSignals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.account_states import AccountStates
from features.sources.base import from_tables
from features.utils.dates import Grid
from training.config import TrainConfig
from training.leakage.account_sample import sampled_states, sampled_tables
from training.leakage.altered_states import drop_future_states, perturb_future_states, repeat_states
from training.leakage.snapshot_rebuild import altered_snapshot, rebuild_findings

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
GRID = Grid(AS_OF - timedelta(days=56), 28, 3)
NAMES = (
    "contract.arr", "contract.paused", "contract.renewals", "contract.expansions_364d", "support.severe_28d",
    "billing.failed_91d", "outcomes.nps_last", "usage.active_users_28d",
)  # fmt: skip
CHOSEN = Catalogue(tuple(replace(CATALOGUE[name], own_past=None) for name in NAMES))
RECORDS = {
    "subscriptions": {"status": frozenset({"active"}), "end_reason": frozenset({"cancelled"})},
    "support": {"severity": frozenset({"low", "normal"})},
    "billing": {"kind": frozenset({"invoice_paid"})},
}
UNKNOWN = ["contract.paused", "contract.renewals", "support.severe_28d", "billing.failed_91d"]


def _states(sole: bool = False) -> AccountStates:
    rows = [
        (account, datetime(2025, month, 15), float(users), float(users % 10))
        for account in ("a", "b", "c")
        for month, users in ((9, 3 + ord(account)), (11, 7), (12, 9 + ord(account)))
    ]
    columns = [pa.array(values) for values in zip(*rows, strict=True)]
    columns[1] = columns[1].cast(pa.timestamp("us"))
    names = ["account_id", "observed_at", "usage.active_users_28d", "outcomes.nps_last"]
    return AccountStates(pa.table(dict(zip(names, columns, strict=True))), sole)


@pytest.fixture
def signals(to_arrow: Callable[..., pa.Table]) -> OpenSignals:
    tables: dict[str, list[dict[str, Any]]] = {"accounts": [], "subscriptions": [], "support": [], "billing": []}
    for account in ("a", "b", "c"):
        events = {"account_id": account, "occurred_at": "2025-03-01"}
        tables["accounts"].append({"account_id": account, "created_at": "2024-01-01"})
        tables["subscriptions"].append(
            {"account_id": account, "started_at": "2024-02-01", "arr": 1200.0, "status": "active"}
        )
        tables["support"].append(events | {"ticket_id": account, "severity": "low"})
        tables["billing"].append(events | {"kind": "invoice_paid"})
    source = from_tables({name: to_arrow(name, rows) for name, rows in tables.items()}, "a test")
    return read_signals(replace(source, records=RECORDS, states=_states()), AS_OF)


def test_a_rebuild_gives_the_snapshots_of_the_source(signals: OpenSignals) -> None:
    accounts = ["a", "c"]
    rebuilt = altered_snapshot(
        sampled_tables(signals, accounts), signals, signals.data_through, signals.history_from, GRID, CHOSEN,
        TrainConfig(), sampled_states(signals, accounts),
    )  # fmt: skip
    expected = snapshot(signals, GRID, catalogue=CHOSEN)
    expected = expected[expected["account_id"].isin(accounts)].reset_index(drop=True)
    pd.testing.assert_frame_equal(rebuilt, expected)
    assert rebuilt[UNKNOWN].isna().all(axis=None), "what the source cannot record is unknown"
    assert rebuilt["contract.expansions_364d"].notna().all(), "expansions come from revenue"
    assert set(rebuilt["usage.active_users_28d"]) == {100.0, 102.0, 7.0, 106.0, 108.0}


@pytest.mark.slow
def test_a_source_with_states_passes(signals: OpenSignals) -> None:
    accounts = ["a", "b", "c"]
    for sole in (False, True):
        states = AccountStates(_states().rows, sole)
        arguments = (sampled_tables(signals, accounts), GRID, replace(signals, states=states), CHOSEN, TrainConfig())
        assert rebuild_findings(*arguments, states=states) == []


def test_a_state_that_is_read_before_it_is_known_is_found(
    signals: OpenSignals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaky(frame: pd.DataFrame, states: AccountStates, catalogue: Any) -> pd.DataFrame:
        newest = states.rows.to_pandas().sort_values("observed_at").groupby("account_id")["outcomes.nps_last"].last()
        frame["outcomes.nps_last"] = frame["account_id"].astype(str).map(newest).astype(float)
        return frame

    monkeypatch.setattr("features.snapshots.snapshot.with_states", leaky)
    tables = sampled_tables(signals, ["a", "b", "c"])
    found = rebuild_findings(tables, GRID, signals, CHOSEN, TrainConfig(), states=signals.states)
    assert {f.subject for f in found} == {"outcomes.nps_last"}
    assert {f.check for f in found} >= {"future added", "future dropped"}


@pytest.mark.parametrize("seed", range(3))
def test_altered_states_have_the_same_past(seed: int) -> None:
    states, at = _states(), datetime(2025, 11, 15, tzinfo=UTC)

    def before(some: AccountStates) -> pd.DataFrame:
        rows: pd.DataFrame = some.rows.to_pandas()
        past = rows[rows["observed_at"] < at.replace(tzinfo=None)]
        return past.drop_duplicates().sort_values(["account_id", "observed_at"]).reset_index(drop=True)

    added, dropped, repeated = perturb_future_states(states, at, seed), drop_future_states(states, at), repeat_states(states, seed)
    for other in (added, dropped, repeated):
        pd.testing.assert_frame_equal(before(other), before(states))
        assert other.rows.schema.equals(states.rows.schema)
    assert added.dates.count(at) == 1, "the date itself is already too late"
    assert max(dropped.dates) < at
    assert len(repeated.rows) == len(states.rows) + 3
    assert set(map(tuple, repeated.rows.to_pandas().to_numpy())) == set(map(tuple, states.rows.to_pandas().to_numpy()))


def test_without_states_there_is_nothing_to_alter() -> None:
    empty = AccountStates(_states().rows.slice(0, 0))
    assert perturb_future_states(empty, AS_OF).rows.num_rows == 0
    assert repeat_states(empty).rows.num_rows == 0
