"""Error rates of the review's proposals for weights, on simulated worlds with known true weights, over many seeds.

In the world "right" the weights in force are the true ones, in "wrong" they are not. For each number of churns: how
often the 90% intervals include the truth, the decision, whether it goes in the right direction, and its effect on the
Brier score of later rows.

    python bench/review_weights.py [--seeds 50] [--churned 40 200 500 2000] [--worlds right wrong] [--out FILE.csv]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from training.review.recalibration.synthetic_histories import simulate_synthetic_history
from training.review.recalibration.weight_decision import propose_weights

IN_FORCE = {"usage": 30.0, "engagement": 25.0, "support": 15.0, "outcomes": 20.0, "relationship": 10.0}
TRUE = {
    "right": IN_FORCE,
    "wrong": {"usage": 15.0, "engagement": 20.0, "support": 30.0, "outcomes": 10.0, "relationship": 25.0},
}


def one(kind: str, churned: int, seed: int, every_weeks: int) -> dict[str, float | str]:
    """Return the row of the table for one world."""
    true = TRUE[kind]
    rows = simulate_synthetic_history(true, IN_FORCE, churned, seed, every_weeks=every_weeks).rows
    start = time.process_time()
    proposal = propose_weights(rows, IN_FORCE, seed=seed)
    took = time.process_time() - start
    names = list(true)
    toward = sum((proposal.candidate[n] - IN_FORCE[n]) * (true[n] - IN_FORCE[n]) for n in names)
    signs = {"up": 1.0, "down": -1.0}
    against = any(d.clear and signs[d.clear] * (true[d.name] - IN_FORCE[d.name]) <= 0 for d in proposal.dimensions)
    proposed = next((j for j in proposal.judged if j.name == "proposed"), None)
    return {
        "world": kind,
        "churned": churned,
        "seed": seed,
        "rows": len(rows),
        "accounts churned, earlier": proposal.earlier.churned,
        "later": proposal.later.churned,
        "decision": proposal.decision,
        "held": float(
            np.mean([d.fitted.low - 1e-9 <= true[d.name] <= d.fitted.high + 1e-9 for d in proposal.dimensions])
        ),
        "width": float(np.mean([d.fitted.high - d.fitted.low for d in proposal.dimensions])),
        "clear": float(any(d.clear for d in proposal.dimensions)),
        "clear the wrong way": float(against),
        "moves towards the truth": float(toward > 0) if kind == "wrong" else np.nan,
        "brier change": proposed.brier_change.value if proposed else 0.0,
        "log loss change": proposed.log_loss_change.value if proposed else 0.0,
        "error fitted": float(np.sqrt(np.mean([(d.fitted.value - true[d.name]) ** 2 for d in proposal.dimensions]))),
        "error shrunk": float(np.sqrt(np.mean([(d.shrunk - true[d.name]) ** 2 for d in proposal.dimensions]))),
        "seconds": took,
    }


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the figures by world and number of churns."""
    out = []
    for (kind, churned), part in rows.groupby(["world", "churned"], sort=False):
        changed = part[part["decision"] == "change"]
        out.append(
            {
                "world": kind,
                "churned": churned,
                "seeds": len(part),
                "earlier / later": f"{part['accounts churned, earlier'].mean():.0f} / {part['later'].mean():.0f}",
                "truth held": round(part["held"].mean(), 3),
                "width": round(part["width"].mean(), 1),
                **{d: round((part["decision"] == d).mean(), 2) for d in ("not_enough_evidence", "keep", "change")},
                "clear": round(part["clear"].mean(), 2),
                "wrong way": round(part["clear the wrong way"].mean(), 2),
                "candidate towards truth": round(part["moves towards the truth"].mean(), 2),
                "brier x 1e5": round(1e5 * part["brier change"].mean(), 2),
                "where changed": round(1e5 * changed["brier change"].mean(), 2) if len(changed) else np.nan,
                "improves": round((part["brier change"] < 0).mean(), 2),
                "error fitted / shrunk": f"{part['error fitted'].mean():.1f} / {part['error shrunk'].mean():.1f}",
                "seconds": round(part["seconds"].mean(), 1),
            }
        )
    return pd.DataFrame(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50, help="number of seeds (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="first seed (default: %(default)s)")
    parser.add_argument(
        "--churned",
        type=int,
        nargs="+",
        default=[40, 200, 500, 2000],
        help="numbers of churned accounts to simulate (default: %(default)s)",
    )
    parser.add_argument(
        "--worlds",
        nargs="+",
        choices=list(TRUE),
        default=list(TRUE),
        help="simulated worlds to run (default: %(default)s)",
    )
    parser.add_argument(
        "--every-weeks",
        type=int,
        default=0,
        help="weeks between snapshots (default: 4, or 13 from 2,000 churned accounts)",
    )
    parser.add_argument("--out", type=Path, help="file for the results of each seed")
    options = parser.parse_args()
    rows = []
    for churned in options.churned:
        every = options.every_weeks or (13 if churned >= 2000 else 4)
        for seed in range(options.first, options.first + options.seeds):
            rows += [one(kind, churned, seed, every) for kind in options.worlds]
            if options.out:
                pd.DataFrame(rows).to_csv(options.out, index=False)
        print(table(pd.DataFrame([r for r in rows if r["churned"] == churned])).T.to_string(header=False), flush=True)


if __name__ == "__main__":
    main()
