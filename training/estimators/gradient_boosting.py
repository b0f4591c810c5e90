"""LightGBM with settings for small data, monotone where the direction is certain.

There are two kinds of trees. Small trees have few leaves and strong regularization; their settings and their number are
chosen by a bounded search (Optuna's TPE, Bergstra et al. 2011) on later rows of other accounts. Large trees have fixed
settings, close to the defaults of gradient boosting libraries, and only their number is chosen. The ensemble weights
both (`training.estimators.ensemble`). The same data and seed give the same booster with any number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import optuna
import pandas as pd

from features.definitions.feature import Feature
from features.utils.arrays import Bools, Floats
from models.targets import Target
from training.dataset.design_matrix import Design
from training.dataset.encoding import Encoding, monotone_constraints

TRIALS = 12
LEARNING_RATE = 0.05
# The search takes steps twice as long, and half as many of them. It finds the same settings in half of the time; the
# log loss out of time stayed within 0.001 on the third-party CRM.
SEARCH_RATE = 0.1
MOST_TREES = 400
PATIENCE = 30

# Fixed settings. Histograms with 63 bins are fine enough for hundreds of accounts.
_FIXED: dict[str, Any] = {
    "objective": "binary",
    "metric": "binary_logloss",
    "learning_rate": LEARNING_RATE,
    "max_bin": 63,
    "max_cat_to_onehot": 8,
    "cat_smooth": 20.0,
    "bagging_freq": 1,
    "feature_pre_filter": False,
    "deterministic": True,
    # With few threads faster than by rows: 35% on 83,000 rows of 183 columns, with the same trees.
    "force_col_wise": True,
    "verbosity": -1,
}
# The first trial: small trees that are good enough if the search finds nothing better.
_SMALL: dict[str, Any] = {
    "leaves": 6,
    "alone": 30.0,
    "ridge": 10.0,
    "columns": 0.4,
    "rows": 0.7,
    "smooth": 10.0,
    "random_cuts": True,
}
# Large trees, for many clear outcomes and interacting columns. On 5,000 customers of a telephone company, the Brier
# score fell from 0.052 to 0.038. As a part of the search they reduced quality on portfolios of 300 accounts, where the
# lowest loss of many trials is partly chance; in an ensemble with the other models they did not.
_LARGE: dict[str, Any] = {
    "leaves": 24,
    "alone": 10.0,
    "ridge": 1.0,
    "columns": 0.5,
    "rows": 0.9,
    "smooth": 1.0,
    "random_cuts": False,
}


@dataclass(frozen=True)
class TreeSettings:
    """Settings of a booster.

    Parameters
    ----------
    chosen : one point of the search (see `_suggested`).
    trees : the number of trees.
    loss : mean log loss of the settings on the held-out later rows of the search; infinite if none could be held out.
    seed, threads : LightGBM's seed and number of threads; the latter does not change the result.
    """

    chosen: Mapping[str, Any]
    trees: int
    loss: float
    seed: int = 0
    threads: int = 1

    def parameters(self, design: Design, features: Mapping[str, Feature], target: Target) -> dict[str, Any]:
        """Return LightGBM's parameters for these training rows."""
        fixed = _fixed(design, features, target, self.seed, self.threads)
        return fixed | _settings(self.chosen, float(design.weight.mean()))


@dataclass(frozen=True)
class BoostedTrees:
    """A fitted booster, its encoding, and its settings."""

    encoding: Encoding
    booster: lightgbm.Booster
    settings: TreeSettings

    def raw(self, frame: pd.DataFrame, days: int | None = None) -> Floats:
        """Return uncalibrated log-odds of n snapshots at a horizon (the main one if None), shape (n,)."""
        return self.raw_of(self.encoding.matrix(frame, days))

    def raw_of(self, matrix: Floats) -> Floats:
        """Return the log-odds of an encoded matrix (n, columns)."""
        # As many threads as in training: see `models.scorer.scorer.THREADS`.
        answer = self.booster.predict(matrix, raw_score=True, num_threads=self.settings.threads)
        return np.asarray(answer, dtype=np.float64)

    @property
    def text(self) -> str:
        """The booster in LightGBM's text format."""
        return str(self.booster.model_to_string())


