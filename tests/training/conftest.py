"""Tiny signals and a small portfolio for the tests of training."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import ibis
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits

from features.definitions.feature import Feature
from features.signals.signals import OpenSignals
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.evaluation.test_predictions import ScoredTestRows

_INSTANT = pa.timestamp("us")


@pytest.fixture(scope="session", autouse=True)
def _one_thread_of_linear_algebra() -> Iterator[None]:
    """As in a training. Threads that share busy cores make small fits several times slower."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


SCHEMAS = {
    "subscriptions": pa.schema(
        {
            "account_id": pa.string(),
            "started_at": _INSTANT,
            "ended_at": _INSTANT,
            "arr": pa.float64(),
            "seats": pa.int64(),
            "plan": pa.string(),
            "end_reason": pa.string(),
        }
    ),
    "orders": pa.schema(
        {"account_id": pa.string(), "occurred_at": _INSTANT, "amount": pa.float64(), "until_at": _INSTANT}
    ),
    "usage": pa.schema({"account_id": pa.string(), "occurred_at": _INSTANT, "until_at": _INSTANT}),
}


@pytest.fixture
def make_signals() -> Iterator[Callable[..., OpenSignals]]:
    """Build signals from lists of rows: ``make_signals(through, subscriptions=[{...}, ...])``; absent columns are null."""
    opened = []

    def make(through: datetime, **tables: list[dict[str, object]]) -> OpenSignals:
        connection = ibis.duckdb.connect()
        tables_by_name = {
            name: connection.create_table(name, pa.Table.from_pylist(rows, SCHEMAS[name]), temp=True)
            for name, rows in tables.items()
        }
        opened.append(OpenSignals(connection, tables_by_name, through.replace(tzinfo=UTC), "a test"))
        return opened[-1]

    yield make
    for signals in opened:
        signals.close()


def _feature(name: str, kind: Literal["number", "category"] = "number", **more: Any) -> Feature:
    directions = {"direction": None, "expansion_direction": None} | more
    return Feature(name, name.split(".")[0], "usage", name, kind, "", words=name, **directions)


def _catalogue() -> dict[str, Feature]:
    """Five features: one that matters and is held to its direction, one that bends, noise, money, and a category."""
    return {
        f.name: f
        for f in (
            _feature("usage.falling", direction="raises_risk", expansion_direction="lowers_chance", monotone=True),
            _feature("usage.bent"),
            _feature("usage.noise", direction="raises_risk"),
            _feature("contract.arr"),
            _feature("contract.plan", "category"),
        )
    }


def _portfolio() -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Snapshots of 250 accounts on twelve dates, four weeks apart, and labels that hang on them: 3,000 rows."""
    rng = np.random.default_rng(5)
    accounts, dates = 250, pd.date_range("2024-01-01", periods=12, freq="28D", tz="UTC").as_unit("us")
    account = np.tile(np.arange(accounts), len(dates))
    plan = rng.choice(["basic", "pro", "rare"], accounts, p=[0.6, 0.36, 0.04])[account]
    falling, bent = rng.normal(size=accounts)[account] + rng.normal(0, 0.5, len(account)), rng.normal(size=len(account))
    log_odds = -2 + 1.2 * falling + 0.8 * (np.abs(bent) > 1) + 0.7 * (plan == "basic")
    frame = pd.DataFrame(
        {
            "account_id": [f"a{i}" for i in account],
            "as_of": np.repeat(dates, accounts),
            "usage.falling": np.where(rng.random(len(account)) < 0.1, np.nan, falling),
            "usage.bent": bent,
            "usage.noise": rng.normal(size=len(account)),
            "contract.arr": rng.lognormal(9, 2, len(account)),
            "contract.plan": pd.Series(plan, dtype=object).where(rng.random(len(account)) > 0.05, None),
        }
    )
    return frame, (rng.random(len(account)) < 1 / (1 + np.exp(-log_odds))).astype(float)


@pytest.fixture
def small_catalogue() -> dict[str, Feature]:
    """`_catalogue`."""
    return _catalogue()


@pytest.fixture
def small_portfolio() -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """`_portfolio`."""
    return _portfolio()


MAIN_DAYS, FURTHER_DAYS = 30, (14, 60)


@pytest.fixture(scope="session")
def labelled_portfolio() -> LabelledSnapshots:
    """The small portfolio with labels at 14, 30 (the main horizon) and 60 days, as known 30 days after its last date.

    The outcome is the same at each horizon whose window has ended. A third of the accounts have no renewal date. Do not
    change it: tests share it.
    """
    frame, happened = _portfolio()
    rng, accounts = np.random.default_rng(0), frame["account_id"].str[1:].astype(int).to_numpy()
    days = rng.integers(0, 365, len(frame)).astype(float)
    frame["contract.days_to_renewal"] = np.where(accounts % 3 == 0, np.nan, days)
    through = (frame["as_of"].max() + timedelta(days=MAIN_DAYS)).to_pydatetime()

    def labels(days: int) -> pd.DataFrame:
        known = (frame["as_of"] + timedelta(days=days) <= through).to_numpy()
        facts = frame[["account_id", "as_of"]].assign(arr=1.0, active=True, churn_kind="voluntary")
        return facts.assign(churn=np.where(known, happened, np.nan))

    signals: Any = SimpleNamespace(data_through=through)
    grid: Any = SimpleNamespace(as_ofs=sorted(set(frame["as_of"].dt.to_pydatetime())), every_days=28)
    catalogue: Any = _catalogue()
    further = {days: labels(days) for days in FURTHER_DAYS}
    return LabelledSnapshots(signals, grid, frame, labels(MAIN_DAYS), 0, catalogue, further)


@pytest.fixture
def evaluation_rows() -> Callable[..., ScoredTestRows]:
    """A hundred accounts on four dates, every fourth of them big (ARR 100, the others 1), a fifth of the rows with the
    outcome, every other row due. Candidates by name: what each predicts for every row."""
    dates, accounts = 4, 100
    happened = (np.random.default_rng(0).random(dates * accounts) < 0.2).astype(np.float64)

    def scored_rows(y: npt.NDArray[np.float64] = happened, **p: npt.NDArray[np.float64]) -> ScoredTestRows:
        names = np.array([f"a{i}" for _ in range(dates) for i in range(accounts)], dtype=object)
        when = pd.Series(pd.date_range("2026-01-05", periods=dates, freq="7D", tz="UTC").repeat(accounts))
        big = np.tile(np.arange(accounts) % 4 == 0, dates)
        segment = np.where(big, "big", "small").astype(object)
        arr, due = np.where(big, 100.0, 1.0), np.arange(len(y)) % 2 == 0
        return ScoredTestRows(names, when, segment, y, arr, p, np.full(len(y), 0.2), due)

    return scored_rows


@pytest.fixture(scope="session")
def last_rows() -> Callable[..., pd.DataFrame]:
    """Contracts as exported by a source that overwrites each renewal: `last_rows.last_rows`."""
    path = Path(__file__).with_name("last_rows.py")
    spec = importlib.util.spec_from_file_location("renewcast_last_rows", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[..., pd.DataFrame] = module.last_rows
    return function
