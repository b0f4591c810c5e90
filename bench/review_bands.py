"""Error rates of the review's proposals for band limits, on simulated worlds over many seeds.

Churn falls smoothly with the score, so there are no true limits. The best ones are those of a very long history, taken
from a world with twenty thousand churns. Measured is how often a change is proposed with these limits in force, and
with limits that are ten points off, and whether the change then goes in the right direction.

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
    """Return where yellow and green begin in the most likely bands of a very long history."""
    rows = simulate_synthetic_history(WEIGHTS, WEIGHTS, 20_000, 10_000, every_weeks=EVERY_WEEKS).rows
    rows = rows.only(rows.labelled)
    whole, _ = ScoreHistogram.of(rows.score, rows.churned, np.ones(len(rows)), AccountBootstrap(rows.accounts, 1, 0))
    yellow, green = whole.best()[0]
    return float(yellow), float(green)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50, help="number of seeds (default: %(default)s)")
    parser.add_argument(
        "--churned",
        type=int,
        nargs="+",
        default=[40, 200, 500, 2000],
        help="numbers of churned accounts to simulate (default: %(default)s)",
    )
    options = parser.parse_args()
    yellow, green = endless()
    print(f"best limits: yellow from {yellow:g}, green from {green:g}", flush=True)
    values = []
    for churned in options.churned:
        for seed in range(options.seeds):
            rows = simulate_synthetic_history(WEIGHTS, WEIGHTS, churned, seed, every_weeks=EVERY_WEEKS).rows
            for kind, off in (("right", 0.0), ("yellow too low", -APART), ("yellow too high", APART)):
                limits = Bands(green=max(green, yellow + off + 1), yellow=yellow + off, red=0)
                proposal = propose_bands(rows, limits, capacity=None, seed=seed)
                at = proposal.limits[1]
                values.append(
                    {
                        "limits": kind,
                        "churned": churned,
                        "decision": proposal.decision,
                        "held": np.mean(
                            [
                                x.fitted.low <= t <= x.fitted.high
                                for x, t in zip(proposal.limits, (green, yellow), strict=True)
                            ]
                        ),
                        "width": np.mean([x.fitted.high - x.fitted.low for x in proposal.limits]),
                        "right way": np.nan if off == 0 else float((at.candidate - at.old) * -off > 0),
                        "brier": proposal.judged[-1].brier_change.value,
                    }
                )
        rows_so_far = pd.DataFrame(values)
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
