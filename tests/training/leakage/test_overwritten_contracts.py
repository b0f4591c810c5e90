"""Overwritten contracts are found, without false alarms; with the start of the term, nothing leaks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.catalogue.catalogue import CATALOGUE
from features.errors import InsufficientData
from features.signals.overwritten_contracts import contract_findings, leaking_contracts
from features.signals.signals import OpenSignals, read_signals
from features.sources.base import from_tables
from models.home import Home
from training.config import TrainConfig
from training.dataset.labelled_snapshots import label_snapshots
from training.leakage.due_renewals import compare_due_shares
from training.pipeline.abort import LeakFound
from training.pipeline.train import train
from training.simulation import simulate

LastRows = Callable[..., pd.DataFrame]
DAY = timedelta(days=1)
END = datetime(2026, 6, 1, tzinfo=UTC)
NO_TERMS = ["contract.arr", "contract.days_to_renewal", "contract.term_days", "contract.plan", "usage.seats_used_share"]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "signals"
    simulate(out, accounts=220, weeks=140, seed=11)
    return out


def of(folder: Path, subscriptions: pd.DataFrame | None = None, only: tuple[str, ...] = ("accounts",)) -> OpenSignals:
    usage = pq.read_table(folder / "usage.parquet", columns=["occurred_at"])["occurred_at"]
    tables = {name: pq.read_table(folder / f"{name}.parquet") for name in (*only, "subscriptions")}
    if subscriptions is not None:
        tables["subscriptions"] = pa.Table.from_pandas(subscriptions, preserve_index=False)
    return read_signals(from_tables(tables, "a test"), pc.max(usage).as_py().replace(tzinfo=UTC))


def contracts(folder: Path) -> pd.DataFrame:
    return pq.read_table(folder / "subscriptions.parquet").to_pandas()


def signals_of(rows: list[dict[str, Any]], end: datetime = END) -> OpenSignals:
    frame = pd.DataFrame(rows)
    for name in ("started_at", "ended_at", "renewal_at"):
        values = frame[name] if name in frame else pd.Series(pd.NaT, index=frame.index)
        frame[name] = pd.to_datetime(values, utc=True).dt.tz_convert(None)
    accounts = pa.Table.from_pylist(
        [{"account_id": a, "created_at": datetime(2018, 1, 1)} for a in frame["account_id"].unique()]
    )
    tables = {"accounts": accounts, "subscriptions": pa.Table.from_pandas(frame, preserve_index=False)}
    return read_signals(from_tables(tables, "a test"), end)


def test_both_checks_find_overwritten_contracts(simulated: Path, last_rows: LastRows) -> None:
    signals = of(simulated, last_rows(contracts(simulated)))
    (finding,) = leaking_contracts(signals)
    assert (finding.table, finding.column) == ("subscriptions", "renewal_at")
    assert "churn and expansion cannot be learned" in finding.what
    assert "one row per term" in finding.cure
    assert "term_started_at" in finding.cure
    shares = compare_due_shares(signals, 90, 30)
    assert shares.differs
    assert shares.high < shares.at_end - 0.15
    signals.close()


@pytest.mark.parametrize("horizon", [30, 90, 180])
def test_complete_contracts_are_no_finding(simulated: Path, horizon: int) -> None:
    signals = of(simulated)
    shares = compare_due_shares(signals, horizon, 30)
    assert not shares.lacking
    assert not shares.differs
    assert shares.low <= shares.at_end + 0.1
    assert contract_findings(signals) == []
    signals.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_simulated_portfolios_are_no_finding(tmp_path: Path, seed: int, last_rows: LastRows) -> None:
    accounts, weeks = [(120, 104), (150, 130), (200, 156), (80, 182)][seed % 4]
    simulate(tmp_path / "signals", accounts=accounts, weeks=weeks, seed=100 + seed)
    signals = of(tmp_path / "signals")
    assert not compare_due_shares(signals, 90, 30).differs
    assert contract_findings(signals) == []
    signals.close()
    signals = of(tmp_path / "signals", last_rows(contracts(tmp_path / "signals")))
    assert compare_due_shares(signals, 90, 30).differs or leaking_contracts(signals)
    signals.close()


def _whole(kind: str) -> list[dict[str, Any]]:
    """Honest portfolios that look odd: of a hundred and twenty accounts each."""
    rng, rows = np.random.default_rng(5), []
    for i in range(120):
        row = {"account_id": f"a{i}", "arr": 1000.0 + i, "seats": 5}
        if kind == "monthly":
            start = END - int(rng.integers(200, 1100)) * DAY
            while start < END:
                end = start + 30 * DAY
                rows.append(row | {"started_at": start, "renewal_at": end, "ended_at": end if end < END else None})
                start = end
        elif kind == "young":
            start = END - int(rng.integers(250, 320)) * DAY
            rows.append(row | {"started_at": start, "renewal_at": start + 365 * DAY})
        elif kind == "three years":
            start = END - int(rng.integers(740, 1090)) * DAY
            rows.append(row | {"started_at": start, "renewal_at": start + 1095 * DAY})
        elif kind == "evergreen":
            rows.append(row | {"started_at": END - int(rng.integers(200, 1500)) * DAY, "renewal_at": None})
        elif kind == "same day":
            for year in range(2022, 2026):
                start, end = (datetime(y, 8, 1, tzinfo=UTC) for y in (year, year + 1))
                rows.append(row | {"started_at": start, "renewal_at": end, "ended_at": end if end < END else None})
    return rows


@pytest.mark.parametrize("kind", ["monthly", "young", "three years", "evergreen", "same day"])
def test_unusual_portfolios_are_no_finding(kind: str) -> None:
    signals = signals_of(_whole(kind))
    assert contract_findings(signals) == []
    assert not compare_due_shares(signals, 90, 30).differs
    signals.close()


def test_renewal_dates_of_active_accounts_only_are_a_finding() -> None:
    rows = [row | {"ended_at": END - 40 * DAY, "renewal_at": None} for row in _whole("three years")[:40]]
    signals = signals_of([*rows, *_whole("three years")[40:]])
    (finding,) = leaking_contracts(signals)
    assert (finding.column, finding.rows) == ("renewal_at", 40)
    assert "churn cannot be learned" in finding.what
    signals.close()


@pytest.mark.parametrize("days", [30, 365])
def test_one_row_per_subscription_is_a_finding(days: int) -> None:
    """Its current period ends within a month or a year; of those that were cancelled, with the end."""
    rng, rows = np.random.default_rng(3), []
    for i in range(150):
        start = END - int(rng.integers(100, 1500)) * DAY
        stop = END if i % 4 else start + int(rng.integers(60, (END - start) // DAY)) * DAY
        period = start + ((stop - start) // DAY // days) * days * DAY
        row = {"account_id": f"a{i}", "started_at": start, "arr": 1000.0 + i, "renewal_at": period + days * DAY}
        rows.append(row | ({} if i % 4 else {"ended_at": stop}))
    signals = signals_of(rows)
    (finding,) = leaking_contracts(signals)
    assert finding.column == "renewal_at"
    assert "churn and expansion cannot be learned" in finding.what
    assert "invoices or line items" in finding.cure
    signals.close()


def test_prices_that_never_changed_are_a_finding() -> None:
    rows = [row | {"seats": 5 + i % 7} for i, row in enumerate(_whole("same day"))]
    signals = signals_of(rows)
    (finding,) = contract_findings(signals)
    assert finding.column == "arr"
    assert "expansion and contraction cannot be learned" in finding.what
    assert leaking_contracts(signals) == []
    signals.close()


# MLflow asks SQLAlchemy for what it is about to remove.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_training_on_overwritten_contracts_stops_with_a_cure(
    simulated: Path, tmp_path: Path, last_rows: LastRows
) -> None:
    source = tmp_path / "signals"
    source.mkdir()
    # The time depends on the number of tables.
    for name in ("accounts.parquet", "usage.parquet"):
        (source / name).symlink_to(simulated / name)
    pq.write_table(pa.Table.from_pandas(last_rows(contracts(simulated))), source / "subscriptions.parquet")
    home = Home(tmp_path / "home")
    with pytest.raises((LeakFound, InsufficientData)) as stopped:
        train(source, home, TrainConfig(trials=1, every_days=28, horizons=()))
    assert isinstance(stopped.value, LeakFound)
    assert "renewals look overwritten" in str(stopped.value)
    assert "one row per term" in stopped.value.cure
    assert not home.champion_file.exists()


@pytest.mark.slow
def test_term_starts_prevent_the_leak(simulated: Path, last_rows: LastRows) -> None:
    """Whose terms are known at an earlier date has not renewed since: there the terms are unknown of everybody."""
    signals = of(simulated, last_rows(contracts(simulated), term_started=True), ("accounts", "usage"))
    (finding,) = contract_findings(signals)
    assert finding.column == "term_started_at"
    assert leaking_contracts(signals) == []
    assert not compare_due_shares(signals, 90, 30).differs
    prepared = label_snapshots(signals, TrainConfig(every_days=28, horizons=()))
    assert set(prepared.frame["as_of"]) == {pd.Timestamp(at) for at in prepared.dates_without_terms}
    assert prepared.frame[NO_TERMS].isna().all(axis=None)
    assert prepared.labels["expansion"].isna().all()
    assert prepared.labels["churn"].notna().all()
    assert prepared.labels["active"].all()
    assert prepared.frame["contract.products"].notna().all()
    signals.close()


@pytest.mark.slow
def test_complete_contracts_are_not_masked(simulated: Path) -> None:
    signals = of(simulated, None, ("accounts", "usage"))
    prepared = label_snapshots(signals, TrainConfig(every_days=28, horizons=()), catalogue=CATALOGUE)
    assert prepared.dates_without_terms == ()
    assert prepared.frame["contract.arr"].notna().all()
    signals.close()
