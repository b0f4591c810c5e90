"""A model fitted and calibrated on every outcome known at an instant: ranking by the ensemble, then the level.

Ranking and level are learned from different dates. The ensemble and the slope of the calibrator use all dates. The
level lasts less long than the ranking, so it is halfway, in log-odds, between that of all dates and that of the newest
quarter with known outcomes. Changes of the features since then move the level only halfway
(`training.estimators.population_drift`).

A training releases such a model. A backtest fits it as of past dates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import scipy.special
from threadpoolctl import threadpool_limits

from features.errors import InsufficientData
from features.utils.arrays import Bools, Floats
from features.utils.progress import Progress, no_progress, subprogress
from models.explain.treeshap import LazyTreeShap
from models.peer_groups.frame_columns import number_column
from models.scorer.base import RENEWAL_FEATURE
from models.scorer.scorer import Scorer
from training.config import TrainConfig
from training.dataset.design_matrix import Design
from training.dataset.target_rows import TargetRows
from training.estimators.calibration import HALFWAY, Calibrator, apply_calibrator, calibrate
from training.estimators.ensemble import (
    CrossFitted,
    EnsembleSettings,
    OutOfFold,
    Settings,
    fit_ensemble,
    search_ensemble,
)
from training.estimators.estimator_ensemble import EstimatorRecipe, fit_estimators
from training.estimators.level_shift import WINDOW_DAYS, estimate_level_move, recent_shift
from training.estimators.population_drift import PopulationDrift

#: Degrees of freedom of the mean variance in the standard error of a score: as many as five members have.
ERROR_WEIGHT = 4.0
RESAMPLES = 200


@dataclass(frozen=True)
class FittedModel:
    """A fitted and calibrated model.

    Parameters
    ----------
    ensemble : the model.
    design : the training rows.
    calibrator : fitted on the out-of-fold predictions, with the ``error`` of `models.scorer.members.ErrorModel`.
    shift : how far the newest quarter is above the level of all dates, in log-odds.
    drift : the accounts of the newest quarter, and those of the instant from which the model predicts; none of the
        latter for a model of renewals.
    rate : the outcome rate at the calibrated level, 0 to 1.
    main_horizon : the main horizon in days.
    """

    ensemble: CrossFitted
    design: Design
    calibrator: Calibrator
    shift: float
    drift: PopulationDrift
    rate: float
    main_horizon: int

    @property
    def outcomes(self) -> int:
        """The number of accounts with the outcome among the training rows."""
        design = self.design
        return len(set(design.accounts[design.main & (design.y == 1)]))

    @property
    def dates(self) -> tuple[datetime, datetime]:
        """The first and the newest training date of the main horizon."""
        as_of = self.design.as_of[self.design.main]
        return as_of.min().to_pydatetime(), as_of.max().to_pydatetime()

    def newest_dates(self) -> dict[int, datetime]:
        """Return the newest training date of each horizon.

        Returns
        -------
        dict of int to datetime
            By the days of the horizon.
        """
        design, horizons = self.design, self.ensemble.encoding.horizons or (self.main_horizon,)
        length = (design.ends - design.as_of) / timedelta(days=1)
        by_length = dict(zip(sorted(set(length)), horizons, strict=True))
        return {days: design.as_of[length == each].max().to_pydatetime() for each, days in by_length.items()}

    def scorer(self) -> Scorer:
        """Return the scorer that a bundle of the model has, without what the bundle adds to explain and compare.

        Returns
        -------
        Scorer
            It needs the resamples of the calibrator: the model must be fitted with at least
            `models.scorer.calibrators.MINIMUM_RESAMPLES` of them.
        """
        ensemble = self.ensemble
        parts = [ensemble.encoding.schema | ensemble.scorer_parameters(), self.calibrator]
        schema, calibrator = json.loads(json.dumps(parts))
        return Scorer.from_texts(ensemble.text, schema, calibrator, LazyTreeShap.by_member, ensemble.onnx)

    def probability(self, frame: pd.DataFrame, days: int | None = None) -> Floats:
        """Return calibrated probabilities.

        Parameters
        ----------
        frame : n snapshots.
        days : the horizon; None for the main one.

        Returns
        -------
        array of shape (n,)
        """
        return apply_calibrator(self.calibrator, self.ensemble.raw(frame, days))

    def part_probabilities(self, frame: pd.DataFrame, parts: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the probabilities by other weights of the models, each calibrated by the same rule.

        Parameters
        ----------
        frame : n snapshots.
        parts : weight of each model of `training.estimators.ensemble.MODELS`, shape (3,), by name.

        Returns
        -------
        dict of str to array of shape (n,)
        """
        rows, raw = self.ensemble.out_of_fold, self.ensemble.model_raw(frame).mean(axis=0)
        calibrators = {name: self._part_calibrator(rows, weights) for name, weights in parts.items()}
        return {name: apply_calibrator(calibrators[name], raw @ weights) for name, weights in parts.items()}

    def _part_calibrator(self, rows: OutOfFold, weights: Floats) -> Calibrator:
        level, raw = _level_of_all(rows, weights), rows.raw @ weights
        drift = self.drift.correction(weights, lambda each: apply_calibrator(level, each))
        return calibrate(raw, rows.y, rows.accounts, rows.as_of, shift=self.shift, resamples=0, drift=drift)


