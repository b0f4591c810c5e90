"""Scorings are compared in pairs on the same later rows."""

from __future__ import annotations

import numpy as np
import pytest

from training.review.recalibration.score_comparison import (
    ScoringComparison,
    calibrated_by_model,
    calibrated_by_score,
    evidence_count,
)

RNG = np.random.default_rng(0)
N = 3_000
SCORE = RNG.uniform(0, 100, N)
CHANCE = 1 / (1 + np.exp(0.05 * (SCORE - 20)))
CHURNED = (RNG.random(N) < CHANCE).astype(float)
ACCOUNTS = np.array([f"a{i % 1_000}" for i in range(N)], dtype=object)
COMPARISON = ScoringComparison(CHURNED, ACCOUNTS, 100, 0)


def test_a_scoring_does_not_differ_from_itself() -> None:
    (first,) = COMPARISON.compare({"in force": CHANCE})
    assert first.brier_change == first.log_loss_change == first.auc_change == (0.0, 0.0, 0.0)
    assert first.brier.value == pytest.approx(((CHANCE - CHURNED) ** 2).mean())
    assert first.brier.low < first.brier.value < first.brier.high


def test_true_probabilities_are_clearly_better_than_the_average() -> None:
    average = np.full(N, CHURNED.mean())
    first, second = COMPARISON.compare({"in force": average, "proposed": CHANCE})
    assert second.brier_change.high < 0
    assert second.log_loss_change.high < 0
    assert second.auc_change.low > 0
    assert first.auc.value == 0.5


def test_a_scoring_of_some_rows_is_compared_on_these_rows() -> None:
    some = np.where(np.arange(N) < N / 2, CHANCE, np.nan)
    _, second = COMPARISON.compare({"in force": CHANCE, "model": some})
    assert second.evidence == evidence_count(CHURNED[: N // 2], ACCOUNTS[: N // 2])
    assert second.brier_change.value == 0.0
    assert [j.name for j in COMPARISON.compare({"in force": CHANCE, "model": np.full(N, np.nan)})] == ["in force"]


def test_a_score_is_calibrated_on_earlier_rows() -> None:
    later = np.array([10.0, 50.0, 90.0, np.nan])
    calibrated = calibrated_by_score(SCORE, CHURNED, np.ones(N), later)
    assert calibrated[:3] == pytest.approx(1 / (1 + np.exp(0.05 * (later[:3] - 20))), abs=0.04)
    assert np.isnan(calibrated[3])


def test_a_model_without_earlier_rows_is_not_calibrated() -> None:
    later = np.array([0.2, np.nan])
    nothing = np.full(N, np.nan)
    assert calibrated_by_model(nothing, CHURNED, np.ones(N), ACCOUNTS, later)[0] == 0.2
    # The model was overconfident on earlier rows, so later probabilities are less extreme.
    log_odds = 2 * np.log(CHANCE / (1 - CHANCE))
    calibrated = calibrated_by_model(1 / (1 + np.exp(-log_odds)), CHURNED, np.ones(N), ACCOUNTS, later)
    assert calibrated[0] == pytest.approx(1 / (1 + np.exp(-np.log(0.25) / 2)), abs=0.04)
    assert np.isnan(calibrated[1])
