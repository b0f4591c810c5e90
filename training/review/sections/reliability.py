"""Reliability of score and model: the churn rate at each score, and predicted compared with observed churn."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from features.utils.arrays import Floats
from features.utils.formatting import day
from models.health.score_calibration import ScoreCalibration
from models.home import Home
from training.evaluation.score_calibration import fit_score_calibration
from training.review.dataset import ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel, undefined_figure
from training.review.recorded_metrics import RecordedEvaluation, load_recorded_evaluation
from training.statistics import metrics
from training.statistics.metrics import Predictions

SCORE_BIN_WIDTH = 10
MODEL_BINS = 5
#: Minimum number of churned and of retained accounts among the unseen rows for an evaluation of the model.
MINIMUM_OUTCOMES = 10


class ScoreBin(ReviewModel):
    """Churn rate of snapshots with a health score in ``[low, high)``; the last bin includes 100."""

    low: int
    high: int
    accounts: int
    rate: ReviewFigure


class ScoreReliability(ReviewModel):
    """Churn rate by score over the evaluated snapshots.

    ``meaning`` is the churn rate by score over all snapshots with a known outcome (None with too few churns). ``auc``
    measures how well the score ranks churned below retained accounts in the quarter; 0.5 is random. ``falls`` is true
    if it is clearly better than random.
    """

    bins: tuple[ScoreBin, ...]
    meaning: ScoreCalibration | None
    auc: ReviewFigure
    falls: bool
    words: str


class ModelBin(ReviewModel):
    """One fifth of the rows, ordered by predicted probability: mean prediction and observed rate."""

    expected: float
    accounts: int
    rate: ReviewFigure


class ModelReliability(ReviewModel):
    """Evaluation of the champion on rows whose outcome was unknown when it was trained.

    If the quarter has too few such rows, the figures are those of the backtest of its training run. ``source`` is
    ``quarter``, ``test`` or ``none``. A perfectly calibrated model has ``intercept`` 0 and ``slope`` 1.
    """

    source: Literal["quarter", "test", "none"]
    version: str | None
    trained_through: str | None
    accounts: int
    bins: tuple[ModelBin, ...]
    intercept: ReviewFigure
    slope: ReviewFigure
    brier: ReviewFigure
    auc: ReviewFigure
    words: str


def score_reliability(data: ReviewData) -> ScoreReliability:
    """Compute the churn rate by score, and how well the score ranks.

    Parameters
    ----------
    data : the data of the review.
    """
    rows = data.judged & np.isfinite(data.score)
    y, score = data.churn[rows], data.score[rows]
    resampled, bins = AccountResamples(data.accounts[rows]), []
    for low in range(0, 100, SCORE_BIN_WIDTH):
        in_bin = (score >= low) & ((score < low + SCORE_BIN_WIDTH) | ((low + SCORE_BIN_WIDTH == 100) & (score == 100)))
        if in_bin.any():
            rate = resampled.ratio(in_bin * y, in_bin, resampled.account_count(in_bin & (y == 1)))
            bins.append(
                ScoreBin(low=low, high=low + SCORE_BIN_WIDTH, accounts=resampled.account_count(in_bin), rate=rate)
            )
    events = resampled.account_count(y == 1)
    auc = undefined_figure(events)
    if 0 < y.sum() < len(y):
        predictions = Predictions(y, 0.999 - 0.998 * score / 100, np.zeros(len(y)))
        auc = resampled.evaluate(partial(metrics.roc_auc, predictions), events)
    falls = auc.low is not None and auc.low > 0.5
    words = (
        "lower scores were followed by more churn"
        if falls
        else "this quarter does not show clearly that lower scores mean more churn"
    )
    return ScoreReliability(
        bins=tuple(bins), meaning=_fit_score_meaning(data, data.score, data.band), auc=auc, falls=falls, words=words
    )


def _fit_score_meaning(data: ReviewData, score: Floats, band: object) -> ScoreCalibration | None:
    rows = data.labelled
    return fit_score_calibration(
        score[rows],
        np.asarray(band, dtype=object)[rows],
        data.churn[rows],
        data.accounts[rows],
        data.as_of[rows].reset_index(drop=True),
    )


def score_meaning(data: ReviewData, score: Floats, band: object) -> ScoreCalibration | None:
    """Compute the churn rate by score for other scores and bands of the same rows.

    Parameters
    ----------
    data : the data of the review.
    score, band : of each row.

    Returns
    -------
    The churn rate by score; None with too few churns.
    """
    return _fit_score_meaning(data, score, band)


def model_reliability(data: ReviewData, home: Home) -> ModelReliability:
    """Evaluate the probabilities of the champion.

    Parameters
    ----------
    data : the data of the review.
    home : where the runs are stored.
    """
    bundle = data.champion.bundles.get("churn")
    if bundle is None:
        return _without_figures("none", None, None, "there is no champion for churn")
    version, trained = bundle.manifest.version, bundle.manifest.trained_through.date().isoformat()
    rows = data.unseen(bundle) & np.isfinite(data.probability)
    y, p, accounts = data.churn[rows], data.probability[rows], data.accounts[rows]
    events, others = len(set(accounts[y == 1])), len(set(accounts[y == 0]))
    if min(events, others) < MINIMUM_OUTCOMES:
        recorded = load_recorded_evaluation(home, bundle)
        if recorded is None:
            return _without_figures(
                "none",
                version,
                trained,
                "too few outcomes of the quarter are new to the champion, and its training run is not available",
            )
        return _from_test_dates(recorded, version, trained)
    resampled, predictions, bins = AccountResamples(accounts), Predictions(y, p, np.zeros(len(y))), []
    for part in np.array_split(np.argsort(p, kind="stable"), MODEL_BINS):
        in_bin = np.zeros(len(y), dtype=bool)
        in_bin[part] = True
        rate = resampled.ratio(in_bin * y, in_bin, resampled.account_count(in_bin & (y == 1)))
        bins.append(ModelBin(expected=float(p[in_bin].mean()), accounts=resampled.account_count(in_bin), rate=rate))
    figures = {
        name: resampled.evaluate(partial(metric, predictions), events)
        for name, metric in (
            ("intercept", metrics.calibration_intercept),
            ("slope", metrics.calibration_slope),
            ("brier", metrics.brier),
            ("auc", metrics.roc_auc),
        )
    }
    return ModelReliability(
        source="quarter",
        version=version,
        trained_through=trained,
        accounts=resampled.bootstrap.accounts,
        bins=tuple(bins),
        words="evaluated on snapshots of the quarter whose outcome was not yet known when the model was trained",
        **figures,
    )


def _from_test_dates(recorded: RecordedEvaluation, version: str, trained: str) -> ModelReliability:
    return ModelReliability(
        source="test",
        version=version,
        trained_through=trained,
        accounts=recorded.accounts,
        bins=(),
        intercept=recorded.figure("calibration_intercept"),
        slope=recorded.figure("calibration_slope"),
        brier=recorded.figure("brier"),
        auc=recorded.figure("roc_auc"),
        words=f"the champion was trained on data through {day(trained)}, so too few outcomes of the quarter are new to"
        " it. The figures below come from the backtest of its training run",
    )


def _without_figures(source: Literal["none"], version: str | None, trained: str | None, words: str) -> ModelReliability:
    undefined = undefined_figure()
    return ModelReliability(
        source=source,
        version=version,
        trained_through=trained,
        accounts=0,
        bins=(),
        intercept=undefined,
        slope=undefined,
        brier=undefined,
        auc=undefined,
        words=words,
    )