def fit_model(
    rows: TargetRows,
    through: datetime,
    config: TrainConfig,
    settings: Settings | None = None,
    resamples: int = RESAMPLES,
    progress: Progress = no_progress,
    recipe: EstimatorRecipe | None = None,
) -> FittedModel:
    """Fit and calibrate a model on every label whose window has ended.

    Parameters
    ----------
    rows : labelled snapshots of one target.
    through : the instant up to which outcomes are known, when the model comes into use.
    config : the settings of the training.
    settings : the settings of the ensemble; None to search them on the same rows.
    resamples : resamples of the calibrator, for intervals.
    progress : receives the share done and the current step.
    recipe : a classifier to fit in place of the product's own ensemble; it has no use for ``settings``.

    Returns
    -------
    FittedModel

    Raises
    ------
    InsufficientData
        If there are too few outcomes.
    BadRequest
        If the classifier of the recipe cannot be fitted.
    """
    # As in a training (`training.pipeline.train`): sums of linear algebra depend on the number of threads.
    with threadpool_limits(limits=1, user_api="blas"):
        return _fit_model(rows, through, config, settings, resamples, progress, recipe)


def _fit_model(
    rows: TargetRows,
    through: datetime,
    config: TrainConfig,
    settings: Settings | None,
    resamples: int,
    progress: Progress,
    recipe: EstimatorRecipe | None,
) -> FittedModel:
    ensemble: CrossFitted
    target = rows.target
    if recipe is not None:
        design = rows.main_horizon_only().training_design(through)
        words = f"{target}: fitting {recipe.name}"
        ensemble = fit_estimators(design, recipe, config.folds, config.seed, lambda share: progress(0.9 * share, words))
    else:
        design = rows.training_design(through)
        ensemble = _fit_blend(rows, design, config, settings, progress)
    progress(0.9, f"{target}: calibrating")
    drift = _population_drift(rows, ensemble, through)
    calibrator, shift = fit_calibrator(ensemble, drift, through, resamples, config.seed)
    variance = ensemble.error_variance(rows.newest(design))
    calibrator |= {"error": {"variance": variance, "weight": ERROR_WEIGHT}}
    held = ensemble.out_of_fold
    rate = float(scipy.special.expit(scipy.special.logit(held.y.mean()) + HALFWAY * shift))
    return FittedModel(ensemble, design, calibrator, shift, drift, rate, rows.main_horizon)


def _fit_blend(
    rows: TargetRows, design: Design, config: TrainConfig, settings: Settings | None, progress: Progress
) -> CrossFitted:
    features, target = rows.prepared.catalogue, rows.target
    if not isinstance(settings, EnsembleSettings):

        def searching(done: int, of: int, _best: float) -> None:
            progress(0.5 * done / of, f"{target}: searching settings, {done} of {of}")

        settings = search_ensemble(design, features, target, config.trials, config.seed, config.threads, searching)
    fitting = subprogress(progress, 0.5, 0.9)
    return fit_ensemble(
        design,
        settings,
        features,
        target,
        config.folds,
        lambda share: fitting(share, f"{target}: fitting the ensemble"),
    )


def fit_calibrator(
    ensemble: CrossFitted, drift: PopulationDrift, through: datetime, resamples: int, seed: int
) -> tuple[Calibrator, float]:
    """Calibrate an ensemble on its out-of-fold predictions.

    Parameters
    ----------
    ensemble : the model.
    drift : the accounts of the newest quarter with known outcomes, and those of ``through``.
    through : the instant from which it predicts.
    resamples, seed : of the intervals.

    Returns
    -------
    Calibrator
    float
        How far the newest quarter is above the level of all dates, in log-odds.

    Raises
    ------
    InsufficientData
        If only one outcome occurs.
    """
    rows = ensemble.out_of_fold
    raw = rows.raw @ ensemble.weights
    if not 0 < rows.y.sum() < len(rows.y):
        raise InsufficientData(["both outcomes among the training dates: only one of them occurs there"])
    level = _level_of_all(rows, ensemble.weights)
    expected = scipy.special.logit(np.clip(apply_calibrator(level, raw), 1e-6, 1 - 1e-6))
    recent = _recent(rows)
    shift = recent_shift(expected[recent], rows.y[recent], rows.weight[recent])
    middle = rows.as_of.max().to_pydatetime() - timedelta(days=WINDOW_DAYS / 2)
    ahead = (through - middle) / timedelta(days=1)
    move = estimate_level_move(expected, rows.y, rows.accounts, rows.as_of, ahead) if resamples else 0.0
    by = drift.correction(ensemble.weights, lambda each: apply_calibrator(level, each))
    keys = (raw, rows.y, rows.accounts, rows.as_of)
    return calibrate(*keys, shift=shift, resamples=resamples, seed=seed, move=move, drift=by), shift


def _level_of_all(rows: OutOfFold, weights: Floats) -> Calibrator:
    """Return the calibrator at the level of all dates."""
    return calibrate(rows.raw @ weights, rows.y, rows.accounts, rows.as_of, resamples=0)


def _population_drift(rows: TargetRows, ensemble: CrossFitted, through: datetime) -> PopulationDrift:
    held, today = ensemble.out_of_fold, rows.today(through)
    recent = _recent(held)
    days = number_column(rows.prepared.frame, RENEWAL_FEATURE)[held.row_index[recent]]
    now = ensemble.model_raw(today).mean(axis=0) if len(today) else held.raw[:0]
    return PopulationDrift(held.raw[recent], days, now, number_column(today, RENEWAL_FEATURE))


def _recent(rows: OutOfFold) -> Bools:
    return ((rows.as_of.max() - rows.as_of) < timedelta(days=WINDOW_DAYS)).to_numpy(dtype=bool)
