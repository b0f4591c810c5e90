"""Blend: the model that ships, a weighted mean of the log-odds of the logistic regression and the trees.

The two make different errors, and their mean has a smaller error than either (Perrone and Cooper 1993; Breiman 1996,
stacked regressions). On every data set of the benchmarks, the blend ranked about as well as the better of the two, or
better (bench/RESULTS.md). The explanation of a sum of log-odds is the sum of the two explanations.
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

# Candidate shares of the trees; 0.5 is chosen unless another one is significantly better.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
EVEN = 0.5


@dataclass(frozen=True)
class Blend:
    """A linear model and trees that use the same columns.

    Parameters
    ----------
    linear, trees : the two models.
    share : weight of the trees, 0 to 1; the linear model has the rest.
    """

    linear: LinearModel
    trees: BoostedTrees
    share: float

    @property
    def encoding(self) -> Encoding:
        """Encoding of the snapshots."""
        return self.trees.encoding

    def raw(self, frame: pd.DataFrame, days: int | None = None) -> Floats:
        """Return uncalibrated log-odds.

        Parameters
        ----------
        frame : n snapshots with the columns of the features.
        days : the horizon; None for the main one.

        Returns
        -------
        array of shape (n,)
            The log-odds.
        """
        return (1.0 - self.share) * self.linear.raw(frame, days) + self.share * self.trees.raw(frame, days)

    def scorer_parameters(self) -> dict[str, Any]:
        """Return what the scorer needs besides the booster (`models.scorer.scorer`): linear part, share, horizons."""
        encoding = self.encoding
        start = self.linear.scorer_parameters(1.0 - self.share)
        parameters: dict[str, Any] = {"start": start, "trees_share": self.share}
        if encoding.horizons:
            parameters["horizons"] = {"days": list(encoding.horizons), "main": encoding.main_horizon}
        return parameters


@dataclass(frozen=True)
class HeldOutRows:
    """The k rows that both searches held out: later rows of accounts that the fits had not seen.

    Parameters
    ----------
    linear, trees : log-odds of the two models, (k,).
    y, accounts, as_of : label, account and date of each row.
    """

    linear: Floats
    trees: Floats
    y: Floats
    accounts: Objects
    as_of: pd.Series[pd.Timestamp]

    def raw(self, share: float) -> Floats:
        """Return the log-odds of a blend, (k,)."""
        return (1.0 - share) * self.linear + share * self.trees


def held_out_rows(linear: LinearModel, trees: BoostedTrees, design: Design) -> HeldOutRows | None:
    """Return the held-out predictions of both models.

    Parameters
    ----------
    linear, trees : the models, fitted on ``design``.
    design : the training rows.

    Returns
    -------
    HeldOutRows or None
        None if no rows were held out.
    """
    search = design.search_rows()
    held_out = [np.flatnonzero(fold.held_out) for fold in search.folds()]
    if not held_out:
        return None
    rows = np.concatenate(held_out)
    return HeldOutRows(
        np.concatenate(linear.held_out_log_odds),
        np.concatenate(trees.held_out_log_odds),
        search.y[rows],
        search.accounts[rows],
        search.as_of.iloc[rows].reset_index(drop=True),
    )


def fit_blend(
    design: Design,
    features: Mapping[str, Feature],
    target: Target,
    trials: int = TRIALS,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[int, int, float], None] | None = None,
) -> Blend:
    """Fit both models and choose their shares.

    Parameters
    ----------
    design : the training rows.
    features : the features by name.
    target : the target, which sets the directions of the features.
    trials, seed, threads, progress : as in `training.estimators.gradient_boosting.fit_boosted_trees`.

    Returns
    -------
    Blend
    """
    linear = fit_linear(design, features, target)
    return choose_blend(linear, fit_boosted_trees(design, features, target, trials, seed, threads, progress), design)


def refit_blend(
    model: Blend, design: Design, features: Mapping[str, Feature], target: Target, seed: int | None = None
) -> Blend:
    """Refit a blend on other training rows, without a search.

    Parameters
    ----------
    model : the blend, whose settings and share are used.
    design : the training rows.
    features : the features by name.
    target : the target, which sets the directions of the features.
    seed : the seed of the trees; by default that of ``model``.

    Returns
    -------
    Blend
    """
    trees = model.trees if seed is None else replace(model.trees, settings=model.trees.settings | {"seed": seed})
    return Blend(
        refit_linear(model.linear, design, features, target),
        refit_boosted_trees(trees, design, features, target),
        model.share,
    )


def choose_blend(linear: LinearModel, trees: BoostedTrees, design: Design) -> Blend:
    """Choose the share of the trees on the rows that both searches held out.

    Parameters
    ----------
    linear, trees : models fitted on ``design``.
    design : the training rows.

    Returns
    -------
    Blend
    """
    rows = held_out_rows(linear, trees, design)
    if rows is None:
        return Blend(linear, trees, EVEN)
    losses = {share: row_log_loss(rows.raw(share), rows.y) for share in SHARES}
    best = min(SHARES, key=lambda share: (losses[share].sum(), abs(share - EVEN)))
    gain = losses[EVEN] - losses[best]
    return Blend(linear, trees, best if significantly_better(gain, rows.accounts) else EVEN)
