"""Metrics: identities, directions, and agreement with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from features.utils.arrays import Floats
from training.statistics import metrics, newton_logistic
from training.statistics.metrics import Predictions


def data(rows: int = 4_000, slope: float = 1.0, level: float = 0.0, seed: int = 0) -> Predictions:
    """Predictions that are right for slope 1 and level 0; else the truth is ``level + slope x`` the predicted log-odds."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-1.5, 1.2, rows)
    y = (rng.random(rows) < scipy.special.expit(level + slope * log_odds)).astype(float)
    return Predictions(y, scipy.special.expit(log_odds), rng.lognormal(9, 1, rows))


def once(result: Predictions) -> Floats:
    return np.ones((1, len(result.y)))


outcomes = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.integers(1, 9), st.integers(0, 3)), min_size=2, max_size=40
)


@given(outcomes)
def test_metrics_agree_with_scikit_learn_with_ties_and_weights(rows: list[tuple[float, int, int]]) -> None:
    y, p, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    predictions = Predictions(y, p / 10, np.ones_like(y))
    both = 0 < (w * y).sum() < w.sum()
    if not both:
        assert np.isnan(metrics.roc_auc(predictions, w[None])[0])
        return
    assert metrics.roc_auc(predictions, w[None])[0] == pytest.approx(roc_auc_score(y, p, sample_weight=w))
    assert metrics.pr_auc(predictions, w[None])[0] == pytest.approx(average_precision_score(y, p, sample_weight=w))
    assert metrics.brier(predictions, w[None])[0] == pytest.approx(brier_score_loss(y, p / 10, sample_weight=w))
    assert metrics.log_loss(predictions, w[None])[0] == pytest.approx(sklearn_log_loss(y, p / 10, sample_weight=w))


def test_a_weight_of_two_equals_two_rows() -> None:
    predictions = data(300)
    twice = np.random.default_rng(1).integers(0, 3, 300)
    again = [np.repeat(column, twice) for column in (predictions.y, predictions.p, predictions.arr)]
    copied = Predictions(*again)
    for metric in (metrics.roc_auc, metrics.pr_auc, metrics.brier, metrics.calibration_slope, metrics.captured_arr):
        assert metric(predictions, twice[None].astype(float)) == pytest.approx(metric(copied, once(copied)), abs=1e-6)


def test_ranking_metrics_depend_on_ranks_only() -> None:
    result = data()
    squashed = Predictions(result.y, result.p**3, result.arr)
    for metric in (metrics.roc_auc, metrics.pr_auc, metrics.captured, metrics.captured_arr, metrics.lift):
        assert metric(squashed, once(result)) == pytest.approx(metric(result, once(result)))


def test_the_auc_within_groups_ignores_levels_of_groups_and_equals_the_auc_of_one_group() -> None:
    result = data(600)
    weights = np.random.default_rng(2).integers(0, 3, (5, 600)).astype(float)
    together = np.zeros(600, dtype=np.int64)
    assert metrics.roc_auc_within(result, weights, together) == pytest.approx(metrics.roc_auc(result, weights))
    groups = np.arange(600) % 3
    moved = Predictions(result.y, scipy.special.expit(result.log_odds + 2.0 * groups), result.arr)
    within = metrics.roc_auc_within(result, weights, groups)
    assert metrics.roc_auc_within(moved, weights, groups) == pytest.approx(within)
    apart = [metrics.roc_auc(Predictions(*(c[groups == g] for c in (result.y, result.p, result.arr))), weights[:, groups == g]) for g in range(3)]
    assert within == pytest.approx(np.mean(apart, axis=0), abs=0.02)


def test_reversing_the_ranking_reverses_the_auc() -> None:
    result = data()
    turned = Predictions(result.y, 1 - result.p, result.arr)
    assert metrics.roc_auc(turned, once(result))[0] == pytest.approx(1 - metrics.roc_auc(result, once(result))[0])


def test_guessing_scores_like_guessing() -> None:
    y = data().y
    constant = Predictions(y, np.full(len(y), y.mean()), np.ones_like(y))
    assert metrics.roc_auc(constant, once(constant))[0] == 0.5
    assert metrics.pr_auc(constant, once(constant))[0] == pytest.approx(y.mean())
    assert metrics.lift(constant, once(constant))[0] == pytest.approx([1, 1, 1])
    assert metrics.brier(constant, once(constant))[0] == pytest.approx(y.mean() * (1 - y.mean()))
    assert metrics.brier_skill(constant, once(constant), y.mean())[0] == pytest.approx(0)
    assert metrics.brier_skill_in_hindsight(constant, once(constant))[0] == pytest.approx(0)
    assert np.isnan(metrics.calibration_slope(constant, once(constant))[0])


def test_perfect_predictions_score_perfectly() -> None:
    y = data().y
    perfect = Predictions(y, y, np.ones_like(y))
    assert metrics.roc_auc(perfect, once(perfect))[0] == 1
    assert metrics.pr_auc(perfect, once(perfect))[0] == pytest.approx(1)
    assert metrics.brier_skill(perfect, once(perfect), 0.3)[0] == pytest.approx(1)


