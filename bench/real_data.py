"""Renewcast compared with other libraries on the two example data sets: train through a date, score at that date, and
compare with what happened.

The other libraries (bench/peers/classifiers.py) read the same snapshots with their defaults, and are fitted on every
earlier weekly snapshot whose label was known at the date, with two threads each. Renewcast runs its whole training:
both targets, search, contenders, evaluation and the leak check. The Brier score of the base rate is that of the rate
known at the date, and, harder to beat, that of the rate which the outcomes had in the end.

    python bench/real_data.py [online-retail crm-simulated] [--workdir DIR]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peers.comparison import forecasts
from sklearn.metrics import brier_score_loss, roc_auc_score

from features.catalogue.catalogue import CATALOGUE
from features.errors import SignalsError
from features.signals.signals import open_signals
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid, parse_instant
from models.home import Home
from models.targets import TARGETS
from training.config import TrainConfig
from training.dataset.labelled_snapshots import read_labelled_snapshots
from training.dataset.labels import label
from training.pipeline.train import train

EXAMPLES = Path(__file__).resolve().parent.parent / "notebooks" / "examples"
DATES = {"online-retail": ("2011-06-11", "2011-09-10"), "crm-simulated": ("2023-07-01", "2023-10-03")}


def others(place: Path, address: Path, through: str, test: pd.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the predictions of the other libraries for the test snapshots, by target and name."""
    prepared = read_labelled_snapshots(address, parse_instant(through), TrainConfig())
    prepared.signals.close()
    results = {}
    for target in TARGETS:
        y = prepared.labels[target].to_numpy()
        labelled = np.isfinite(y)
        past = prepared.frame[labelled]
        names = [name for name in CATALOGUE if past[name].nunique() > 1]
        results[target] = forecasts(place, past[names], y[labelled], test[names])
        results[target]["base rate"] = {"p": np.full(len(test), y[labelled].mean())}
    return results


def one(work: Path, name: str, through: str) -> list[dict[str, object]]:
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
        competitors = others(work, address, through, frame)
        rows = []
        for target, model in report.models.items():
            y = outcomes[target].to_numpy()
            labelled = np.isfinite(y)
            ours = {"p": model.bundle.scorer.predict(frame).probability, "seconds": took}
            rate = y[labelled].mean()
            for who, result in {"ours": ours, **competitors[target]}.items():
                p = result["p"]
                rows.append(
                    {
                        "data": name,
                        "through": through,
                        "target": target,
                        "who": who,
                        "ROC AUC": roc_auc_score(y[labelled], p[labelled]),
                        "Brier": brier_score_loss(y[labelled], p[labelled]),
                        "rate's own Brier": rate * (1 - rate),
                        "accounts": int(labelled.sum()),
                        "outcomes": int(y[labelled].sum()),
                        "promoted": model.promoted if who == "ours" else None,
                        "seconds": result.get("seconds"),
                    }
                )
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(DATES), help="data sets to compare")
    parser.add_argument("--workdir", type=Path, help="folder for the peers' environment, kept afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        work = options.workdir or Path(fresh)
        work.mkdir(parents=True, exist_ok=True)
        for name in options.names:
            for through in DATES[name]:
                try:
                    rows = one(work, name, through)
                except SignalsError as error:
                    print(f"{name} is skipped: {error.found}")
                    break
                print(pd.DataFrame(rows).round(4).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
