"""Ours beside plain baselines on the two example data sets: trained through a date, scored at that date, held against
what happened.

The baselines read the same snapshots: scikit-learn's logistic regression (median, standardised) and LightGBM as it
comes, both trained on every earlier weekly snapshot whose label was known at the date. The base rate's Brier score is
that of the rate known at the date, and, harder to beat, that of the rate which the outcomes then had.

    python bench/real_data.py [online-retail crm-simulated]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from features.catalogue import CATALOGUE
from features.clock import Grid, parse_instant
from features.errors import SignalsError
from features.signals import open_signals
from features.snapshot import snapshot
from models.bundle import load_bundle
from models.home import Home
from training.config import TrainConfig
from training.labels import label
from training.prepare import prepare
from training.train import train

EXAMPLES = Path(__file__).resolve().parent.parent / "notebooks" / "examples"
DATES = {"online-retail": ("2011-06-11", "2011-09-10"), "crm-simulated": ("2023-07-01", "2023-10-03")}


def baselines(address: Path, through: str, test: pd.DataFrame, target: str) -> dict[str, np.ndarray]:
    prepared = prepare(address, parse_instant(through), TrainConfig())
    y = prepared.labels[target].to_numpy()
    known = np.isfinite(y)
    names = [n for n, f in CATALOGUE.items() if f.kind == "number" and prepared.frame.loc[known, n].notna().any()]
    x, y = prepared.frame.loc[known, names], y[known]
    prepared.signals.close()
    linear = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=1000)).fit(
        x, y
    )
    trees = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x, y), 100)
    return {
        "base rate": np.full(len(test), y.mean()),
        "logistic regression": linear.predict_proba(test[names])[:, 1],
        "LightGBM as it comes": trees.predict(test[names]),
    }


def one(name: str, through: str) -> list[dict[str, object]]:
    address = EXAMPLES / f"{name}.toml"
    at = parse_instant(through)
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        report = train(address, Home(Path(place)), TrainConfig(), at)
        took = time.perf_counter() - start
        opened = open_signals(address, at)
        frame = snapshot(opened, Grid.single(at))
        opened.close()
        whole = open_signals(address)
        outcomes = label(whole, frame[["account_id", "as_of"]], 90, 30 if whole.contractual else 0)
        whole.close()
        rows = []
        for target, folder in report.folders.items():
            y = outcomes[target].to_numpy()
            seen = np.isfinite(y)
            forecasts = {"ours": load_bundle(folder).scorer.predict(frame).probability}
            forecasts |= baselines(address, through, frame, target)
            rate = y[seen].mean()
            for who, p in forecasts.items():
                rows.append(
                    {
                        "data": name,
                        "through": through,
                        "target": target,
                        "who": who,
                        "ROC AUC": roc_auc_score(y[seen], p[seen]),
                        "Brier": brier_score_loss(y[seen], p[seen]),
                        "rate's own Brier": rate * (1 - rate),
                        "accounts": int(seen.sum()),
                        "outcomes": int(y[seen].sum()),
                        "promoted": target in report.promoted if who == "ours" else None,
                        "seconds": took if who == "ours" else None,
                    }
                )
        return rows


def main() -> None:
    rows: list[dict[str, object]] = []
    for name in sys.argv[1:] or DATES:
        for through in DATES[name]:
            try:
                rows += one(name, through)
            except SignalsError as error:
                print(f"{name} is passed over: {error.found}")
                break
    print(pd.DataFrame(rows).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
