"""Rolling-origin backtest: the whole recipe, refitted at past dates, predicts what followed.

It is the only judge: its pooled predictions give every metric, gate and comparison. At each origin, all candidates are
fitted on the labels known then, and take their level by the same rule. The settings of the ensemble are searched at the
first origin and used at all of them, so no choice has seen a predicted outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.utils.arrays import Floats
from features.utils.progress import Progress, subprogress
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.scorer.base import RENEWAL_FEATURE
from training.config import TrainConfig
from training.dataset.origins import Origins
from training.dataset.target_rows import LabelledSlice, TargetRows
from training.estimators.ensemble import LARGE_TREES, LINEAR, SMALL_TREES, EnsembleSettings, single_weights
from training.estimators.fitted_model import FittedModel, fit_model
from training.evaluation.baselines import (
    BASE_RATE,
    BLEND,
    EVEN_BLEND,
    LARGE_LIGHTGBM,
    LIGHTGBM,
    LOGISTIC_REGRESSION,
    RENEWAL_DUE,
    base_rate_probabilities,
    health_probabilities,
    renewal_due_probabilities,
)
from training.evaluation.by_horizon import HorizonMetrics, HorizonRows, evaluate_by_horizon
from training.evaluation.comparison import Comparison, compare_candidates
from training.evaluation.test_predictions import ScoredTestRows

PARTS = {
    LOGISTIC_REGRESSION: single_weights(LINEAR),
    LIGHTGBM: single_weights(SMALL_TREES),
    LARGE_LIGHTGBM: single_weights(LARGE_TREES),
    EVEN_BLEND: single_weights(LINEAR, SMALL_TREES),
}
"""Candidates that are a part of the ensemble, and their weights. EVEN_BLEND was the model of earlier releases."""


@dataclass(frozen=True)
class Backtest:
    """Result of a backtest.

    Parameters
    ----------
    settings : the settings of the ensemble, chosen at the first origin.
    judgement : comparison of all candidates on the predicted rows of all origins.
    tested : the predicted rows with the probabilities of each candidate.
    test : the same rows as snapshots.
    by_horizon : metrics of the model at further horizons, including those that could not be evaluated.
    """

    settings: EnsembleSettings
    judgement: Comparison
    tested: ScoredTestRows
    test: LabelledSlice
    by_horizon: tuple[HorizonMetrics, ...]


def run_backtest(rows: TargetRows, origins: Origins, config: TrainConfig, progress: Progress) -> Backtest:
    """Fit all candidates at every origin, and compare their predictions with what happened.

    Parameters
    ----------
    rows : labelled snapshots of one target, with the health scores to compare with.
    origins : the origins.
    config : the settings.
    progress : progress callback.

    Returns
    -------
    Backtest

    Raises
    ------
    InsufficientData
        If only one outcome occurs before an origin, or on the predicted dates.
    """
    settings: EnsembleSettings | None = None
    slices: list[LabelledSlice] = []
    predictions: list[Mapping[str, Floats]] = []
    further: list[HorizonRows] = []
    for number, origin in enumerate(origins.dates):
        part = subprogress(progress, 0.95 * number / len(origins.dates), 0.95 * (number + 1) / len(origins.dates))
        model = fit_model(rows, origin, config, settings, resamples=0, progress=part)
        settings = model.ensemble.settings
        dates = origins.predicted(origin)
        test = rows.rows_at(dates)
        slices.append(test)
        predictions.append(_predictions(rows, model, test))
        for days in rows.prepared.further_labels:
            if days in model.ensemble.encoding.horizons:
                later = rows.rows_at(dates, days)
                if len(later.y):
                    further.append(HorizonRows(days, later.y, model.probability(later.frame, days), later.accounts))
    progress(0.95, f"{rows.target}: comparing candidates")
    assert settings is not None
    test = _pooled(slices)
    p = {name: np.concatenate([each[name] for each in predictions]) for name in predictions[0]}
    arr = test.frame[ARR_FEATURE].fillna(0.0).to_numpy(dtype=np.float64)
    rate = p[BASE_RATE]
    comparison = compare_candidates(test.y, p, test.accounts, arr, rate, BLEND, config.resamples, config.seed)
    until = test.frame[RENEWAL_FEATURE].to_numpy(dtype=np.float64)
    due = np.asarray(until <= config.horizon_days, dtype=np.bool_)
    segments = segment_of(test.frame[ARR_FEATURE])
    tested = ScoredTestRows(test.accounts, test.frame["as_of"], segments, test.y, arr, p, rate, due)
    by_horizon = evaluate_by_horizon(sorted(rows.prepared.further_labels), further, config.seed)
    return Backtest(settings, comparison, tested, test, by_horizon)


def _predictions(rows: TargetRows, model: FittedModel, test: LabelledSlice) -> Mapping[str, Floats]:
    """Return the probabilities of each candidate for the predicted rows of one origin."""
    candidates = {BASE_RATE: base_rate_probabilities(model, len(test.y))}
    if np.isfinite(rows.prepared.frame[RENEWAL_FEATURE].to_numpy(dtype=np.float64)).any():
        until = test.frame[RENEWAL_FEATURE].to_numpy(dtype=np.float64)
        candidates[RENEWAL_DUE] = renewal_due_probabilities(model, rows, until)
    for name, score in rows.health.items():
        if np.isfinite(score).any():
            candidates[name] = health_probabilities(model, score, test.health[name], rows.target)
    for name, weights in PARTS.items():
        candidates[name] = model.part_probability(test.frame, weights)
    return candidates | {BLEND: model.probability(test.frame)}


def _pooled(slices: list[LabelledSlice]) -> LabelledSlice:
    return LabelledSlice(
        pd.concat([part.frame for part in slices], ignore_index=True),
        np.concatenate([part.y for part in slices]),
        {name: np.concatenate([part.health[name] for part in slices]) for name in slices[0].health},
    )
