"""LightGBM on a small-data diet: few leaves, strong shrinkage, monotone where the direction is beyond dispute.

The trees start from nothing or from the logistic regression, so that they learn only what it misses and fall back on it
where data is scarce; which of the two is kept is decided on the calibration dates (`training.candidate`). The settings
and the number of trees are chosen by a bounded search (Optuna's TPE, Bergstra et al. 2011) on later rows of other
accounts; then each is fitted on all training rows. The same data and seed give the same boosters, on any number of
threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd

from features.errors import InsufficientData
from features.feature import Feature
from models.targets import Target
from training.folds import later_folds, thinned
from training.linear import Linear, fitted, refit_linear
from training.matrix import Encoding, encoding, monotone
from training.steps import Floats

TRIALS = 20
MOST_TREES = 600
PATIENCE = 40

# What never varies. Histograms of 63 bins are fine enough for hundreds of accounts.
_FIXED: dict[str, Any] = {
    "objective": "binary",
    "metric": "binary_logloss",
    "learning_rate": 0.03,
    "max_bin": 63,
    "max_cat_to_onehot": 8,
    "cat_smooth": 20.0,
    "bagging_freq": 1,
    "feature_pre_filter": False,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
# The first trials, from nothing and from the linear model: a modest model that does well enough where the search finds
# nothing better.
_MODEST: dict[str, Any] = {
    "leaves": 6,
    "alone": 30.0,
    "ridge": 10.0,
    "columns": 0.4,
    "rows": 0.7,
    "smooth": 10.0,
    "random_cuts": True,
}


@dataclass(frozen=True)
class Boosted:
    """A fitted booster, how it reads a frame, and how its settings were found.

    Parameters
    ----------
    start : the linear model that the trees start from; None: from nothing.
    settings : LightGBM's parameters and the number of trees.
    loss : mean log loss of the settings on the held-out later rows of the search; infinite if none could be held out.
    """

    encoding: Encoding
    booster: lightgbm.Booster
    start: Linear | None
    settings: dict[str, Any]
    loss: float

    def raw(self, frame: pd.DataFrame) -> Floats:
        """Log-odds of n snapshots, shape (n,), not calibrated."""
        matrix = self.encoding.matrix(frame)
        trees = np.asarray(self.booster.predict(matrix, raw_score=True), dtype=np.float64)
        return trees if self.start is None else trees + self.start.raw_of(matrix)

    @property
    def text(self) -> str:
        """The booster as LightGBM writes it."""
        return str(self.booster.model_to_string())


def fit_boosted(
    frame: pd.DataFrame,
    y: npt.ArrayLike,
    features: Mapping[str, Feature],
    target: Target,
    weight: float,
    linear: Linear,
    trials: int = TRIALS,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[int, int, float], None] | None = None,
) -> tuple[Boosted, ...]:
    """Search the settings, then fit on all rows: once from nothing and once from the linear model.

    Parameters
    ----------
    frame : training snapshots: account_id, as_of and the features.
    y : their labels, 0 or 1, shape (n,).
    features : the catalogue, with the directions that the model is held to.
    target : which of the directions counts.
    weight : of a row, 0 to 1 (see `split.row_weight`).
    linear : the logistic regression fitted on the same rows, which the trees may start from.
    trials, seed, threads : of the search and the fit; `threads` 0 means all, and does not change the result.
    progress : called after each trial with (trials done, trials, best log loss so far). Raising in it, or an
        interrupt, ends the search: nothing is kept outside this call.

    Raises
    ------
    InsufficientData
        One class only.
    """
    happened = np.asarray(y, dtype=np.float64)
    if not 0 < happened.sum() < len(happened):
        raise InsufficientData(["both outcomes among the training dates: only one of them occurs there"])
    reading = encoding(frame, features)
    matrix = reading.matrix(frame)
    fixed = _FIXED | {
        "seed": seed,
        "num_threads": threads,
        "monotone_constraints": monotone(reading.features, features, target),
    }
    thin = thinned(frame["as_of"])
    every = float(len(thin) / thin.sum())
    search = _Search(reading, matrix[thin], happened[thin], min(1.0, weight * every), fixed)
    search.divide(frame["account_id"][thin].to_numpy(dtype=object), frame["as_of"][thin], linear)
    found = search.run(trials, seed, progress)
    return tuple(
        _fit(
            reading,
            matrix,
            happened,
            weight,
            linear if from_linear else None,
            fixed | _settings(best.chosen, weight) | {"trees": best.trees},
            best.loss,
        )
        for from_linear, best in found.items()
    )


def _fit(
    reading: Encoding,
    matrix: Floats,
    y: Floats,
    weight: float,
    start: Linear | None,
    settings: dict[str, Any],
    loss: float,
) -> Boosted:
    given = {k: v for k, v in settings.items() if k != "trees"}
    data = _dataset(reading, matrix, y, weight, None if start is None else start.raw_of(matrix))
    return Boosted(reading, lightgbm.train(given, data, settings["trees"]), start, settings, loss)


def refit_boosted(
    judged: Boosted,
    frame: pd.DataFrame,
    y: npt.ArrayLike,
    features: Mapping[str, Feature],
    target: Target,
    weight: float,
) -> Boosted:
    """The same settings and number of trees on other (more) training rows; nothing is searched.

    Parameters are those of `fit_boosted`; ``judged`` is the booster whose settings are taken over.
    """
    start = None if judged.start is None else refit_linear(judged.start, frame, y, features, weight, target)
    reading = encoding(frame, features)
    settings = judged.settings | {"monotone_constraints": monotone(reading.features, features, target)}
    happened = np.asarray(y, dtype=np.float64)
    return _fit(reading, reading.matrix(frame), happened, weight, start, settings, judged.loss)


class _Found(NamedTuple):
    """Settings, the number of trees, and their log loss on the held-out later rows."""

    chosen: dict[str, Any]
    trees: int
    loss: float


class _Search:
    """The search over settings, each judged by the pooled log loss of the held-out later rows of every fold."""

    def __init__(self, reading: Encoding, matrix: Floats, y: Floats, weight: float, fixed: dict[str, Any]) -> None:
        self.reading, self.matrix, self.y, self.weight, self.fixed = reading, matrix, y, weight, fixed
        self.folds: dict[bool, list[tuple[lightgbm.Dataset, lightgbm.Dataset]]] = {False: [], True: []}

    def divide(self, accounts: npt.NDArray[np.object_], as_of: pd.Series[pd.Timestamp], chosen: Linear) -> None:
        """Build the folds' data once for all trials, from nothing and from a linear model of the fold's own."""
        for fold in later_folds(accounts, as_of, self.y):
            linear = fitted(
                self.reading, self.matrix[fold.fit], self.y[fold.fit], chosen.strength, self.weight, chosen.held_to
            )
            for from_linear, pairs in self.folds.items():
                parts: list[lightgbm.Dataset] = []
                for rows in (fold.fit, fold.held):
                    start = linear.decision_function(self.matrix[rows]) if from_linear else None
                    like = parts[0] if parts else None
                    parts.append(_dataset(self.reading, self.matrix[rows], self.y[rows], self.weight, start, like))
                pairs.append((parts[0], parts[1]))

    def run(self, trials: int, seed: int, progress: Callable[[int, int, float], None] | None) -> dict[bool, _Found]:
        """The best settings from nothing (False) and from the linear model (True)."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        for from_linear in (False, True):
            study.enqueue_trial(_MODEST | {"from_linear": from_linear})
        best = {from_linear: _Found(_MODEST, PATIENCE, math.inf) for from_linear in self.folds}
        for i in range(trials if self.folds[False] else 0):
            trial = study.ask()
            chosen = _suggested(trial)
            loss, trees = self._judge(chosen)
            study.tell(trial, loss)
            if loss < best[chosen["from_linear"]].loss:
                best[chosen["from_linear"]] = _Found(chosen, trees, loss)
            if progress:
                progress(i + 1, trials, min(found.loss for found in best.values()))
        return best

    def _judge(self, chosen: dict[str, Any]) -> tuple[float, int]:
        """The lowest pooled loss along the number of trees, and that number."""
        curves, sizes = [], []
        for data, held in self.folds[chosen["from_linear"]]:
            curve: dict[str, Any] = {}
            lightgbm.train(
                self.fixed | _settings(chosen, self.weight),
                data,
                MOST_TREES,
                valid_sets=[held],
                callbacks=[
                    lightgbm.early_stopping(PATIENCE, verbose=False),
                    lightgbm.record_evaluation(curve),
                ],
            )
            curves.append(curve["valid_0"]["binary_logloss"])
            sizes.append(held.num_data())
        # A fold that stopped early would only have risen from there: it stands still at its last value.
        longest = max(len(c) for c in curves)
        level = [np.pad(c, (0, longest - len(c)), mode="edge") for c in curves]
        # LightGBM sums its metric per thread: rounded, the search cannot hang on the last bits.
        pooled = np.round(np.average(level, axis=0, weights=sizes), 9)
        return float(pooled.min()), int(pooled.argmin()) + 1


