"""Rolling-origin backtest: the whole recipe, refitted at past dates, predicts what followed.

It is the only judge: its pooled predictions give every metric, gate and comparison. At each origin, all candidates are
fitted on the labels known then, and take their level by the same rule. The settings of the ensemble are searched at the
first origin and used at all of them, so no choice has seen a predicted outcome. Recipes of a user's own are candidates
like the others (`training.estimators.estimator_ensemble`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from features.errors import BadRequest
from features.utils.arrays import Floats
from features.utils.progress import Progress, subprogress
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.renewals.hazard_interpolation import probability_by
from models.renewals.renewal_model import LEADS
from models.scorer.base import RENEWAL_FEATURE
from training.config import TrainConfig
from training.dataset.origins import Origins
from training.dataset.target_rows import LabelledSlice, TargetRows
from training.estimators.ensemble import LARGE_TREES, LINEAR, SMALL_TREES, Settings, single_weights
from training.estimators.estimator_ensemble import EstimatorRecipe
from training.estimators.fitted_model import FittedModel, fit_model
from training.evaluation.baselines import (
    BASE_RATE,
    BLEND,
    EVEN_BLEND,
    HEALTH_SCORE,
    LARGE_LIGHTGBM,
    LIGHTGBM,
    LOGISTIC_REGRESSION,
    RENEWAL_DUE,
    base_rate_probabilities,
    health_probabilities,
    renewal_due_probabilities,
)
from training.evaluation.by_horizon import HorizonMetrics, HorizonRows, evaluate_by_horizon
from training.evaluation.comparison import Comparison, compare_subjects
from training.evaluation.test_predictions import ScoredTestRows

PARTS = {
    LOGISTIC_REGRESSION: single_weights(LINEAR),
    LIGHTGBM: single_weights(SMALL_TREES),
    LARGE_LIGHTGBM: single_weights(LARGE_TREES),
    EVEN_BLEND: single_weights(LINEAR, SMALL_TREES),
}
"""Candidates that are a part of the ensemble, and their weights. EVEN_BLEND has the weights of earlier releases."""


@dataclass(frozen=True)
class Backtest:
    """Result of a backtest.

    Parameters
    ----------
    settings : the settings of the ensemble, chosen at the first origin.
    judgement : comparison of all candidates on the predicted rows of all origins; its subject is the user's first
        recipe, or the product's own without any.
    comparisons : the same for each recipe, by name; the product's own is the last.
    tested : the predicted rows with the probabilities of each candidate.
    test : the same rows as snapshots.
    by_horizon : metrics of the product's own model at further horizons, including those that could not be evaluated.
    by_renewal : probability by the renewal and its grace period, derived from the horizons of the product's own model,
        for each of the n labelled snapshots; NaN if it has no renewal near (`models.renewals.renewal_model.LEADS`) or
        was not predicted.
    """

    settings: Settings
    judgement: Comparison
    tested: ScoredTestRows
    test: LabelledSlice
    by_horizon: tuple[HorizonMetrics, ...]
    comparisons: Mapping[str, Comparison]
    by_renewal: Floats


def run_backtest(
    rows: TargetRows,
    origins: Origins,
    config: TrainConfig,
    progress: Progress,
    recipes: Sequence[EstimatorRecipe] = (),
) -> Backtest:
    """Fit all candidates at every origin, and compare their predictions with what happened.

    Parameters
    ----------
    rows : labelled snapshots of one target, with the health scores to compare with.
    origins : the origins.
    config : the settings.
    progress : progress callback.
    recipes : a user's own candidates, next to the product's.

    Returns
    -------
    Backtest

    Raises
    ------
    InsufficientData
        If only one outcome occurs before an origin, or on the predicted dates.
    BadRequest
        If a recipe cannot be fitted, or has the name of another candidate.
    """
    require_new_names(recipes, (BASE_RATE, RENEWAL_DUE, HEALTH_SCORE, BLEND, *PARTS, *rows.health))
    settings: Settings | None = None
    slices: list[LabelledSlice] = []
    predictions: list[dict[str, Floats]] = []
    further: list[HorizonRows] = []
    by_renewal = np.full(len(rows.prepared.frame), np.nan)
    for number, origin in enumerate(origins.dates):
        part = subprogress(progress, 0.95 * number / len(origins.dates), 0.95 * (number + 1) / len(origins.dates))
        model = fit_model(rows, origin, config, settings, resamples=0, progress=part)
        settings = model.ensemble.settings
        dates = origins.predicted(origin)
        test = rows.rows_at(dates)
        slices.append(test)
        predictions.append(dict(_predictions(rows, model, test)))
        for recipe in recipes:
            own = fit_model(rows, origin, config, resamples=0, progress=part, recipe=recipe)
            predictions[-1][recipe.name] = own.probability(test.frame)
        _predict_renewals(rows, model, dates, by_renewal)
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
    until = test.frame[RENEWAL_FEATURE].to_numpy(dtype=np.float64)
    due = np.asarray(until <= config.horizon_days, dtype=np.bool_)
    segments = segment_of(test.frame[ARR_FEATURE])
    tested = ScoredTestRows(test.accounts, test.frame["as_of"], segments, test.y, arr, p, rate, due)
    comparisons = compare_tested(tested, [*(recipe.name for recipe in recipes), BLEND], config)
    comparison = next(iter(comparisons.values()))
    by_horizon = evaluate_by_horizon(sorted(rows.prepared.further_labels), further, config.seed)
    return Backtest(settings, comparison, tested, test, by_horizon, comparisons, by_renewal)


def compare_tested(tested: ScoredTestRows, subjects: Sequence[str], config: TrainConfig) -> dict[str, Comparison]:
    """Compare candidates with all others on the predicted rows.

    Parameters
    ----------
    tested : the predicted rows.
    subjects : the candidates to compare with the others.
    config : the settings, for the account bootstrap.

    Returns
    -------
    dict of str to Comparison
        By subject.
    """
    return compare_subjects(
        tested.y,
        tested.p,
        tested.accounts,
        tested.arr,
        tested.known_rate,
        subjects,
        config.resamples,
        config.seed,
        tested.as_of,
    )


def require_new_names(recipes: Sequence[EstimatorRecipe], taken: Sequence[str]) -> None:
    """Require that no two candidates have the same name.

    Parameters
    ----------
    recipes : the user's recipes.
    taken : the names of the product's candidates.

    Raises
    ------
    BadRequest
        If a name is taken or occurs twice.
    """
    names = [recipe.name for recipe in recipes]
    if wrong := sorted({name for name in names if name in taken or names.count(name) > 1}):
        raise BadRequest(
            f"several candidates would be called {', '.join(wrong)}",
            f"names that differ from each other and from {', '.join(sorted({*taken}))}",
            "name the recipes in a dictionary: {NAME: estimator}",
        )


def _predict_renewals(rows: TargetRows, model: FittedModel, dates: Sequence[datetime], by_renewal: Floats) -> None:
    """Derive the probability by the renewal and its grace period for the snapshots of some dates, in place."""
    frame = rows.prepared.frame
    until = number_column(frame, RENEWAL_FEATURE)
    near = (until >= LEADS[0]) & (until < LEADS[-1] + rows.prepared.grid.every_days)
    index = np.flatnonzero(near & frame["as_of"].isin(pd.DatetimeIndex(list(dates))).to_numpy())
    if len(index):
        chosen = frame.iloc[index]
        days = model.ensemble.encoding.horizons
        horizons = {each: model.probability(chosen, each) for each in days} or {
            rows.main_horizon: model.probability(chosen)
        }
        by_renewal[index] = probability_by(horizons, until[index] + rows.prepared.grace_days, until[index])


def _predictions(rows: TargetRows, model: FittedModel, test: LabelledSlice) -> Mapping[str, Floats]:
    """Return the probabilities of each candidate for the predicted rows of one origin."""
    candidates = {BASE_RATE: base_rate_probabilities(model, len(test.y))}
    if np.isfinite(rows.prepared.frame[RENEWAL_FEATURE].to_numpy(dtype=np.float64)).any():
        until = test.frame[RENEWAL_FEATURE].to_numpy(dtype=np.float64)
        candidates[RENEWAL_DUE] = renewal_due_probabilities(model, rows, until)
    for name, score in rows.health.items():
        if np.isfinite(score).any():
            candidates[name] = health_probabilities(model, score, test.health[name], rows.target)
    parts = {**PARTS, BLEND: model.ensemble.weights}
    return candidates | model.part_probabilities(test.frame, parts)


def _pooled(slices: list[LabelledSlice]) -> LabelledSlice:
    return LabelledSlice(
        pd.concat([part.frame for part in slices], ignore_index=True),
        np.concatenate([part.y for part in slices]),
        {name: np.concatenate([part.health[name] for part in slices]) for name in slices[0].health},
    )
