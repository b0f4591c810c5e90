"""Coverage of the 80% intervals of the renewal forecast (target: 75 to 85% of quarters), on simulated portfolios.

For each seed: simulate, forecast each of the newest quarters from its start by models fitted on what was known by then
(`training.backtest.renewals`), and compare every figure with what happened. As in production, the shared error of a
forecast is learned from the quarters of its portfolio that had matured before it.

    python bench/renewals.py [--accounts 600] [--weeks 182] [--quarters 5] [--seeds 0 1 2 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from features.errors import InsufficientData
from models.renewals.past_forecasts import FIGURES
from training.backtest.renewals import forecast_past_quarters
from training.config import TrainConfig
from training.dataset.labelled_snapshots import read_labelled_snapshots
from training.simulation import simulate

QUICK = TrainConfig(every_days=28, trials=1, folds=2)


def one(accounts: int, weeks: int, quarters: int, seed: int) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as place:
        signals = Path(place) / "signals"
        simulate(signals, accounts=accounts, weeks=weeks, seed=seed)
        prepared = read_labelled_snapshots(signals, None, QUICK)
        try:
            forecasts = forecast_past_quarters(prepared, quarters, QUICK, {})
        except InsufficientData as error:
            print(f"seed {seed}: {error}", flush=True)
            return []
        finally:
            prepared.signals.close()
    rows: list[dict[str, object]] = []
    for quarter in forecasts.quarters:
        for name in FIGURES:
            figure = quarter.figures[name]
            rows.append(
                {
                    "seed": seed,
                    "quarter": quarter.period,
                    "due": quarter.accounts,
                    "figure": name,
                    "expected": figure.expected,
                    "low": figure.low,
                    "high": figure.high,
                    "happened": figure.happened,
                    "inside": figure.inside,
                    "below": figure.happened < figure.low and not figure.inside,
                    "width": figure.high - figure.low,
                    "off": figure.happened - figure.expected,
                }
            )
    for name, why in forecasts.skipped.items():
        print(f"seed {seed}: {name} skipped: {why}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=600, help="number of simulated accounts (default: %(default)s)")
    parser.add_argument("--weeks", type=int, default=182, help="weeks of simulated history (default: %(default)s)")
    parser.add_argument(
        "--quarters", type=int, default=5, help="number of the newest quarters to forecast (default: %(default)s)"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2, 3],
        help="seeds of the simulated portfolios (default: %(default)s)",
    )
    options = parser.parse_args()
    rows = []
    for seed in options.seeds:
        start = time.perf_counter()
        new = one(options.accounts, options.weeks, options.quarters, seed)
        rows += new
        print(f"seed {seed}: {time.perf_counter() - start:.0f} s")
        if new:
            columns = pd.DataFrame(new).drop(columns=["seed", "width", "off", "below"])
            print(columns.round(3).to_string(index=False), flush=True)
    if not rows:
        return
    table = pd.DataFrame(rows)
    print(f"{table.groupby(['seed', 'quarter']).ngroups} forecasts")
    by = table.groupby("figure", sort=False)
    summary = pd.DataFrame(
        {
            "inside": by["inside"].mean(),
            "below": by["below"].mean(),
            "above": 1 - by["inside"].mean() - by["below"].mean(),
            "mean width": by["width"].mean(),
            "mean error": by["off"].mean(),
            "happened over expected": by["happened"].sum() / by["expected"].sum(),
        }
    )
    # Quarters of one seed are not independent, so whole seeds are resampled.
    rng = np.random.default_rng(0)
    shares = table.pivot_table(index="seed", columns="figure", values="inside", aggfunc=["sum", "count"])
    indices = rng.integers(0, len(shares), (2000, len(shares)))
    for name in summary.index:
        share = shares["sum"][name].to_numpy()[indices].sum(axis=1) / shares["count"][name].to_numpy()[indices].sum(
            axis=1
        )
        summary.loc[name, ["low 95", "high 95"]] = np.quantile(share, [0.025, 0.975])
    print(summary.round(3).to_string())


if __name__ == "__main__":
    main()
