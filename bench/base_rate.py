"""Calibration before and after the base rate doubles.

On simulated portfolios: train through a date, score at that date and two later ones, and compare with what happened.
"After" weights the rows with the outcome so that it is twice as frequent and everything else stays the same (a shift of
the prior). A recession would do this, and no model could know it. Intervals are 95%, from resampled accounts.

    python bench/base_rate.py [--accounts 600] [--weeks 157] [--seeds 0 1 2 3 4]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from oracle import THROUGH, at

from features.errors import InsufficientData
from features.signals.signals import open_signals
from features.utils.arrays import Floats
from features.utils.dates import parse_instant
from models.home import Home
from training.config import TrainConfig
from training.dataset.labels import label
from training.evaluation.test_predictions import estimate, ratio
from training.pipeline.train import train
from training.simulation import simulate
from training.statistics import metrics
from training.statistics.account_bootstrap import AccountBootstrap
from training.statistics.metrics import Predictions

FIGURES = {
    "happened over expected": ratio,
    "calibration error": metrics.calibration_error,
    "slope": metrics.calibration_slope,
    "AUC": metrics.roc_auc,
}


def tilted(of: Callable[[Predictions, Floats], Floats], tilt: Floats) -> Callable[[Predictions, Floats], Floats]:
    """Return the metric with the rows weighted."""
    return lambda data, weights: of(data, weights * tilt)


def one(accounts: int, weeks: int, seed: int) -> list[dict[str, object]]:
    through = parse_instant(THROUGH)
    with tempfile.TemporaryDirectory() as place:
        signals = Path(place) / "signals"
        simulate(signals, accounts=accounts, weeks=weeks, seed=seed)
        try:
            report = train(signals, Home(Path(place) / "home"), TrainConfig(), through)
        except InsufficientData as error:
            print(f"seed {seed}: {error}")
            return []
        dates = pd.date_range(through, periods=3, freq="28D").to_pydatetime()
        frame = at(signals, list(dates))
        whole = open_signals(signals)
        outcomes = label(whole, frame[["account_id", "as_of"]], 90, 30)
        whole.close()
        rows = []
        for target, model in report.models.items():
            y = outcomes[target].to_numpy(dtype=np.float64)
            labelled = np.isfinite(y)
            data = Predictions(
                y[labelled], model.bundle.scorer.predict(frame[labelled]).probability, np.zeros(labelled.sum())
            )
            bootstrap = AccountBootstrap(frame.loc[labelled, "account_id"].to_numpy(dtype=object), 500, seed)
            rate = data.y.mean()
            for when, weight in (("before", 1.0), ("after", 2 * (1 - rate) / (1 - 2 * rate))):
                tilt = np.where(data.y == 1, weight, 1.0)
                row: dict[str, object] = {"seed": seed, "target": target, "when": when}
                row["rate"] = float(np.average(data.y, weights=tilt))
                for name, of in FIGURES.items():
                    row[name] = "{:.3f} ({:.3f}, {:.3f})".format(*estimate(tilted(of, tilt), data, bootstrap))
                rows.append(row)
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=600, help="number of simulated accounts (default: %(default)s)")
    parser.add_argument("--weeks", type=int, default=157, help="weeks of simulated history (default: %(default)s)")
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2, 3, 4],
        help="seeds of the simulated portfolios (default: %(default)s)",
    )
    options = parser.parse_args()
    for seed in options.seeds:
        print(pd.DataFrame(one(options.accounts, options.weeks, seed)).round(3).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
