"""Figures of the simulator's presets next to published ones, and what each family of signals tells of the true odds.

The first table is that of docs/reference/simulator.md. R2 is the share of the variance of the true log-odds of churn
(or expansion) over 90 days that trees explain from the snapshot features of one family, for accounts that they were not
fitted on. "all" is what a snapshot can show at most.

    python bench/simulator.py --seeds 0 1 2 3 4
    python bench/simulator.py --signals --seeds 0 1 --accounts 1000
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold

from features.catalogue.catalogue import CATALOGUE
from features.signals.signals import open_signals
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid
from training.simulation import PRESETS, MarketOptions, simulate
from training.simulation.calendar import day_number
from training.simulation.history import simulate_history
from training.simulation.portfolio_figures import portfolio_figures

END = date(2026, 9, 30)
TREES = {
    "objective": "l2",
    "learning_rate": 0.08,
    "num_leaves": 8,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "feature_fraction": 0.5,
    "max_bin": 63,
    "num_threads": 1,
    "seed": 1,
    "verbosity": -1,
}
ROUNDS = 70


def figures(preset: str, seeds: list[int], accounts: int, weeks: int) -> pd.DataFrame:
    """Return mean, lowest and highest of each published figure over the seeds."""
    rows = []
    for seed in seeds:
        history = simulate_history(accounts, weeks, seed, day_number(END), PRESETS[preset])
        values = vars(portfolio_figures(history))
        row = {}
        for name, value in values.items():
            for number, part in enumerate(np.atleast_1d(value)):
                row[f"{name} {number}" if np.ndim(value) else name] = part
        rows.append(row)
    return pd.DataFrame(rows).agg(["mean", "min", "max"]).T


def snapshots_with_truth(preset: str, seed: int, accounts: int, weeks: int) -> pd.DataFrame:
    """Return snapshots of three dates with the true probabilities."""
    with tempfile.TemporaryDirectory() as place:
        signals = Path(place) / "signals"
        written = simulate(signals, accounts=accounts, weeks=weeks, seed=seed, options=MarketOptions(preset=preset))
        truth = pd.read_parquet(written.truth)
        frames = []
        for as_of in sorted(truth["as_of"].unique())[-4:-1]:
            opened = open_signals(signals, pd.Timestamp(as_of).to_pydatetime())
            frames.append(snapshot(opened, Grid.single(pd.Timestamp(as_of).to_pydatetime())))
            opened.close()
    frame = pd.concat(frames, ignore_index=True)
    frame["as_of"] = pd.to_datetime(frame["as_of"], utc=True)
    truth["as_of"] = pd.to_datetime(truth["as_of"], utc=True)
    return frame.merge(truth, on=["account_id", "as_of"])


def explained(frame: pd.DataFrame, target: str) -> dict[str, float]:
    """Return R2 by family, and for all features."""
    p = frame[target].clip(1e-4, 1 - 1e-4)
    y = np.log(p / (1 - p)).to_numpy()
    columns: dict[str, list[str]] = {"all": [feature.name for feature in CATALOGUE.values()]}
    for feature in CATALOGUE.values():
        columns.setdefault(feature.table, []).append(feature.name)
    found = {}
    for family, names in columns.items():
        values = {
            name: frame[name]
            if pd.api.types.is_numeric_dtype(frame[name])
            else pd.factorize(frame[name].astype(str))[0]
            for name, column in frame[names].items()
        }
        matrix = pd.DataFrame(values).to_numpy(dtype=np.float64)
        if np.isnan(matrix).all():
            continue
        predicted = np.empty(len(y))
        for fitted, held_out in GroupKFold(4).split(matrix, y, pd.factorize(frame["account_id"])[0]):
            trees = lightgbm.train(TREES, lightgbm.Dataset(matrix[fitted], y[fitted]), ROUNDS)
            predicted[held_out] = trees.predict(matrix[held_out])
        found[family] = 1 - float(((y - predicted) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--weeks", type=int, default=157)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--signals", action="store_true", help="the second table")
    options = parser.parse_args()
    for preset in options.presets:
        print(f"\n{preset}")
        if not options.signals:
            for name, (mean, low, high) in figures(preset, options.seeds, options.accounts, options.weeks).iterrows():
                print(f"| {name} | {mean:.3f} ({low:.3f}, {high:.3f}) |")
            continue
        worlds = [snapshots_with_truth(preset, seed, options.accounts, options.weeks) for seed in options.seeds]
        for target in ("churn", "expansion"):
            r2 = pd.DataFrame([explained(frame, target) for frame in worlds]).mean()
            print(f"| {target} | " + " | ".join(f"{family} {value:.2f}" for family, value in r2.items()) + " |")


if __name__ == "__main__":
    main()
