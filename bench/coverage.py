"""Coverage of the 80% interval: by E[true probability | features] in simulated worlds, by group rates on real data.

The interval is that of the outcome rate among accounts with the same features. In a simulated world this rate is known
up to the error of trees fitted on the true probabilities of a large sample (bench/synthetic_portfolios.py). On the
example data sets, the mean interval of a group of accounts (a fifth by probability, a segment, a date) is compared with
the rate that the group had: as it is, and widened by the chance of that many outcomes. The runs are those of
bench/real_data.py, which has to be run first in the same work folder.

    python bench/coverage.py --workdir DIR [--worlds mixed-b2b ...] [--accounts 1000] [--seeds 1] [--earlier CHECKOUT]
    python bench/coverage.py --workdir DIR --groups

The level of these worlds hardly changes, while the interval allows for a change of it. ``--steady`` measures the same
interval without this part.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from model_runs import Runs, probabilities
from portfolios import example
from real_data import CHOICE, REPORTED
from synthetic_portfolios import EARLIER, OURS, STEADY, WORLDS, Attainable, World, attainable

from features.utils.arrays import Floats
from features.utils.dates import parse_instant
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.scorer.scorer import NORMAL_80
from models.targets import TARGETS, Target

BINS = 5
SMALLEST_GROUP = 40


def one(world: World, target: Target, best: Attainable, who: str, checkout: Path | None) -> dict[str, Any]:
    """Return the coverage of a contender in one world."""
    run = world.run(who, target, checkout)
    if "p" not in run:
        return {"refused": run["refused"]}
    p, low, high = (probabilities(run, name) for name in ("p", "low", "high"))
    mean, q = best.predict(world.truth), world.true(target)
    return {
        "rate": q.mean(),
        "coverage of the mean": _inside(mean, low, high).mean(),
        "below": (mean < low).mean(),
        "above": (mean > high).mean(),
        "width": (high - low).mean(),
        "coverage of single truths": _inside(q, low, high).mean(),
        "mean p": p.mean(),
    }


def _inside(values: Floats, low: Floats, high: Floats) -> Any:
    return (low <= values) & (values <= high)


def groups(name: str, work: Path, who: str, target: Target, cutoffs: tuple[str, ...]) -> pd.DataFrame:
    """Return for each group of accounts its rate and its mean interval, at every cut-off."""
    portfolio, stored = example(name, work), Runs(work / "real_data.jsonl")
    rows = []
    for cutoff in cutoffs if portfolio else ():
        run = stored.find({"data": name, "cutoff": cutoff, "target": target, "who": who})
        if run is None or "low" not in run:
            continue
        test, labels = portfolio.at(parse_instant(cutoff), target)
        y = labels.to_numpy(dtype=np.float64)
        p, low, high = (probabilities(run, each) for each in ("p", "low", "high"))
        fifth = np.argsort(np.argsort(p, kind="stable"), kind="stable") * BINS // len(p)
        segment = pd.Series(segment_of(test[ARR_FEATURE])).fillna("none").to_numpy()
        for kind, labels_of in {"bin": fifth, "segment": segment, "date": np.zeros(len(p))}.items():
            for group in np.unique(labels_of):
                inside = labels_of == group
                if inside.sum() >= SMALLEST_GROUP:
                    rows.append(_group(kind, y[inside], p[inside], low[inside], high[inside]))
    return pd.DataFrame(rows)


def _group(kind: str, y: Floats, p: Floats, low: Floats, high: Floats) -> dict[str, Any]:
    rate, chance = y.mean(), NORMAL_80 * np.sqrt((p * (1 - p)).sum()) / len(p)
    center, below, above = p.mean(), p.mean() - low.mean(), high.mean() - p.mean()
    wide = center - np.hypot(below, chance), center + np.hypot(above, chance)
    return {
        "kind": kind,
        "inside": low.mean() <= rate <= high.mean(),
        "inside with chance": wide[0] <= rate <= wide[1],
        "width": high.mean() - low.mean(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS), choices=list(WORLDS), help="kinds of worlds")
    parser.add_argument("--accounts", type=int, default=1000, help="accounts of each world (default: %(default)s)")
    parser.add_argument("--sample", type=int, default=4000, help="accounts of the large sample (default: %(default)s)")
    parser.add_argument("--weeks", type=int, default=104, help="weeks of simulated history (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="seeds of the worlds (default: %(default)s)")
    parser.add_argument("--workdir", type=Path, required=True, help="folder for stored results")
    parser.add_argument("--earlier", type=Path, help="checkout of an earlier release to compare with")
    parser.add_argument("--steady", action="store_true", help="also without the possible change of the level")
    parser.add_argument("--groups", action="store_true", help="only the groups of the example data sets")
    options = parser.parse_args()
    contenders = (OURS, EARLIER) if options.earlier or options.groups else (OURS,)
    if options.steady:
        contenders += (STEADY,)
    if options.groups:
        for name in REPORTED:
            for who in contenders:
                for title, cutoffs in {"reported": REPORTED[name], "used for choices": CHOICE[name]}.items():
                    for target in TARGETS:
                        table = groups(name, options.workdir, who, target, cutoffs)
                        if len(table):
                            print(f"\n{name}, {target}, {who}, cut-offs {title}")
                            print(
                                table.groupby("kind").agg("mean").assign(groups=table.groupby("kind").size()).round(3)
                            )
        return
    for kind in options.worlds:
        best = attainable(options.workdir, kind, options.sample, options.weeks)
        for target in TARGETS:
            print(f"\n{kind}, {target}: {best[target].words}")
            for who in contenders:
                rows = []
                for seed in options.seeds:
                    world = World(kind, options.accounts, options.weeks, seed, options.workdir)
                    rows.append(one(world, target, best[target], who, options.earlier))
                print(f"{who}:")
                print(pd.DataFrame(rows, index=options.seeds).round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