def _suggested(trial: optuna.trial.Trial) -> dict[str, Any]:
    """One point of the search: leaves; independent outcomes that a leaf must hold; ridge; shares of columns and
    rows."""
    return {
        "leaves": trial.suggest_int("leaves", 2, 12),
        "alone": trial.suggest_float("alone", 10.0, 120.0, log=True),
        "ridge": trial.suggest_float("ridge", 0.1, 100.0, log=True),
        "columns": trial.suggest_float("columns", 0.1, 0.8),
        "rows": trial.suggest_float("rows", 0.5, 1.0),
        "smooth": trial.suggest_float("smooth", 1.0, 100.0, log=True),
        "random_cuts": trial.suggest_categorical("random_cuts", [True, False]),
        "from_linear": trial.suggest_categorical("from_linear", [True, False]),
    }


def _settings(chosen: Mapping[str, Any], weight: float) -> dict[str, Any]:
    """LightGBM's names. What counts rows is scaled by their weight, so that a finer grid gives the same diet."""
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


def _dataset(
    reading: Encoding,
    matrix: Floats,
    y: Floats,
    weight: float,
    start: Floats | None,
    like: lightgbm.Dataset | None = None,
) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        matrix,
        y,
        init_score=start,
        weight=np.full(len(y), weight),
        feature_name=list(reading.features),
        categorical_feature=[i for i, name in enumerate(reading.features) if name in reading.levels],
        reference=like,
        free_raw_data=False,
        params={"max_bin": _FIXED["max_bin"], "feature_pre_filter": False, "verbosity": -1, "min_data_in_bin": 3},
    )
