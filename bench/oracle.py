"""How close to the best possible model? On simulated portfolios, where the true probabilities are known.

For each seed: simulate, train on everything before a date, score at that date and two later ones, and hold the
probabilities against the truth that came from simulating on. The Brier skill is the expected one, given the truth q: a
forecast p loses (p - q)^2 + q (1 - q) on average, so no luck of the coin enters; "oracle" forecasts q itself. The
baselines are trained on the same rows.

    python bench/oracle.py [--accounts 1500] [--weeks 157] [--seeds 1]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from features.clock import Grid, parse_instant
from features.signals import open_signals
from features.snapshot import snapshot
from models.bundle import load_bundle
from models.home import Home
from training.config import TrainConfig
from training.simulation import simulate
from training.train import train

THROUGH = "2026-04-01"
"""Twenty-six weeks before the end: nothing at or after it is read in training."""


def skill(p: np.ndarray, q: np.ndarray) -> float:
    """The expected Brier skill of forecasts p against the best constant one, given the truth q."""
    loss = np.mean((p - q) ** 2 + q * (1 - q))
    constant = np.mean((q.mean() - q) ** 2 + q * (1 - q))
    return float(1 - loss / constant)


def one(accounts: int, weeks: int, seed: int) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as place:
        signals, home = Path(place) / "signals", Home(Path(place) / "home")
        simulate(signals, accounts=accounts, weeks=weeks, seed=seed)
        truth = pq.read_table(Path(place) / "truth.parquet").to_pandas()
        truth["as_of"] = pd.to_datetime(truth["as_of"], utc=True)
        start = time.perf_counter()
        report = train(signals, home, TrainConfig(), parse_instant(THROUGH))
        took = time.perf_counter() - start
        frames = []
        for as_of in sorted(d for d in truth["as_of"].unique() if d >= pd.Timestamp(THROUGH, tz="UTC")):
            opened = open_signals(signals, as_of.to_pydatetime())
            frames.append(snapshot(opened, Grid.single(as_of.to_pydatetime())))
            opened.close()
        frame = pd.concat(frames, ignore_index=True)
        rows = []
        for target, folder in report.folders.items():
            told = load_bundle(folder).scorer.predict(frame)
            both = frame[["account_id", "as_of"]].assign(p=told.probability, low=told.low, high=told.high)
            both = both.merge(truth, on=["account_id", "as_of"])
            q, p = both[target].to_numpy(), both["p"].to_numpy()
            ours, best = skill(p, q), skill(q, q)
            rows.append(
                {
                    "seed": seed,
                    "target": target,
                    "accounts x dates": len(both),
                    "rate": q.mean(),
                    "oracle skill": best,
                    "our skill": ours,
                    "share": ours / best,
                    "rank correlation with truth": both["p"].corr(both[target], method="spearman"),
                    "truth inside the 80% interval": ((both["low"] <= q) & (q <= both["high"])).mean(),
                    **{
                        f"test skill, {name}": report.candidates[target].judgement[name]["brier_skill"].value
                        for name in (
                            "blend",
                            "logistic_regression",
                            "lightgbm",
                            "lightgbm_from_health_score",
                            "health_score",
                        )
                    },
                    "promoted": target in report.promoted,
                    "training seconds": took,
                }
            )
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1500)
    parser.add_argument("--weeks", type=int, default=157)
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    rows = [row for seed in range(given.seeds) for row in one(given.accounts, given.weeks, seed)]
    table = pd.DataFrame(rows)
    print(table.round(4).to_string(index=False))
    print(table.groupby("target")["share"].agg(["mean", "min", "max"]).round(3).to_string())


if __name__ == "__main__":
    main()
