"""Rules for the level of the probabilities, at past dates of the two example data sets, at the same ranking.

At each cut-off one model is fitted (a quick one: one trial, two members) and calibrated at the level of all dates. A
rule then adds a number to the log-odds of all accounts, so trials cost nothing. The cut-offs in CHOICE of
bench/real_data.py are for choices, those in REPORTED for figures.

    python bench/level_rules.py --workdir DIR [--reported]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.special
from portfolios import Portfolio, example
from real_data import CHOICE, REPORTED

from features.utils.arrays import Bools, Floats
from features.utils.dates import parse_instant
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.estimators.calibration import HALFWAY, apply_calibrator, calibrate
from training.estimators.fitted_model import FittedModel, fit_model
from training.estimators.level_shift import recent_shift
from training.statistics import newton_logistic

QUICK = TrainConfig(trials=1, folds=2)
SEASON = timedelta(days=46)
"""Half of the quarter around the same day of the year before."""
EDGE = 1e-6


class Levels:
    """A model at the level of all dates, and what rules know at a cut-off."""

    def __init__(self, model: FittedModel, date: datetime) -> None:
        held, weights = model.ensemble.out_of_fold, model.ensemble.weights
        raw = held.raw @ weights
        level = calibrate(raw, held.y, held.accounts, held.as_of, resamples=0)
        self.probability: Callable[[Floats], Floats] = lambda each: apply_calibrator(level, each)
        self.shift = model.shift
        self.drift = model.drift.correction(weights, self.probability)
        year = pd.Timestamp(date) - timedelta(days=365)
        near: Bools = ((held.as_of > year - SEASON) & (held.as_of <= year + SEASON)).to_numpy(dtype=bool)
        expected = scipy.special.logit(np.clip(self.probability(raw), EDGE, 1 - EDGE))
        # Without a year of history, this rule is the halfway level.
        self.year = recent_shift(expected[near], held.y[near], held.weight[near]) if near.any() else self.shift


RULES: dict[str, Callable[[Levels], float]] = {
    "all dates": lambda _: 0.0,
    "halfway to the newest quarter": lambda at: HALFWAY * at.shift,
    "newest quarter": lambda at: at.shift,
    "halfway to the quarter of last year": lambda at: HALFWAY * at.year,
    "a quarter of each": lambda at: HALFWAY * HALFWAY * (at.shift + at.year),
    "halfway, drift halfway (ships)": lambda at: HALFWAY * (at.shift + at.drift),
    "halfway, without drift": lambda at: HALFWAY * at.shift + at.drift,
}


def log_loss(log_odds: Floats, y: Floats) -> float:
    """Return the mean log loss."""
    return float(newton_logistic.row_log_loss(log_odds[None], y).mean())


def one(portfolio: Portfolio, target: Target, cutoff: str) -> dict[str, object]:
    """Return the log loss at a cut-off by rule."""
    date = parse_instant(cutoff)
    test, labels = portfolio.at(date, target)
    y = labels.to_numpy(dtype=np.float64)
    model = fit_model(portfolio.rows(target), date, QUICK, resamples=0)
    levels = Levels(model, date)
    z = scipy.special.logit(np.clip(levels.probability(model.ensemble.raw(test)), EDGE, 1 - EDGE))
    row: dict[str, object] = {"data": portfolio.name, "target": target, "cutoff": cutoff, "accounts": len(y)}
    return row | {name: log_loss(z + rule(levels), y) for name, rule in RULES.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="folder for stored snapshots")
    parser.add_argument("--reported", action="store_true", help="the cut-offs without a part in choices")
    options = parser.parse_args()
    rows = []
    for name, cutoffs in (REPORTED if options.reported else CHOICE).items():
        if (portfolio := example(name, options.workdir)) is not None:
            rows += [one(portfolio, target, cutoff) for target in TARGETS for cutoff in cutoffs]
    if rows:
        table = pd.DataFrame(rows)
        means = table.groupby(["data", "target"], sort=False)[list(RULES)].mean()
        print(table.round(4).to_string(index=False))
        print(means.sub(means["halfway to the newest quarter"], axis=0).round(4).T.to_string())


if __name__ == "__main__":
    main()
