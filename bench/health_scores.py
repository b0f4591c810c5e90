"""The cost of the three health scores of a large portfolio, compared with reading its snapshot from Parquet.

python bench/health_scores.py [--accounts 100000] [--repeat 5]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from features.catalogue.catalogue import CATALOGUE
from models.health.rubric import load_rubric, rubric_files
from models.predictions.table_export import write_frame
from models.rules.evaluate import apply_rules
from models.rules.history import PortfolioHistory


def synthetic_snapshot(accounts: int, seed: int = 0) -> pd.DataFrame:
    """Return a snapshot of every feature with values of all sizes, a fifth of them unknown."""
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {
        "account_id": [f"a{i:06d}" for i in range(accounts)],
        "as_of": pd.Timestamp("2026-06-01", tz="UTC").as_unit("us"),
    }
    for name, feature in CATALOGUE.items():
        if feature.kind == "category":
            columns[name] = rng.choice(["x", "y", "z"], accounts)
        else:
            values = rng.gamma(1.0, 1.0 if feature.unit in ("share", "ratio") else 10.0, accounts)
            columns[name] = np.where(rng.random(accounts) < 0.2, np.nan, values)
    columns["contract.arr"] = rng.lognormal(10.0, 1.3, accounts)
    return pd.DataFrame(columns)


def timed(work: Callable[[], object], repeat: int) -> list[float]:
    """Return the seconds of each run."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000, help="number of accounts (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each measurement (default: %(default)s)")
    options = parser.parse_args()
    frame, rubrics = synthetic_snapshot(options.accounts), [load_rubric(name) for name in rubric_files()]
    needed = ["account_id", "as_of", "contract.arr", *{signal.feature for r in rubrics for _, signal in r.signals}]

    def scored() -> None:
        for rubric in rubrics:
            scores = rubric.score(frame)
            _ = scores.score, scores.band, scores.dimensions

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "snapshot.parquet"
        write_frame(frame, file)
        runs = {
            "reading the whole snapshot": timed(lambda: pd.read_parquet(file), options.repeat),
            "reading the rubrics' columns": timed(lambda: pd.read_parquet(file, columns=needed), options.repeat),
            f"{len(rubrics)} health scores": timed(scored, options.repeat),
            "all rules, one date, ten warnings each": timed(
                lambda: apply_rules(PortfolioHistory(frame), rubrics[0]), min(options.repeat, 2)
            ),
        }
    reading = statistics.median(runs["reading the whole snapshot"])
    print(f"{options.accounts:,} accounts, {len(CATALOGUE)} features")
    for what, seconds in runs.items():
        spread = " / ".join(f"{f(seconds):.2f}" for f in (min, statistics.median, max))
        print(
            f"{what:38} {spread} s (min / median / max), {statistics.median(seconds) / reading:.2f} of reading it whole"
        )


if __name__ == "__main__":
    main()
