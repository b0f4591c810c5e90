"""The accounts that the worklist reaches, compared with working by health score and at random, on simulated portfolios
with known true probabilities of leaving within 90 days.

For each seed: simulate, fit the model of churn on everything before a date, and make the worklist at that date and
three later ones. "Reached" is the true probability times ARR of the accounts that a team with that capacity works on,
as a share of that of all accounts. Every order uses the same accounts. "best" is the order by the true probability.

    python bench/worklist.py [--accounts 500] [--weeks 157] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from features.catalogue.catalogue import CATALOGUE
from features.signals.signals import open_signals
from features.utils.dates import parse_instant
from models.artifacts.bundle import Bundle
from models.artifacts.bundle_files import Manifest
from models.artifacts.champion import Champion
from models.health.rubric import load_rubric
from models.health.score_calibration import HealthFacts
from models.home import Home
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.segments import ARR_FEATURE
from serving.portfolio.rule_tables import risks_board
from serving.scoring.score_portfolio import assess_portfolio
from serving.worklist.rank import WorklistContext, build_worklist
from training.config import TrainConfig
from training.dataset.labelled_snapshots import read_labelled_snapshots
from training.renewals.refit import refit_model
from training.simulation import simulate

THROUGH = "2026-04-01"
"""Twenty-six weeks before the end. The model has read nothing at or after it."""
CAPACITIES = (10, 25, 50)
QUICK = TrainConfig(every_days=14, trials=2)


def champion_of(signals: Path, through: datetime) -> Champion:
    """Fit a champion of churn only, by the recipe of the champions and without gates."""
    prepared = read_labelled_snapshots(signals, through, QUICK)
    scorer = refit_model(prepared, "churn", through, QUICK, {})
    numbers = [name for name, feature in CATALOGUE.items() if feature.kind == "number"]
    manifest = Manifest(
        target="churn",
        version="1",
        horizon_days=QUICK.horizon_days,
        grace_days=prepared.grace_days,
        trained_through=through,
        created_at=datetime.now(UTC),
        catalogue_version=CATALOGUE.version,
        base_rate=float(np.clip(prepared.labels["churn"].mean(), 1e-3, 1 - 1e-3)),
        metrics={},
        gates={},
        lightgbm_version="",
        files={},
    )
    rubric = load_rubric()
    bundle = Bundle(Path(), manifest, scorer, Peers.of(prepared.latest, numbers), rubric, HealthFacts())
    prepared.signals.close()
    return Champion({"churn": bundle}, rubric)


def orders(
    signals: Path, home: Home, champion: Champion, as_of: datetime, truth: pd.DataFrame
) -> list[dict[str, object]]:
    """Return the share of the true ARR at risk that each order reaches, by capacity."""
    opened = open_signals(signals, as_of)
    result, _, _ = assess_portfolio(opened, as_of, home, champion)
    opened.close()
    worklist = build_worklist(result, len(result.account_ids), WorklistContext())
    ours = [item["account_id"] for item in worklist["accounts"]]
    there = pd.DataFrame(
        {
            "arr": number_column(result.frame, ARR_FEATURE),
            "score": np.asarray(result.health.score, dtype=np.float64),
            "p": result.target_scores["churn"].probability,
        },
        index=pd.Index(result.account_ids),
    ).loc[ours]
    there["true"] = truth.set_index("account_id")["churn"].reindex(there.index).fillna(0.0) * there["arr"]
    board = [account for account in risks_board(result)["account_id"] if account in there.index]
    by = {
        "worklist": ours,
        "probability alone": there.sort_values("p", ascending=False, kind="stable").index.tolist(),
        "rules (renewcast risks)": board + [account for account in ours if account not in set(board)],
        "health score": there.sort_values("score", kind="stable").index.tolist(),
        "largest ARR": there.sort_values("arr", ascending=False, kind="stable").index.tolist(),
        "best": there.sort_values("true", ascending=False).index.tolist(),
    }
    whole = there["true"].sum()
    rows: list[dict[str, object]] = []
    for capacity in CAPACITIES:
        reached = {name: there.loc[order[:capacity], "true"].sum() / whole for name, order in by.items()}
        reached["random"] = min(capacity / len(there), 1.0)
        rows.append({"as_of": as_of.date(), "capacity": capacity, "of": len(there), "at risk": whole} | reached)
    return rows


def one(accounts: int, weeks: int, seed: int) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as place:
        signals, home = Path(place) / "signals", Home(Path(place) / "home").ensure()
        simulate(signals, accounts=accounts, weeks=weeks, seed=seed)
        truth = pq.read_table(Path(place) / "signals-truth.parquet").to_pandas()
        truth["as_of"] = pd.to_datetime(truth["as_of"], utc=True)
        through = parse_instant(THROUGH)
        champion = champion_of(signals, through)
        dates = sorted(d.to_pydatetime() for d in truth["as_of"].unique() if d >= pd.Timestamp(through))
        rows = []
        for as_of in dates:
            rows += orders(signals, home, champion, as_of, truth[truth["as_of"] == as_of])
        return [{"seed": seed} | row for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=500, help="number of simulated accounts (default: %(default)s)")
    parser.add_argument("--weeks", type=int, default=157, help="weeks of simulated history (default: %(default)s)")
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        help="seeds of the simulated portfolios (default: %(default)s)",
    )
    options = parser.parse_args()
    rows = []
    for seed in options.seeds:
        start = time.perf_counter()
        rows += one(options.accounts, options.weeks, seed)
        table = pd.DataFrame(rows)
        print(f"seed {seed}: {time.perf_counter() - start:.0f} s")
        print(table[table["seed"] == seed].round(3).to_string(index=False), flush=True)
    names = [name for name in table if name not in ("seed", "as_of", "capacity", "of", "at risk")]
    by_seed = table.groupby(["capacity", "seed"])[names].mean()
    print("share of the true ARR at risk that is reached: mean over seeds (least, most)")
    for capacity, part in by_seed.groupby("capacity"):
        worklist = {n: f"{part[n].mean():.3f} ({part[n].min():.3f}, {part[n].max():.3f})" for n in names}
        print(f"capacity {capacity}:", "; ".join(f"{name} {value}" for name, value in worklist.items()))


if __name__ == "__main__":
    main()
