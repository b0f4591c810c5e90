"""A small portfolio of annual contracts whose outcomes depend on usage."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

THROUGH = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNTS = 260
GROWN, SHRUNK = 1.3, 0.7


def contracts() -> pd.DataFrame:
    """Annual contracts since 2022, one row per term, with the usage level of its last months.

    A quarter of the renewals is lost, and a fifth of the others expands or contracts. ``level`` is low before most
    losses and contractions, and high before most expansions.
    """
    rng = np.random.default_rng(3)
    rows: list[dict[str, object]] = []
    for number in range(ACCOUNTS):
        start, arr = pd.Timestamp("2022-01-03", tz="UTC") + pd.Timedelta(days=int(rng.integers(0, 365))), 1000.0
        while start < THROUGH:
            end = start + pd.Timedelta(days=365)
            outcome = rng.choice(["lost", "expanded", "contracted", "kept"], p=[0.25, 0.16, 0.16, 0.43])
            shown = outcome if rng.random() < 0.85 else "kept"
            level = {"lost": 0.1, "contracted": 0.5, "kept": 1.0, "expanded": 2.0}[shown]
            ended = end if end < THROUGH else None
            rows.append(
                {"account_id": f"a{number:03d}", "started_at": start, "ended_at": ended, "arr": arr, "renewal_at": end, "level": level}
            )
            if outcome == "lost":
                break
            arr *= {"expanded": GROWN, "contracted": SHRUNK}.get(outcome, 1.0)
            start = end
    frame = pd.DataFrame(rows)
    frame["end_reason"] = np.where(frame["ended_at"].notna(), "renewed", None)
    return frame


@pytest.fixture(scope="session")
def annual_contracts() -> pd.DataFrame:
    return contracts()


@pytest.fixture(scope="session")
def contract_table(annual_contracts: pd.DataFrame) -> pa.Table:
    """The contracts as a table of signals."""
    return _table(annual_contracts.drop(columns="level"))


def _table(frame: pd.DataFrame) -> pa.Table:
    """Convert a frame. The conversion of Arrow uses a part of pandas that is deprecated for time zones."""
    plain = {name: frame[name].dt.tz_convert(None) for name in frame.columns if hasattr(frame[name], "dt")}
    return pa.Table.from_pandas(frame.assign(**plain), preserve_index=False)


@pytest.fixture(scope="session")
def annual_signals(annual_contracts: pd.DataFrame, contract_table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contracts as a folder of signals, with weekly usage."""
    folder = tmp_path_factory.mktemp("annual") / "signals"
    folder.mkdir()
    begun = annual_contracts.groupby("account_id", as_index=False)["started_at"].min()
    pq.write_table(_table(begun.rename(columns={"started_at": "created_at"})), folder / "accounts.parquet")
    pq.write_table(contract_table, folder / "subscriptions.parquet")
    rng, usage = np.random.default_rng(4), []
    for row in annual_contracts.to_dict("records"):
        last = min(row["renewal_at"], pd.Timestamp(THROUGH))
        for at in pd.date_range(row["started_at"], last, freq="7D", inclusive="left"):
            level = row["level"] if (row["renewal_at"] - at).days < 150 else 1.0
            usage.append((row["account_id"], at + pd.Timedelta(hours=9), "u0", "f0", float(rng.poisson(40 * level)), 1.0))
    columns = ["account_id", "occurred_at", "user_id", "feature", "quantity", "minutes"]
    pq.write_table(_table(pd.DataFrame(usage, columns=columns)), folder / "usage.parquet")
    return folder
