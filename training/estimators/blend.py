"""The model that ships: so much of the logistic regression, so much of the trees, in log-odds.

The two err differently, and their mean errs less than either (Perrone and Cooper 1993; Breiman 1996, stacked
regressions). On every data set at hand it ranked at least as well as the better of the two, or nearly so
(bench/RESULTS.md). A sum of log-odds is explained by the sum of the two explanations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from features.definitions.feature import Feature
from features.utils.arrays import Floats, Objects
from models.targets import Target
from training.dataset.design_matrix import Design
from training.dataset.encoding import Encoding
from training.estimators.gradient_boosting import TRIALS, BoostedTrees, fit_boosted_trees, refit_boosted_trees
from training.estimators.logistic_regression import LinearModel, fit_linear, refit_linear
from training.statistics.account_bootstrap import significantly_better
from training.statistics.newton_logistic import row_log_loss

# The trees' shares to choose from; the even one is taken unless another is clearly better.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
EVEN = 0.5


@dataclass(frozen=True)
class Blend:
    """A linear model and trees that read the same columns.

    Parameters
    ----------
    share : of the trees, 0 to 1; the linear model has the rest.
    """

    linear: LinearModel
    trees: BoostedTrees
    share: float

    @property
    def encoding(self) -> Encoding:
        """How a frame is read."""
        return self.trees.encoding

    def raw(self, frame: pd.DataFrame, days: int | None = None) -> Floats:
        """Log-odds of n snapshots at a horizon (the main one if None), shape (n,), not calibrated."""
        return (1.0 - self.share) * self.linear.raw(frame, days) + self.share * self.trees.raw(frame, days)

    def scorer_parameters(self) -> dict[str, Any]:
        """What the scorer reads besides the booster (`models.scorer.scorer`): the linear part, the trees' share,
        horizons."""
        encoding = self.encoding
        told: dict[str, Any] = {"start": self.linear.scorer_parameters(1.0 - self.share), "trees_share": self.share}
        if encoding.horizons:
            told["horizons"] = {"days": list(encoding.horizons), "main": encoding.main_horizon}
        return told


@dataclass(frozen=True)
class HeldOutRows:
    """Rows that both searches held out, k of them: later ones, of accounts that the fits had not seen.

    Parameters
    ----------
    straight, bent : the log-odds of the linear model and of the trees, (k,).
    y, accounts, as_of : of each row.
    """

    straight: Floats
    bent: Floats
    y: Floats
    accounts: Objects
    as_of: pd.Series[pd.Timestamp]

    def raw(self, share: float) -> Floats:
        """The log-odds of a blend, (k,)."""
        return (1.0 - share) * self.straight + share * self.bent


def held_out_rows(linear: LinearModel, trees: BoostedTrees, design: Design) -> HeldOutRows | None:
    """What both have said of rows held out of ``design``, on which they were fitted; None where none could be."""
    thin = design.search_rows()
    held = [np.flatnonzero(fold.held_out) for fold in thin.folds()]
    if not held:
        return None
    rows = np.concatenate(held)
    straight, bent = np.concatenate(linear.held_out_log_odds), np.concatenate(trees.held_out_log_odds)
    return HeldOutRows(straight, bent, thin.y[rows], thin.accounts[rows], thin.as_of.iloc[rows].reset_index(drop=True))


def fit_blend(
    design: Design,
    features: Mapping[str, Feature],
    target: Target,
    trials: int = TRIALS,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[int, int, float], None] | None = None,
) -> Blend:
    """Fit both parts and choose their shares. Parameters are those of
    `training.estimators.gradient_boosting.fit_boosted_trees`."""
    linear = fit_linear(design, features, target)
    return choose_blend(linear, fit_boosted_trees(design, features, target, trials, seed, threads, progress), design)


def refit_blend(
    judged: Blend, design: Design, features: Mapping[str, Feature], target: Target, seed: int | None = None
) -> Blend:
    """The same settings and share on other training rows; nothing is searched. ``seed`` is of the trees, that of
    ``judged`` if None."""
    trees = judged.trees if seed is None else replace(judged.trees, settings=judged.trees.settings | {"seed": seed})
    return Blend(
        refit_linear(judged.linear, design, features, target),
        refit_boosted_trees(trees, design, features, target),
        judged.share,
    )


def choose_blend(linear: LinearModel, trees: BoostedTrees, design: Design) -> Blend:
    """Choose the share on the rows that both searches held out.

    Parameters
    ----------
    linear, trees : fitted on ``design``.
    """
    held = held_out_rows(linear, trees, design)
    if held is None:
        return Blend(linear, trees, EVEN)
    losses = {share: row_log_loss(held.raw(share), held.y) for share in SHARES}
    best = min(SHARES, key=lambda share: (losses[share].sum(), abs(share - EVEN)))
    gain = losses[EVEN] - losses[best]
    return Blend(linear, trees, best if significantly_better(gain, held.accounts) else EVEN)
