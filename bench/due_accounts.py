"""Annual contracts: our model among the accounts whose renewal is within 90 days, and the renewal date alone.

On annual contracts the renewal date alone gives a high AUC over all accounts, so the figures among due accounts show
what else a model knows. Simulated worlds of the preset ``enterprise-annual``, compared with their true probabilities;
"renewal_due" is the past loss rate by days to the renewal, at the same level as the model.

    python bench/due_accounts.py --workdir DIR [--accounts 1000] [--weeks 104] [--seeds 1 2 3] [--earlier CHECKOUT]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from model_runs import probabilities
from portfolios import HORIZON_DAYS
from synthetic_portfolios import EARLIER, OURS, Attainable, World, attainable, expected_auc, skill

from models.scorer.base import RENEWAL_FEATURE
from models.targets import TARGETS, Target

ANNUAL = "enterprise-annual"


def one(world: World, target: Target, best: Attainable | None, checkout: Path | None) -> list[dict[str, Any]]:
    """Return AUC and share of the oracle's skill of every contender, for all and for due accounts."""
    q = world.true(target)
    forecasts = {"truth": q} | ({} if best is None else {"attainable": best.predict(world.truth)})
    for who in (OURS, EARLIER) if checkout else (OURS,):
        run = world.run(who, target, checkout)
        if "p" in run:
            forecasts[who] = probabilities(run)
            forecasts |= {name: np.array(part) for name, part in run.get("parts", {}).items()}
    due = world.truth[RENEWAL_FEATURE].to_numpy(dtype=np.float64) <= HORIZON_DAYS
    rows = []
    for name, p in forecasts.items():
        row: dict[str, Any] = {"who": name, "seed": world.seed}
        for group, inside in {"all": np.ones(len(q), dtype=bool), "due": due}.items():
            row[f"AUC, {group}"] = expected_auc(p[inside], q[inside])
            row[f"skill, {group}"] = skill(p[inside], q[inside])
            row[f"rows, {group}"], row[f"rate, {group}"] = int(inside.sum()), q[inside].mean()
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1000, help="accounts of each world (default: %(default)s)")
    parser.add_argument("--sample", type=int, default=4000, help="accounts of the large sample; 0 for none")
    parser.add_argument("--weeks", type=int, default=104, help="weeks of simulated history (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="seeds of the worlds")
    parser.add_argument("--workdir", type=Path, required=True, help="folder for stored results")
    parser.add_argument("--earlier", type=Path, help="checkout of an earlier release to compare with")
    options = parser.parse_args()
    best = attainable(options.workdir, ANNUAL, options.sample, options.weeks) if options.sample else {}
    for target in TARGETS:
        rows: list[dict[str, Any]] = []
        for seed in options.seeds:
            world = World(ANNUAL, options.accounts, options.weeks, seed, options.workdir)
            rows += one(world, target, best.get(target), options.earlier)
        table = pd.DataFrame(rows)
        print(f"\n{target}, mean (lowest, highest) of {len(options.seeds)} worlds")
        for who, part in table.groupby("who", sort=False):
            cells = [f"{part[c].mean():.3f} ({part[c].min():.3f}, {part[c].max():.3f})" for c in part.columns[2:]]
            print(f"| {who} | " + " | ".join(cells) + " |")
        print("| who | " + " | ".join(table.columns[2:]) + " |", flush=True)


if __name__ == "__main__":
    main()
