"""Are the review's band limits honest? Simulated worlds, over many seeds.

Churn falls smoothly with the score here, so that no limits are true; the best ones are those of a history without end,
taken from a world of twenty thousand churns. With them in force, how often is a change proposed; and from limits that
are ten points off, how often, and does it go their way?

    python bench/review_bands.py [--seeds 50] [--churned 40 200 500 2000]
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from models.health.rubric_schema import Bands
from training.review.recalibration.band_decision import propose_bands
from training.review.recalibration.band_likelihood import ScoreHistogram
from training.review.recalibration.synthetic_histories import simulate_synthetic_history
from training.statistics.account_bootstrap import AccountBootstrap

WEIGHTS = {"usage": 30.0, "engagement": 25.0, "support": 15.0, "outcomes": 20.0, "relationship": 10.0}
EVERY_WEEKS = 13
APART = 10.0


def endless() -> tuple[float, float]:
    """Where yellow and green begin in the likeliest bands of a very long history."""
    rows = simulate_synthetic_history(WEIGHTS, WEIGHTS, 20_000, 10_000, every_weeks=EVERY_WEEKS).rows
    rows = rows.only(rows.labelled)
    whole, _ = ScoreHistogram.of(rows.score, rows.churned, np.ones(len(rows)), AccountBootstrap(rows.accounts, 1, 0))
    yellow, green = whole.best()[0]
    return float(yellow), float(green)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--churned", type=int, nargs="+", default=[40, 200, 500, 2000])
    given = parser.parse_args()
    yellow, green = endless()
    print(f"best limits: yellow from {yellow:g}, green from {green:g}", flush=True)
    found = []
    for churned in given.churned:
        for seed in range(given.seeds):
            rows = simulate_synthetic_history(WEIGHTS, WEIGHTS, churned, seed, every_weeks=EVERY_WEEKS).rows
            for kind, off in (("right", 0.0), ("yellow too low", -APART), ("yellow too high", APART)):
                limits = Bands(green=max(green, yellow + off + 1), yellow=yellow + off, red=0)
                told = propose_bands(rows, limits, capacity=None, seed=seed)
                at = told.limits[1]
                found.append(
                    {
                        "limits": kind,
                        "churned": churned,
                        "decision": told.decision,
                        "held": np.mean(
                            [
                                x.fitted.low <= t <= x.fitted.high
                                for x, t in zip(told.limits, (green, yellow), strict=True)
                            ]
                        ),
                        "width": np.mean([x.fitted.high - x.fitted.low for x in told.limits]),
                        "right way": np.nan if off == 0 else float((at.candidate - at.old) * -off > 0),
                        "brier": told.judged[-1].brier_change.value,
                    }
                )
        rows_so_far = pd.DataFrame(found)
        out = []
        for (kind, count), part in rows_so_far[rows_so_far["churned"] == churned].groupby(["limits", "churned"]):
            shares = {d: (part["decision"] == d).mean() for d in ("not_enough_evidence", "keep", "change")}
            changed = part.loc[part["decision"] == "change", "brier"]
            out.append(
                {
                    "limits": kind,
                    "churned": count,
                    **shares,
                    "held": part["held"].mean(),
                    "width": part["width"].mean(),
                    "right way": part["right way"].mean(),
                    "brier x 1e5 where changed": 1e5 * changed.mean(),
                }
            )
        print(pd.DataFrame(out).round(2).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
