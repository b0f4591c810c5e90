"""Whether score and model mean what they say: what a score of 72 has meant, and how often it happened where the model
said one in ten."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from features.utils.arrays import Floats
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
#: Accounts with and without churn among a model's unseen rows, below which nothing is said of it.
MINIMUM_OUTCOMES = 10


class ScoreBin(ReviewModel):
    """Snapshots with a health score in ``[low, high)`` (the last bin holds 100): how often churn followed."""

    low: int
    high: int
    accounts: int
    rate: ReviewFigure


class ScoreReliability(ReviewModel):
    """The score in tens over the quarter's snapshots; ``meaning`` the curve over all snapshots with a known outcome
    (None
    with too few churns); ``auc`` how well the score ranks who left below who stayed in the quarter: 0.5 is guessing."""

    bins: tuple[ScoreBin, ...]
    meaning: ScoreCalibration | None
    auc: ReviewFigure
    falls: bool
    words: str


class ModelBin(ReviewModel):
    """A fifth of the rows by the model's probability: the mean said, and how often it happened."""

    expected: float
    accounts: int
    rate: ReviewFigure


class ModelReliability(ReviewModel):
    """The champion on rows whose outcome it could not know when it was trained; where there are too few in the quarter,
    what its test dates gave at its training.

    ``source`` tells which: ``quarter``, ``test`` or ``none``. ``intercept`` 0 and ``slope`` 1 are right.
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


def score_reliability(seen: ReviewData) -> ScoreReliability:
    """What scores have meant."""
    rows = seen.judged & np.isfinite(seen.score)
    y, score = seen.churn[rows], seen.score[rows]
    resampled, bins = AccountResamples(seen.accounts[rows]), []
    for low in range(0, 100, SCORE_BIN_WIDTH):
        mine = (score >= low) & ((score < low + SCORE_BIN_WIDTH) | ((low + SCORE_BIN_WIDTH == 100) & (score == 100)))
        if mine.any():
            rate = resampled.ratio(mine * y, mine, resampled.people(mine & (y == 1)))
            bins.append(ScoreBin(low=low, high=low + SCORE_BIN_WIDTH, accounts=resampled.people(mine), rate=rate))
    events = resampled.people(y == 1)
    auc = undefined_figure(events)
    if 0 < y.sum() < len(y):
        data = Predictions(y, 0.999 - 0.998 * score / 100, np.zeros(len(y)))
        auc = resampled.of(partial(metrics.roc_auc, data), events)
    falls = auc.low is not None and auc.low > 0.5
    words = (
        "lower scores have gone with more churn"
        if falls
        else "that lower scores go with more churn is not clear from this quarter"
    )
    return ScoreReliability(
        bins=tuple(bins), meaning=_meaning(seen, seen.score, seen.band), auc=auc, falls=falls, words=words
    )


def _meaning(seen: ReviewData, score: Floats, band: object) -> ScoreCalibration | None:
    rows = seen.labelled
    return fit_score_calibration(
        score[rows],
        np.asarray(band, dtype=object)[rows],
        seen.churn[rows],
        seen.accounts[rows],
        seen.as_of[rows].reset_index(drop=True),
    )


def score_meaning(seen: ReviewData, score: Floats, band: object) -> ScoreCalibration | None:
    """What other scores and bands of the same rows would have meant."""
    return _meaning(seen, score, band)


def model_reliability(seen: ReviewData, home: Home) -> ModelReliability:
    """What the champion's probabilities have meant."""
    bundle = seen.champion.bundles.get("churn")
    if bundle is None:
        return _without("none", None, None, "there is no champion for churn")
    version, trained = bundle.manifest.version, bundle.manifest.trained_through.date().isoformat()
    rows = seen.unseen(bundle) & np.isfinite(seen.probability)
    y, p, accounts = seen.churn[rows], seen.probability[rows], seen.accounts[rows]
    events, others = len(set(accounts[y == 1])), len(set(accounts[y == 0]))
    if min(events, others) < MINIMUM_OUTCOMES:
        told = load_recorded_evaluation(home, bundle)
        if told is None:
            return _without(
                "none", version, trained, "the champion has seen these outcomes, and its run is not at hand"
            )
        return _from_test(told, version, trained)
    resampled, data, bins = AccountResamples(accounts), Predictions(y, p, np.zeros(len(y))), []
    for part in np.array_split(np.argsort(p, kind="stable"), MODEL_BINS):
        mine = np.zeros(len(y), dtype=bool)
        mine[part] = True
        rate = resampled.ratio(mine * y, mine, resampled.people(mine & (y == 1)))
        bins.append(ModelBin(expected=float(p[mine].mean()), accounts=resampled.people(mine), rate=rate))
    figures = {
        name: resampled.of(partial(measure, data), events)
        for name, measure in (
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
        words="on snapshots of the quarter whose outcome was open when the model was trained",
        **figures,
    )


def _from_test(told: RecordedEvaluation, version: str, trained: str) -> ModelReliability:
    return ModelReliability(
        source="test",
        version=version,
        trained_through=trained,
        accounts=told.accounts,
        bins=(),
        intercept=told.figure("calibration_intercept"),
        slope=told.figure("calibration_slope"),
        brier=told.figure("brier"),
        auc=told.figure("roc_auc"),
        words=f"the champion was trained through {trained}: it has seen too many outcomes of the quarter to be judged "
        "by them; these are the figures of its test dates, later than all that the judged model was fitted on",
    )


def _without(source: Literal["none"], version: str | None, trained: str | None, words: str) -> ModelReliability:
    gone = undefined_figure()
    return ModelReliability(
        source=source,
        version=version,
        trained_through=trained,
        accounts=0,
        bins=(),
        intercept=gone,
        slope=gone,
        brier=gone,
        auc=gone,
        words=words,
    )