class TreeSearch:
    """Search over settings, each evaluated by the pooled log loss of the held-out later rows of every fold.

    Both kinds of trees are evaluated on the same binned tables, because binning takes a tenth of the time.

    Parameters
    ----------
    design : the training rows.
    features : the catalogue, with the directions of the monotone constraints.
    target : the target, which selects the directions.
    seed, threads : of the search and the fit; `threads` 0 means all, and does not change the result.
    """

    def __init__(
        self, design: Design, features: Mapping[str, Feature], target: Target, seed: int = 0, threads: int = 1
    ) -> None:
        rows = design.search_rows()
        self._seed, self._threads = seed, threads
        self._fixed = _fixed(rows, features, target, seed, threads) | {"learning_rate": SEARCH_RATE}
        self._weight = float(rows.weight.mean())
        self._folds: list[tuple[lightgbm.Dataset, lightgbm.Dataset]] = []
        for fold in rows.folds():
            data = _dataset(rows, fold.fit)
            self._folds.append((data, _dataset(rows, fold.held_out, data)))

    def small_trees(
        self, trials: int = TRIALS, progress: Callable[[int, int, float], None] | None = None
    ) -> TreeSettings:
        """Search the settings of small trees.

        Parameters
        ----------
        trials : number of settings to try.
        progress : called after each trial with (trials done, trials, best log loss so far). An exception in it, or an
            interrupt, ends the search without side effects.

        Returns
        -------
        TreeSettings
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=self._seed))
        study.enqueue_trial(_SMALL)
        best = self._settings(_SMALL, math.inf, PATIENCE)
        for i in range(trials if self._folds else 0):
            trial = study.ask()
            chosen = _suggested(trial)
            loss, trees = self._evaluate(chosen)
            study.tell(trial, loss)
            if loss < best.loss:
                best = self._settings(chosen, loss, trees)
            if progress:
                progress(i + 1, trials, best.loss)
        return best

    def large_trees(self) -> TreeSettings:
        """Choose the number of large trees."""
        return self._settings(_LARGE, *self._evaluate(_LARGE))

    def _settings(self, chosen: Mapping[str, Any], loss: float, trees: int) -> TreeSettings:
        return TreeSettings(chosen, trees, loss, self._seed, self._threads)

    def _evaluate(self, chosen: Mapping[str, Any]) -> tuple[float, int]:
        """Return the lowest pooled loss over the number of trees, and that number at `LEARNING_RATE`."""
        longer = SEARCH_RATE / LEARNING_RATE
        settings = self._fixed | _settings(chosen, self._weight)
        curves, sizes = [], []
        for data, held in self._folds:
            curve: dict[str, Any] = {}
            lightgbm.train(
                settings,
                data,
                round(MOST_TREES / longer),
                valid_sets=[held],
                callbacks=[
                    lightgbm.early_stopping(round(PATIENCE / longer), verbose=False),
                    lightgbm.record_evaluation(curve),
                ],
            )
            curves.append(curve["valid_0"]["binary_logloss"])
            sizes.append(held.num_data())
        if not curves:
            return math.inf, PATIENCE
        # The loss of a fold that stopped early would only rise: its curve is extended at its last value.
        longest = max(len(c) for c in curves)
        level = [np.pad(c, (0, longest - len(c)), mode="edge") for c in curves]
        # LightGBM sums its metric per thread: rounding keeps the search independent of the last bits.
        pooled = np.round(np.average(level, axis=0, weights=sizes), 9)
        return float(pooled.min()), round(longer * (int(pooled.argmin()) + 1))


def binned_rows(design: Design) -> lightgbm.Dataset:
    """Return all rows as a table of LightGBM, for `fit_boosted_trees`."""
    return _dataset(design, np.ones(len(design.y), dtype=bool))


def fit_boosted_trees(
    design: Design,
    settings: TreeSettings,
    features: Mapping[str, Feature],
    target: Target,
    data: lightgbm.Dataset | None = None,
) -> BoostedTrees:
    """Fit trees on all rows.

    Parameters
    ----------
    design : the training rows.
    settings : from `TreeSearch`.
    features, target : the catalogue and the target, for the constraints.
    data : `binned_rows` of the design, if several boosters are fitted on them; the result is the same.

    Returns
    -------
    BoostedTrees
    """
    parameters = settings.parameters(design, features, target)
    booster = lightgbm.train(parameters, binned_rows(design) if data is None else data, settings.trees)
    return BoostedTrees(design.encoding, booster, settings)


def _fixed(design: Design, features: Mapping[str, Feature], target: Target, seed: int, threads: int) -> dict[str, Any]:
    constraints = monotone_constraints(design.encoding.columns, features, target)
    return _FIXED | {"seed": seed, "num_threads": threads, "monotone_constraints": constraints}


def _suggested(trial: optuna.trial.Trial) -> dict[str, Any]:
    """Return one point of the search: leaves; minimum independent outcomes per leaf ("alone"); ridge; shares of columns
    and rows; smoothing; random cuts."""
    return {
        "leaves": trial.suggest_int("leaves", 2, 12),
        "alone": trial.suggest_float("alone", 10.0, 120.0, log=True),
        "ridge": trial.suggest_float("ridge", 0.1, 100.0, log=True),
        "columns": trial.suggest_float("columns", 0.1, 0.8),
        "rows": trial.suggest_float("rows", 0.5, 1.0),
        "smooth": trial.suggest_float("smooth", 1.0, 100.0, log=True),
        "random_cuts": trial.suggest_categorical("random_cuts", [True, False]),
    }


def _settings(chosen: Mapping[str, Any], weight: float) -> dict[str, Any]:
    """Return LightGBM's parameters. Those that count rows are scaled by the row weight, so that a finer snapshot grid
    gives the same regularization."""
    return {
        "num_leaves": chosen["leaves"],
        "min_data_in_leaf": round(chosen["alone"] / weight),
        "min_sum_hessian_in_leaf": 1e-3,
        "lambda_l2": chosen["ridge"],
        "feature_fraction": chosen["columns"],
        "bagging_fraction": chosen["rows"],
        "path_smooth": chosen["smooth"] / weight,
        "extra_trees": chosen["random_cuts"],
    }


def _dataset(design: Design, rows: Bools, like: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
    columns, levels = design.encoding.columns, design.encoding.levels
    return lightgbm.Dataset(
        design.matrix[rows],
        design.y[rows],
        weight=design.weight[rows],
        feature_name=list(columns),
        categorical_feature=[i for i, name in enumerate(columns) if name in levels],
        reference=like,
        free_raw_data=False,
        params={"max_bin": _FIXED["max_bin"], "feature_pre_filter": False, "verbosity": -1, "min_data_in_bin": 3},
    )
