"""What notices and statuses of contracts are worth, by the outcomes of simulated portfolios.

The simulator draws notices and pauses from what happens, so its true probabilities do not know them. Trees are
therefore fitted on outcomes at many dates of half of the accounts, and predict those of the other half. Skill and
shares are those of `bench/signal_values.py`: what is lost without a column. The table usage is left out, because it
takes most of the time. Without it nothing can be said about expansion, so only churn is measured.

    python bench/added_signals.py [--presets NAME ...] [--seeds 0 1] [--accounts 600] [--weeks 104] [--workdir DIR]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from signal_values import GRACE, HORIZON, TREES, cross_fitted, encode, shares, skills

from features.signals.signals import OpenSignals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.utils.dates import Grid, midnight
from training.dataset.labels import label
from training.simulation import PRESETS, MarketOptions
from training.simulation.calendar import day_number
from training.simulation.history import simulate_history
from training.simulation.simulate import portfolio_tables

SIGNALS = ("subscriptions.notice_at", "subscriptions.status")
"""The columns that a source may lack."""
END = date(2026, 9, 30)
# Few accounts have a notice at a date.
TREES_OF_OUTCOMES = {**TREES, "min_data_in_leaf": 10}
DATES, STEP = 8, 42
"""The number of dates, the newest with known outcomes, and the days from date to date."""
STORED = "added-signal-values.jsonl"


def without(tables: Mapping[str, pa.Table], *columns: str) -> OpenSignals:
    """Return the signals of tables without some columns of subscriptions."""
    rows = tables["subscriptions"]
    for name in columns:
        column = name.partition(".")[2]
        rows = without_status(rows) if column == "status" else rows.drop_columns([column])
    return read_signals(from_tables({**tables, "subscriptions": rows}, "simulated"))


def without_status(table: pa.Table) -> pa.Table:
    """Return subscriptions without trials, and with the rows that pauses split in one piece again."""
    rows = table.to_pandas()
    rows = rows[rows["status"] != "trial"].reset_index(drop=True)
    before = rows.shift()
    goes_on = (
        (rows["account_id"] == before["account_id"])
        & (rows["started_at"] == before["ended_at"])
        & before["end_reason"].isna()
        & (rows["plan"] == before["plan"])
    )
    pieces = rows.groupby((~goes_on).cumsum(), sort=False)
    whole = pieces.first().drop(columns="status")
    last = pieces.tail(1)
    for column in ("ended_at", "end_reason"):
        whole[column] = last[column].to_numpy() if column == "end_reason" else pd.DatetimeIndex(last[column])
    return pa.Table.from_pandas(whole, preserve_index=False)


def measured_row(preset: str, seed: int, accounts: int, weeks: int) -> dict[str, Any]:
    """Return the measured skills of one simulated portfolio."""
    history = simulate_history(accounts, weeks, seed, day_number(END), MarketOptions(preset=preset).market())
    parts = portfolio_tables(history, ("notices", "statuses"))
    tables = {name: pa.concat_tables(slices) for name, slices in parts if name != "usage"}
    whole = without(tables)
    last = midnight(whole.data_through - timedelta(days=HORIZON + GRACE))
    grid = Grid.ending(last, last - timedelta(days=STEP * (DATES - 1)), STEP)
    frame = snapshot(whole, grid)
    whole.close()
    keys = frame[["account_id", "as_of"]]
    # Paused ARR does not count, so a contract that goes on after a pause would look like an expansion.
    plain = without(tables, "subscriptions.status")
    outcomes = label(plain, keys, HORIZON, GRACE)
    plain.close()
    frames = {}
    for name in SIGNALS:
        signals = without(tables, name)
        less = snapshot(signals, grid)
        signals.close()
        frames[name] = keys.merge(less, on=["account_id", "as_of"], how="left", validate="one_to_one")
        # Trials that nothing marks would count as contracts.
        assert len(less) == len(frame), name
    codes = pd.factorize(frame["account_id"])[0]
    known = outcomes["churn"].notna().to_numpy()
    y = outcomes["churn"][known].to_numpy(np.float64)

    def skill(some: pd.DataFrame) -> tuple[float, float]:
        encoded, _ = encode(some[known], some[known])
        return skills(cross_fitted(encoded, y, codes[known], list(encoded), TREES_OF_OUTCOMES), y)

    measured = {name: {"without": skill(less)} for name, less in frames.items()}
    counts = {"rows": int(known.sum()), "events": int(y.sum())}
    return {"preset": preset, "seed": seed, "target": "churn", **counts, "all": skill(frame), "signals": measured}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["enterprise-annual", "mixed-b2b"], choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--accounts", type=int, default=600)
    parser.add_argument("--weeks", type=int, default=104)
    parser.add_argument("--workdir", type=Path, help="folder for stored results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        work: Path = options.workdir or Path(fresh)
        work.mkdir(parents=True, exist_ok=True)
        file = work / STORED
        rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        done = {(row["preset"], row["seed"]) for row in rows}
        for seed in options.seeds:
            for preset in options.presets:
                if (preset, seed) not in done:
                    rows.append(measured_row(preset, seed, options.accounts, options.weeks))
                    with file.open("a") as out:
                        out.write(json.dumps(rows[-1]) + "\n")
    for row in rows:
        print(f"{row['preset']} {row['seed']}: skill {row['all']}, {row['events']} events of {row['rows']} rows")
    table = shares(rows, "churn").drop(columns="seed")
    print(table.groupby(["signal", "preset"]).agg(["mean", "std"]).round(3).to_string())


if __name__ == "__main__":
    main()
