"""Synthetic histories have the requested properties."""

from __future__ import annotations

import numpy as np
import pytest

from training.review.recalibration.linearized_score import weighted_score
from training.review.recalibration.synthetic_histories import SyntheticHistory, score_points, simulate_synthetic_history


def test_the_number_of_churned_accounts_is_about_as_requested(few: SyntheticHistory, wrong: SyntheticHistory) -> None:
    for some, requested in ((few, 40), (wrong, 1_000)):
        churned = len(np.unique(some.rows.accounts[some.rows.churned == 1]))
        assert 0.6 * requested <= churned <= 1.3 * requested


def test_no_weights_rank_better_than_the_true_ones(wrong: SyntheticHistory) -> None:
    rows = wrong.rows
    labelled = rows.labelled
    points, y = rows.points.to_numpy()[labelled], rows.churned[labelled]

    def auc(weights: dict[str, float]) -> float:
        score = weighted_score(points, np.array(list(weights.values())))
        ranks = score.argsort().argsort()
        return 1 - (ranks[y == 1].mean() - ranks[y == 0].mean()) / len(y)

    other = dict(zip(wrong.weights, [30.0, 25.0, 15.0, 20.0, 10.0], strict=True))
    assert auc(wrong.weights) > auc(other) + 0.01


def test_the_same_seed_gives_the_same_history() -> None:
    weights = {"a": 70.0, "b": 30.0}
    one, two, other = (simulate_synthetic_history(weights, weights, 20, seed, weeks=60).rows for seed in (1, 1, 2))
    assert one.points.equals(two.points)
    assert not one.points.equals(other.points)


def test_the_newest_outcomes_are_not_known(few: SyntheticHistory) -> None:
    rows = few.rows
    last = rows.as_of[~np.isnan(rows.churned)].max()
    assert (rows.as_of.max() - last).days >= 90
    assert np.isnan(rows.churned[(rows.as_of > last).to_numpy()]).all()


def test_a_score_needs_data_for_half_of_its_weight() -> None:
    points = np.array([[80.0, np.nan, 40.0], [np.nan, np.nan, 40.0]])
    result = score_points(points, np.array([50.0, 20.0, 30.0]))
    assert result[0] == pytest.approx((40 + 12) / 0.8)
    assert np.isnan(result[1])
