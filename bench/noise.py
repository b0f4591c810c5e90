"""Check that nothing is promoted if there is nothing to learn: simulated signals with random outcomes.

Usage, support and the other tables are those of a simulated portfolio. Contracts are replaced: each ends at a random
instant and grows at random instants, independent of everything else, and has no renewal date.

    python bench/noise.py [--seeds 20] [--accounts 300] [--weeks 104]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.home import Home
from training.config import TrainConfig
from training.pipeline.train import train
from training.simulation import simulate

SETTINGS = TrainConfig(every_days=14, trials=4, resamples=300)
LEAVES_A_YEAR, GROWS_A_YEAR = 0.25, 0.5


def toss(signals: Path, seed: int) -> None:
    """Replace the contracts."""
    rng = np.random.default_rng(seed)
    old = pq.read_table(signals / "subscriptions.parquet").to_pandas()
    end = max(pd.to_datetime(old["started_at"], utc=True).max(), pd.to_datetime(old["ended_at"], utc=True).max())
    rows = []
    for account, start in pd.to_datetime(old["started_at"], utc=True).groupby(old["account_id"]).min().items():
        at, arr = start, float(rng.lognormal(9, 1))
        leaves = start + pd.Timedelta(days=float(rng.exponential(365 / LEAVES_A_YEAR)))
        while at < end:
            grows = at + pd.Timedelta(days=float(rng.exponential(365 / GROWS_A_YEAR)))
            until = min(grows, leaves)
            observed = until < end
            why = None if not observed else "cancelled" if leaves <= grows else "upgraded"
            rows.append((account, at, until if observed else pd.NaT, round(arr, 2), why))
            if leaves <= grows:
                break
            at, arr = grows, arr * 1.2
    frame = pd.DataFrame(rows, columns=["account_id", "started_at", "ended_at", "arr", "end_reason"])
    instants = {
        c: pa.array(frame[c].dt.as_unit("us"), pa.timestamp("us", tz="UTC")) for c in ("started_at", "ended_at")
    }
    texts = {c: pa.array(frame[c], pa.string(), from_pandas=True) for c in ("account_id", "end_reason")}
    pq.write_table(pa.table({**texts, **instants, "arr": frame["arr"].to_numpy()}), signals / "subscriptions.parquet")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=20, help="number of seeds (default: %(default)s)")
    arguments.add_argument(
        "--accounts", type=int, default=300, help="number of simulated accounts (default: %(default)s)"
    )
    arguments.add_argument("--weeks", type=int, default=104, help="weeks of simulated history (default: %(default)s)")
    options = arguments.parse_args()
    promoted = 0
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as place:
            signals = Path(place) / "signals"
            simulate(signals, accounts=options.accounts, weeks=options.weeks, seed=seed)
            toss(signals, seed)
            report = train(signals, Home(Path(place) / "home"), SETTINGS.model_copy(update={"seed": seed}))
            promoted += bool(report.promoted)
            grades = {
                t: (c.judgement.grade, round(c.judgement["blend"]["roc_auc"].value, 3))
                for t, c in report.candidates.items()
            }
            print(f"seed {seed}: promoted {list(report.promoted)}; grade and AUC {grades}", flush=True)
    print(f"something was promoted in {promoted} of {options.seeds} seeds")


if __name__ == "__main__":
    main()
