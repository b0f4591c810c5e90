"""Distance to the best possible model, on simulated portfolios with known true probabilities.

For each seed: simulate, train our model on every outcome known before a date, score at that date and two later ones,
and compare the probabilities with the true ones of the simulation. The Brier skill is the expected one, given the truth
q: a forecast p loses (p - q)^2 + q (1 - q) on average, so chance has no influence; "oracle" forecasts q itself. No
snapshot shows all of q: "attainable" forecasts the mean of q among accounts with the same features, learned by trees
from the true probabilities of a large sample (bench/synthetic_portfolios.py). The parts of the ensemble are calibrated
on the same rows by the same rule. The earlier release (``--earlier``, a checkout of it) reads the same snapshots.

    python bench/oracle.py [--accounts 1500] [--weeks 157] [--seeds 0 1 2 3 4] [--workdir DIR] [--earlier CHECKOUT]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from model_runs import probabilities
from synthetic_portfolios import EARLIER, OURS, WORLDS, Attainable, World, attainable, skill

from models.targets import TARGETS, Target


def one(world: World, target: Target, best: Attainable, checkout: Path | None) -> dict[str, Any]:
    """Return the share of the oracle's skill of each contender in one world."""
    q = world.true(target)
    oracle = skill(q, q)
    row: dict[str, Any] = {"rate": q.mean(), "oracle skill": oracle}
    row["attainable"] = skill(best.predict(world.truth), q) / oracle
    for who in (OURS, EARLIER) if checkout else (OURS,):
        run = world.run(who, target, checkout)
        if "p" not in run:
            print(f"seed {world.seed}, {target}, {who}: {run['refused']}")
            continue
        p = probabilities(run)
        row[who] = skill(p, q) / oracle
        row[f"{who}: rank correlation"] = pd.Series(p).corr(pd.Series(q), method="spearman")
        row[f"{who}: CPU seconds"] = run["cpu"]
        for name, part in run.get("parts", {}).items():
            row[name] = skill(np.array(part), q) / oracle
    if OURS in row:
        row["ours of the attainable"] = row[OURS] / row["attainable"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", default="mixed-b2b", choices=list(WORLDS), help="the kind of world")
    parser.add_argument("--accounts", type=int, default=1500, help="accounts of each world (default: %(default)s)")
    parser.add_argument("--sample", type=int, default=5000, help="accounts of the large sample (default: %(default)s)")
    parser.add_argument("--weeks", type=int, default=157, help="weeks of simulated history (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of the worlds (default: %(default)s)")
    parser.add_argument("--workdir", type=Path, help="folder for stored results")
    parser.add_argument("--earlier", type=Path, help="checkout of an earlier release to compare with")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        work = options.workdir or Path(fresh)
        best = attainable(work, options.world, options.sample, options.weeks)
        for target in TARGETS:
            print(f"{target}: {best[target].words}")
        rows: dict[Target, list[dict[str, Any]]] = {target: [] for target in TARGETS}
        for seed in options.seeds:
            world = World(options.world, options.accounts, options.weeks, seed, work)
            for target in TARGETS:
                rows[target].append(one(world, target, best[target], options.earlier))
    for target, table in rows.items():
        title = f"{options.world}, {options.accounts:,} accounts, seeds {options.seeds}, {target}"
        print(f"\n{title}: share of the oracle's skill")
        both = pd.DataFrame(table)
        if EARLIER in both:
            change = (both[OURS] - both[EARLIER]).dropna()
            print(f"ours minus the earlier release, by seed: {change.round(3).tolist()}")
        for name, values in both.items():
            print(f"| {name} | {values.mean():.3f} ({values.min():.3f}, {values.max():.3f}) | {values.count()} |")


if __name__ == "__main__":
    main()