def test_the_slope_shows_extreme_and_flat_probabilities() -> None:
    right, extreme, timid = (metrics.calibration_slope(d, once(d))[0] for d in (data(), data(slope=0.5), data(slope=2)))
    assert right == pytest.approx(1, abs=0.1)
    assert extreme == pytest.approx(0.5, abs=0.1)
    assert timid == pytest.approx(2, abs=0.15)


def test_the_intercept_shows_low_and_high_probabilities() -> None:
    right, low, high = (metrics.calibration_intercept(d, once(d))[0] for d in (data(), data(level=1), data(level=-1)))
    assert right == pytest.approx(0, abs=0.15)
    assert low == pytest.approx(1, abs=0.15)
    assert high == pytest.approx(-1, abs=0.15)


def test_miscalibration_increases_the_losses() -> None:
    right, wrong = data(), data(level=1)
    assert metrics.calibration_error(right, once(right))[0] < 0.03 < metrics.calibration_error(wrong, once(wrong))[0]


def test_captured_counts_outcomes_and_their_arr() -> None:
    """Of ten accounts two leave, ranked first and fifth: the top tenth has half of the leavers, and 90 of the 100."""
    y = np.array([1, 0, 0, 0, 1, 0, 0, 0, 0, 0.0])
    predictions = Predictions(y, np.linspace(0.9, 0.1, 10), np.array([90, 5, 5, 5, 10, 5, 5, 5, 5, 5.0]))
    assert metrics.captured(predictions, once(predictions))[0] == pytest.approx([0.25, 0.5, 0.5])
    assert metrics.captured_arr(predictions, once(predictions))[0] == pytest.approx([0.45, 0.9, 0.9])
    assert metrics.lift(predictions, once(predictions))[0] == pytest.approx([5, 5, 2.5])


def test_one_class_has_no_metrics_that_need_two() -> None:
    predictions = Predictions(np.zeros(20), np.linspace(0.1, 0.5, 20), np.ones(20))
    for metric in (metrics.roc_auc, metrics.pr_auc, metrics.calibration_slope, metrics.calibration_intercept):
        assert np.isnan(metric(predictions, once(predictions))[0])
    assert np.isnan(metrics.captured(predictions, once(predictions))).all()
    assert np.isfinite(metrics.brier(predictions, once(predictions))[0])


@pytest.mark.parametrize(
    "name",
    [
        *("roc_auc", "pr_auc", "brier", "brier_skill", "brier_skill_in_hindsight", "log_loss", "lift", "captured"),
        *("captured_arr", "calibration_error", "calibration_slope", "calibration_intercept"),
    ],
)
def test_every_metric_documents_a_good_value(name: str) -> None:
    words = getattr(metrics, name).__doc__
    assert any(word in words for word in ("good", "useful", "better", "perfect", "guessing"))


def test_ranking_metrics_match_the_single_functions() -> None:
    predictions = data(300)
    predictions = Predictions(predictions.y, predictions.p.round(1), predictions.arr)
    weights = np.random.default_rng(2).integers(0, 3, (4, 300)).astype(float)
    for name, values in metrics.ranking_metrics(predictions, weights).items():
        assert values == pytest.approx(getattr(metrics, name)(predictions, weights)), name


def test_calibration_metrics_match_the_single_functions() -> None:
    predictions = data(300)
    weights = np.random.default_rng(2).integers(0, 3, (4, 300)).astype(float)
    for name, values in metrics.calibration_metrics(predictions, weights).items():
        assert values == pytest.approx(getattr(metrics, name)(predictions, weights), rel=0), name


def test_groups_of_many_rows_calibrate_as_the_rows_do() -> None:
    """With more rows than groups, slope and intercept differ from those of all rows by far less than their error."""
    many = data(30_000, slope=0.7, level=0.4)
    weights = np.random.default_rng(3).integers(0, 3, (5, 30_000)).astype(float)
    group, log_odds, y = many.calibration_groups
    assert len(log_odds) < len(many.y) / 5
    assert (y[group] == many.y).all()
    design = np.column_stack([many.log_odds, np.ones_like(many.y)])
    exact = newton_logistic.fit(design, many.y, weights, np.array([1.0, 0.0]), np.full(2, 1e-6))[:, 0]
    assert metrics.calibration_slope(many, weights) == pytest.approx(exact, abs=5e-4)
    level = newton_logistic.fit(design[:, 1:], many.y, weights, np.zeros(1), np.full(1, 1e-6), many.log_odds)[:, 0]
    assert metrics.calibration_intercept(many, weights) == pytest.approx(level, abs=5e-4)


def test_groups_of_many_rows_rank_as_the_rows_do() -> None:
    """With more rows than groups, the metrics of resamples differ from the exact ones by far less than their error."""
    many = data(30_000, slope=0.7, level=0.4)
    weights = np.random.default_rng(4).integers(0, 3, (3, 30_000)).astype(float)
    together = metrics.ranking_metrics(many, weights)
    for row, each in enumerate(weights):
        for name, exact in metrics.ranking_metrics(many, each[None]).items():
            near = {"roc_auc": 1e-5, "pr_auc": 1e-4}.get(name, 1e-3)
            assert together[name][row] == pytest.approx(exact[0], abs=near, rel=near), name
