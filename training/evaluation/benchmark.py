"""Benchmark: all candidates, fitted on the same past, calibrated on the same slice and evaluated on the same dates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from features.utils.arrays import Floats
from features.utils.progress import Progress
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.targets import Target
from training.config import TrainConfig
from training.dataset.target_rows import LabelledSlice, TargetRows
from training.dataset.time_split import TimeSplit
from training.estimators.blend import Blend, fit_blend
from training.estimators.gradient_boosting import fit_from_start
from training.evaluation.baselines import (
    BASE_RATE,
    BLEND,
    HEALTH_SCORE,
    LIGHTGBM,
    LIGHTGBM_FROM_HEALTH,
    LOGISTIC_REGRESSION,
    base_rate_probabilities,
    calibrated_probabilities,
    expected_rate,
    health_log_odds,
    health_prior,
    known_rate,
)
from training.evaluation.by_horizon import HorizonMetrics, evaluate_by_horizon
from training.evaluation.comparison import Comparison, compare_candidates
from training.evaluation.test_predictions import ScoredTestRows


@dataclass(frozen=True)
class Benchmark:
    """Result of a benchmark.

    Parameters
    ----------
    model : the evaluated blend.
    judgement : comparison of all candidates on the test dates.
    tested : the test rows with the probabilities of each candidate.
    test : the same rows as snapshots.
    by_horizon : metrics of the blend at further horizons (`training.evaluation.by_horizon`), including those that could
        not be evaluated.
    """

    model: Blend
    judgement: Comparison
    tested: ScoredTestRows
    test: LabelledSlice
    by_horizon: tuple[HorizonMetrics, ...]


def run_benchmark(rows: TargetRows, parts: TimeSplit, config: TrainConfig, progress: Progress) -> Benchmark:
    """Fit, calibrate and evaluate all candidates.

    Parameters
    ----------
    rows : labelled snapshots of one target, with the health scores to compare with.
    parts : the time split.
    config : the settings.
    progress : progress callback.

    Returns
    -------
    Benchmark

    Raises
    ------
    InsufficientData
        If a slice has one class only.
    """
    target, catalogue = rows.target, rows.prepared.catalogue
    calibration, test = (rows.slice(parts, name) for name in ("calibration", "test"))

    def searching(done: int, of: int, _best: float) -> None:
        progress(0.15 + 0.6 * done / of, f"{target}: searching settings, {done} of {of}")

    progress(0.0, f"{target}: logistic regression")
    design = rows.training_design(parts.calibration[0])
    model = fit_blend(design, catalogue, target, config.trials, config.seed, config.threads, searching)
    progress(0.75, f"{target}: trees that start from the health score")
    scores = rows.health[HEALTH_SCORE]
    prior = health_prior(scores[design.row_index], design, target)
    from_health = fit_from_start(model.trees, design, prior.raw(scores[design.row_index]))
    progress(0.85, f"{target}: comparing candidates")

    linear, trees = model.linear, model.trees
    expected = expected_rate(model, design, calibration)

    def probabilities(raw: Callable[[LabelledSlice], Floats], scaled: bool = True) -> Floats:
        return calibrated_probabilities(raw(calibration), calibration.y, *calibration.keys, raw(test), expected, scaled)

    rate = known_rate(design.y[design.main], calibration.y)
    candidates = {
        BASE_RATE: base_rate_probabilities(rate, len(test.y)),
        **{name: probabilities(partial(_by_health, name, target), scaled=False) for name in rows.health},
        LOGISTIC_REGRESSION: probabilities(lambda s: linear.raw(s.frame)),
        LIGHTGBM: probabilities(lambda s: trees.raw(s.frame)),
        LIGHTGBM_FROM_HEALTH: probabilities(lambda s: from_health.raw(s.frame) + prior.raw(s.health[HEALTH_SCORE])),
        BLEND: probabilities(lambda s: model.raw(s.frame)),
    }
    arr = test.frame[ARR_FEATURE].fillna(0.0).to_numpy(dtype=np.float64)
    comparison = compare_candidates(test.y, candidates, test.accounts, arr, rate, BLEND, config.resamples, config.seed)
    segments = segment_of(test.frame[ARR_FEATURE])
    tested = ScoredTestRows(test.accounts, test.frame["as_of"], segments, test.y, arr, candidates, rate)
    progress(0.95, f"{target}: evaluating further horizons")
    return Benchmark(model, comparison, tested, test, evaluate_by_horizon(rows, parts, model, expected, config.seed))


def _by_health(name: str, target: Target, rows: LabelledSlice) -> Floats:
    return health_log_odds(rows.health[name], target)
